"""Train the bundle from a packed set in pieces, where neither itk nor nilearn can be imported."""

import json

from unicoal_components.datasets.datalist import read_datalist
from unicoal_components.datasets.packed_set import pack_training_set
from unicoal_components.datasets.training_record import training_subjects

WITHOUT = """
import json, sys
for name in ("itk", "nilearn"):
    sys.modules[name] = None
import monai.bundle, torch
options = json.loads(sys.argv[1])
for epochs in (1, 2):
    monai.bundle.run(**options, max_epochs=epochs)
    assert torch.load(options["output_dir"] + "/checkpoint.pt", weights_only=True)["epoch"] == epochs
"""


def test_a_packed_set_trains_in_two_pieces_without_itk_and_nilearn(bundle, cohort, tmp_path):
    packed = tmp_path / "set.h5"
    pack_training_set(packed, datalist=cohort / "datalist.json")
    options = bundle.network | bundle.training | {"core_resolution": 16, "batch_size": 4, "images_per_epoch": 4}
    paths = {"datalist": packed, "output_dir": tmp_path / "out", "ckpt_path": tmp_path / "model.pt"}
    paths |= {"config_file": bundle.configs / "train.json", "bundle_root": bundle.root}
    options |= {name: str(path) for name, path in paths.items()}
    process = bundle.python("-c", WITHOUT, json.dumps(options))
    assert process.returncode == 0, process.stderr[-3000:]
    assert process.stdout.count("epoch 2 of 2 comes next") == 1
    record = json.loads((tmp_path / "model.training.json").read_text())
    assert record["images_seen"] in (4, 8)  # up to the best of the two
    assert record["subjects"] == training_subjects(data=read_datalist(cohort / "datalist.json", "training"))
