import math

import pytest
import torch

from unicoal_components.networks.mapping import MappingNetwork, column_position, one_hot_modality


def make(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MappingNetwork(num_modalities=3, w_dim=10, embedding_dim=6, **options)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=1.0)
        network.w_avg.normal_()
        return network


def rms(x):
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


MODALITY = torch.eye(3)[[0, 2, 1, 1]]
POSITION = torch.tensor([[0.0], [0.25], [0.5], [0.9]])


@pytest.mark.parametrize("z_dim, num_layers", [(0, 1), (5, 2), (6, 4)])
def test_w_follows_the_definition(z_dim, num_layers):
    network = make(z_dim=z_dim, num_layers=num_layers)
    z = torch.randn(4, z_dim, generator=torch.Generator().manual_seed(1)) if z_dim else None
    embed = [
        rms(MODALITY @ network.embed_modality.weight.t() / math.sqrt(3) + network.embed_modality.bias),
        rms(POSITION @ network.embed_position.weight.t() + network.embed_position.bias),
    ]
    x = torch.cat(([rms(z)] if z_dim else []) + embed, dim=1)
    for layer in network.layers:
        y = 0.01 * (x @ layer.weight.t() / math.sqrt(x.shape[1]) + layer.bias)
        x = torch.where(y > 0, y, 0.2 * y) * math.sqrt(2)
    torch.testing.assert_close(network(modality=MODALITY, position=POSITION, z=z), x)


def test_truncation_moves_w_towards_its_average():
    network = make()
    given = {"modality": MODALITY, "position": POSITION}
    w = network(**given)
    torch.testing.assert_close(network(**given, truncation_psi=0.7), network.w_avg + 0.7 * (w - network.w_avg))
    torch.testing.assert_close(network(**given, truncation_psi=0), network.w_avg.expand(4, -1))


def test_a_linear_position_without_bias_preserves_only_its_sign_but_a_fourier_one_its_value():
    spread = {}
    for embedding in ("linear", "fourier"):
        network = make(position_embedding=embedding, num_layers=1)
        torch.nn.init.zeros_(network.embed_position.bias)
        w = network(modality=torch.eye(3)[[0, 0]], position=torch.tensor([[0.2], [0.8]]))
        spread[embedding] = (w[0] - w[1]).norm() / w.norm()
    assert spread["linear"] < 1e-5
    assert spread["fourier"] > 0.05


def test_the_fourier_features_are_sines_and_cosines_of_octaves():
    network = make(position_embedding="fourier")
    seen = []
    network.embed_position.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    network(modality=MODALITY, position=POSITION)
    octaves = math.pi * POSITION * torch.tensor([1.0, 2.0, 4.0, 8.0])
    torch.testing.assert_close(seen[0], torch.cat([octaves.sin(), octaves.cos()], dim=1))


def test_wrong_options_are_errors():
    with pytest.raises(ValueError, match="position_embedding must be 'linear' or 'fourier', got 'sine'"):
        MappingNetwork(num_modalities=1, w_dim=2, position_embedding="sine")
    with pytest.raises(ValueError, match="num_modalities must be at least 1, got 0"):
        MappingNetwork(num_modalities=0, w_dim=2)


def test_class_indices_and_one_hot_give_the_same():
    image = torch.zeros(3, 4, 8, 8)
    given = {"num_modalities": 4, "batch": 3, "like": image}
    indices = torch.tensor([0, 3, 1])
    assert torch.equal(one_hot_modality(indices, **given), torch.eye(4)[indices])
    assert torch.equal(one_hot_modality(torch.eye(4)[indices], **given), torch.eye(4)[indices])
    assert torch.equal(one_hot_modality(None, **given), torch.eye(4)[[0, 0, 0]])


@pytest.mark.parametrize("index", [4, -1])
def test_a_class_index_out_of_range_is_an_error(index):
    with pytest.raises(ValueError, match=r"modality must be class indices from 0 to 3"):
        one_hot_modality(torch.tensor([0, index, 1]), num_modalities=4, batch=3, like=torch.zeros(1))


@pytest.mark.parametrize("shape", [(), (2,), (3, 3), (1, 4)])
def test_a_modality_of_the_wrong_shape_is_an_error(shape):
    with pytest.raises(ValueError, match=r"modality must be class indices \(3,\) or one-hot \(3, 4\)"):
        one_hot_modality(torch.zeros(shape), num_modalities=4, batch=3, like=torch.zeros(1))


def test_a_position_is_a_column_or_a_row_or_nothing():
    like = torch.zeros(2, 1, dtype=torch.float64)
    assert column_position(None, batch=2, like=like).tolist() == [[0], [0]]
    assert column_position(torch.tensor([0.5, 0.25]), batch=2, like=like).tolist() == [[0.5], [0.25]]
    assert column_position(torch.tensor([[0.5], [0.25]]), batch=2, like=like).dtype == torch.float64
    with pytest.raises(ValueError, match=r"position must have the shape \(2,\) or \(2, 1\), got \[3\]"):
        column_position(torch.zeros(3), batch=2, like=like)
