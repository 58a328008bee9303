from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Engine, Events

from unicoal_components.training.schedules import (
    LearningRateDecay,
    average_half_life,
    blur_sigma,
    decay_from_half_life,
    learning_rate_factor,
    r1_weight,
)


def test_blur_fades_linearly_and_stays_away():
    assert [blur_sigma(n, initial=8, fade_images=400) for n in (0, 100, 400, 900)] == [8, 6, 0, 0]
    assert blur_sigma(0, initial=8, fade_images=0) == 0


def test_learning_rate_is_constant_then_linear_to_zero():
    assert [learning_rate_factor(s, constant=2, decay=4) for s in (0, 2, 3, 6, 9)] == [1, 1, 0.75, 0, 0]
    assert learning_rate_factor(99, constant=0, decay=0) == 1


def test_half_life_grows_with_the_images_seen_up_to_its_limit():
    assert average_half_life(0) == 0
    assert average_half_life(200_000) == 10_000
    assert average_half_life(0, rampup=None) == 10_000


def test_after_its_half_life_an_old_weight_counts_half():
    assert decay_from_half_life(10, 80) ** 8 == pytest.approx(0.5)
    assert decay_from_half_life(10, 0) == 0


def test_lazy_r1_weighs_the_same_on_average():
    for interval in (1, 4, 16):
        weights = [r1_weight(i, gamma=10.0, interval=interval) for i in range(1, 65)]
        assert sum(weights) / len(weights) == pytest.approx(10.0)
        assert weights[0] > 0


def run_with_rates(start_epoch=0):
    parameter = torch.nn.Parameter(torch.zeros(1))
    engine = Engine(lambda engine, batch: None)
    engine.optimizer = torch.optim.Adam([parameter], lr=0.1)
    engine.discriminator_optimizer = torch.optim.Adam([parameter], lr=0.2)
    LearningRateDecay(constant_epochs=1, decay_epochs=2).attach(engine)
    rates = []
    engine.add_event_handler(
        Events.ITERATION_COMPLETED,
        lambda e: rates.append((e.optimizer.param_groups[0]["lr"], e.discriminator_optimizer.param_groups[0]["lr"])),
    )
    if start_epoch:
        engine.load_state_dict({"epoch": start_epoch, "max_epochs": 3, "epoch_length": 2})
        engine.run([0, 1])
    else:
        engine.run([0, 1], max_epochs=3)
    return rates


def test_the_handler_moves_both_optimizers_that_are_in_use():
    generator, discriminator = zip(*run_with_rates(), strict=True)
    assert generator == pytest.approx([0.1, 0.1, 0.1, 0.075, 0.05, 0.025])
    assert discriminator == pytest.approx([2 * rate for rate in generator])


def test_a_restart_continues_with_the_rate_of_its_iteration():
    assert run_with_rates(start_epoch=2) == run_with_rates()[4:]


def test_the_handler_does_without_a_discriminator():
    engine = Engine(lambda engine, batch: None)
    engine.optimizer = SimpleNamespace(param_groups=[{"lr": 1.0}])
    LearningRateDecay().attach(engine)
    engine.run([0])
    assert engine.optimizer.param_groups[0]["lr"] == 1.0


def test_negative_lengths_are_refused_by_name():
    with pytest.raises(ValueError, match="decay_epochs"):
        LearningRateDecay(decay_epochs=-1)
