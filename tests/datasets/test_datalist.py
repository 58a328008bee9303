import json

import pytest

from unicoal_components.datasets.datalist import read_datalist, read_modalities, write_datalist


def entry(folder, subject):
    path = folder / f"{subject}.h5"
    path.touch()
    return {"subject": subject, "path": str(path)}


def written(folder, **sections):
    entries = {name: [entry(folder, subject) for subject in subjects] for name, subjects in sections.items()}
    write_datalist(folder / "datalist.json", sections=entries, modalities=["t1", "t2"])
    return folder / "datalist.json"


def test_sections_come_back_with_absolute_paths(tmp_path):
    path = written(tmp_path, training=["p02", "p01"], test=["p03"])
    assert read_datalist(path, "training") == [
        {"subject": "p02", "path": str(tmp_path / "p02.h5")},
        {"subject": "p01", "path": str(tmp_path / "p01.h5")},
    ]
    assert read_datalist(path, "test") == [{"subject": "p03", "path": str(tmp_path / "p03.h5")}]
    assert read_modalities(path) == ["t1", "t2"]


def test_a_repeat_is_kept_on_writing_and_reading_and_omitted_if_absent(tmp_path):
    entries = [entry(tmp_path, "p01") | {"repeat": 3}, entry(tmp_path, "p02")]
    write_datalist(tmp_path / "datalist.json", sections={"training": entries}, modalities=["t1"])
    assert read_datalist(tmp_path / "datalist.json", "training") == entries


@pytest.mark.parametrize("repeat", [0, -1, 1.5, "2", True, None])
def test_an_invalid_repeat_is_refused_on_writing_and_reading(tmp_path, repeat):
    sections = {"training": [entry(tmp_path, "p01") | {"repeat": repeat}]}
    with pytest.raises(ValueError, match="'training', subject 'p01' has repeat .*positive integer"):
        write_datalist(tmp_path / "datalist.json", sections=sections, modalities=["t1"])
    (tmp_path / "hand.json").write_text(json.dumps(sections))
    with pytest.raises(ValueError, match=rf"hand.json', section 'training', subject 'p01' has repeat {repeat!r}"):
        read_datalist(tmp_path / "hand.json", "training")


def test_a_section_may_be_empty_or_absent(tmp_path):
    path = written(tmp_path, training=["p01"], test=[])
    assert read_datalist(path, "validation") == []
    assert read_datalist(path, "test") == []


def test_the_file_holds_relative_paths_so_that_the_folder_can_be_moved(tmp_path):
    (tmp_path / "old").mkdir()
    written(tmp_path / "old", training=["p01"])
    moved = (tmp_path / "old").rename(tmp_path / "new") / "datalist.json"
    assert json.loads(moved.read_text())["training"] == [{"subject": "p01", "path": "p01.h5"}]
    assert read_datalist(moved, "training")[0]["path"] == str(tmp_path / "new" / "p01.h5")


def test_the_json_is_canonical(tmp_path):
    text = written(tmp_path, training=["p01"]).read_text()
    assert text == json.dumps(json.loads(text), indent=4) + "\n"


def test_a_subject_in_two_sections_is_refused_on_writing_and_reading(tmp_path):
    with pytest.raises(ValueError, match="'p01' in 'training' and again in 'test'"):
        written(tmp_path, training=["p01"], test=["p01"])
    path = tmp_path / "hand.json"
    path.write_text(json.dumps({"training": [entry(tmp_path, "p01")], "test": [entry(tmp_path, "p01")]}))
    with pytest.raises(ValueError, match=r"hand\.json.*'p01' in 'training' and again in 'test'"):
        read_datalist(path, "test")


def test_a_missing_subject_file_is_named(tmp_path):
    path = written(tmp_path, training=["p01"])
    (tmp_path / "p01.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"p01\.h5.*subject 'p01'"):
        read_datalist(path, "training")


def test_a_missing_datalist_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.json.*unicoal prepare"):
        read_datalist(tmp_path / "none.json", "training")


def test_an_unknown_section_is_named_with_the_existing_ones(tmp_path):
    with pytest.raises(ValueError, match=r"no section 'train'.*\['training', 'validation', 'test'\]"):
        read_datalist(written(tmp_path, training=["p01"]), "train")
    with pytest.raises(ValueError, match=r"unknown sections \['train'\]"):
        written(tmp_path, train=["p01"])


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"training": [{"subject": "p01"}]}', '{"training": ["p01.h5"]}', '{"schema": 9}']
)
def test_a_file_other_than_a_datalist_is_named(tmp_path, text):
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"odd\.json"):
        read_datalist(path, "training")


def test_a_datalist_without_modalities_is_refused(tmp_path):
    path = tmp_path / "odd.json"
    path.write_text('{"training": []}')
    with pytest.raises(ValueError, match=r"odd\.json.*modalities"):
        read_modalities(path)


def test_no_write_permission_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"cannot write .*file/datalist\.json"):
        write_datalist(tmp_path / "file" / "datalist.json", sections={}, modalities=["t1"])


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}]}, "'training' has the entry {'image': 'a.nii.gz'"),
        ({"training": [], "test": ["./a.nii.gz"]}, "'test' has the entry './a.nii.gz'"),
        ({"training": [{"subject": "a"}]}, "'training' has the entry {'subject': 'a'}"),
        ({"training": {"subject": "a", "path": "a.h5"}}, "'training' holds one dict"),
        ({"training": None}, "'training' holds one NoneType"),
        ([{"subject": "a", "path": "a.h5"}], "holds one list"),
    ],
)
def test_a_foreign_list_is_named_with_the_expected_format_and_its_script(tmp_path, content, what):
    path = tmp_path / "foreign.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError) as error:
        read_datalist(path, "training")
    assert what in str(error.value)
    for part in ("foreign.json", '{"subject": "name", "path": "file.h5"}', "unicoal prepare"):
        assert part in str(error.value)
