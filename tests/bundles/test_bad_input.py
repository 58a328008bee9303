"""Bad input through the doors that users take: what they read names the file or key, and the way out."""

import json
import os
import shutil
import socket

import h5py
import nibabel as nib
import numpy as np
import pytest
import torch

from unicoal_components.files.claim import HOLDER, LOCK, claimed

AFFINE = np.diag([2.0, 2.0, 4.0, 1.0])


def brain(*shape, seed=0):
    array = np.zeros(shape or (12, 12, 6), np.float32)
    array[2:-2, 2:-2, 1:-1] = np.random.default_rng(seed).uniform(5, 500, array[2:-2, 2:-2, 1:-1].shape)
    return array


def with_nan(array):
    array[5, 5, 3] = np.nan
    return array


def save(path, array, affine=AFFINE):
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


BAD_VOLUMES = {
    "4D": (lambda: np.stack([brain(), brain()], axis=-1), "4 dimensions.*Save the wanted one as its own 3D file"),
    "2D": (lambda: brain()[:, :, 3], "a 3D volume of at least 2 voxels.*Stack the slices"),
    "empty": (lambda: np.zeros((12, 12, 6), np.float32), "is empty: every voxel is 0.*again"),
    "constant": (lambda: np.full((12, 12, 6), 7, np.float32), "is constant: every non-zero voxel is 7.*give the scan"),
    "NaN": (lambda: with_nan(brain()), "1 NaN or infinite voxels.*replace them"),
}


@pytest.fixture
def infer(bundle, weights, tmp_path):
    """Fail at inference; give the words the user reads."""

    def call(**options):
        values = {"input": str(tmp_path), "output_dir": str(tmp_path / "out"), "ckpt_path": str(weights)}
        return bundle.mistake("inference.json", **(values | options))

    return call


@pytest.fixture
def train(bundle, cohort, tmp_path):
    """Fail at training, or at evaluation; give the words the user reads."""

    def call(*overlays, **options):
        paths = {"dataset_dir": str(cohort), "output_dir": str(tmp_path / "out"), "max_epochs": 1}
        values = paths | {"ckpt_path": str(tmp_path / "model.pt")} | options
        return bundle.mistake("train.json", *overlays, **values)

    return call


@pytest.fixture
def prepare(unicoal):
    """Run `unicoal prepare`; give its exit status and all it said."""

    def call(**options):
        return unicoal("prepare", *(f"--{name}={value}" for name, value in ({"workers": 1} | options).items()))

    return call


def matches(words, pattern):
    __tracebackhide__ = True
    with pytest.raises(ValueError, match=pattern):  # the message of pytest.raises shows both
        raise ValueError(words)


@pytest.mark.parametrize("kind", BAD_VOLUMES)
def test_inference_refuses_a_volume_that_is_no_scan(infer, tmp_path, kind):
    make, pattern = BAD_VOLUMES[kind]
    save(tmp_path / "scan.nii.gz", make())
    matches(infer(), rf"scan\.nii\.gz.*{pattern}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", BAD_VOLUMES)
def test_preparation_names_the_subject_and_file_of_a_volume_that_is_no_scan(prepare, tmp_path, kind):
    make, pattern = BAD_VOLUMES[kind]
    for subject, t1 in (("p1", brain()), ("p2", make())):
        (tmp_path / "scans" / subject).mkdir(parents=True)
        save(tmp_path / "scans" / subject / "t1.nii.gz", t1)
    status, said = prepare(input=tmp_path / "scans", modalities="t1", output=tmp_path / "out")
    assert status == 3
    line = next(line for line in said.splitlines() if "FAILED" in line)
    matches(line, rf"FAILED p2: .*p2/t1\.nii\.gz.*{pattern}")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["datalist.json", "manifest.csv", "p1.h5", "quality"]


def test_preparation_names_a_missing_modality_and_different_grids(prepare, tmp_path):
    for subject in ("p1", "p2", "p3"):
        (tmp_path / "scans" / subject).mkdir(parents=True)
        save(tmp_path / "scans" / subject / "t1.nii.gz", brain())
    save(tmp_path / "scans" / "p1" / "t2.nii.gz", brain(seed=1))
    save(tmp_path / "scans" / "p3" / "t2.nii.gz", brain(12, 12, 7))
    status, said = prepare(input=tmp_path / "scans", modalities="t1,t2", output=tmp_path / "out")
    failed = [line for line in said.splitlines() if "FAILED" in line]
    assert (status, len(failed)) == (3, 2)
    matches(failed[0], r"FAILED p2: .*has no file for \['t2'\].*--allow_missing")
    matches(failed[1], r"FAILED p3: .*t1\.nii\.gz' and .*t2\.nii\.gz' lie on different grids.*Register")


@pytest.fixture
def two_scans(tmp_path):
    (tmp_path / "scans").mkdir()
    for number, name in enumerate(("p1", "p2")):
        save(tmp_path / "scans" / f"{name}_t1.nii.gz", brain(seed=number))
    return {"input": tmp_path / "scans", "pattern": "{subject}_{modality}.nii.gz", "output": tmp_path / "out"}


def test_preparation_names_a_modality_or_layout_that_is_not_there(prepare, two_scans, tmp_path):
    matches(prepare(**two_scans, modalities="t1,pd")[1], r"no file .*scans' matches .* modality 'pd'.*names")
    matches(prepare(**two_scans, modalities="t1", register_to="T1")[1], r"register_to is 'T1', .*none of .*\['t1'\]")
    layout = {name: value for name, value in two_scans.items() if name != "pattern"} | {"layout": "ixi"}
    matches(prepare(**layout)[1], r"nothing in the layout ixi for t1, t2, pd.*p1_t1\.nii\.gz.*another --layout")
    assert not (tmp_path / "out").exists()


def test_preparation_names_a_mask_that_is_empty_or_damaged(prepare, two_scans):
    save(two_scans["input"] / "p1_mask.nii.gz", np.zeros((12, 12, 6), np.uint8))
    (two_scans["input"] / "p2_mask.nii.gz").write_text("no image")
    status, said = prepare(**two_scans, modalities="t1", crop="brain", mask="{subject}_mask.nii.gz")
    assert status == 1
    matches(said, r"p1: mask '.*p1_mask\.nii\.gz' is empty: no voxel.*correct --mask")
    matches(said, r"p2: cannot read scan '.*p2_mask\.nii\.gz'.*damaged.*again")


def test_preparation_on_a_full_disk_names_the_file_and_leaves_nothing_half_written(
    prepare, two_scans, full_disk, tmp_path
):
    with full_disk("p2.h5"):
        status, said = prepare(**two_scans, modalities="t1", quality=False)
    assert status == 1
    matches(said, r"cannot write '.*p2\.h5': No space left on device.*has space left")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.csv", "p1.h5"]


@pytest.mark.parametrize(("kept", "fault"), [(0, "empty"), (100, "truncated"), (0.7, "truncated")])
def test_a_truncated_scan_is_named_at_inference(infer, tmp_path, kept, fault):
    path = save(tmp_path / "scan.nii.gz", brain())
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    matches(infer(), rf"scan '.*scan\.nii\.gz'.*{fault}.*again")


def test_one_bad_scan_of_a_folder_is_named(infer, tmp_path):
    save(tmp_path / "a.nii.gz", brain())
    save(tmp_path / "b.nii.gz", with_nan(brain()))
    save(tmp_path / "c.nii.gz", brain(seed=1))
    matches(infer(), r"1 of 3 volumes failed, the others are done\. '.*b\.nii\.gz': scan '.*b\.nii\.gz' has 1 NaN")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["a_t2.json", "a_t2.nii.gz", "c_t2.json", "c_t2.nii.gz"]


def test_an_input_that_is_not_there_is_named(infer, tmp_path):
    matches(infer(input=str(tmp_path / "nothing.nii.gz")), r"nothing\.nii\.gz' does not exist. Give a NIfTI file")


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("damage", ["truncated", "voxels"])
def test_a_damaged_subject_file_is_named_in_training(train, cohort, tmp_path, damage, workers):
    folder = tmp_path / "cohort"
    shutil.copytree(cohort, folder)
    for entry in json.loads((folder / "datalist.json").read_text())["training"]:
        content = bytearray((folder / entry["path"]).read_bytes())
        if damage == "truncated":
            content = content[: len(content) // 2]
        else:
            content[len(content) // 2 : -3000] = b"\xff" * (len(content[len(content) // 2 : -3000]))
        (folder / entry["path"]).write_bytes(content)
    words = train(dataset_dir=str(folder), num_workers=workers)
    matches(words, r"sim_\d+\.h5.*(truncated|damaged).*(again|unicoal prepare)")


def test_a_datalist_that_is_not_there_is_named_with_its_makers(train, tmp_path):
    words = train(dataset_dir=str(tmp_path / "nowhere"))
    matches(words, r"nowhere/datalist\.json' does not exist; 'unicoal prepare")


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        ({"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}]}, "has the entry {'image'.*unicoal prepare"),
        ([{"subject": "a", "path": "a.h5"}], "holds one list.*unicoal prepare"),
        ({"training": [], "validation": [], "test": []}, "section 'training' is empty. Add a subject"),
        (
            {"training": [{"subject": "a", "path": "foreign.h5"}]},
            r"foreign\.h5' holds the datasets \[\].*unicoal prepare",
        ),
        (
            {"training": [{"subject": "a", "path": "PERSON"}], "validation": []},
            "nobody to evaluate.*evaluation_section",
        ),
    ],
)
def test_a_data_list_of_another_schema_is_named_in_training(train, cohort, tmp_path, content, pattern):
    h5py.File(tmp_path / "foreign.h5", "w").close()
    text = json.dumps(content).replace("PERSON", str(cohort / "sim_0001.h5"))
    (tmp_path / "foreign.json").write_text(text)
    matches(train(datalist=str(tmp_path / "foreign.json")), pattern)
    assert not (tmp_path / "out" / "checkpoint.pt").exists()


@pytest.mark.parametrize("role", ["source_modality", "target_modality"])
@pytest.mark.parametrize("name", ["T1", "adc"])
def test_an_unknown_modality_is_named_at_inference(infer, tmp_path, role, name):
    save(tmp_path / "scan.nii.gz", brain())
    matches(infer(**{role: name}), rf"{role} is '{name}'; this network knows \['t1', 't2', 'pd', 'flair'\]")


@pytest.mark.parametrize("factor", [0.5, 0, -4])
def test_a_factor_below_one_is_named_at_inference(infer, tmp_path, factor):
    save(tmp_path / "scan.nii.gz", brain())
    matches(infer(factor=factor), rf"factor is '?{factor}'?; it must be a finite real number >= 1")


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ({"targets": ["t1", "adc"]}, r"targets is \['t1', 'adc'\].*modalities \['t1', 't2', 'pd', 'flair'\]"),
        ({"sources": ["T1"]}, r"sources is \['T1'\].*modalities"),
        ({"factors": [1, 0.5]}, r"factor is 0\.5; it must be a finite real number >= 1"),
        ({"modalities": ["t1", "t1"]}, r"modalities is \['t1', 't1'\].*each once"),
        ({"evaluation_cases": [{"source": "t1", "target": "adc", "factor": 4}]}, r"target 'adc' is unknown"),
        ({"evaluation_cases": [{"source": "t1", "target": "t2", "factor": 0.5}]}, r"factor is 0\.5; allowed"),
        ({"evaluation_cases": [{"source": "t1", "target": "t2", "factr": 4}]}, r"has the keys \['factr',.*factor"),
        ({"factors": {"min": 4, "max": 2}}, "min must be below max"),
        ({"profile": "gauss"}, "profile is 'gauss'.*gaussian"),
        ({"slice_gap": 500}, "slice_gap is 500 mm, while slices of '.*h5' at factor 4.*smaller gap"),
        ({"slice_gap": 1, "slice_thickness": 4}, "give one of them"),
        ({"phase": "centered"}, "phase is 'centered'"),
        ({"resolution": 100}, "resolution must be a power of two"),
        ({"position_embedding": "sine"}, "position_embedding must be 'linear' or 'fourier'"),
        ({"seed": "x"}, "seed is 'x'; it must be a number"),
        ({"learning_rate": "fast"}, r"learning_rate is 'fast'; it must be a number. The bundle has 0\.006"),
        ({"resume": "yes"}, "resume is 'yes'; it must be true or false"),
        ({"batch_size": 64}, "not one whole batch of 64 images; lower batch_size, or raise"),
        ({"sam_weight": 1.0}, "SAM checkpoint.*sam_weight"),
    ],
)
def test_a_wrong_value_is_named_in_training(train, options, pattern):
    matches(train(**options), pattern)


def test_a_modality_that_a_subject_lacks_is_named_in_training_and_evaluation(train, tmp_path):
    options = {"modalities": ["ct", "adc"], "evaluation_cases": [{"source": "ct", "target": "adc", "factor": 1}]}
    matches(train(**options), r"none of the 1 subjects can answer any case")
    matches(train(**options, skip_missing=False), r"subject 'sim_\d+' \(.*h5\) has no modality adc, ct.*flair, pd")
    options["evaluation_cases"] = [{"source": "t1", "target": "t1", "factor": 2}]
    options |= {"modalities": ["t1", "ct", "adc"], "targets": ["ct"], "sources": ["adc"]}
    matches(train(**options), r"subject 'sim_\d+' allows no task: its file .*h5.*targets are ct.*Correct the names")


def test_weights_that_do_not_fit_are_named_at_inference(infer, weights, tmp_path):
    save(tmp_path / "scan.nii.gz", brain())
    words = infer(channel_max=4)
    matches(words, r"model\.pt.*in the file.*in the network.*channel_max\) is 8 there, 4 here.*or give another file")
    assert "resume" not in words  # which is of no use here
    matches(infer(ckpt_path=str(tmp_path / "none.pt")), r"no weights at .*none\.pt; train first")
    (tmp_path / "cut.pt").write_bytes(weights.read_bytes()[:500])
    matches(infer(ckpt_path=str(tmp_path / "cut.pt")), r"cut\.pt cannot be read as weights.*truncated")
    torch.save({"other": torch.zeros(2)}, tmp_path / "other.pt")
    matches(infer(ckpt_path=str(tmp_path / "other.pt")), r"other\.pt.*missing")


def test_a_checkpoint_of_another_network_is_named_when_training_resumes(bundle, train, cohort, tmp_path):
    paths = {"dataset_dir": str(cohort), "output_dir": str(tmp_path / "out"), "ckpt_path": str(tmp_path / "model.pt")}
    bundle.run("train.json", **paths, max_epochs=1)
    pattern = r"out/checkpoint\.pt.*generator.*in the file.*channel_max\) is 8 there, 4 here.*set resume to false"
    matches(train(max_epochs=2, channel_max=4), pattern)
    matches(train(max_epochs=2, images_per_epoch=8), r"out/checkpoint\.pt was written with 4 iterations per epoch")
    matches(train("evaluate.json", channel_max=4), r"model\.pt.*in the file.*in the network")


def test_pretrained_weights_that_do_not_fit_are_named(train, weights, tmp_path):
    words = train(pretrained=str(weights), w_dim=32)
    matches(words, r"model\.pt does not fit.*w_dim is 16 there, 32 here.*or give another file")
    matches(train(pretrained=str(tmp_path / "none.pt")), r"no weights at .*none\.pt")
    assert not (tmp_path / "out" / "checkpoint.pt").exists()


def test_a_folder_that_cannot_be_written_is_named(infer, train, weights, tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    save(scans / "scan.nii.gz", brain())
    (tmp_path / "file").write_text("in the way")
    way = r"folder that you may write to"
    matches(infer(input=str(scans), output_dir=str(tmp_path / "file")), rf"cannot write .*file.*{way}")
    matches(train(output_dir=str(tmp_path / "file" / "out")), rf"cannot write .*file/out.*{way}")
    matches(train(ckpt_path=str(tmp_path / "file" / "model.pt")), rf"cannot write .*file.*{way}")
    evaluation = {"evaluation_dir": str(tmp_path / "file" / "report"), "ckpt_path": str(weights)}
    matches(train("evaluate.json", **evaluation), rf"cannot write .*file/report.*{way}")


@pytest.mark.parametrize(
    ("key", "pattern"),
    [
        ("max_epoch", r"'max_epoch' \(did you mean 'max_epochs'\?\).*configs/train\.json"),
        ("train::max_epochs", r"'train::max_epochs'.*configs/train\.json"),
        ("train#trainer#max_epoch", r"unexpected keyword argument 'max_epoch'.*Correct or remove"),
        ("network_def#channelbase", r"unexpected keyword argument 'channelbase'.*Correct or remove"),
        ("optimizer#learning_rate", r"unexpected keyword argument 'learning_rate'.*Correct or remove"),
    ],
)
def test_a_misspelled_key_is_named(train, tmp_path, key, pattern):
    matches(train(**{key: 1}), pattern)
    assert not (tmp_path / "out" / "checkpoint.pt").exists()


def test_a_misspelled_key_of_an_overlay_file_is_named(train, infer, tmp_path):
    overlay = tmp_path / "mine.json"
    overlay.write_text(json.dumps({"learning_rates": 0.1}))
    matches(train(str(overlay)), r"'learning_rates' \(did you mean 'learning_rate'\?\)")
    matches(infer(factr=4), r"'factr' \(did you mean 'factors?'\?\)")


def test_an_overlay_alone_is_named_with_the_command(bundle):
    words = bundle.mistake("evaluate.json")
    matches(
        words, r"evaluate\.json' is an overlay.*--config_file \"\['.*configs/train\.json','.*configs/evaluate\.json'\]"
    )


def test_an_overlay_of_another_bundle_is_named(train, bundle, tmp_path):
    overlay = bundle.root.parent / "sr" / "configs" / "adni_t1_x5.json"
    pattern = r"sr/configs/adni_t1_x5\.json' belongs to another bundle than .*unified/configs'.*sr/configs/train\.json"
    matches(train(str(overlay)), pattern)
    assert not (tmp_path / "out" / "checkpoint.pt").exists()


@pytest.mark.parametrize(("configs", "folder"), [(["train.json"], ""), (["train.json", "evaluate.json"], "evaluation")])
def test_a_second_run_in_a_folder_in_use_is_refused_with_the_process(
    bundle, tmp_path, cohort, weights, configs, folder
):
    out = tmp_path / "out"
    with claimed(out / folder):
        words = bundle.mistake(*configs, dataset_dir=str(cohort), output_dir=str(out), ckpt_path=str(weights))
        assert f"'{out / folder}'" in words and f"in use: process {os.getpid()} on {socket.gethostname()}" in words
        assert {path.name for path in out.rglob("*") if path.is_file()} == {HOLDER, LOCK}
