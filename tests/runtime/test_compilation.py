import copy
import logging

import pytest
import torch

from unicoal_components.networks.discriminator import Discriminator
from unicoal_components.networks.generator import Generator
from unicoal_components.runtime.compilation import compile_network
from unicoal_components.training.averages import AveragedGenerator, InputStatistics

SIZES = {"resolution": 16, "num_modalities": 2, "channel_base": 256, "channel_max": 8}


def make_generator(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        options = {"num_layers": 6, "w_dim": 16, "image_style_dim": 16, "z_dim": 8, "dropout": 0.0} | options
        return Generator(**SIZES, residual=True, **options)


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    conditions = {
        "modality": torch.tensor([0, 1]),
        "position": torch.rand(2, generator=generator),
        "same_modality": torch.tensor([True, False]),
    }
    return torch.rand(2, 4, 16, 16, generator=generator) * 2 - 1, conditions


@pytest.fixture
def without_inductor(monkeypatch):
    """Compile everything but the machine code, which is slow."""
    compile_module = torch.nn.Module.compile

    def compiled(module, **options):
        compile_module(module, **options | {"backend": "aot_eager"})

    monkeypatch.setattr(torch.nn.Module, "compile", compiled)
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


@pytest.mark.usefixtures("without_inductor")
def test_a_compiled_generator_trains_like_an_eager_one_its_statistics_too():
    eager = make_generator()
    compiled = compile_network(network=copy.deepcopy(eager))
    assert compiled._compiled_call_impl is not None
    assert list(compiled.state_dict()) == list(eager.state_dict())
    for network in (eager, compiled):
        statistics = InputStatistics(network=network)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
        for step in range(2):
            image, conditions = batch(step)
            with statistics:
                output = network(image, **conditions)
            optimizer.zero_grad()
            output.square().mean().backward()
            optimizer.step()
            statistics.update(batch_size=2)
    for (name, one), other in zip(eager.state_dict().items(), compiled.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.usefixtures("without_inductor")
def test_the_average_of_a_compiled_generator_is_a_plain_one():
    compiled = compile_network(network=make_generator())
    average = AveragedGenerator(generator=compiled)
    assert average.module._compiled_call_impl is None
    assert list(average.state_dict()) == list(compiled.state_dict())


@pytest.mark.parametrize("training", [True, False])
def test_the_networks_are_one_graph(training):
    image, conditions = batch()
    generator = make_generator().train(training)
    discriminator = Discriminator(**SIZES).train(training)
    with torch.set_grad_enabled(training):
        compiled = torch.compile(generator, fullgraph=True, backend="aot_eager")
        fake = compiled(image, **conditions)
        torch.testing.assert_close(fake, generator(image, **conditions), rtol=1e-4, atol=1e-5)
        judge = torch.compile(discriminator, fullgraph=True, backend="aot_eager")
        pair = torch.cat([image, fake], dim=1).detach()
        given = {name: conditions[name] for name in ("modality", "position")}
        torch.testing.assert_close(judge(pair, **given), discriminator(pair, **given), rtol=1e-4, atol=1e-5)


def test_nothing_is_compiled_unless_asked():
    network = make_generator()
    assert compile_network(network=network, enabled=False) is network
    assert network._compiled_call_impl is None


def test_where_nothing_can_be_compiled_the_network_stays_eager_with_a_warning(monkeypatch, caplog):
    def fail(*_, **__):
        raise RuntimeError("No working C++ compiler found\nin any of these places")

    monkeypatch.setattr(torch, "compile", fail)
    network = make_generator()
    with caplog.at_level(logging.WARNING):
        assert compile_network(network=network) is network
    assert network._compiled_call_impl is None
    assert "uncompiled" in caplog.text and "No working C++ compiler" in caplog.text
