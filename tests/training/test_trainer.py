import math

import pytest
import torch
from ignite.engine import Events
from monai.engines.utils import IterationEvents

from unicoal_components.losses.objective import SynthesisObjective
from unicoal_components.metrics.psnr import PSNR
from unicoal_components.training.prepare_batch import PrepareSlices


def record(trainer):
    """Collect the first item of each iteration's output."""
    outputs = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: outputs.append(engine.state.output[0]))
    return outputs


def state(network):
    return {key: value.clone() for key, value in network.state_dict().items()}


def test_an_iteration_moves_both_networks_the_average_and_the_statistics(engines):
    trainer = engines.trainer(max_epochs=1)
    before = [state(n) for n in (trainer.network, trainer.discriminator, trainer.average.module)]
    trainer.run()
    for old, network in zip(before, (trainer.network, trainer.discriminator, trainer.average.module), strict=True):
        changed = [key for key in old if not torch.equal(old[key], network.state_dict()[key])]
        assert len(changed) > 10
    assert any(
        "magnitude_ema" in key and before[0][key] != value for key, value in trainer.network.state_dict().items()
    )


def test_the_output_holds_images_and_all_losses_as_numbers(engines):
    trainer = engines.trainer(max_epochs=1)
    outputs = record(trainer)
    trainer.run()
    first, second = outputs[:2]
    assert first["image"].shape == (4, 16, 16) and first["pred"].shape == first["label"].shape == (1, 16, 16)
    names = {"loss", "generator_adversarial", "generator_l1", "discriminator", "nonfinite_gradients"}
    for name in names | {"blur_sigma", "learning_rate"}:
        assert isinstance(first[name], float) and math.isfinite(first[name])
    assert "generator_sam" not in first
    assert "discriminator_r1" in first and "discriminator_r1" not in second  # interval 2
    expected = first["generator_adversarial"] + 80 * first["generator_l1"]
    assert first["loss"] == pytest.approx(expected, rel=1e-5)


def test_time_runs_in_images_seen(engines):
    trainer = engines.trainer(max_epochs=2)
    assert trainer.images_seen == 0
    seen = []
    trainer.add_event_handler(Events.ITERATION_STARTED, lambda engine: seen.append(engine.images_seen))
    outputs = record(trainer)
    trainer.run()
    assert seen == [0, 2, 4, 6, 8, 10]
    assert [o["blur_sigma"] for o in outputs] == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.0])


def test_all_of_monais_events_fire_in_order(engines):
    fired = []
    trainer = engines.trainer(max_epochs=1, length=2)
    for event in IterationEvents:
        trainer.add_event_handler(event, lambda engine, name=event.value: fired.append(name))
    trainer.run()
    assert fired == ["forward_completed", "loss_completed", "backward_completed", "model_completed"]


def test_without_adversarial_weight_no_discriminator_is_needed_or_touched(engines):
    trainer = engines.trainer(
        max_epochs=1,
        objective=SynthesisObjective(adversarial_weight=0),
        discriminator=None,
        discriminator_optimizer=None,
    )
    outputs = record(trainer)
    trainer.run()
    assert "discriminator" not in outputs[0] and "generator_adversarial" not in outputs[0]


def test_before_the_adversarial_start_the_discriminator_rests(engines):
    trainer = engines.trainer(max_epochs=1, adversarial_start_images=4)
    before = state(trainer.discriminator)
    rested = []
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED,
        lambda e: rested.append(all(torch.equal(before[k], v) for k, v in e.discriminator.state_dict().items())),
    )
    outputs = record(trainer)
    trainer.run()
    assert rested == [True, True, False]
    assert ["discriminator" in output for output in outputs] == [False, False, True]


def test_the_generator_step_leaves_no_gradient_on_the_discriminator(engines):
    trainer = engines.trainer(max_epochs=1, length=2)
    at_loss = []

    def note(engine):
        at_loss.append([p.grad.clone() for p in engine.discriminator.parameters()])

    trainer.add_event_handler(IterationEvents.LOSS_COMPLETED, note)
    trainer.run()
    for before, parameter in zip(at_loss[0], trainer.discriminator.parameters(), strict=True):
        assert torch.equal(before, parameter.grad)


def test_the_step_is_that_of_a_plain_training_loop(engines):
    objective = SynthesisObjective(adversarial_weight=0, l1_weight=2.0)
    values = {"objective": objective, "discriminator": None, "discriminator_optimizer": None}
    trainer = engines.trainer(max_epochs=1, length=2, blur_initial_sigma=0.0, **values)
    network = engines.generator()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.002, betas=(0.0, 0.99))
    batch = next(iter(_reloaded(engines).data_loader))
    torch.manual_seed(5)
    image, label, _, conditions = trainer.prepare_batch(batch)
    (2 * (network.train()(image, **conditions) - label).abs().mean()).backward()
    optimizer.step()

    trainer.add_event_handler(IterationEvents.FORWARD_COMPLETED, lambda engine: None)
    trainer.add_event_handler(Events.GET_BATCH_COMPLETED, lambda engine: torch.manual_seed(5))
    trainer.run()
    for key, value in dict(network.named_parameters()).items():
        assert torch.allclose(value, dict(trainer.network.named_parameters())[key], atol=1e-6), key


def _reloaded(engines):
    trainer = engines.trainer(max_epochs=1, length=2)
    trainer.data_loader.sampler.set_epoch(1)
    return trainer


def test_nonfinite_gradients_are_counted_and_end_the_training(engines):
    trainer = engines.trainer(max_epochs=4, nonfinite_patience=2)
    outputs = record(trainer)

    def poison(engine):
        engine.network.synthesis.get_parameter(
            next(name for name, _ in engine.network.synthesis.named_parameters())
        ).grad.fill_(float("nan"))

    trainer.add_event_handler(IterationEvents.BACKWARD_COMPLETED, poison)
    with pytest.raises(RuntimeError, match="2 iterations in a row"):
        trainer.run()
    assert outputs[0]["nonfinite_gradients"] > 0
    assert all(torch.isfinite(p).all() for p in trainer.network.parameters())


ERROR = {"detail_channels": 4, "detail_blocks": 1, "error_output": True}


def test_the_error_is_learned_next_to_the_image_which_alone_is_the_prediction(engines):
    objective = SynthesisObjective(error_weight=2.0)
    trainer = engines.trainer(
        max_epochs=1,
        objective=objective,
        generator=engines.generator(**ERROR),
        prepare_batch=PrepareSlices(z_dim=8, with_error=True),
        blur_initial_sigma=0.0,
    )
    outputs = record(trainer)
    bias = trainer.network.across.error_tail[-1].bias
    trainer.run()
    first = outputs[0]
    assert first["pred"].shape == (1, 16, 16)
    expected = first["generator_adversarial"] + 80 * first["generator_l1"] + 2 * first["generator_error"]
    assert first["loss"] == pytest.approx(expected, rel=1e-5)
    assert first["generator_error"] == pytest.approx(first["generator_l1"] / 0.05 + math.log(0.05), rel=1e-4)
    assert (bias > 0).all()  # the error is larger than what is predicted at first


def test_without_its_prediction_an_error_weight_changes_nothing(engines):
    outputs = []
    for weight in (0.0, 2.0):
        trainer = engines.trainer(max_epochs=1, objective=SynthesisObjective(error_weight=weight))
        outputs.append(record(trainer))
        torch.manual_seed(0)
        trainer.run()
    assert [o["loss"] for o in outputs[0]] == [o["loss"] for o in outputs[1]]
    assert all("generator_error" not in output for output in outputs[1])


def test_one_batch_of_nan_is_counted_and_does_not_end_the_training(engines):
    trainer = engines.trainer(max_epochs=1, key_train_metric={"train_psnr": PSNR()})
    outputs = record(trainer)

    def poison(engine):
        if engine.state.iteration == 1:  # of the iteration before
            engine.state.batch["image"][0, 1, 3, 3] = float("nan")

    trainer.add_event_handler(Events.GET_BATCH_COMPLETED, poison)
    trainer.run()
    assert [output["nonfinite_gradients"] > 0 for output in outputs] == [False, True, False]
    assert all(torch.isfinite(p).all() for p in trainer.network.parameters())
    assert math.isfinite(trainer.state.metrics["train_psnr"])


def test_bfloat16_training_runs_and_stays_finite(engines):
    trainer = engines.trainer(max_epochs=1, length=2, amp=True)
    outputs = record(trainer)
    trainer.run()
    assert math.isfinite(outputs[0]["loss"]) and outputs[0]["pred"].dtype == torch.float32


def test_an_adversarial_weight_without_discriminator_is_an_error(engines):
    with pytest.raises(ValueError, match="set adversarial_weight to 0"):
        engines.trainer(discriminator=None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("r1_interval", 0), ("r1_gamma", -1), ("blur_initial_sigma", -1), ("blur_fade_images", -1)],
)
def test_numbers_out_of_range_are_named(engines, name, value):
    with pytest.raises(ValueError, match=name):
        engines.trainer(**{name: value})


def test_post_processing_sees_each_item(engines):
    seen = []

    def transform(data):
        seen.append(data["pred"].shape)
        return data

    engines.trainer(max_epochs=1, length=2, postprocessing=transform).run()
    assert seen == [(1, 16, 16)] * 2
