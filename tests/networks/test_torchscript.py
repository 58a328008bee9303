"""Generators as TorchScript, saved and loaded: the same images and errors, on any device."""

import io

import pytest
import torch

from unicoal_components.networks.generator import Generator

TINY = {"resolution": 16, "num_modalities": 3, "channel_base": 128, "channel_max": 8, "num_layers": 5, "w_dim": 12}
TINY |= {"image_style_dim": 10, "z_dim": 6, "encoder_embedding_dim": 5, "position_embedding": "fourier"}
TOLERANCE = 1e-5  # of the largest value


EVERYTHING = {
    "resolution": 32,
    "core_resolution": 16,
    "interpolated_input": True,
    "acquisition": True,
    "residual": True,
}
EVERYTHING |= {"detail_channels": 6, "detail_blocks": 2, "error_output": True, "contrast_curve": True}
"""As in the bundles."""


def make(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Generator(**(TINY | options))
        torch.nn.init.normal_(network.mapping.w_avg)  # so that truncation has an effect
        for name, parameter in network.named_parameters():
            if name.startswith(("within.", "across.", "contrast.")):  # which start with zeros
                torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


def scripted(network):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(network), buffer)
    buffer.seek(0)
    return torch.jit.load(buffer)


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def conditions(batch):
    return {
        "z": random(batch, 6, seed=1) - 0.5,
        "modality": torch.tensor([2, 0, 1])[:batch],
        "position": random(batch, seed=2),
        "same_modality": torch.tensor([True, False, True])[:batch],
        "truncation_psi": 0.7,
    }


@pytest.fixture(scope="module", params=[True, False], ids=["residual", "plain"])
def pair(request):
    network = make(residual=request.param)
    return network, scripted(network)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "names", [(), ("z",), ("modality",), ("position",), ("same_modality",), ("truncation_psi",), None]
)
def test_its_output_is_that_of_the_network(pair, batch, names):
    network, exported = pair
    given = {name: value for name, value in conditions(batch).items() if names is None or name in names}
    image = 2 * random(batch, 4, 16, 16) - 1
    image[:, :, :6] = -1
    with torch.no_grad():
        expected = network(image, **given)
        result = exported(image, **given)
    assert result.shape == expected.shape
    assert (result - expected).abs().max() <= TOLERANCE * expected.abs().max()


def test_the_conditions_matter_to_it(pair):
    network, exported = pair
    image = 2 * random(3, 4, 16, 16) - 1
    for name, value in conditions(3).items():
        if name != "same_modality" or network.residual:
            assert (exported(image, **{name: value}) - exported(image)).abs().max() > 1e-4, name


def test_class_indices_equal_one_hot(pair):
    image = random(3, 4, 16, 16)
    modality = conditions(3)["modality"]
    assert torch.equal(pair[1](image, modality=modality), pair[1](image, modality=torch.eye(3)[modality]))


@pytest.mark.parametrize(
    ("image", "given", "message"),
    [
        ((1, 4, 32, 32), {}, r"image must have the shape \(B, 4, 16, 16\), got \[1, 4, 32, 32\]"),
        ((1, 3, 16, 16), {}, r"image must have the shape \(B, 4, 16, 16\)"),
        ((4, 16, 16), {}, r"image must have the shape \(B, 4, 16, 16\)"),
        ((2, 4, 16, 16), {"z": torch.zeros(1, 6)}, r"z must have the shape \(2, 6\), got \[1, 6\]"),
        ((2, 4, 16, 16), {"modality": torch.zeros(2, 4)}, r"modality must be class indices \(2,\) or one-hot \(2, 3\)"),
        ((2, 4, 16, 16), {"modality": torch.tensor([0, 3])}, "Class values must be smaller"),
        ((2, 4, 16, 16), {"position": torch.zeros(3)}, r"position must have the shape \(2,\) or \(2, 1\), got \[3\]"),
    ],
)
def test_wrong_inputs_are_refused(pair, image, given, message):
    with pytest.raises((RuntimeError, torch.jit.Error), match=message):
        pair[1](torch.zeros(image), **given)


def test_its_graph_names_no_device_and_so_it_can_be_moved(pair):
    graph = str(torch.jit.script(pair[0]).layers.synthesize.inlined_graph)
    assert "aten::_convolution" in graph
    assert "Device" not in graph


def test_the_network_stays_as_it_was():
    network = make(residual=True, dropout=0.5).train()
    kinds = [type(module) for module in network.modules()]
    state = {key: value.clone() for key, value in network.state_dict().items()}
    image = 2 * random(2, 4, 16, 16) - 1
    exported = scripted(network)
    assert network.training and all(module.training for module in network.modules())
    assert [type(module) for module in network.modules()] == kinds
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    network(image).mean().backward()
    assert all(parameter.grad is not None for parameter in network.synthesis.parameters())
    with torch.no_grad():
        torch.testing.assert_close(exported(image), network.eval()(image), rtol=0, atol=TOLERANCE)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_it_can_be_traced_too_under_the_default_conditions():
    network = make(residual=True)
    with torch.no_grad():
        traced = torch.jit.trace(network, example_inputs=[random(1, 4, 16, 16)], check_trace=False)
        image = 2 * random(1, 4, 16, 16, seed=3) - 1
        assert (traced(image) - network(image)).abs().max() <= TOLERANCE


@pytest.fixture(scope="module")
def whole():
    network = make(**EVERYTHING)
    return network, scripted(network)


ACQUISITION = {
    "source_modality": torch.tensor([1, 0, 2]),
    "factor": torch.tensor([4.0, 1.0, 2.5]),
    "thickness": torch.tensor([0.7, 1.0, 1.2]),
}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("with_error", [False, True])
@pytest.mark.parametrize("names", [(), *((name,) for name in ACQUISITION), None])
def test_the_bundles_network_gives_the_same_with_its_error_and_conditions(whole, batch, with_error, names):
    network, exported = whole
    everything = conditions(batch) | {name: value[:batch] for name, value in ACQUISITION.items()}
    given = {name: value for name, value in everything.items() if names is None or name in names}
    image = 2 * random(batch, 4, 32, 32) - 1
    with torch.no_grad():
        expected = network(image, **given, with_error=with_error)
        result = exported(image, **given, with_error=with_error)
        if names:
            assert (result - exported(image, with_error=with_error)).abs().max() > 1e-4
    assert result.shape == expected.shape == (batch, 1 + with_error, 32, 32)
    assert (result - expected).abs().max() <= TOLERANCE * expected.abs().max()


def test_an_error_requested_from_a_network_without_is_refused_as_by_the_network(pair):
    for network in pair:
        with pytest.raises((ValueError, torch.jit.Error), match="does not predict its error"):
            network(torch.zeros(1, 4, 16, 16), with_error=True)
