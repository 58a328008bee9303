"""A cohort of simulated persons: subject files, datalist and, on request, NIfTI files."""

from __future__ import annotations

import gzip
import logging
import os
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path

import nibabel as nib
import numpy as np
from tqdm.auto import tqdm

from ..datasets.datalist import SECTIONS, write_datalist
from ..datasets.hdf5 import write_subject
from ..files.atomic import atomic_path
from ..preparation.cohort import DATALIST_NAME
from ..preparation.split import split_subjects
from ..preparation.subject import scale_intensity
from ..scans.scan import Scan
from .label_map import load_label_map, read_label_classes
from .person import Person, check_options, check_shares, simulate_person
from .pulse_sequences import MODALITIES
from .tissue_maps import TissueMaps, load_mni152

logger = logging.getLogger(__name__)

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
    """Simulate persons with t1, t2, pd and flair on one grid each, and write `sim_0000.h5`, ... and `datalist.json`.

    Person i depends on (seed, i) and the other options, not on the number of persons: the same seed gives the same
    bytes. Intensities are scaled as scans are (`prepare_subject.scale_intensity`).

    Args:
        output: folder, made if need be.
        subjects: number of persons, at least 1.
        split: fractions of training, validation and test, or three numbers of persons that add up to `subjects`.
        spacing: edge of the cubic voxels in mm.
        seed: of everything drawn, at least 0.
        lesions: largest number of white matter lesions per person.
        noise: Rician noise relative to the 99th percentile.
        label_map: a label map, or a folder of them (person i has the shape of file i modulo their number);
            `None` deforms the MNI152 average brain in nilearn.
        label_classes: JSON table label → tissue; `None` knows FreeSurfer's and SynthSeg's labels.
        brain_only: share of persons for which what a label map has outside the brain is left out, 0 to 1 (`True`).
            Their background is exactly 0; around whole heads is noise.
        contrast_spread: how widely pulse sequences and field strengths vary, 0 (each modality's standard) to 1.
        nifti: also write `nifti/<subject>/<modality>.nii.gz`, unscaled.
        overwrite: replace an earlier cohort in `output`.

    Returns:
        The datalist's path.

    Raises:
        ValueError: an option outside its range, or an unusable label map.
        OSError: a file that cannot be read or written.
    """
    names = _names(subjects)
    check_options(seed=seed, spacing=spacing, lesions=lesions, noise=noise)
    check_shares(brain_only=brain_only, contrast_spread=contrast_spread)
    sections = split_subjects(names, fractions=_fractions(split, subjects), seed=seed)
    output = Path(output).absolute()
    datalist = output / DATALIST_NAME
    if datalist.exists() and not overwrite:
        raise ValueError(f"output '{output}' already holds a datalist; choose another folder or add --overwrite.")
    sources = _map_loaders(label_map, label_classes, brain_only)
    if 1 < len(sources) < subjects:
        logger.warning(
            "%d persons share %d label maps: the same folds occur in several sections", subjects, len(sources)
        )
    entries: dict[str, list[dict[str, str]]] = {section: [] for section in SECTIONS}
    for index, name in enumerate(tqdm(names, desc="simulating", unit="person")):
        maps = sources[index % len(sources)](_in_share(seed + index, brain_only))
        person = simulate_person(
            maps,
            seed=seed,
            index=index,
            spacing=spacing,
            lesions=lesions,
            noise=noise,
            contrast_spread=contrast_spread,
        )
        write_person(output, name, person, source=f"{maps.source}, seed {seed}, person {index}", nifti=nifti)
        entries[sections[name]].append({"subject": name, "path": f"{name}.h5"})
    write_datalist(datalist, sections=entries, modalities=list(MODALITIES))
    return datalist


def write_person(output: Path, name: str, person: Person, *, source: str, nifti: bool = False) -> None:
    """Write one person's subject file and, if `nifti`, the unscaled volumes as int16 NIfTI files.

    Raises:
        OSError: a file cannot be written.
    """
    scaled = {
        modality: scale_intensity(Scan(Path(f"{name}/{modality}"), volume, person.affine))
        for modality, volume in person.volumes.items()
    }
    write_subject(
        output / f"{name}.h5",
        volumes={modality: volume for modality, (volume, _) in scaled.items()},
        affine=person.affine,
        intensity={modality: limits for modality, (_, limits) in scaled.items()},
        sources={name: f"simulated from {source}: {person.sequences[name]} at {person.field:g} T" for name in scaled},
        thin_axes=dict.fromkeys(scaled, (0, 1, 2)),
    )
    if nifti:
        for modality, volume in person.volumes.items():
            stored = np.rint(volume).astype(np.int16).transpose(2, 1, 0)
            image = nib.Nifti1Image(stored, person.affine)  # type: ignore[attr-defined]
            image.header.set_xyzt_units("mm")
            with atomic_path(output / "nifti" / name / f"{modality}.nii.gz") as path:
                path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=3, mtime=0))


def _names(subjects: int) -> list[str]:
    if not isinstance(subjects, int) or isinstance(subjects, bool) or subjects < 1:
        raise ValueError(f"subjects is {subjects!r}; it must be a number of persons, at least 1.")
    return [f"sim_{index:04d}" for index in range(subjects)]


def _in_share(index: int, share: float) -> bool:
    """Return whether a person is among a share of all: close to the share in any run of persons, without a period."""
    return (index * GOLDEN_RATIO) % 1.0 < share


def _fractions(split: Sequence[float], subjects: int) -> tuple[float, ...]:
    """Return fractions that sum to 1; numbers of persons are told by their sum."""
    try:
        shares = tuple(float(share) for share in split)
    except (TypeError, ValueError):
        shares = ()
    if len(shares) != 3 or min(shares) < 0 or not (abs(sum(shares) - 1) < 1e-6 or sum(shares) == subjects):
        raise ValueError(
            f"split is {split!r}; it must be three fractions for {', '.join(SECTIONS)} that sum to 1, or three "
            f"numbers of persons that sum to subjects ({subjects}), such as 0.7,0.1,0.2."
        )
    return tuple(share / sum(shares) for share in shares)


def _map_loaders(
    label_map: str | os.PathLike | None, label_classes: str | os.PathLike | None, brain_only: float
) -> list[Callable[[bool], TissueMaps]]:
    """Return one function per anatomy, of whether to strip the head.

    Only the latest result is remembered: a folder of maps would fill the memory.
    """
    if label_map is None:
        if label_classes is not None or brain_only:
            raise ValueError("--label_classes and --brain_only need --label_map; without it a stripped brain is made.")
        load = lru_cache(maxsize=1)(load_mni152)
        return [lambda stripped: load()]  # a brain always
    classes = None if label_classes is None else read_label_classes(label_classes)
    path = Path(label_map)
    files = [path] if not path.is_dir() else sorted(p for p in path.iterdir() if p.name.endswith(LABEL_MAP_SUFFIXES))
    if not files:
        raise FileNotFoundError(f"folder '{path}' holds no label map; its files must end in {LABEL_MAP_SUFFIXES}.")

    @lru_cache(maxsize=1)
    def remembered(file: Path, stripped: bool) -> TissueMaps:
        return load_label_map(file, classes=classes, brain_only=stripped)

    return [partial(remembered, file) for file in files]
