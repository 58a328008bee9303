"""BIDS data sets: scans in, a derivative data set out (https://bids-specification.readthedocs.io, Derivatives)."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._version import __version__
from ..files.atomic import atomic_path
from ..scans.image_paths import stem_of
from .sources import Source, Sources

DESCRIPTION = "dataset_description.json"
SUFFIXES = {"t1": "T1w", "t2": "T2w", "pd": "PDw", "flair": "FLAIR"}
"""BIDS suffix of each modality."""

BIDS_VERSION = "1.10.0"
SCRATCH = "unsorted"


def is_bids(path: str | os.PathLike) -> bool:
    """Return whether a path is the top folder of a BIDS data set."""
    return (Path(path) / DESCRIPTION).is_file()


def bids_sources(dataset: Path, known: Sequence[str]) -> Sources:
    """Return the anatomical scans of a BIDS data set, one for each modality of a session.

    Args:
        dataset: top folder.
        known: modalities of the network.

    Raises:
        ValueError: there is no such scan.
    """
    from ..preparation.layouts import find_layout

    subjects = find_layout(dataset, layout="bids")
    pairs = [(str(path), name) for subject in subjects for name, path in subject.files.items() if name in known]
    return Sources(scans=[Source(path, name) for path, name in pairs])


def derivative_path(scan: Path, *, dataset: Path, output: Path, source: str, target: str) -> Path:
    """Return the place of a result without its suffix.

    Example:
        >>> path = Path("ds/sub-1/anat/sub-1_run-2_T1w.nii.gz")
        >>> derivative_path(path, dataset=Path("ds"), output=Path("out"), source="t1", target="t2").as_posix()
        'out/sub-1/anat/sub-1_run-2_desc-fromT1w_T2w'
    """
    entities = [word for word in stem_of(scan).split("_")[:-1] if not word.startswith("desc-")]
    description = "desc-thin" if source == target else f"desc-from{SUFFIXES.get(source, source)}"
    name = "_".join([*entities, description, SUFFIXES.get(target, target)])
    return output / scan.relative_to(dataset).parent / name


def place_results(scans: Sequence[Source], target: str, *, dataset: Path, output: Path) -> list[Path]:
    """Move the results of a run from the scratch folder to their places in the derivative data set.

    Args:
        scans: scans of the run.
        target: modality that was synthesized.
        dataset: top folder of the data set.
        output: top folder of the derivatives, with the results in `SCRATCH`.

    Returns:
        The images in their places, without those of scans that failed.
    """
    placed = []
    for scan in scans:
        made = output / SCRATCH / f"{stem_of(scan.path)}_{target}"
        record = made.with_name(f"{made.name}.json")
        if not record.is_file():
            continue
        path = Path(scan.path)
        place = derivative_path(path, dataset=dataset, output=output, source=scan.modality, target=target)
        place.parent.mkdir(parents=True, exist_ok=True)
        content: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        for role, name in content["outputs"].items():
            end = name.removeprefix(made.name)  # _std, _error, .nii.gz
            entity = end.removesuffix(".nii.gz").removeprefix("_")
            *rest, suffix = place.name.split("_")
            renamed = "_".join([*rest, *([f"stat-{entity}"] if entity else []), suffix]) + ".nii.gz"
            os.replace(made.with_name(name), place.with_name(renamed))
            content["outputs"][role] = renamed
        content["Sources"] = [f"bids:raw:{path.relative_to(dataset).as_posix()}"]
        with atomic_path(place.with_name(f"{place.name}.json")) as partial:
            partial.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")
        record.unlink()
        placed.append(place.with_name(f"{place.name}.nii.gz"))
    return placed


def write_description(dataset: Path, output: Path, command: str) -> None:
    """Write `dataset_description.json` of the derivatives.

    Args:
        dataset: top folder of the data set.
        output: top folder of the derivatives.
        command: what was run.
    """
    try:
        name = json.loads((dataset / DESCRIPTION).read_text(encoding="utf-8")).get("Name", dataset.resolve().name)
    except (ValueError, AttributeError):
        name = dataset.resolve().name
    raw = os.path.relpath(dataset, output)
    content = {
        "Name": f"Synthesized scans of {name}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "unicoal", "Version": __version__, "Description": command}],
        "SourceDatasets": [{"URL": raw}],
        "DatasetLinks": {"raw": raw},
    }
    with atomic_path(output / DESCRIPTION) as partial:
        partial.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")
