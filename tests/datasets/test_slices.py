import json
import pickle
import shutil

import h5py
import numpy as np
import pytest
import torch
from monai.data import DataLoader
from monai.transforms import Compose, Randomizable, Transform

from unicoal_components.datasets.hdf5 import write_subject
from unicoal_components.datasets.sampler import SliceSampler
from unicoal_components.datasets.slices import SliceDataset
from unicoal_components.training.draw import DrawSliceTaskd
from unicoal_components.training.load_slice_group import LoadSliceGroupd

DEPTHS = (7, 9, 5)


class Roll(Randomizable, Transform):
    def __call__(self, data):
        return {**data, "rolled": int(self.R.randint(2**31))}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    entries = []
    for n, depth in enumerate(DEPTHS):
        volumes = {}
        for m, name in enumerate(("t1", "t2", "flair")):
            volumes[name] = np.random.default_rng([n, m]).integers(1, 256, (depth, 10, 12), dtype=np.uint8)
            volumes[name][0] = volumes[name][-1] = 0
        write_subject(
            folder / f"p{n}.h5",
            volumes=volumes,
            affine=np.eye(4),
            intensity=dict.fromkeys(volumes, (0.0, 255.0)),
            sources=dict.fromkeys(volumes, "simulated"),
        )
        entries.append({"subject": f"p{n}", "path": str(folder / f"p{n}.h5")})
    return entries


def task(**changes):
    draw = DrawSliceTaskd(modalities=["t1", "t2", "flair"], resolution=8, **changes)
    return Compose([draw, LoadSliceGroupd()])


def batches(dataset, epochs=2, **loader):
    sampler = SliceSampler(dataset=dataset, seed=3)
    loader = DataLoader(dataset, batch_size=4, sampler=sampler, **loader)
    result = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        result.extend(loader)
    return result


def test_every_slice_with_foreground_occurs_once_and_in_order(data):
    dataset = SliceDataset(data=data, transform=None)
    found = [(item["subject"], item["slice_index"]) for item in (dataset[i] for i in range(len(dataset)))]
    assert found == [(f"p{n}", d) for n, depth in enumerate(DEPTHS) for d in range(1, depth - 1)]


def test_an_item_has_the_header_as_plain_values(data):
    item = SliceDataset(data=data, transform=None)[-1]
    assert item == {
        "subject": "p2",
        "slice_index": 3,
        "path": data[2]["path"],
        "modalities": ("flair", "t1", "t2"),
        "thin_axes": {"flair": (0,), "t1": (0,), "t2": (0,)},
        "shape": (5, 10, 12),
        "foreground_box": (1, 4, 0, 10, 0, 12),
    }
    json.dumps(item)


def test_a_repeated_subject_occurs_several_times_per_round(data):
    entries = [data[0], data[1] | {"repeat": 3}, data[2]]
    dataset = SliceDataset(data=entries, transform=None)
    found = [(item["subject"], item["slice_index"]) for item in dataset]
    own = [[(f"p{n}", d) for d in range(1, depth - 1)] for n, depth in enumerate(DEPTHS)]
    assert found == own[0] + 3 * own[1] + own[2]


def test_a_repeated_slice_is_drawn_anew(data):
    dataset = SliceDataset(data=[data[0] | {"repeat": 2}], transform=Compose([Roll()]))
    rolls = [item["rolled"] for item in dataset]
    assert len(rolls) == len(set(rolls)) == 2 * (DEPTHS[0] - 2)


def test_the_draw_depends_only_on_seed_epoch_and_index(data):
    rolls = {
        (seed, epoch, index): SliceDataset(data=data, transform=Compose([Roll()]), seed=seed)[epoch, index]["rolled"]
        for seed in (0, 1)
        for epoch in (0, 1)
        for index in (0, 1, 2)
    }
    assert len(set(rolls.values())) == len(rolls)
    dataset = SliceDataset(data=data, transform=Roll())
    backwards = [dataset[1, index]["rolled"] for index in (2, 1, 0)]
    assert backwards == [SliceDataset(data=data, transform=Roll())[1, index]["rolled"] for index in (2, 1, 0)]
    assert dataset[1]["rolled"] == dataset[0, 1]["rolled"]


@pytest.mark.parametrize("workers", [{"num_workers": 2}, {"num_workers": 2, "persistent_workers": True}])
def test_workers_give_the_batches_of_a_single_process(data, workers):
    dataset = SliceDataset(data=data, transform=task(gamma=0.2, noise=0.1, flip="all", phase="random"), seed=5)
    alone, shared = batches(dataset), batches(dataset, **workers)
    assert len(alone) == len(shared) == 8
    for one, other in zip(alone, shared, strict=True):
        assert one.keys() == other.keys()
        for key, value in one.items():
            if isinstance(value, torch.Tensor):
                assert value.dtype == other[key].dtype and torch.equal(value, other[key])
            else:
                assert value == other[key]


def test_a_batch_has_the_types_for_the_network(data):
    batch = batches(SliceDataset(data=data, transform=task()), epochs=1)[0]
    assert batch["image"].shape == (4, 4, 8, 8) and batch["label"].shape == (4, 1, 8, 8)
    types = {key: value.dtype for key, value in batch.items() if isinstance(value, torch.Tensor)}
    assert types == {
        "image": torch.float32,
        "label": torch.float32,
        "modality": torch.int64,
        "source_modality": torch.int64,
        "position": torch.float32,
        "factor": torch.float32,
        "thickness": torch.float32,
        "slice_index": torch.int64,
    }


def test_flips_differ_between_epochs_within_a_subject(data):
    dataset = SliceDataset(data=data, transform=DrawSliceTaskd(modalities=["t1", "t2", "flair"], resolution=8))
    flips = np.array([[dataset[epoch, i]["draw"].flips[2] for i in range(len(dataset))] for epoch in range(20)])
    assert 0.35 < flips.mean() < 0.65
    assert (flips.std(0) > 0).all() and (flips.std(1) > 0).all()


def test_memory_holds_nothing_per_slice(data, tmp_path):
    def weight(depth):
        path = tmp_path / f"{depth:05d}.h5"
        volume = np.ones((depth, 1, 1), dtype=np.uint8)
        write_subject(
            path, volumes={"t1": volume}, affine=np.eye(4), intensity={"t1": (0, 1)}, sources={"t1": "simulated"}
        )
        dataset = SliceDataset(data=[{"subject": "p", "path": str(path)}], transform=None)
        assert len(dataset) == depth
        return len(pickle.dumps(dataset))

    assert weight(4) == weight(400)


def test_an_empty_training_set_is_refused():
    with pytest.raises(ValueError, match="section 'training' is empty"):
        SliceDataset(data=[], transform=None)


def test_an_incomplete_entry_is_shown(data):
    with pytest.raises(ValueError, match="'p9'.*no path"):
        SliceDataset(data=[{"subject": "p9"}], transform=None)


def test_a_missing_file_is_named_at_construction(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.h5"):
        SliceDataset(data=[{"subject": "p", "path": str(tmp_path / "gone.h5")}], transform=None)


def test_an_index_out_of_range_is_an_index_error(data):
    dataset = SliceDataset(data=data, transform=None)
    with pytest.raises(IndexError):
        dataset[len(dataset)]
    assert sum(1 for _ in dataset) == len(dataset)


def test_a_negative_seed_is_refused(data):
    with pytest.raises(ValueError, match="seed is -1"):
        SliceDataset(data=data, transform=None, seed=-1)


def test_a_file_with_an_impossible_foreground_box_is_named(data, tmp_path):
    path = tmp_path / "odd.h5"
    shutil.copy(data[0]["path"], path)
    with h5py.File(path, "a") as file:
        file.attrs["foreground_box"] = (5, 5, 0, 10, 0, 12)
    with pytest.raises(ValueError, match=r"odd\.h5.*foreground_box \[5, 5,"):
        SliceDataset(data=[{"subject": "p", "path": str(path)}], transform=None)
