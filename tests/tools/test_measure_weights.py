"""The measurements that decide whether weights are released."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from unicoal_components.datasets.hdf5 import read_volume
from unicoal_components.metrics.foreground import foreground
from unicoal_components.networks.generator import Generator
from unicoal_components.simulation.cohort import simulate_cohort

ROOT = Path(__file__).parents[2]
SIZES = {"resolution": 32, "core_resolution": 16, "num_layers": 6, "channel_base": 256, "channel_max": 8, "w_dim": 16}
SIZES |= {"image_style_dim": 16, "z_dim": 8, "detail_channels": 4, "detail_blocks": 1}


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import measure_weights  # noqa: PLC0415

    yield measure_weights
    sys.modules.pop("measure_weights")


@pytest.fixture
def bundle(tmp_path):
    """A tiny bundle whose untrained detail path adds nothing to the interpolation."""
    config = (
        json.loads((ROOT / "bundles" / "unified" / "configs" / "inference.json").read_text(encoding="utf-8")) | SIZES
    )
    for name in ("configs", "models"):
        (tmp_path / "bundle" / name).mkdir(parents=True)
    (tmp_path / "bundle" / "configs" / "inference.json").write_text(json.dumps(config), encoding="utf-8")
    options = {"residual": True, "interpolated_input": True, "acquisition": True, "error_output": True}
    options |= {"contrast_curve": True}
    network = Generator(num_modalities=4, position_embedding="fourier", dropout=0.0, **options, **SIZES)
    torch.save(network.state_dict(), tmp_path / "bundle" / "models" / "model.pt")
    return tmp_path / "bundle"


def test_a_network_that_adds_nothing_gains_nothing_within_a_modality_and_every_case_has_its_row(
    script, bundle, tmp_path
):
    simulate_cohort(output=tmp_path / "data", subjects=1, split=(0, 1, 0), spacing=6.0, seed=3)
    output = tmp_path / "rows.json"
    script.main(datalist=str(tmp_path / "data" / "datalist.json"), bundle=str(bundle), factors=(2,), output=str(output))
    rows = json.loads(output.read_text(encoding="utf-8"))
    within = [row for row in rows if "×" in row["case"]]
    assert len(within) == 4 * 3 and len(rows) == 4 * 3 + 4 * 3
    assert all(row["gain"] == pytest.approx(0, abs=0.01) for row in within)
    assert all(row["expected"] == pytest.approx(0.05, rel=0.05) for row in within)


def test_the_tasks_can_be_chosen_and_the_table_goes_to_standard_output(script, bundle, tmp_path, capsys):
    simulate_cohort(output=tmp_path / "data", subjects=1, split=(0, 1, 0), spacing=6.0, seed=3)
    given = {"datalist": str(tmp_path / "data" / "datalist.json"), "bundle": str(bundle), "step": 30}
    script.main(**given, tasks=("across",))
    lines = capsys.readouterr().out.splitlines()
    assert sum("→" in line for line in lines) == 2 * 4 * 3 and not any("×" in line for line in lines)
    with pytest.raises(ValueError, match=r"tasks is \['both'\]; give one or both of within, across"):
        script.main(**given, tasks=("both",))


def test_across_modalities_the_mean_of_three_planes_is_what_the_inferer_gives(script, bundle, tmp_path):
    simulate_cohort(output=tmp_path / "data", subjects=1, split=(0, 1, 0), spacing=6.0, seed=3)
    path = tmp_path / "data" / "sim_0000.h5"
    measured = script.Measurement.of_bundle(bundle, weights=None, step=9)
    rows = list(measured.across("sim_0000", str(path), planes=3))
    assert len(rows) == 4 * 3 and {row["axis"] for row in rows} == {"all"}
    volumes = {name: read_volume(str(path), name) for name in ("t1", "t2")}
    inside = foreground(target=volumes["t2"])
    indices = np.flatnonzero(inside.any(axis=(1, 2)))[4::9]
    classes = {"source_modality": torch.tensor([0]), "modality": torch.tensor([1])}
    with torch.no_grad():
        image = measured.inferer(torch.from_numpy(volumes["t1"])[None, None], measured.network, planes=3, **classes)
    wanted = script.psnr(image[0, 0].numpy()[indices], volumes["t2"][indices], inside[indices])
    (row,) = (row for row in rows if row["case"] == "t1 → t2")
    assert row["psnr"] == pytest.approx(wanted, abs=1e-4)


def test_psnr_is_that_of_errors_in_the_head_alone(script):
    truth, inside = np.zeros((2, 4, 4)), np.zeros((2, 4, 4), dtype=bool)
    inside[0] = True
    image = np.where(inside, 0.2, 1.0)
    assert script.psnr(image, truth, inside) == pytest.approx(20)
