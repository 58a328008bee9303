"""Train the bundle from a packed set in pieces, where neither itk nor nilearn can be imported."""

import json

import torch

from unicoal_components.datasets.datalist import read_datalist
from unicoal_components.datasets.packed_set import pack_training_set
from unicoal_components.datasets.training_record import training_subjects

WITHOUT = """
import runpy, sys
for name in ("itk", "nilearn"):
    sys.modules[name] = None
sys.argv[0] = "monai.bundle"
runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)
"""


def test_a_packed_set_trains_in_two_pieces_without_itk_and_nilearn(bundle, cohort, tmp_path):
    packed = tmp_path / "set.h5"
    pack_training_set(packed, datalist=cohort / "datalist.json")
    sizes = bundle.network | bundle.training | {"core_resolution": 16, "batch_size": 4, "images_per_epoch": 4}
    (tmp_path / "sizes.json").write_text(json.dumps(sizes))
    options = {"datalist": packed, "output_dir": tmp_path / "out", "ckpt_path": tmp_path / "model.pt"}
    for epochs in (1, 2):
        files = (bundle.configs / "train.json", tmp_path / "sizes.json")
        process = bundle.command(*files, before=("-c", WITHOUT), bundle_root=bundle.root, max_epochs=epochs, **options)
        assert process.returncode == 0, process.stderr[-3000:]
        assert torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["epoch"] == epochs
    record = json.loads((tmp_path / "model.training.json").read_text())
    assert record["images_seen"] in (4, 8)  # up to the best of the two
    assert record["subjects"] == training_subjects(data=read_datalist(cohort / "datalist.json", "training"))
