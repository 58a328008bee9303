"""A trainer's numbers, as MONAI's handlers log them."""

import torch
from ignite.engine import Engine
from monai.bundle import ConfigParser
from monai.transforms import Decollated
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from unicoal_components.training.loss_log import scalar_outputs

OUTPUT = {"image": torch.zeros(2, 4, 8, 8), "loss": 0.5, "l1": torch.tensor(0.25, requires_grad=True)}
OUTPUT |= {"factor": torch.tensor([2.0, 4.0]), "subject": ["p01", "p02"]}


def test_numbers_are_the_same_decollated_or_not():
    assert scalar_outputs(OUTPUT) == scalar_outputs(Decollated(keys=None)(OUTPUT)) == {"loss": 0.5, "l1": 0.25}


def test_a_config_sends_every_loss_to_tensorboard(tmp_path):
    config = {
        "_target_": "TensorBoardStatsHandler",
        "log_dir": str(tmp_path),
        "output_transform": {"_target_": "unicoal_components.training.loss_log.scalar_outputs", "_mode_": "callable"},
    }
    handler = ConfigParser({"handler": config}).get_parsed_content("handler")
    engine = Engine(lambda engine, batch: OUTPUT)
    handler.attach(engine)
    engine.run([0, 1], max_epochs=1)
    handler.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert sorted(events.Tags()["scalars"]) == ["l1", "loss"]
    assert [(e.step, e.value) for e in events.Scalars("l1")] == [(1, 0.25), (2, 0.25)]
