"""Pack bundles for sharing: a zip each, which runs without an installation of `unicoal_components`.

    python tools/pack_bundle.py                                  # all four, to dist
    python tools/pack_bundle.py --bundles unified --output DIR   # DIR/unicoal_unified_v<version>.zip

A zip holds the bundle's sources and weights, the package as `scripts/unicoal_components`, and the commands that make
data for it. The same files give the same bytes: nothing of the time, the computer or the user goes in, and nothing is
compressed, as compressors differ.
"""

import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import unicoal_components
from unicoal_components.command_line import run_command
from unicoal_components.files.atomic import atomic_path
from unicoal_components.files.checksum import record_path

logger = logging.getLogger("pack_bundle")

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = Path(unicoal_components.__file__).parent
BUNDLES = ("cms", "sr", "cmsr", "unified")
SOURCES = ("LICENSE", "configs/*.json", "configs/logging.conf", "docs/[!.]*", "scripts/__init__.py")
MODULES = ("*.py", "*.j2", "*.css", "*.js", "*.txt")
"""Files of the package to pack: code, and the templates of HTML pages."""

COMMANDS = ("prepare_data.py", "simulate_cohort.py")
METADATA = "configs/metadata.json"
WEIGHTS = "models/model.pt"


def pack_bundle(
    *,
    bundles: str | Sequence[str] = BUNDLES,
    output: str = "dist",
    folder: str | None = None,
    without_weights: bool = False,
    largest_weights: float = 25.0,
) -> None:
    """Write the zips, or none if one bundle cannot be packed; say their size and SHA-256.

    Args:
        bundles: names such as unified,sr.
        output: folder for the zips.
        folder: where the bundles are, by default this repository's folder bundles.
        without_weights: leave models/model.pt out.
        largest_weights: limit of models/model.pt in MB; the default is the model zoo's.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    names = bundles.split(",") if isinstance(bundles, str) else bundles
    place = REPOSITORY / "bundles" if folder is None else Path(str(folder))
    limit = None if without_weights else largest_weights
    for title, files in [packed_files(place, str(name).strip(), limit) for name in names]:
        path = Path(str(output)) / f"{title}.zip"
        with atomic_path(path) as partial:
            write_zip(partial, files)
        content = path.read_bytes()
        logger.info("wrote %s, %.2f MB, SHA-256 %s", path, len(content) / 1e6, hashlib.sha256(content).hexdigest())


def packed_files(bundles: Path, name: str, largest_weights: float | None) -> tuple[str, dict[str, bytes]]:
    """Return the content of a bundle's zip.

    Args:
        bundles: folder of the bundles.
        name: folder of the one that is meant, in there.
        largest_weights: in MB; `None` = the weights stay out.

    Returns:
        `unicoal_<name>_v<version>`, and the content of every file by its path in the zip.

    Raises:
        FileNotFoundError: it is no bundle, or lacks a file.
        ValueError: its metadata cannot be right, or its weights are too large.
    """
    known = sorted(path.parents[1].name for path in bundles.glob(f"*/{METADATA}"))
    if name not in known:
        raise FileNotFoundError(
            f"'{name}' is no bundle in '{bundles}' with a {METADATA}; there are: {', '.join(known) or 'none'}."
        )
    bundle = bundles / name
    version = checked_version(bundle / METADATA)
    paths = [path.relative_to(bundle) for pattern in SOURCES for path in _matching(bundle, pattern)]
    files = {path.as_posix(): (bundle / path).read_bytes() for path in paths}
    if largest_weights is not None:
        files[WEIGHTS] = read_weights(bundle / WEIGHTS, largest_weights)
        record = record_path(bundle / WEIGHTS)
        if record.is_file():  # the training subjects of the weights, for evaluations
            files[record.relative_to(bundle).as_posix()] = record.read_bytes()
    files |= {f"scripts/{name}": _packed_command(REPOSITORY / "scripts" / name) for name in COMMANDS}
    files |= {f"scripts/{path.relative_to(PACKAGE.parent).as_posix()}": path.read_bytes() for path in _modules()}
    top = f"unicoal_{name}"
    return f"{top}_v{version}", {f"{top}/{path}": content for path, content in files.items()}


def checked_version(path: Path) -> str:
    """Return a bundle's version; raise ValueError if its metadata do not describe this bundle with this package."""
    try:
        metadata: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"'{path}' is no JSON: {error}. Correct it.") from error
    version, package = metadata.get("version"), metadata.get("unicoal_components_version")
    if not re.fullmatch(r"\d+\.\d+\.\d+", str(version)):
        raise ValueError(f"version in '{path}' is {version!r}; it must be three numbers, such as 0.1.0.")
    if version not in metadata.get("changelog", {}):
        raise ValueError(f"changelog in '{path}' has no entry for version {version}; say there what is new in it.")
    if package != unicoal_components.__version__:
        raise ValueError(
            f"unicoal_components_version in '{path}' is {package!r}, but the package in '{PACKAGE}' is "
            f"{unicoal_components.__version__}. Try the bundle with that package, then set the value in unified's "
            "metadata and run: python tools/sync_bundles.py"
        )
    return str(version)


def read_weights(path: Path, largest: float) -> bytes:
    """Return the file's bytes; raise FileNotFoundError without it, ValueError if it has more than `largest` MB."""
    if not path.is_file():
        raise FileNotFoundError(
            f"the weights '{path}' are not there. Train the bundle (docs/README.md), or give --without_weights, or "
            "choose other --bundles."
        )
    size = path.stat().st_size / 1e6
    if size > largest:
        raise ValueError(
            f"the weights '{path}' have {size:.1f} MB; more than {largest:g} MB are not packed, as the model zoo takes "
            f"no larger files. Give --without_weights, or --largest_weights {size + 0.1:.1f} to share them elsewhere."
        )
    return path.read_bytes()


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Write the files in the order of their names, stored, each of 1980-01-01 and readable by all."""
    with ZipFile(path, "w") as archive:
        for name in sorted(files):
            entry = ZipInfo(name)
            entry.create_system = 3  # Unix, on every system
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name])


def _matching(bundle: Path, pattern: str) -> list[Path]:
    found = [path for path in bundle.glob(pattern) if path.is_file()]
    if not found:
        raise FileNotFoundError(f"the bundle '{bundle}' lacks {pattern}; restore it, for example with git.")
    return found


def _packed_command(path: Path) -> bytes:
    """Return a command that imports the package next to it: `python -m scripts.<name>` in the bundle's folder."""
    text = path.read_text(encoding="utf-8")
    return text.replace("from unicoal_components.", "from .unicoal_components.").encode("utf-8")


def _modules() -> list[Path]:
    return [path for pattern in MODULES for path in PACKAGE.rglob(pattern)]


if __name__ == "__main__":
    run_command(pack_bundle)
