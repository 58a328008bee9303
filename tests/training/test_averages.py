import pytest
import torch

from unicoal_components.training.averages import AveragedGenerator, InputStatistics


def test_the_average_is_a_frozen_copy_in_eval_mode(engines):
    generator = engines.generator()
    average = AveragedGenerator(generator=generator)
    assert average.module is not generator and not average.module.training
    assert not any(p.requires_grad for p in average.module.parameters())
    assert all(p.requires_grad for p in generator.parameters())


def test_after_one_half_life_the_average_is_half_way():
    generator = torch.nn.Linear(1, 1)
    average = AveragedGenerator(generator=generator, half_life_images=40, rampup=None)
    before = average.module.weight.item()
    generator.weight.data += 2.0
    for step in range(4):
        average.update(generator, batch_size=10, images_seen=10 * step)
    assert average.module.weight.item() == pytest.approx(before + 1.0, rel=1e-5)


def test_with_rampup_the_first_update_copies():
    generator = torch.nn.Linear(3, 3)
    average = AveragedGenerator(generator=generator)
    generator.weight.data.normal_()
    average.update(generator, batch_size=2, images_seen=0)
    assert torch.equal(average.module.weight, generator.weight)


def test_buffers_are_copied(engines):
    generator = engines.generator()
    average = AveragedGenerator(generator=generator, rampup=None)
    for buffer in generator.buffers():
        buffer.add_(1)
    average.update(generator, batch_size=1, images_seen=0)
    for own, other in zip(average.module.buffers(), generator.buffers(), strict=True):
        assert torch.equal(own, other)


def test_a_half_life_must_be_positive():
    with pytest.raises(ValueError, match="half_life_images"):
        AveragedGenerator(generator=torch.nn.Linear(1, 1), half_life_images=0)


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("magnitude_ema", torch.ones(()))

    def forward(self, x, condition):
        return x * condition


class Mapping(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("w_avg", torch.zeros(3))

    def forward(self, *, z):
        return z


class Both(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.mapping, self.idle = Layer(), Mapping(), Layer()

    def forward(self, x, z):
        return self.layer(x, 2.0), self.mapping(z=z)


def test_magnitude_and_w_move_by_their_definitions():
    network, x, z = Both(), torch.randn(4, 2, 5, 5), torch.randn(4, 3)
    with InputStatistics(network=network, magnitude_half_life_images=4, w_decay=0.9) as statistics:
        network(x, z)
    statistics.update(batch_size=4)
    assert network.layer.magnitude_ema.item() == pytest.approx(0.5 + 0.5 * x.square().mean().item(), rel=1e-5)
    assert torch.allclose(network.mapping.w_avg, 0.1 * z.mean(dim=0), rtol=1e-4, atol=1e-7)
    assert network.idle.magnitude_ema.item() == 1


def test_outside_of_the_block_nothing_is_recorded():
    network = Both()
    statistics = InputStatistics(network=network)
    network(torch.randn(1, 1, 2, 2), torch.randn(1, 3))
    statistics.update(batch_size=1)
    assert network.layer.magnitude_ema.item() == 1
    with statistics:
        pass
    assert not network.layer._forward_hooks


def test_a_forward_with_bad_values_leaves_the_buffers_sound():
    network = Both()
    with InputStatistics(network=network) as statistics:
        network(torch.full((1, 1, 2, 2), float("nan")), torch.full((1, 3), float("inf")))
    statistics.update(batch_size=1)
    assert network.layer.magnitude_ema.item() == 1
    assert network.mapping.w_avg.tolist() == [0, 0, 0]


def test_all_modulated_layers_and_mappings_of_the_generator_are_followed(engines):
    generator = engines.generator()
    with InputStatistics(network=generator, magnitude_half_life_images=1) as statistics:
        generator(torch.rand(2, 4, 16, 16))
    statistics.update(batch_size=2)
    buffers = dict(generator.named_buffers())
    magnitudes = [value for key, value in buffers.items() if key.endswith("magnitude_ema")]
    averages = [value for key, value in buffers.items() if key.endswith("w_avg")]
    assert len(magnitudes) == 4 + 5 and len(averages) == 2
    assert all(value != 1 for value in magnitudes) and all(value.abs().sum() > 0 for value in averages)
