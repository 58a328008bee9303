"""What the app does without the MONAI Deploy App SDK: read its options, choose a series, run the bundle."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from unicoal_components.commands.bundle_run import BundleRun, Expression
from unicoal_components.commands.bundles import config_values, weights_path
from unicoal_components.commands.sources import Source, find_source
from unicoal_components.inference.task import modality_index
from unicoal_components.keys import Keys
from unicoal_components.scans.dicom.series import split_uid
from unicoal_components.scans.image_paths import check_images, list_images

CONFIG = Path("configs") / "inference.json"
SECTION = "synthesis"
"""Section of `app.yaml` with values of the bundle's `inference.json`."""

OF_THE_APP = ("input", "output_dir", "bundle_root")
"""Values that come from the command line or the platform instead."""


def read_values(config: str | os.PathLike, settings: Sequence[str] = ()) -> dict[str, Any]:
    """Return the values of the bundle that the app sets.

    Args:
        config: YAML file with a section `synthesis`.
        settings: further values, `NAME=VALUE` with the value in YAML; they override the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: file or setting has another form, or sets a value that is not for it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     config = Path(folder, "app.yaml")
        ...     _ = config.write_text("synthesis: {target_modality: t1, factor: 2}")
        ...     read_values(config, ["factor=4", "error_map=true"])
        {'target_modality': 't1', 'factor': 4, 'error_map': True}
    """
    path = Path(config)
    if not path.is_file():
        raise FileNotFoundError(f"config '{path}' does not exist; give the path of a YAML file.")
    content = _yaml(path.read_text(encoding="utf-8"), f"config '{path}'")
    section = content.get(SECTION) if isinstance(content, dict) else None
    if not isinstance(section, dict):
        raise ValueError(f"config '{path}' has no section '{SECTION}' with names and values; see app.yaml.")
    values = dict(section)
    for setting in settings:
        name, separator, word = setting.partition("=")
        if not (name and separator):
            raise ValueError(f"--set is '{setting}'; it must be a name and a value, such as target_modality=t2.")
        values[name] = _yaml(word, f"--set {name}")
    taken = [name for name in OF_THE_APP if name in values]
    if taken:
        raise ValueError(f"'{taken[0]}' cannot be set as a value; use --input, --output and --model.")
    return values


def find_bundle(place: str | os.PathLike) -> Path:
    """Return the folder of the bundle: the given one, or the only one in it.

    Raises:
        FileNotFoundError: there is no bundle, or it has no `inference.json`.
        ValueError: there are several.
    """
    folder = Path(place)
    found = [folder] if (folder / CONFIG).is_file() else sorted(path.parents[1] for path in folder.glob(f"*/{CONFIG}"))
    if not found:
        raise FileNotFoundError(f"'{folder}' holds no bundle with {CONFIG}. Give its folder with --model.")
    if len(found) > 1:
        raise ValueError(
            f"'{folder}' holds the bundles {', '.join(path.name for path in found)}. Give one with --model."
        )
    return found[0]


def choose_source(study: str | os.PathLike, *, modality: str | None, known: Sequence[str]) -> Source:
    """Return the series of a study to synthesize from, by the rules of `find_source`.

    Args:
        study: folder of a DICOM study, or `folder::SeriesInstanceUID`.
        modality: modality of the series; `None` = that of its header.
        known: modalities of the network.

    Raises:
        OSError: there is no such folder, or no DICOM image in it, or a file is damaged.
        ValueError: there are several studies, no or several usable series, or the modality is unknown.
    """
    if modality is not None:
        modality_index(modality, known, "source_modality")
    return find_source(_only_study(study), modality=modality, known=known, option="source_modality")


def known_modalities(bundle: Path, values: Mapping[str, Any]) -> list[str]:
    """Return the modalities of the network."""
    return list((config_values([bundle / CONFIG]) | dict(values))["modalities"])


def run_bundle(bundle: Path, source: Source, output: str | os.PathLike, values: Mapping[str, Any]) -> None:
    """Synthesize a series as `python -m monai.bundle run` does: by the bundle's transforms, network and writer.

    Args:
        bundle: folder of the bundle.
        source: the series.
        output: folder for the derived series and its record.
        values: values of the bundle's `inference.json`, read as in that file; without a target it is the modality of
            the series.

    Raises:
        ValueError: a value is invalid, or the series cannot be used.
        OSError: the weights are missing, or the output cannot be written.
    """
    given = {name: Expression(value) if isinstance(value, str) else value for name, value in values.items()}
    defaults = {"ckpt_path": weights_path(bundle), "output_format": "dicom"}
    own = {"bundle_root": bundle, "input": source.path, "output_dir": output, "source_modality": source.modality}
    target = given.get("target_modality") or source.modality
    BundleRun([bundle / CONFIG], {**defaults, **given, **own, "target_modality": target}).run()


def _yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{where} is no YAML: {' '.join(str(error).split())}. Correct it.") from error


def _only_study(study: str | os.PathLike) -> str:
    """Return the folder of the only study in a folder."""
    check_images(os.fspath(study))
    paths = [item[Keys.IMAGE] for item in list_images(os.fspath(study))]
    files = [path for path in paths if not split_uid(path)[0].is_dir()]
    if files:
        raise ValueError(f"'{files[0]}' is not DICOM. Give the folder of a DICOM study.")
    if len(paths) > 1:
        raise ValueError(f"'{study}' holds {len(paths)} studies: {', '.join(paths)}. Give one of them.")
    return paths[0]
