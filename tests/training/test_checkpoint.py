import logging
import os
from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Events

from unicoal_components import interruption
from unicoal_components.datasets.training_record import read_record, read_selected_by, write_record
from unicoal_components.metrics.psnr import PSNR
from unicoal_components.training.checkpoint import ResumeCheckpoint

FIRST, SECOND, THIRD, FOURTH = ({"t1": name} for name in ("scan 1", "scan 2", "scan 3", "scan 4"))


def everything(trainer):
    return {
        "generator": trainer.network.state_dict(),
        "discriminator": trainer.discriminator.state_dict(),
        "average": trainer.average.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "discriminator_optimizer": trainer.discriminator_optimizer.state_dict(),
    }


def assert_same(first, second, where=""):
    assert type(first) is type(second), where
    if isinstance(first, dict):
        assert list(first) == list(second), where
        for key in first:
            assert_same(first[key], second[key], f"{where}/{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), where
        for index, (a, b) in enumerate(zip(first, second, strict=True)):
            assert_same(a, b, f"{where}/{index}")
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
    else:
        assert first == second, where


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, False), (2, True)])
def test_four_epochs_are_two_and_a_restart_and_two_to_the_bit(engines, tmp_path, workers, persistent):
    options = {"workers": workers, "persistent": persistent, "scores": [3.0, 1.0, 2.0, 2.5]}
    torch.manual_seed(7)
    whole = engines.resumable(tmp_path / "whole", max_epochs=4, **options)
    torch.manual_seed(7)
    whole.run()

    first = engines.resumable(tmp_path / "parts", max_epochs=2, **options)
    torch.manual_seed(7)
    first.run()
    best = torch.load(tmp_path / "parts" / "model.pt", weights_only=True)
    torch.manual_seed(999)  # a new process has another random state
    second = engines.resumable(tmp_path / "parts", max_epochs=4, **options)
    second.run()

    assert_same(everything(whole), everything(second))
    saved = [torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in ("whole", "parts")]
    assert_same(*saved)
    assert saved[0]["best"]["evaluator"] == {"metric": 3.0, "epoch": 1}
    assert_same(best, torch.load(tmp_path / "parts" / "model.pt", weights_only=True))
    assert_same(best, torch.load(tmp_path / "whole" / "model.pt", weights_only=True))


@pytest.mark.parametrize("resume", [True, False])
def test_weights_that_were_there_are_kept_once_with_their_record(engines, tmp_path, resume):
    model, kept = tmp_path / "models" / "model.pt", tmp_path / "models" / "model_before.pt"
    model.parent.mkdir()
    model.write_bytes(b"shipped")
    write_record(model, subjects={}, images_seen=0)
    record = model.with_suffix(".training.json").read_bytes()
    for name in ("first", "second"):
        run(engines, tmp_path / name, max_epochs=1, scores=[1.0], model_path=str(model), resume=resume)
        assert model.read_bytes() != b"shipped"
        assert kept.read_bytes() == b"shipped" and kept.with_suffix(".training.json").read_bytes() == record


def test_a_better_score_after_the_restart_replaces_the_model(engines, tmp_path):
    scores = [1.0, 0.5, 2.0]
    engines.resumable(tmp_path, max_epochs=2, scores=scores).run()
    old = torch.load(tmp_path / "model.pt", weights_only=True)
    trainer = engines.resumable(tmp_path, max_epochs=3, scores=scores)
    trainer.run()
    new = torch.load(tmp_path / "model.pt", weights_only=True)
    assert any(not torch.equal(old[key], new[key]) for key in old)
    assert_same(dict(new), dict(trainer.average.state_dict()))


def test_a_metric_that_is_no_number_never_becomes_the_best(engines, tmp_path):
    engines.resumable(tmp_path, max_epochs=2, scores=[float("nan"), -5.0]).run()
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["best"]["evaluator"]["metric"] == -5.0
    assert (tmp_path / "model.pt").is_file()


def test_a_finished_training_is_logged_and_changes_nothing(engines, tmp_path, caplog):
    engines.resumable(tmp_path, max_epochs=1).run()
    before = (tmp_path / "checkpoint.pt").read_bytes()
    trainer = engines.resumable(tmp_path, max_epochs=1)
    with caplog.at_level(logging.INFO):
        trainer.run()
    assert "already complete" in caplog.text and "raise max_epochs" in caplog.text
    assert trainer.state.epoch == 1 and trainer.state.iteration == 3
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_restart_logs_the_next_epoch(engines, tmp_path, caplog):
    engines.resumable(tmp_path, max_epochs=1).run()
    with caplog.at_level(logging.INFO):
        engines.resumable(tmp_path, max_epochs=2).run()
    assert "epoch 2 of 2 comes next" in caplog.text


def test_resume_false_starts_from_scratch_with_a_warning(engines, tmp_path, caplog):
    engines.resumable(tmp_path, max_epochs=2).run()
    trainer = engines.resumable(tmp_path, max_epochs=1, resume=False)
    trainer.run()
    assert "will be overwritten" in caplog.text
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["epoch"] == 1


def test_an_interrupt_in_an_epoch_leaves_the_last_checkpoint_and_no_other_file(engines, tmp_path):
    reference = engines.resumable(tmp_path / "whole", max_epochs=2)
    torch.manual_seed(7)
    reference.run()

    interrupted = engines.resumable(tmp_path / "parts", max_epochs=2)

    def interrupt(engine):
        raise KeyboardInterrupt

    interrupted.add_event_handler(Events.ITERATION_COMPLETED(once=5), interrupt)
    torch.manual_seed(7)
    with pytest.raises(KeyboardInterrupt):
        interrupted.run()
    assert torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["epoch"] == 1
    again = engines.resumable(tmp_path / "parts", max_epochs=2)
    again.run()
    assert_same(everything(reference), everything(again))
    assert sorted(os.listdir(tmp_path / "parts")) == ["checkpoint.pt", "model.pt"]


def test_without_an_evaluator_the_last_average_is_the_model(engines, tmp_path):
    model = tmp_path / "models" / "model.pt"
    handler = ResumeCheckpoint(output_dir=str(tmp_path / "run"), model_path=str(model))
    trainer = engines.trainer(max_epochs=1, handlers=[handler])
    trainer.run()
    assert_same(dict(torch.load(model, weights_only=True)), dict(trainer.average.state_dict()))


def test_a_checkpoint_of_another_network_names_file_key_and_remedy(engines, tmp_path):
    engines.resumable(tmp_path, max_epochs=1).run()
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    content["generator"]["mapping.w_avg"] = torch.zeros(3)
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(
        ValueError, match=r"checkpoint\.pt does not fit the generator: mapping\.w_avg is \(3,\)"
    ) as error:
        engines.resumable(tmp_path, max_epochs=2).run()
    assert "resume to false" in str(error.value) and "\n" not in str(error.value)


def test_a_checkpoint_of_a_run_with_other_data_is_refused(engines, tmp_path):
    engines.resumable(tmp_path, max_epochs=1).run()
    with pytest.raises(ValueError, match="3 iterations per epoch, this run has 4"):
        engines.resumable(tmp_path, max_epochs=2, length=8).run()


def test_a_truncated_checkpoint_is_named(engines, tmp_path):
    engines.resumable(tmp_path, max_epochs=1).run()
    whole = (tmp_path / "checkpoint.pt").read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"checkpoint\.pt cannot be read"):
        engines.resumable(tmp_path, max_epochs=2).run()


def test_a_model_file_in_place_of_a_checkpoint_is_refused(engines, tmp_path):
    torch.save(engines.generator().state_dict(), tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="not a checkpoint of this trainer"):
        engines.resumable(tmp_path, max_epochs=1).run()


def test_a_folder_that_cannot_be_written_is_named_before_training(engines, tmp_path):
    (tmp_path / "file").write_text("in the way")
    trainer = engines.resumable(tmp_path / "file" / "run", max_epochs=1)
    with pytest.raises(OSError, match="cannot write"):
        trainer.run()
    assert trainer.state.iteration == 0


def run(engines, folder, *, max_epochs, scores=(), **options):
    """Train with a validation after each epoch, as far as there are scores; it needs no network to be scored."""
    evaluator = SimpleNamespace(state=SimpleNamespace(best_metric=-1, best_metric_epoch=-1))
    handler = ResumeCheckpoint(output_dir=str(folder), evaluator=evaluator, **options)
    trainer = engines.trainer(max_epochs=max_epochs, length=2, handlers=[handler])

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(trainer):
        epoch, state = trainer.state.epoch, evaluator.state
        if epoch <= len(scores) and (state.best_metric_epoch == -1 or scores[epoch - 1] > state.best_metric):
            state.best_metric, state.best_metric_epoch = scores[epoch - 1], epoch

    trainer.run()
    return folder / "model.pt"


def test_a_restart_with_other_data_keeps_the_earlier_subjects_though_no_model_was_written_before(engines, tmp_path):
    run(engines, tmp_path, max_epochs=1, subjects={"a": FIRST})
    (tmp_path / "model.pt").unlink()
    (tmp_path / "model.training.json").unlink()
    model = run(engines, tmp_path, max_epochs=2, scores=[0, 1.0], subjects={"a": SECOND, "b": THIRD})
    assert read_record(model) == {"a": SECOND, "b": THIRD, "earlier a": FIRST}


def test_a_restart_with_other_data_keeps_subjects_that_came_after_the_best_model(engines, tmp_path):
    run(engines, tmp_path, max_epochs=1, scores=[1.0], subjects={"a": FIRST})
    run(engines, tmp_path, max_epochs=2, scores=[1.0, 0.5], subjects={"b": SECOND})
    assert read_record(tmp_path / "model.pt") == {"a": FIRST}  # the best is of the first part
    model = run(engines, tmp_path, max_epochs=3, scores=[1.0, 0.5, 2.0], subjects={"c": THIRD})
    assert read_record(model) == {"c": THIRD, "b": SECOND, "a": FIRST}


def test_subjects_that_selected_the_model_are_recorded_and_kept_by_a_restart(engines, tmp_path):
    scores = [1.0, 0.5, 2.0]
    model = run(
        engines, tmp_path, max_epochs=1, scores=scores, subjects={"a": FIRST}, validation_subjects={"v": SECOND}
    )
    assert read_selected_by(model) == {"v": SECOND}
    run(engines, tmp_path, max_epochs=2, scores=scores, subjects={"a": FIRST}, validation_subjects={"w": THIRD})
    run(engines, tmp_path, max_epochs=3, scores=scores, subjects={"a": FIRST}, validation_subjects={"x": FOURTH})
    assert read_selected_by(model) == {"x": FOURTH, "v": SECOND, "w": THIRD}


def test_subjects_that_selected_the_pretrained_weights_are_recorded_too(engines, tmp_path):
    first = tmp_path / "first.pt"
    write_record(first, subjects={"a": FIRST}, selected_by={"v": SECOND}, images_seen=3)
    options = {"subjects": {"a": FIRST}, "validation_subjects": {"v": THIRD}, "pretrained": str(first)}
    model = run(engines, tmp_path / "validated", max_epochs=1, scores=[1.0], **options)
    assert read_selected_by(model) == {"v": THIRD, "earlier v": SECOND}
    model = run(engines, tmp_path / "never", max_epochs=1, **options)
    assert read_selected_by(model) == {"v": SECOND}  # without a comparison the model was not selected


def test_without_validation_subjects_the_record_omits_them(engines, tmp_path):
    assert read_selected_by(run(engines, tmp_path, max_epochs=1, scores=[1.0], subjects={"a": FIRST})) is None


def test_a_checkpoint_with_subjects_holds_nothing_but_tensors_numbers_and_names(engines, tmp_path):
    subjects = {"subjects": {"a": FIRST}, "validation_subjects": {"v": SECOND}}
    run(engines, tmp_path, max_epochs=1, scores=[1.0], **subjects)
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert (content["subjects"], content["selected_by"]) == ({"a": FIRST}, {"v": SECOND})


@pytest.fixture
def stop(monkeypatch):
    """Ask trainers to stop, as SIGTERM does; give a function that lets them train again."""
    monkeypatch.setattr(interruption._State, "requested", 0)
    monkeypatch.setattr(interruption._State, "since", 0.0)

    def again():
        interruption._State.requested = 0

    return again


def train_with_stop(trainer, engine, event):
    """Train until `event` of `engine`, at which a signal comes."""
    engine.add_event_handler(event, lambda _: interruption.request(15))
    with pytest.raises(interruption.Stopped) as stopped:
        trainer.run()
    assert "SIGTERM" in str(stopped.value)


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, True)])
@pytest.mark.parametrize("iteration", [1, 2, 4, 5])
def test_a_signal_in_an_epoch_saves_it_and_the_restart_is_exact(
    engines, tmp_path, stop, iteration, workers, persistent
):
    options = {"max_epochs": 2, "workers": workers, "persistent": persistent}
    whole = engines.resumable(tmp_path / "whole", **options, key_train_metric={"psnr": PSNR()})
    torch.manual_seed(7)
    whole.run()

    parts = engines.resumable(tmp_path / "parts", **options, key_train_metric={"psnr": PSNR()})
    torch.manual_seed(7)
    train_with_stop(parts, parts, Events.ITERATION_COMPLETED(once=iteration))
    assert parts.state.iteration == iteration
    assert f"epoch {(iteration - 1) // 3 + 1} is saved after iteration {iteration % 3} of 3" in interruption.advice()
    stop()
    torch.manual_seed(999)
    again = engines.resumable(tmp_path / "parts", **options, key_train_metric={"psnr": PSNR()})
    again.run()
    assert_same(everything(whole), everything(again))
    assert_same(*(torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in ("whole", "parts")))


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_signal_in_a_validation_repeats_that_alone(engines, tmp_path, stop, epoch):
    scores = [1.0, 2.0]
    whole = engines.resumable(tmp_path / "whole", max_epochs=2, scores=scores)
    torch.manual_seed(7)
    whole.run()

    parts = engines.resumable(tmp_path / "parts", max_epochs=2, scores=scores)
    evaluator = parts.evaluator
    torch.manual_seed(7)

    def signal(engine):
        if parts.state.epoch == epoch:
            interruption.request(15)
            interruption.check()

    evaluator.add_event_handler(Events.ITERATION_COMPLETED, signal)
    with pytest.raises(interruption.Stopped):
        parts.run()
    assert "before validation" in interruption.advice()
    stop()
    again = engines.resumable(tmp_path / "parts", max_epochs=2, scores=scores)
    again.run()
    assert again.state.iteration == 6
    assert_same(everything(whole), everything(again))
    for name in ("checkpoint.pt", "model.pt"):
        assert_same(*(torch.load(tmp_path / run / name, weights_only=True) for run in ("whole", "parts")))
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_a_signal_at_the_end_of_an_epoch_leaves_it_complete(engines, tmp_path, stop):
    trainer = engines.resumable(tmp_path, max_epochs=2)
    train_with_stop(trainer, trainer, Events.EPOCH_COMPLETED(once=1))
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["epoch"] == 1
    assert "epoch 1 is complete" in interruption.advice()


def test_a_second_signal_inside_an_iteration_keeps_the_checkpoint_before(engines, tmp_path, stop):
    trainer = engines.resumable(tmp_path, max_epochs=2)

    def signal(engine):
        interruption.request(15)
        interruption.check()

    trainer.add_event_handler(Events.ITERATION_STARTED(once=5), signal)
    with pytest.raises(interruption.Stopped):
        trainer.run()
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["iteration"] == 3
    assert "is lost" in interruption.advice()
