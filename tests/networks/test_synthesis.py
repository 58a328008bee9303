import math

import numpy as np
import pytest
import torch

from unicoal_components.networks.encoder import Encoder
from unicoal_components.networks.schedule import layer_table
from unicoal_components.networks.synthesis import FourierInput, Synthesis, count_skips


def make_input(bias=(1.0, 0.0, 0.0, 0.0)):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        waves = FourierInput(row=layer_table(resolution=64, channel_base=64)[0], w_dim=6)
    waves.weight.data = torch.eye(len(waves.weight)) * math.sqrt(len(waves.weight))  # the waves themselves
    waves.affine.bias.data = torch.tensor(bias)
    return waves


def test_frequencies_lie_in_a_disc_uniformly_and_phases_in_a_turn():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        waves = FourierInput(row=layer_table(resolution=64, channel_base=2**14, channel_max=4096)[0], w_dim=2)
    radius = waves.frequencies.norm(dim=1) / 2
    assert radius.max() <= 1
    assert (radius < math.sqrt(0.5)).float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert waves.phases.min() >= -0.5
    assert waves.phases.max() < 0.5


def test_waves_follow_the_definition_pixel_by_pixel():
    t = np.array([0.9, 0.3, 0.05, -0.02]) * 2
    waves = make_input(bias=t.tolist())
    waves.transform.copy_(torch.tensor([[0.8, 0.1, 0.02], [-0.1, 1.1, 0.03], [0.0, 0.0, 1.0]]))
    waves.frequencies.mul_(4)  # some beyond the band, where amplitudes fall
    t0, t1, t2, t3 = t / np.hypot(t[0], t[1])
    rotation = np.array([[t0, -t1, 0], [t1, t0, 0], [0, 0, 1]])
    shift = np.array([[1, 0, -t2], [0, 1, -t3], [0, 0, 1]])
    m = rotation @ shift @ waves.transform.double().numpy()
    result = waves(torch.zeros(1, 6))[0].detach().numpy()
    amplitudes = []
    for c, (f, phase) in enumerate(zip(waves.frequencies.double().numpy(), waves.phases.double().numpy(), strict=True)):
        f_new, phase_new = f @ m[:2, :2], phase + f @ m[:2, 2]
        amplitudes.append(np.clip(1 - (np.linalg.norm(f_new) - 2) / (16 / 2 - 2), 0, 1))
        for row, column in ((0, 0), (5, 30), (35, 2)):
            x = (np.array([column, row]) + 0.5 - 36 / 2) / 16
            value = np.sin(2 * np.pi * (f_new @ x + phase_new)) * amplitudes[-1]
            assert result[c, row, column] == pytest.approx(value, abs=1e-5)
    assert min(amplitudes) < 0.9


def test_a_shift_by_a_pixel_moves_the_waves_by_a_pixel():
    plain = make_input()(torch.zeros(1, 6))
    moved = make_input(bias=(1.0, 0.0, 3 / 16, -2 / 16))(torch.zeros(1, 6))
    torch.testing.assert_close(moved[:, :, :-2, 3:], plain[:, :, 2:, :-3], rtol=1e-4, atol=1e-5)


def test_a_quarter_turn_turns_the_waves():
    plain = make_input()(torch.zeros(1, 6))
    turned = make_input(bias=(0.0, 1.0, 0.0, 0.0))(torch.zeros(1, 6))
    torch.testing.assert_close(turned, plain.rot90(1, dims=(2, 3)), rtol=1e-4, atol=1e-5)


def parts(resolution, num_layers, skip_resolution=None):
    sizes = {"resolution": resolution, "num_layers": num_layers, "channel_base": resolution * 2, "channel_max": 4}
    with torch.device("meta"):
        synthesis = Synthesis(**sizes, w_dim=2, image_style_dim=2, skip_resolution=skip_resolution)
        encoder = Encoder(
            **sizes, in_channels=1, num_modalities=1, w_dim=2, image_style_dim=2, embedding_dim=2, mapping_layers=1,
            modulated=False, dropout=0.0, position_embedding="linear", lrelu_upsampling=1,
        )  # fmt: skip
    return encoder, synthesis


def test_at_the_papers_size_skips_go_from_encoder_layers_1_4_7_9_to_synthesis_layers_12_9_6_4():
    encoder, synthesis = parts(256, 14)
    left = {size: j for j, size in enumerate(encoder.skip_sizes) if size}
    taken = {size: i for i, size in enumerate(synthesis.skip_sizes) if size}
    assert {size: left[size] for size in (276, 148, 84, 52)} == {276: 1, 148: 4, 84: 7, 52: 9}
    assert taken == {52: 4, 84: 6, 148: 9, 276: 12}


@pytest.mark.parametrize("resolution", [16, 64, 512])
@pytest.mark.parametrize("num_layers", [4, 7, 16])
def test_every_skip_that_is_taken_was_left_with_the_same_channels(resolution, num_layers):
    encoder, synthesis = parts(resolution, num_layers)
    left = {size: layer.conv.weight.shape[0] for layer, size in zip(encoder.layers, encoder.skip_sizes, strict=True)}
    for layer, size in zip(synthesis.layers, synthesis.skip_sizes, strict=True):
        if size is not None:
            assert left[size] == layer.conv.weight.shape[0]


@pytest.mark.parametrize("skip_resolution, places", [(4, 0), (8, 1), (16, 2), (64, 4), (256, 4), (None, 4)])
def test_the_skip_resolution_limits_the_positions_that_take_a_skip(skip_resolution, places):
    _, synthesis = parts(256, 14, skip_resolution)
    taken = [size for size in synthesis.skip_sizes if size]
    assert taken == [52, 84, 148, 276][:places]


@pytest.mark.parametrize("wrong", [0, 2, 48, 16.0])
def test_a_skip_resolution_that_is_no_power_of_two_is_an_error(wrong):
    with pytest.raises(ValueError, match="skip_resolution must be a power of two"):
        count_skips(wrong)
