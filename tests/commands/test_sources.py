"""The modality of a scan, by its name, its JSON or its DICOM header."""

import json

import pytest

from unicoal_components.commands.sources import Source, find_sources, named

KNOWN = ["t1", "t2", "pd", "flair"]


def find(*paths, modality=None):
    return find_sources([str(path) for path in paths], modality=modality, known=KNOWN)


def modalities(found):
    return [scan.modality for scan in found.scans]


def test_a_name_or_the_json_beside_it_tells(tmp_path):
    for name in ("p1_T1w", "p2-flair", "p3", "p4"):
        (tmp_path / f"{name}.nii.gz").touch()
    (tmp_path / "p3.json").write_text(json.dumps({"SeriesDescription": "t2_tse_ax"}))
    found = find(tmp_path)
    assert modalities(found) == ["t1", "flair", "t2"]
    (path,) = found.failures
    assert path.endswith("p4.nii.gz") and "--from" in found.failures[path]
    assert modalities(find(tmp_path, modality="pd")) == ["pd"] * 4


def test_a_modality_that_the_network_does_not_know_is_asked_for(tmp_path):
    path = tmp_path / "p1_t1ce.nii.gz"
    path.touch()
    assert "t1c" in find(path).failures[str(path)]


def test_dicom_headers_tell_and_several_series_are_asked_for(dicom_series, tmp_path):
    study = tmp_path / "study"

    def add(uid, description, **tags):
        tags = {"SeriesDescription": description, "SeriesInstanceUID": uid, **tags}
        dicom_series(3, folder=study, tags=tags, prefix=uid.replace(".", ""))

    add("1.2.1", "T2 TSE")
    add("1.2.2", "T2 map")
    add("1.2.3", "T1 of an earlier run", SyntheticData="YES")
    for modality in (None, "t2"):
        assert find(study, modality=modality).scans == [Source(f"{study}::1.2.1", "t2")]
    add("1.2.4", "T1")
    (reason,) = find(study).failures.values()
    assert "--from t2" in reason and "1.2.4" in reason and "1.2.3" not in reason
    assert find(study, modality="t1").scans == [Source(f"{study}::1.2.4", "t1")]
    for uid in ("1.2.4", "1.2.3"):
        assert find(f"{study}::{uid}").scans == [Source(f"{study}::{uid}", "t1")]


def test_names_of_modalities_may_be_in_upper_case_and_must_be_known():
    assert list(named(["T1", "flair"], KNOWN, "--to")) == ["t1", "flair"]
    with pytest.raises(ValueError, match="--to is 't3'.*t1, t2, pd, flair"):
        list(named("t3", KNOWN, "--to"))
