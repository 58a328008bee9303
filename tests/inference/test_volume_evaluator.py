import pytest
import torch
from ignite.engine import Events
from monai.data import DataLoader
from monai.transforms import Lambda

from unicoal_components import interruption
from unicoal_components.inference.volume_evaluator import VolumeDataset, VolumeEvaluator
from unicoal_components.training.prepare_batch import PrepareVolume


def load(item):
    """Return a volume of ones, or raise an error."""
    if item["image"] == "damaged":
        raise OSError("cannot read scan 'damaged': it is truncated.")
    task = {"modality": 0, "source_modality": 0, "factor": 1.0}
    return {**item, "image": torch.full((1, 2, 4, 4), float(item["image"])), **task}


def evaluate(names, *, workers=0, fail_at=None):
    """Run over volumes with these names; return the written volumes and the evaluator."""
    written = []

    def write(item):
        if item["pred"].max() == fail_at:
            raise OSError("cannot write 'out': No space left on device.")
        written.append(item["pred"].max().item())
        return item

    def infer(inputs, network, **conditions):
        if inputs.max() == 13:
            raise RuntimeError("out of memory")
        return network(inputs)

    dataset = VolumeDataset(data=[{"image": name} for name in names], transform=load)
    evaluator = VolumeEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(dataset, batch_size=1, num_workers=workers),
        network=torch.nn.Identity(),
        prepare_batch=PrepareVolume(),
        inferer=infer,
        postprocessing=Lambda(write),
    )
    return written, evaluator


def test_volumes_go_through_one_by_one():
    written, evaluator = evaluate(["1", "2"])
    evaluator.run()
    assert written == [1, 2] and evaluator.failures == {}
    assert evaluator.state.output[0]["pred"].shape == (1, 2, 4, 4)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_failure_does_not_stop_the_rest_and_is_reported_at_the_end(caplog, workers):
    written, evaluator = evaluate(["1", "damaged", "13", "4", "5"], workers=workers, fail_at=4)
    with pytest.raises(ValueError, match="3 of 5 volumes failed, the others are done") as error:
        evaluator.run()
    assert written == [1, 5]
    for reason in ("'damaged': cannot read scan", "'13': .*out of memory", "'4': cannot write 'out': No space"):
        error.match(reason)
    assert caplog.text.count("FAILED") == 3


def test_a_single_volume_fails_with_its_own_message(caplog):
    with pytest.raises(ValueError, match="^cannot read scan 'damaged': it is truncated.$"):
        evaluate(["damaged"])[1].run()
    assert "FAILED" not in caplog.text


def test_a_run_forgets_the_failures_of_the_one_before():
    written, evaluator = evaluate(["damaged", "1"])
    for _ in range(2):
        with pytest.raises(ValueError, match="1 of 2 volumes failed"):
            evaluator.run()
    assert written == [1, 1]


def test_other_errors_and_a_stop_by_the_user_pass():
    def stop(item):
        raise KeyboardInterrupt

    dataset = VolumeDataset(data=[{"image": "1"}], transform=stop)
    with pytest.raises(KeyboardInterrupt):
        dataset[0]


def test_a_signal_stops_between_volumes_and_tells_how_many_are_done(monkeypatch):
    monkeypatch.setattr(interruption._State, "requested", 0)
    written, evaluator = evaluate(["1", "2", "3"])
    evaluator.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda _: interruption.request(15))
    with pytest.raises(interruption.Stopped):
        evaluator.run()
    assert written == [1, 2]
    assert interruption.advice().startswith("2 of 3 scans are done")
