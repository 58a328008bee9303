"""Training slices and losses reach TensorBoard."""

import pytest
import torch
from monai.engines import SupervisedTrainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader

from unicoal_components.training.image_log import TAG, SliceImages, slice_row


class Trainer(SupervisedTrainer):
    def _iteration(self, engine, batchdata):
        output = super()._iteration(engine, batchdata)
        return self.state.output if isinstance(output, list) else output | {"l1": 0.25, "learning_rate": 1e-3}


def train(handlers, *, epochs=2, decollate=True):
    network = torch.nn.Conv2d(4, 1, 1)
    items = [{"image": torch.rand(4, 16, 12), "label": torch.rand(1, 16, 12)} for _ in range(6)]
    Trainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=DataLoader(items, batch_size=3),
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), 0.01),
        loss_function=torch.nn.L1Loss(),
        train_handlers=handlers,
        decollate=decollate,
    ).run()


def events(folder):
    return EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0}).Reload()


@pytest.mark.parametrize("decollate", [True, False])
@pytest.mark.parametrize(("epoch_level", "steps"), [(True, [1, 2]), (False, [1, 2, 3, 4])])
def test_images_are_written_at_each_interval(tmp_path, decollate, epoch_level, steps):
    train([SliceImages(log_dir=tmp_path, epoch_level=epoch_level, count=2)], decollate=decollate)
    images = events(tmp_path).Images(TAG)
    assert [image.step for image in images] == steps
    assert (images[0].height, images[0].width) == (2 * 16, 4 * 12)


def test_nothing_is_written_where_no_interval_ends(tmp_path):
    train([SliceImages(log_dir=tmp_path / "log", interval=3)])
    assert not (tmp_path / "log").exists()


def test_a_row_holds_anchor_target_prediction_and_error():
    image = torch.stack([torch.full((2, 2), v) for v in (-1.0, -0.5, 0.5, 1.0)])
    row = slice_row({"image": image, "label": torch.ones(1, 2, 2), "pred": torch.full((1, 2, 2), 0.75)})
    assert row[0].tolist() == [0.25, 0.25, 1, 1, 0.875, 0.875, 0.5, 0.5]


def test_an_output_without_prediction_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="no pred"):
        slice_row({"image": torch.zeros(4, 2, 2), "label": torch.zeros(1, 2, 2)})


@pytest.mark.parametrize(
    ("options", "message"), [({"interval": 0}, "interval is 0"), ({"count": True}, "count is True")]
)
def test_wrong_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        SliceImages(log_dir=tmp_path, **options)
