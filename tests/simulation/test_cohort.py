import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest

from unicoal_components.commands.app import main
from unicoal_components.datasets.datalist import read_datalist
from unicoal_components.datasets.hdf5 import read_header, read_volume
from unicoal_components.simulation import cohort
from unicoal_components.simulation.cohort import simulate_cohort

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def label_map(tmp_path_factory):
    grid = np.indices((30, 32, 28)) - np.reshape((15, 16, 14), (3, 1, 1, 1))
    radius = np.sqrt((grid**2).sum(axis=0))
    labels = np.select([radius < 3, radius < 8, radius < 11, radius < 12], [4, 2, 3, 24], 0).astype(np.int16)
    path = tmp_path_factory.mktemp("labels") / "head.nii.gz"
    nib.save(nib.Nifti1Image(labels, np.diag([4.0, 4.0, 4.0, 1.0])), path)
    return path


def make(tmp_path, label_map, **options):
    return simulate_cohort(**{"output": tmp_path, "subjects": 3, "spacing": 5.0, "label_map": label_map, **options})


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.h5"))}


def test_a_cohort_is_subject_files_and_a_datalist(tmp_path, label_map):
    datalist = make(tmp_path, label_map, split=(1, 1, 1))
    entries = [entry for section in ("training", "validation", "test") for entry in read_datalist(datalist, section)]
    assert sorted(entry["subject"] for entry in entries) == ["sim_0000", "sim_0001", "sim_0002"]
    for entry in entries:
        header = read_header(entry["path"])
        assert set(header.modalities) == {"t1", "t2", "pd", "flair"}
        assert header.spacing == (5.0, 5.0, 5.0)
        assert nib.aff2axcodes(header.affine) == ("L", "P", "S")
        assert set(header.thin_axes.values()) == {(0, 1, 2)}
        assert read_volume(entry["path"], "t1").max() == 1.0
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_the_same_seed_gives_the_same_bytes_also_in_a_larger_cohort(tmp_path, label_map):
    make(tmp_path / "a", label_map, seed=5)
    make(tmp_path / "b", label_map, seed=5, subjects=4)
    first, second = digests(tmp_path / "a"), digests(tmp_path / "b")
    assert first == {name: second[name] for name in first}
    assert len(set(second.values())) == 4
    make(tmp_path / "c", label_map, seed=6)
    assert not set(digests(tmp_path / "c").values()) & set(second.values())


def test_nifti_files_hold_the_unscaled_volumes_with_the_same_affine(tmp_path, label_map):
    datalist = make(tmp_path, label_map, nifti=True, subjects=1, split=(1.0, 0, 0))
    (entry,) = read_datalist(datalist, "training")
    header = read_header(entry["path"])
    for modality in header.modalities:
        image = nib.load(tmp_path / "nifti" / "sim_0000" / f"{modality}.nii.gz")
        np.testing.assert_allclose(image.affine, header.affine, atol=1e-4)
        low, high = header.intensity[modality]
        stack = np.asarray(image.dataobj).transpose(2, 1, 0)
        expected = 2 * np.clip((stack - low) / (high - low), 0, 1) - 1
        difference = np.abs(expected - read_volume(entry["path"], modality))[stack > 0]
        assert difference.max() < 2 / 255 + 2 / (high - low)


def test_split_takes_numbers_of_subjects(tmp_path, label_map):
    datalist = make(tmp_path, label_map, split=(2, 0, 1))
    assert [len(read_datalist(datalist, s)) for s in ("training", "test")] == [2, 1]


@pytest.mark.parametrize("split", [(0.5, 0.2, 0.2), (1, 1, 2), (0.7, 0.3), "most", 3, (-1, 2, 2), None])
def test_a_wrong_split_is_an_error_that_says_what_is_allowed(tmp_path, label_map, split):
    with pytest.raises(ValueError, match=re.escape(f"split is {split!r}") + r".*sum to 1.*sum to subjects \(3\)"):
        make(tmp_path, label_map, split=split)


@pytest.mark.parametrize("subjects", [0, -1, 2.5, "many", True])
def test_a_wrong_number_of_subjects_is_an_error(tmp_path, label_map, subjects):
    with pytest.raises(ValueError, match=f"subjects is {subjects!r}; .* at least 1"):
        make(tmp_path, label_map, subjects=subjects)


@pytest.mark.parametrize(
    "wrong", [{"seed": 1.5}, {"noise": "some"}, {"lesions": 2.5}, {"spacing": "2mm"}, {"seed": -1}]
)
def test_an_option_out_of_its_range_is_an_error_that_names_it(tmp_path, label_map, wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name} is {value!r}; .* at least 0"):
        make(tmp_path, label_map, **wrong)
    assert not list(tmp_path.iterdir())


def test_an_earlier_cohort_is_replaced_only_on_request(tmp_path, label_map):
    make(tmp_path, label_map, subjects=1, split=(1, 0, 0))
    with pytest.raises(ValueError, match="--overwrite"):
        make(tmp_path, label_map)
    make(tmp_path, label_map, overwrite=True)


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.h5")}


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))])
def test_a_simulation_that_was_stopped_goes_on_and_gives_the_same_bytes(tmp_path, label_map, monkeypatch, stop):
    make(tmp_path / "whole", label_map, nifti=True)
    simulate = cohort.simulate_subject

    def stopped(maps, *, index, **options):
        if index == 1:
            raise stop
        return simulate(maps, index=index, **options)

    with monkeypatch.context() as patch, pytest.raises(type(stop) if isinstance(stop, OSError) else stop):
        patch.setattr(cohort, "simulate_subject", stopped)
        make(tmp_path / "out", label_map, nifti=True)
    first = times(tmp_path / "out")
    assert list(first) == ["sim_0000.h5"] and not list((tmp_path / "out").glob(".*"))
    for _ in range(2):
        make(tmp_path / "out", label_map, nifti=True)
        assert times(tmp_path / "out").items() > first.items()
    for path in (path for path in (tmp_path / "whole").rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "out" / path.relative_to(tmp_path / "whole")).read_bytes()


def test_subjects_of_other_options_are_not_mixed_in(tmp_path, label_map):
    make(tmp_path, label_map)
    (tmp_path / "datalist.json").unlink()
    with pytest.raises(ValueError, match=r"sim_0000\.h5'.*--overwrite"):
        make(tmp_path, label_map, noise=0.02)
    make(tmp_path, label_map)


def test_images_that_are_missing_are_written(tmp_path, label_map):
    make(tmp_path, label_map)
    make(tmp_path, label_map, nifti=True)
    assert len(list((tmp_path / "nifti").rglob("*.nii.gz"))) == 12


@pytest.mark.parametrize("what", ["sim_0000.h5", "."])
def test_a_cohort_that_vanishes_meanwhile_is_an_error(tmp_path, label_map, monkeypatch, what):
    output = tmp_path / "out"
    write = cohort.write_simulated_subject

    def vanishing(folder, name, *rest, **options):
        write(folder, name, *rest, **options)
        if name == "sim_0001":
            shutil.rmtree(output) if what == "." else (output / what).unlink()

    with monkeypatch.context() as patch, pytest.raises(OSError, match=f"{output}.*same command again"):
        patch.setattr(cohort, "write_simulated_subject", vanishing)
        make(output, label_map)
    make(output, label_map)


def test_a_full_disk_names_the_file(tmp_path, label_map, full_disk):
    with full_disk("t2.nii.gz"), pytest.raises(OSError, match=r"sim_0000/t2\.nii\.gz': No space left") as raised:
        make(tmp_path, label_map, nifti=True)
    assert raised.value.errno == errno.ENOSPC
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["t1.nii.gz"]


def test_subjects_use_the_label_maps_of_a_folder_in_turn(tmp_path, label_map, caplog):
    folder = tmp_path / "maps"
    folder.mkdir()
    image = nib.load(label_map)
    (folder / "a.nii.gz").write_bytes(label_map.read_bytes())
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[:, :-4], image.affine), folder / "b.nii.gz")
    make(tmp_path / "out", folder)
    shapes = [read_header(tmp_path / "out" / name).shape for name in digests(tmp_path / "out")]
    assert shapes[0] == shapes[2] != shapes[1]
    assert "3 subjects share 2 label maps" in caplog.text
    make(tmp_path / "single", folder / "a.nii.gz")
    assert shapes[0] == read_header(tmp_path / "single" / "sim_0000.h5").shape


def test_options_that_need_a_label_map_are_errors_without_it(tmp_path):
    with pytest.raises(ValueError, match="--brain_only need --label_map"):
        simulate_cohort(output=tmp_path, subjects=1, brain_only=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty' holds no label map"):
        simulate_cohort(output=tmp_path, subjects=1, label_map=tmp_path / "empty")


def test_an_output_that_cannot_be_written_is_an_error_that_names_it(tmp_path, label_map):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write .*file'"):
        make(tmp_path / "file", label_map, subjects=1, split=(1, 0, 0))


def test_the_command_simulates_from_nilearns_maps_and_reports_errors(tmp_path, monkeypatch, capsys):
    command = ["simulate", "--output", str(tmp_path / "out")]

    def run(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["unicoal", *command, *arguments])
            main()

    run("--subjects", "2", "--split", "1,0,1", "--spacing", "6", "--lesions", "3")
    assert len(read_datalist(tmp_path / "out" / "datalist.json", "test")) == 1
    assert "simulating" in capsys.readouterr().err
    with pytest.raises(SystemExit) as misspelled:
        run("--subject", "2", "--overwrite")
    assert misspelled.value.code == 2
    said = capsys.readouterr().err
    assert "subject" in said and "simulating" not in said

    command += ["--subjects", "2", "--spacing", "6"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "unicoal_components", *command]
    refused = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ") and "--overwrite" in refused.stderr


@pytest.fixture(scope="module")
def head_map(label_map, tmp_path_factory):
    image = nib.load(label_map)
    labels = np.asarray(image.dataobj).copy()
    grid = np.indices(labels.shape) - np.reshape((15, 16, 14), (3, 1, 1, 1))
    labels[(labels == 0) & ((grid**2).sum(axis=0) < 13**2)] = 507
    path = tmp_path_factory.mktemp("heads") / "head.nii.gz"
    nib.save(nib.Nifti1Image(labels, image.affine), path)
    return path


@pytest.mark.parametrize(("brain_only", "stripped"), [(False, (0,)), (0.5, (3, 4, 5)), (True, (8,))])
def test_a_share_of_the_subjects_is_stripped(tmp_path, head_map, brain_only, stripped):
    make(tmp_path, head_map, subjects=8, spacing=8.0, brain_only=brain_only)
    zeros = [float((read_volume(path, "t1") == -1).mean()) for path in sorted(tmp_path.glob("*.h5"))]
    assert len(zeros) == 8
    assert sum(share > 0.4 for share in zeros) in stripped


@pytest.mark.parametrize("wrong", [{"brain_only": 1.5}, {"brain_only": "half"}, {"contrast_spread": -1}])
def test_a_share_outside_0_to_1_is_an_error_that_names_it(tmp_path, label_map, wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name} is {value!r}; .* from 0 to 1"):
        make(tmp_path, label_map, **wrong)
    assert not list(tmp_path.iterdir())


def test_a_subject_file_names_the_sequences(tmp_path, label_map):
    make(tmp_path, label_map, subjects=1, split=(1, 0, 0), contrast_spread=0.0)
    with h5py.File(tmp_path / "sim_0000.h5") as file:
        assert "mprage" in file["t1"].attrs["source"] and "3 T" in file["t1"].attrs["source"]
        assert "inversion_recovery" in file["flair"].attrs["source"]
