"""The package, its metadata, the bundles and the changelog name one version."""

import json
import re
import tomllib
from pathlib import Path

import unicoal_components

ROOT = Path(__file__).parents[1]


def test_the_package_the_bundles_and_the_changelog_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    metadata = [json.loads(path.read_text(encoding="utf-8")) for path in ROOT.glob("bundles/*/configs/metadata.json")]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    latest = re.search(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", changelog, flags=re.MULTILINE)
    assert len(metadata) == 4
    assert {unicoal_components.__version__} == {
        project,
        latest[1],
        *(bundle["unicoal_components_version"] for bundle in metadata),
    }


def test_a_bundle_describes_its_version():
    for path in ROOT.glob("bundles/*/configs/metadata.json"):
        metadata = json.loads(path.read_text(encoding="utf-8"))
        assert metadata["version"] == list(metadata["changelog"])[-1], path
