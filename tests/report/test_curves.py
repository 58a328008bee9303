"""Training curves from TensorBoard's files."""

import pytest
from torch.utils.tensorboard import SummaryWriter

from unicoal_components.report.curves import training_curves


def write(folder, name, values, suffix=""):
    with SummaryWriter(folder, filename_suffix=suffix) as writer:
        for step, value in values:
            writer.add_scalar(name, value, step)


@pytest.fixture
def log(tmp_path):
    write(tmp_path / "tensorboard", "loss", [(1, 4.0), (2, 3.0), (3, float("nan")), (4, 1.0)])
    return tmp_path / "tensorboard"


def test_scalars_of_all_files_are_read(log):
    write(log, "val_psnr", [(1, 20.0), (2, 22.5)], suffix=".other")
    curves = training_curves(log)
    assert curves["val_psnr"] == ([1, 2], [20.0, 22.5])
    assert curves["loss"][0] == [1, 2, 3, 4]


def test_steps_made_again_after_a_resumption_replace_the_earlier_ones(tmp_path):
    for time, values in ((1, [(1, 4.0), (2, 3.0), (3, 2.0)]), (2, [(3, 2.5), (4, 1.0)])):
        write(tmp_path, "loss", values, suffix=f".{time}")
        for path in tmp_path.glob(f"*.{time}"):
            path.rename(tmp_path / f"events.out.tfevents.{time}")
    assert training_curves(tmp_path)["loss"] == ([1, 2, 3, 4], [4.0, 3.0, 2.5, 1.0])


def test_the_section_draws_loss_and_validation(evaluation, shown, log):
    write(log, "val_psnr", [(1, 20.0), (2, 22.5)], suffix=".other")
    evaluation.run["training_log"] = str(log)
    page = shown(evaluation, "training")
    assert page.count("<svg") == 2 and "validation volumes" in page and str(log) in page
    assert "not validated" not in page


def test_a_training_without_validation_is_noted(evaluation, shown, log):
    evaluation.run["training_log"] = str(log)
    page = shown(evaluation, "training")
    assert page.count("<svg") == 1 and "it has no val_psnr" in page


def test_the_origin_of_the_curves_is_noted_next_to_the_weights(evaluation, shown, log):
    evaluation.run["training_log"] = str(log)
    page = shown(evaluation, "training")
    assert f"Curves of the training logged in <code>{log}</code>" in page
    assert "The evaluated weights are <code>models/model.pt</code>" in page
    evaluation.run["weights"] = None
    assert "The evaluated weights are no file" in shown(evaluation, "training")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (None, "No record of the training was given"),
        ("/none/here", "No record of a training was found in <code>/none/here</code>"),
    ],
)
def test_an_absent_record_is_called_absent(evaluation, shown, place, words):
    evaluation.run["training_log"] = place
    page = shown(evaluation, "training")
    assert words in page and "<svg" not in page
