"""Every command in the documentation can be run as written."""

import importlib.util
import re
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("readme_commands", Path(__file__).with_name("readme_commands.py"))
readme_commands = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(readme_commands)
ROOT, DOCUMENTS, problem = readme_commands.ROOT, readme_commands.DOCUMENTS, readme_commands.problem
RUN = "python -m monai.bundle run --config_file"
TRAIN = "bundles/unified/configs/train.json"


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_command_of_a_document_can_be_run_as_written(document):
    problems = {command: problem(command) for command in readme_commands.commands_of(document) if problem(command)}
    assert problems == {}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_link_of_a_document_leads_to_a_file(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"https?://|#", link)]
    assert [link for link in links if not (ROOT / document).parent.joinpath(link.partition("#")[0]).exists()] == []


def test_every_page_is_in_the_index_and_every_bundle_in_the_readme():
    index, readme = ((ROOT / path).read_text(encoding="utf-8") for path in ("docs/README.md", "README.md"))
    pages = {path.name for path in DOCUMENTS if path.parent == Path("docs")} - {"README.md"}
    assert pages == set(re.findall(r"^\| \[(\w+\.md)\]", index, flags=re.MULTILINE))
    assert all(f"(docs/{page})" in readme for page in pages)
    assert all(f"({path.as_posix()})" in readme for path in DOCUMENTS if path.parts[0] == "bundles")


def test_the_readmes_are_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150
    for path in ROOT.glob("bundles/*/docs/README.md"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 120, path


def test_the_documents_are_found_and_have_their_commands():
    found = {str(path): readme_commands.commands_of(path) for path in DOCUMENTS}
    assert len(found) >= 17
    assert "bash scripts/demo.sh    # thick T1 in, thin T1 and T2 with error maps out" in str(found["README.md"])
    assert "pip install pre-commit && pre-commit install" in found["CONTRIBUTING.md"]
    for task in ("cms", "sr", "cmsr", "unified"):
        own = [command for command in found[f"bundles/{task}/docs/README.md"] if "monai.bundle run" in command]
        assert len(own) >= 6, task


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (f"{RUN} {TRAIN} --dataset_dirr DATA", "dataset_dirr is unknown"),
        (f"{RUN} {TRAIN} --optimiser#lr 1", "optimiser#lr is unknown"),
        (f"{RUN} {TRAIN} --dataset_dir", "an option without a value"),
        (f"{RUN} {TRAIN} --resume --dataset_dir DATA", "an option without a value"),
        (f"{RUN} {TRAIN} --max_epochs '$@max_epoch + 1'", "max_epochs cannot be evaluated"),
        (f"{RUN} {TRAIN} --modalities '$[1'", "cannot be evaluated"),
        (f"{RUN} bundles/unified/configs/trainn.json", "trainn.json is not there"),
        (f"{RUN} \"['{TRAIN}','bundles/unified/configs/eval.json']\"", "eval.json is not there"),
        (f"{RUN} bundles/unified/configs/evaluate.json", "is no complete config"),
        (f"{RUN} {TRAIN} --run_name x", "run_name is unknown"),
        ("python -m monai.bundle run --dataset_dir DATA", "without --config_file"),
        ("python -m monai.bundle export --config_file x", "no command export"),
        (f"python -m monai.bundle ckpt_export --net_idd network_def --config_file {TRAIN}", "net_idd is unknown"),
        ("python -m monai.bundle verify_metadata --meta_file bundles/sr/configs/meta.json", "meta.json is not there"),
        (f"torchrun --nproc=2 -m monai.bundle run --config_file {TRAIN}", "unknown option --nproc"),
        ("python scripts/make_thik.py --input X", "make_thik.py is not there"),
        ("python scripts/make_thick.py --inputs X", "instead of --inputs"),
        ("python scripts/make_thick.py --input X --factor 4", "--output"),
        ("bash scripts/tests.sh", "tests.sh is not there"),
        ("bash scripts/demo.sh --quickly", "does not know --quickly"),
        ("pip install -e .[tracker]", "tracker"),
        ("pip install pre-commit && pre-commit instal", "unknown subcommand"),
        ("python -m pytest test/<package>", "test/ is not there"),
        ("wget example.org", "unknown command: teach the test"),
    ],
)
def test_a_wrong_command_is_found(command, words):
    assert words in str(problem(command))


@pytest.mark.parametrize(
    "command",
    [
        f"{RUN} {TRAIN} --tracking mlflow --run_name x --train#trainer#amp true",
        f"PYTHONPATH=bundles/sr {RUN} {TRAIN} --dataset_dir=DATA # and so on",
        f"python -m monai.bundle ckpt_export network_def --filepath OUT --config_file {TRAIN}",
        "python -m monai.bundle verify_metadata --meta_file bundles/sr/configs/metadata.json --filepath OUT",
        "bash scripts/demo.sh --quick && git lfs",
        "pip install -e '.[tracking]'",
    ],
)
def test_a_right_command_passes(command):
    assert problem(command) is None


def test_commands_are_found_in_blocks_fences_and_words_but_not_in_python():
    text = (
        "Some `words here`, `bash a\nb`:\n\n    first \\\n        second\n    # no\n\nlist\n    not this\n\n"
        "```bash\nthird\n```\n\n```python\nno = 1\n```\n\n```text\nno/folder\n```\n"
    )
    assert readme_commands.commands(text) == ["first second", "third", "bash a b"]
    assert readme_commands.python_blocks(text) == ["no = 1\n"]
