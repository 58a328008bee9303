"""The comparison of networks at equal processor time."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from unicoal_components.datasets.hdf5 import write_subject

ROOT = Path(__file__).parents[2]
SIZES = {"resolution": 32, "core_resolution": 16, "num_layers": 6, "channel_base": 256, "channel_max": 8, "w_dim": 16}
SIZES |= {"image_style_dim": 16, "z_dim": 8, "detail_channels": 4, "detail_blocks": 1, "batch_size": 2}


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    before = set(sys.modules)
    import compare_networks  # noqa: PLC0415

    yield compare_networks
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("compare_networks", "measure_weights", "scripts"):
            del sys.modules[name]


@pytest.fixture
def datalist(tmp_path):
    """Two subjects of three modalities, all thin along every axis."""
    rng = np.random.default_rng(0)
    names = ("t1", "t2", "flair")
    for subject in ("first", "second"):
        shape = gaussian_filter(rng.normal(size=(24, 24, 24)), 2).clip(-0.15, 0.15)
        volumes = {name: np.uint8(128 + 400 * shape * sign) for name, sign in zip(names, (1, -1, 2), strict=True)}
        write_subject(
            tmp_path / f"{subject}.h5",
            volumes=volumes,
            affine=np.eye(4),
            intensity=dict.fromkeys(names, (-1.0, 1.0)),
            sources=dict.fromkeys(names, "scan.nii.gz"),
        )
    entries = [{"subject": subject, "path": f"{subject}.h5"} for subject in ("first", "second")]
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({"training": entries[:1], "validation": entries[1:]}), encoding="utf-8")
    return path


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """The unified bundle with tiny sizes."""
    (tmp_path / "configs").mkdir()
    config = json.loads((ROOT / "bundles" / "unified" / "configs" / "train.json").read_text(encoding="utf-8"))
    (tmp_path / "configs" / "train.json").write_text(json.dumps(config | SIZES), encoding="utf-8")
    (tmp_path / "scripts").symlink_to(ROOT / "bundles" / "unified" / "scripts")
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.mark.parametrize(("task", "cases"), [("within", 3 * 3), ("across", 3 * 2)])
def test_networks_are_trained_for_their_time_and_measured_on_the_validation_subjects(
    script, bundle, datalist, tmp_path, task, cases
):
    output = tmp_path / "rows.json"
    names = ["generator", "U-Net"] if task == "across" else ["residual trunk"]
    script.main(
        datalist=str(datalist), task=task, seconds=0.5, bundle=str(bundle), names=names, step=5, output=str(output)
    )
    rows = json.loads(output.read_text(encoding="utf-8"))
    assert [row["network"] for row in rows] == [name for name in names for _ in range(cases)]
    assert all(row["subject"] == "second" and int(row["images"]) > 0 for row in rows)
    (first, *_) = script.summary(rows)
    some = [row["gain"] for row in rows if row["network"] == names[0] and row["case"] == rows[0]["case"]]
    assert first[rows[0]["case"]] == pytest.approx(sum(some) / len(some))


def test_a_modality_left_out_of_training_is_measured_all_the_same(script, bundle, datalist, monkeypatch):
    drawn = []

    class Seen(script.PrepareSlices):
        def __call__(self, batchdata, *others, **options):
            drawn.extend(batchdata["modality"].tolist() + batchdata["source_modality"].tolist())
            return super().__call__(batchdata, *others, **options)

    monkeypatch.setattr(script, "PrepareSlices", Seen)
    config = json.loads((bundle / "configs" / "train.json").read_text(encoding="utf-8"))
    config["contrast"] = 0.0  # a replaced contrast goes by the name of any modality
    (bundle / "configs" / "train.json").write_text(json.dumps(config), encoding="utf-8")
    output = datalist.parent / "rows.json"
    options = {"seconds": 0.5, "names": ["residual trunk"], "without": ["t2"], "step": 5, "output": str(output)}
    script.main(datalist=str(datalist), task="within", bundle=str(bundle), **options)
    assert set(drawn) == {0, 3}
    assert any(row["case"].startswith("t2") for row in json.loads(output.read_text(encoding="utf-8")))


def test_a_plain_network_starts_from_the_curves_between_modalities(script):
    class Nothing(torch.nn.Module):
        def forward(self, image, **conditions):
            return torch.zeros_like(image[:, :1])

    network = script.CurveFirst(Nothing(), num_modalities=2)
    with torch.no_grad():
        network.contrast.values[0, 1] = -network.contrast.values[0, 1]  # from the first to the second: inverted
    image = torch.linspace(-0.9, 0.9, 16).reshape(1, 1, 4, 4).repeat(2, 4, 1, 1)
    told = {"modality": torch.tensor([1, 0]), "source_modality": torch.tensor([0, 1]), "position": torch.zeros(2)}
    made = network(image, **told, same_modality=torch.zeros(2, dtype=torch.bool))
    torch.testing.assert_close(made, torch.stack([-image[0, :1], image[1, :1]]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("given", [{"task": "sideways"}, {"seconds": 0}, {"names": ["resnet"]}])
def test_wrong_options_are_named_before_any_training(script, bundle, datalist, given):
    with pytest.raises(ValueError, match=str(next(iter(given.values()))).strip("[]'")):
        script.main(datalist=str(datalist), bundle=str(bundle), **given)
