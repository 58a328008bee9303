"""Reader and writer of subject files: HDF5 with one `(D, H, W)` uint8 dataset per modality."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .. import __version__
from ..files.hdf5_image import image_of, write_image
from .attributes import Box, grid_of, numbers_of
from .open_subject import damage_named, open_subject

SCHEMA_VERSION = 1
CHUNK = 32
"""Edge length of the chunks, which are cubes so that slices along every axis are read equally fast."""

AXIAL = (0,)
"""Thin axes of files without this attribute, from versions with thick slices along the first axis only."""

Window = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class SubjectHeader:
    """Content of a subject file, without its voxels.

    Attributes:
        path: the file, or a subject of a packed set, `set.h5::training/p01`.
        modalities: lower-case names of the datasets, in alphabetical order.
        shape: `(D, H, W)`, axial slices first.
        spacing: voxel size in mm along D, H, W; `None` in a bare official file.
        affine: `(4, 4)`, voxel (w, h, d, 1) to NIfTI RAS+ world mm; `None` in a bare official file.
        intensity: per modality the source intensities mapped to 0 and 255; empty in a bare official file.
        foreground_box: half-open (d0, d1, h0, h1, w0, w1) around the non-zero voxels of all modalities; the whole
            volume in a bare official file.
        thin_axes: per modality the axes of (D, H, W) with real detail, along which thick slices can be simulated with
            the volume as reference; (0,) in files without this attribute.
    """

    path: Path
    modalities: tuple[str, ...]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float] | None
    affine: np.ndarray | None
    intensity: dict[str, tuple[float, float]]
    foreground_box: Box
    thin_axes: dict[str, tuple[int, ...]]


def write_subject(
    path: str | os.PathLike,
    *,
    volumes: Mapping[str, np.ndarray],
    affine: np.ndarray,
    intensity: Mapping[str, tuple[float, float]],
    sources: Mapping[str, str],
    history: str | None = None,
    thin_axes: Mapping[str, Sequence[int]] | None = None,
) -> None:
    """Write one subject's volumes, atomically and with the same bytes for the same input.

    Each dataset is stored in cubes, so that a worker reads a few slices along any axis without the rest of the volume.
    They are not compressed, as inflating took most of the time of loading: gzip of level 0 gives each a checksum only.

    Args:
        path: the file to write, usually `<subject>.h5`.
        volumes: per modality a uint8 stack `(D, H, W)`, 0 = background, axes pointing to S, P, L; one shape for all.
        affine: `(4, 4)`, voxel (w, h, d, 1) to NIfTI RAS+ world mm.
        intensity: per modality the source intensities (low, high) mapped to 0 and 255.
        sources: per modality the name of the source file.
        history: processing history as JSON text (`history.py`); stored unchanged.
        thin_axes: per modality the axes of (D, H, W) with real detail (see `SubjectHeader`); `None` = unknown.

    Raises:
        ValueError: there is no volume, a volume has another type or shape, names differ between the arguments, or an
            axis is not 0, 1 or 2.
        OSError: the file cannot be written.
    """
    names = _checked_names(path, volumes, intensity, sources)
    axes = {name: _checked_axes(path, name, given) for name, given in (thin_axes or {}).items()}
    affine = np.asarray(affine, dtype=np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise ValueError(f"cannot write '{path}': affine must be a finite 4x4 matrix, got shape {affine.shape}.")
    with h5py.File.in_memory() as file:
        file.attrs["schema"] = SCHEMA_VERSION
        file.attrs["software"] = f"unicoal_components {__version__}"
        file.attrs["affine"] = affine
        file.attrs["spacing"] = np.linalg.norm(affine[:3, :3], axis=0)[::-1]
        file.attrs["foreground_box"] = foreground_box(volumes)
        if history is not None:
            file.attrs["history"] = history
        for name in names:
            volume = volumes[name]
            chunks = tuple(min(CHUNK, size) for size in volume.shape)
            dataset = file.create_dataset(name, data=volume, chunks=chunks, compression="gzip", compression_opts=0)
            if name in axes:
                dataset.attrs["thin_axes"] = np.array(axes[name], dtype=np.int64)
            dataset.attrs["intensity_low"], dataset.attrs["intensity_high"] = map(float, intensity[name])
            dataset.attrs["source"] = str(sources[name])
        image = image_of(file)
    write_image(path, image)


def _checked_names(
    path: str | os.PathLike, volumes: Mapping[str, np.ndarray], intensity: Mapping, sources: Mapping
) -> list[str]:
    """Return the sorted modality names after checking that all arguments of `write_subject` agree."""
    names = sorted(volumes)
    if not names:
        raise ValueError(f"cannot write '{path}': volumes is empty; give at least one modality.")
    for field, mapping in (("intensity", intensity), ("sources", sources)):
        if sorted(mapping) != names:
            raise ValueError(f"cannot write '{path}': {field} has the keys {sorted(mapping)}, volumes has {names}.")
    shape = volumes[names[0]].shape
    for name in names:
        volume = volumes[name]
        if name != name.lower() or not name.isidentifier():
            raise ValueError(f"cannot write '{path}': modality '{name}' must be a lower-case word such as t1 or flair.")
        if volume.dtype != np.uint8 or volume.ndim != 3 or volume.size == 0 or volume.shape != shape:
            raise ValueError(
                f"cannot write '{path}': volume '{name}' is {volume.dtype} {volume.shape}; all volumes must be uint8 "
                f"(D, H, W) on one grid, here {shape}."
            )
    return names


def _checked_axes(path: str | os.PathLike, modality: str, axes: Sequence[int]) -> tuple[int, ...]:
    """Return the axes in order, without repetitions."""
    if not set(axes) <= {0, 1, 2}:
        raise ValueError(
            f"thin_axes of '{modality}' in '{path}' is {list(axes)}; allowed are 0, 1 and 2 for (D, H, W)."
        )
    return tuple(sorted({int(axis) for axis in axes}))


def foreground_box(volumes: Mapping[str, np.ndarray]) -> Box:
    """Return the half-open box (d0, d1, h0, h1, w0, w1) around every voxel that is non-zero in any volume.

    If every voxel is 0, it is the whole volume.

    Args:
        volumes: per modality an array `(D, H, W)`, one shape for all.

    Example:
        >>> volume = np.zeros((4, 5, 6), dtype=np.uint8)
        >>> volume[1:3, 2, 3:5] = 7
        >>> foreground_box({"t1": volume})
        (1, 3, 2, 3, 3, 5)
    """
    stacks = list(volumes.values())
    bounds: list[int] = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        (filled,) = np.nonzero(np.any([(stack != 0).any(axis=others) for stack in stacks], axis=0))
        bounds += [int(filled[0]), int(filled[-1]) + 1] if filled.size else [0, stacks[0].shape[axis]]
    d0, d1, h0, h1, w0, w1 = bounds
    return d0, d1, h0, h1, w0, w1


def read_header(path: str | os.PathLike) -> SubjectHeader:
    """Read the content of a subject file, without voxels.

    Official files (bare datasets `T1`, `T2`, `PD` without attributes) are supported: names become lower case, affine
    and spacing are unknown (`None`), and the foreground box is the whole volume.

    Args:
        path: subject file, or subject of a packed set (`set.h5::training/p01`).

    Raises:
        FileNotFoundError: the file does not exist.
        OSError: the file is damaged or not HDF5.
        ValueError: the file has no volume, volumes that are not uint8 `(D, H, W)` on one grid, or a newer schema.
    """
    with open_subject(path) as file, damage_named(path):
        if "schema" in file.attrs and numbers_of(file, "schema", path) > SCHEMA_VERSION:
            raise ValueError(
                f"subject file '{path}' has schema {file.attrs['schema']}, this version reads up to {SCHEMA_VERSION}; "
                "update unicoal_components."
            )
        names = tuple(sorted(name.lower() for name, item in file.items() if isinstance(item, h5py.Dataset)))
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"subject file '{path}' holds the datasets {list(file)}; it needs at least one, with "
                "different names in lower case. Prepare this subject again with 'unicoal prepare'."
            )
        datasets = {name: file[dataset_name(file, name)] for name in names}
        shape = datasets[names[0]].shape
        for name, dataset in datasets.items():
            _check_dataset(path, name, dataset, shape)
        affine, spacing, box = grid_of(file, path, shape)
        intensity = {
            name: (float(numbers_of(item, "intensity_low", path)), float(numbers_of(item, "intensity_high", path)))
            for name, item in datasets.items()
            if "intensity_low" in item.attrs and "intensity_high" in item.attrs
        }
        axes = {name: _checked_axes(path, name, item.attrs.get("thin_axes", AXIAL)) for name, item in datasets.items()}
    return SubjectHeader(Path(path), names, shape, spacing, affine, intensity, box, axes)  # type: ignore[arg-type]


def _check_dataset(path: str | os.PathLike, name: str, dataset: h5py.Dataset, shape: tuple[int, ...]) -> None:
    """Raise an error if a dataset is not uint8 `(D, H, W)`, or not on the grid of the first."""
    if dataset.ndim != 3 or dataset.dtype != np.uint8 or 0 in dataset.shape or dataset.shape != shape:
        raise ValueError(
            f"dataset '{name}' of subject file '{path}' is {dataset.dtype} {dataset.shape}; all must be uint8 "
            f"(D, H, W) on one grid, here {shape}. Prepare this subject again with 'unicoal prepare'."
        )


def dataset_name(file: h5py.File, modality: str) -> str:
    """Return the name of a modality's dataset, ignoring case (`t1` finds the official `T1`).

    Args:
        file: an open subject file.
        modality: name of the modality.

    Raises:
        ValueError: the file does not contain it; the message lists the modalities.
    """
    for name in file:
        if name.lower() == modality.lower():
            return name
    raise ValueError(
        f"subject file '{file.filename}' has no modality '{modality}'; it holds {sorted(n.lower() for n in file)}. "
        "Correct the name, or prepare the subject with this modality."
    )


def through_plane_spacing(file: h5py.File, axis: int = 0) -> float | None:
    """Return the slice spacing along an axis of (D, H, W) in mm; `None` in a bare official file."""
    return float(file.attrs["spacing"][axis]) if "spacing" in file.attrs else None


def read_levels(
    file: h5py.File, modality: str, start: int, stop: int, *, axis: int = 0, window: Window | None = None
) -> np.ndarray:
    """Read the slices `start` to `stop` (exclusive) of one modality along an axis, as stored.

    Args:
        file: an open subject file.
        modality: name of the modality.
        start: index of the first slice.
        stop: index after the last slice.
        axis: axis of (D, H, W) through the slices; the other two, in order, are rows and columns.
        window: (top, bottom, left, right) inside the slices, half open; `None` = whole slices.

    Returns:
        uint8 `(stop - start, rows, columns)`; 0 = background.

    Raises:
        ValueError: the modality does not exist, or slices are outside the volume.
        OSError: the file is damaged.
    """
    dataset = file[dataset_name(file, modality)]
    if not 0 <= start <= stop <= dataset.shape[axis]:
        raise ValueError(
            f"slices {start}:{stop} of '{modality}' in '{file.filename}' are outside its {dataset.shape[axis]} slices."
        )
    rows, columns = (slice(None), slice(None)) if window is None else (slice(*window[:2]), slice(*window[2:]))
    index = [rows, columns]
    index.insert(axis, slice(start, stop))
    with damage_named(file.filename):
        return np.moveaxis(dataset[tuple(index)], axis, 0)


def read_slices(
    file: h5py.File, modality: str, start: int, stop: int, *, axis: int = 0, window: Window | None = None
) -> np.ndarray:
    """Read slices as float32 in [-1, 1], -1 = background: v / 127.5 - 1 for v in 0..255.

    See `read_levels` for the arguments and errors.
    """
    levels = read_levels(file, modality, start, stop, axis=axis, window=window)
    return levels.astype(np.float32) / np.float32(127.5) - np.float32(1)


def read_volume(path: str | os.PathLike, modality: str) -> np.ndarray:
    """Read the whole volume of one modality as float32 `(D, H, W)` in [-1, 1]; see `read_slices`."""
    with open_subject(path) as file:
        return read_slices(file, modality, 0, len(file[dataset_name(file, modality)]))


def read_history(path: str | os.PathLike) -> dict[str, Any] | None:
    """Read the history of a subject file; `None` if it has none or is not a readable HDF5 file."""
    try:
        with h5py.File(path, "r") as file:
            content = json.loads(file.attrs["history"])
    except (OSError, KeyError, RuntimeError, ValueError, TypeError):
        return None
    return content if isinstance(content, dict) and "recipe" in content else None
