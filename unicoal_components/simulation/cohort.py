"""Cohort of simulated subjects: subject files, a datalist and optional NIfTI files."""

from __future__ import annotations

import gzip
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from tqdm.auto import tqdm

from ..datasets.datalist import SECTIONS, datalist_text, write_datalist
from ..datasets.hdf5 import read_history, write_subject
from ..files.atomic import atomic_path
from ..files.claim import claimed
from ..files.writable import check_replaceable
from ..interruption import advise
from ..preparation.cohort import DATALIST_NAME
from ..preparation.split import split_subjects
from ..preparation.subject import scale_intensity
from ..scans.checksums import sha256_of
from ..scans.scan import Scan
from .label_map import load_label_map, read_label_classes
from .pulse_sequences import MODALITIES
from .subject import SimulatedSubject, check_options, check_shares, simulate_subject
from .tissue_maps import TissueMaps, load_mni152

logger = logging.getLogger(__name__)

RECIPE_VERSION = 1
"""Increase it when the same options and label maps give other volumes than before."""

GOLDEN_RATIO = (5**0.5 - 1) / 2
LABEL_MAP_SUFFIXES = (".nii", ".nii.gz", ".mha", ".nrrd")


def simulate_cohort(
    *,
    output: str | os.PathLike,
    subjects: int,
    split: Sequence[float] = (0.7, 0.1, 0.2),
    spacing: float = 1.0,
    seed: int = 0,
    lesions: int = 0,
    noise: float = 0.01,
    label_map: str | os.PathLike | None = None,
    label_classes: str | os.PathLike | None = None,
    brain_only: float = False,
    contrast_spread: float = 1.0,
    nifti: bool = False,
    overwrite: bool = False,
) -> Path:
    """Simulate subjects with t1, t2, pd and flair on one grid each; write `sim_0000.h5`, ... and `datalist.json`.

    Subject i depends on (seed, i) and the other options, not on the number of subjects: the same seed gives the same
    bytes. Intensities are scaled like those of real scans (`subject.scale_intensity`). Subjects that an earlier call
    finished with the same options are kept, so that the same call continues a simulation that was stopped.

    Args:
        output: folder for the results, created if it does not exist.
        subjects: number of subjects, at least 1.
        split: fractions of training, validation and test, or three numbers of subjects that sum to `subjects`.
        spacing: edge of the cubic voxels in mm.
        seed: seed of all random values, at least 0.
        lesions: largest number of white matter lesions per subject.
        noise: standard deviation of the Rician noise relative to the 99th percentile.
        label_map: a label map, or a folder of them (subject i has the shape of file i modulo their number);
            `None` deforms the MNI152 average brain in nilearn.
        label_classes: JSON table label → tissue; `None` uses the labels of FreeSurfer and SynthSeg.
        brain_only: fraction of subjects whose label map is reduced to the brain, 0 to 1 (`True`). Their background is
            exactly 0; the background of whole heads is noise.
        contrast_spread: variation of pulse sequences and field strengths, from 0 (each modality's standard) to 1.
        nifti: also write `nifti/<subject>/<modality>.nii.gz`, unscaled.
        overwrite: simulate all subjects again, and replace another cohort in `output`.

    Returns:
        The path of the datalist.

    Raises:
        ValueError: an option is out of its range, a label map is unusable, or `output` holds another cohort.
        OSError: a file cannot be read or written, or `output` is in use or vanishes meanwhile.
    """
    names = _names(subjects)
    check_options(seed=seed, spacing=spacing, lesions=lesions, noise=noise)
    check_shares(brain_only=brain_only, contrast_spread=contrast_spread)
    sections = split_subjects(names, fractions=_fractions(split, subjects), seed=seed)
    sources = _anatomies(label_map, label_classes, brain_only, subjects)
    if 1 < len(sources) < subjects:
        logger.warning(
            "%d subjects share %d label maps: the same cortical folds occur in several sections", subjects, len(sources)
        )
    settings = {"spacing": float(spacing), "lesions": lesions, "noise": float(noise)}
    settings |= {"contrast_spread": float(contrast_spread), "seed": seed}
    recipes = {
        name: {
            "version": RECIPE_VERSION,
            "index": index,
            "anatomy": sources[index % len(sources)].identity,
            "stripped": _in_share(seed + index, brain_only),
            **settings,
        }
        for index, name in enumerate(names)
    }
    output = Path(output).absolute()
    datalist = output / DATALIST_NAME
    entries: dict[str, list[dict[str, str]]] = {section: [] for section in SECTIONS}
    for name in names:
        entries[sections[name]].append({"subject": name, "path": f"{name}.h5"})
    with claimed(output, "nifti/*") as claim:
        if not overwrite:
            listed = datalist_text(datalist, sections=entries, modalities=MODALITIES)
            remedy = "Choose another folder, or add --overwrite."
            check_replaceable([datalist], lambda path: path.read_text(encoding="utf-8") == listed, remedy=remedy)
            files = {output / f"{name}.h5": recipe for name, recipe in recipes.items()}
            check_replaceable(files, lambda path: _recipe_of(path) == files[path], remedy=remedy)
        for index, name in enumerate(tqdm(names, desc="simulating", unit="subject")):
            advise(f"{index} of {subjects} subjects are done in '{output}'; the same command continues.")
            if not overwrite and _is_finished(output, name, recipes[name], nifti=nifti):
                continue
            maps = sources[index % len(sources)].load(recipes[name]["stripped"])
            subject = simulate_subject(
                maps,
                seed=seed,
                index=index,
                spacing=spacing,
                lesions=lesions,
                noise=noise,
                contrast_spread=contrast_spread,
            )
            source = f"{maps.source}, seed {seed}, person {index}"
            write_simulated_subject(output, name, subject, source=source, nifti=nifti, recipe=recipes[name])
            claim.check()
        write_datalist(datalist, sections=entries, modalities=list(MODALITIES))
        claim.check([DATALIST_NAME, *(f"{name}.h5" for name in names)])
    return datalist


def _recipe_of(path: Path) -> Mapping[str, Any] | None:
    return (read_history(path) or {}).get("recipe")


def _is_finished(output: Path, name: str, recipe: Mapping[str, Any], *, nifti: bool) -> bool:
    """Return whether an earlier call has written all files of a subject."""
    images = [_nifti_path(output, name, modality) for modality in MODALITIES] if nifti else []
    return _recipe_of(output / f"{name}.h5") == recipe and all(path.is_file() for path in images)


def _nifti_path(output: Path, name: str, modality: str) -> Path:
    return output / "nifti" / name / f"{modality}.nii.gz"


def write_simulated_subject(
    output: Path,
    name: str,
    subject: SimulatedSubject,
    *,
    source: str,
    nifti: bool = False,
    recipe: Mapping[str, Any] | None = None,
) -> None:
    """Write the subject file of a simulated subject and, if `nifti`, the unscaled volumes as int16 NIfTI files.

    Args:
        output: folder of the cohort.
        name: name of the subject.
        subject: the simulated scans.
        source: origin of the anatomy, recorded in the subject file.
        nifti: also write `nifti/<name>/<modality>.nii.gz`, before the subject file.
        recipe: all that determines the subject, recorded in the subject file.

    Raises:
        OSError: a file cannot be written.
    """
    if nifti:
        for modality, volume in subject.volumes.items():
            stored = np.rint(volume).astype(np.int16).transpose(2, 1, 0)
            image = nib.Nifti1Image(stored, subject.affine)  # type: ignore[attr-defined]
            image.header.set_xyzt_units("mm")
            with atomic_path(_nifti_path(output, name, modality)) as path:
                path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=3, mtime=0))
    scaled = {
        modality: scale_intensity(Scan(Path(f"{name}/{modality}"), volume, subject.affine))
        for modality, volume in subject.volumes.items()
    }
    write_subject(
        output / f"{name}.h5",
        volumes={modality: volume for modality, (volume, _) in scaled.items()},
        affine=subject.affine,
        intensity={modality: limits for modality, (_, limits) in scaled.items()},
        sources={name: f"simulated from {source}: {subject.sequences[name]} at {subject.field:g} T" for name in scaled},
        history=None if recipe is None else json.dumps({"recipe": recipe}),
        thin_axes=dict.fromkeys(scaled, (0, 1, 2)),
    )


def _names(subjects: int) -> list[str]:
    if not isinstance(subjects, int) or isinstance(subjects, bool) or subjects < 1:
        raise ValueError(f"subjects is {subjects!r}; it must be a number of subjects, at least 1.")
    return [f"sim_{index:04d}" for index in range(subjects)]


def _in_share(index: int, share: float) -> bool:
    """Return whether a subject belongs to a share of all; any run of subjects has about this share, without period."""
    return (index * GOLDEN_RATIO) % 1.0 < share


def _fractions(split: Sequence[float], subjects: int) -> tuple[float, ...]:
    """Return fractions that sum to 1; a sum of `subjects` means numbers of subjects."""
    try:
        shares = tuple(float(share) for share in split)
    except (TypeError, ValueError):
        shares = ()
    if len(shares) != 3 or min(shares) < 0 or not (abs(sum(shares) - 1) < 1e-6 or sum(shares) == subjects):
        raise ValueError(
            f"split is {split!r}; it must be three fractions for {', '.join(SECTIONS)} that sum to 1, or three "
            f"numbers that sum to subjects ({subjects}), such as 0.7,0.1,0.2."
        )
    return tuple(share / sum(shares) for share in shares)


class Anatomy(NamedTuple):
    """A source of tissue maps.

    Attributes:
        identity: identifies it in recipes.
        load: returns its maps; takes whether to reduce the head to the brain.
    """

    identity: Any
    load: Callable[[bool], TissueMaps]


def _anatomies(
    label_map: str | os.PathLike | None, label_classes: str | os.PathLike | None, brain_only: float, subjects: int
) -> list[Anatomy]:
    """Return the anatomies that the subjects use in turn, at most one per subject.

    Only the latest result is cached, because a folder of maps would fill the memory.
    """
    if label_map is None:
        if label_classes is not None or brain_only:
            raise ValueError(
                "--label_classes and --brain_only need --label_map; without it the anatomy is a stripped brain."
            )
        load = lru_cache(maxsize=1)(load_mni152)
        return [Anatomy("mni152", lambda stripped: load())]  # always a stripped brain
    classes = None if label_classes is None else read_label_classes(label_classes)
    path = Path(label_map)
    files = [path] if not path.is_dir() else sorted(p for p in path.iterdir() if p.name.endswith(LABEL_MAP_SUFFIXES))
    if not files:
        raise FileNotFoundError(f"folder '{path}' holds no label map; its files must end in {LABEL_MAP_SUFFIXES}.")

    @lru_cache(maxsize=1)
    def load_cached(file: Path, stripped: bool) -> TissueMaps:
        return load_label_map(file, classes=classes, brain_only=stripped)

    classes_sha256 = None if label_classes is None else sha256_of(label_classes)
    return [
        Anatomy([file.name, sha256_of(file), classes_sha256], partial(load_cached, file)) for file in files[:subjects]
    ]
