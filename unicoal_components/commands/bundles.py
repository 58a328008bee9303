"""Places of the bundles: in the installed package, beside the package in a checkout, or around a packed copy of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files.json_file import read_json

PACKAGE = Path(__file__).parents[1]
HOME = "unified"
"""Bundle for every task; a wheel holds its weights once, for all bundles."""

NAMES = (HOME, "sr", "cms", "cmsr")
WEIGHTS = Path("models") / "model.pt"
METADATA = Path("configs") / "metadata.json"


def bundles_folder() -> Path:
    """Return the folder of the bundles.

    Raises:
        FileNotFoundError: there is none.
    """
    for folder in (PACKAGE / "bundles", PACKAGE.parent / "bundles"):
        if (folder / HOME / METADATA).is_file():
            return folder
    raise FileNotFoundError(
        f"the bundles are neither in '{PACKAGE}' nor beside it. Install the package again (pip install), or give "
        "--bundle FOLDER."
    )


def bundle_folder(bundle: str) -> Path:
    """Return the folder of a bundle.

    Args:
        bundle: name of a bundle of this package, or path of a bundle. In a packed bundle, its own name is that bundle.

    Raises:
        ValueError: there is no such bundle; the message lists the known ones.
    """
    packed = PACKAGE.parents[1]
    if bundle == HOME and PACKAGE.parent.name == "scripts" and (packed / METADATA).is_file():
        return packed
    if bundle in NAMES:
        return bundles_folder() / bundle
    if (Path(bundle) / METADATA).is_file():
        return Path(bundle)
    raise ValueError(f"bundle '{bundle}' is unknown; give one of {', '.join(NAMES)}, or the folder of a bundle.")


def weights_path(folder: Path) -> Path:
    """Return the place of a bundle's weights; an installed package has one file for all its bundles."""
    own = folder / WEIGHTS
    is_installed = folder.parent == PACKAGE / "bundles"
    return folder.parent / HOME / WEIGHTS if is_installed and not own.is_file() else own


def weights_of(folder: Path, given: str | None = None) -> Path:
    """Return the given weights, or those of a bundle.

    Raises:
        FileNotFoundError: they are not there.
    """
    path = weights_path(folder) if given is None else Path(given)
    if not path.is_file():
        raise FileNotFoundError(
            f"there are no weights '{path}'. Give a file with --weights, or train them with 'unicoal train'."
        )
    return path


def configs_of(folder: Path, names: Sequence[str], overlays: Sequence[str]) -> list[Path]:
    """Return the configs of a bundle and files on top of the first.

    Raises:
        FileNotFoundError, ValueError: see `config_values`.
    """
    first, *others = (folder / "configs" / name for name in names)
    configs = [first, *map(Path, overlays), *others]
    config_values(configs)
    return configs


def config_values(configs: Sequence[Path]) -> dict[str, Any]:
    """Return the values at the top of configs, the last one that has a value counts; expressions stay as written.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is no JSON with names and values.
    """
    values: dict[str, Any] = {}
    for path in configs:
        if not path.is_file():
            raise FileNotFoundError(f"config '{path}' does not exist; give the path of a JSON file.")
        content = read_json(path)
        if not isinstance(content, dict):
            raise ValueError(f"config '{path}' is no JSON object; it needs names and values, as '{{\"seed\": 1}}'.")
        values |= content
    return values
