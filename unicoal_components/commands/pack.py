"""`unicoal bundle pack`: a zip of a bundle, which runs without an installation of this package.

A zip holds the bundle's sources and weights, and this package as `scripts/unicoal_components`. The same files give the
same bytes: nothing of the time, the computer or the user goes in, and nothing is compressed, as compressors differ.
"""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

from .._version import __version__
from ..command_line import Words
from ..files.atomic import atomic_path
from ..files.checksum import record_path
from .bundles import NAMES, PACKAGE, bundles_folder, weights_path

logger = logging.getLogger(__name__)

SOURCES = ("LICENSE", "configs/*.json", "configs/logging.conf", "docs/[!.]*", "scripts/__init__.py")
MODULES = ("*.py", "*.j2", "*.css", "*.js", "*.txt")
"""Files of the package to pack: code, and the templates of HTML pages."""

METADATA = "configs/metadata.json"
WEIGHTS = "models/model.pt"


def pack(
    *,
    bundles: Words = NAMES,
    output: str = "dist",
    folder: str | None = None,
    without_weights: bool = False,
    largest_weights: float = 25.0,
) -> None:
    """Pack bundles for sharing: a zip each, which runs where this package is not installed.

    Write `DIST/unicoal_unified_v<version>.zip`; of several, nothing is written if one cannot be packed:

        unicoal bundle pack --bundles unified --output DIST

    Args:
        bundles: names such as unified,sr.
        output: folder for the zips.
        folder: where the bundles are, by default those of this package.
        without_weights: leave models/model.pt out.
        largest_weights: limit of models/model.pt in MB; the default is the model zoo's.
    """
    names = [bundles] if isinstance(bundles, str) else bundles
    place = bundles_folder() if folder is None else Path(folder)
    limit = None if without_weights else largest_weights
    for title, files in [packed_files(place, name, limit) for name in names]:
        path = Path(output) / f"{title}.zip"
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
        files[WEIGHTS] = read_weights(weights_path(bundle), largest_weights)
        record = record_path(bundle / WEIGHTS)
        if record.is_file():  # the training subjects of the weights, for evaluations
            files[record.relative_to(bundle).as_posix()] = record.read_bytes()
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
    if package != __version__:
        raise ValueError(
            f"unicoal_components_version in '{path}' is {package!r}, but the package in '{PACKAGE}' is "
            f"{__version__}. Try the bundle with that package, then set the value in unified's "
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


def _modules() -> list[Path]:
    """Return the files of the package, without the bundles in an installed one."""
    found = [path for pattern in MODULES for path in PACKAGE.rglob(pattern)]
    return [path for path in found if not path.is_relative_to(PACKAGE / "bundles")]
