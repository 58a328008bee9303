"""Training dataset with one item per subject and thin slice."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.transforms import Randomizable
from torch.utils.data import Dataset

from ..keys import Keys
from .hdf5 import SubjectHeader, read_header

logger = logging.getLogger(__name__)


class SliceDataset(Dataset):
    """Dataset of the thin slices of all subjects, as small dictionaries for a transform that reads voxels.

    Only headers are read here, once; memory holds two strings and some numbers per subject, found by bisection. Before
    each item the transform's random state is set from (seed, epoch, index): an item is the same for any number of
    workers and after a restart, and differs between epochs. `SliceSampler` yields the (epoch, index) pairs; for a plain
    integer index the epoch is 0.

    The transform gets `subject`, `path` and `slice_index`, and from the header `modalities`, `thin_axes` of each,
    `shape` (D, H, W) and `foreground_box` (d0, d1, h0, h1, w0, w1; half open).

    Args:
        data: `{"subject": ..., "path": ...}` per subject, from `read_datalist`; with `"repeat": n` its slices
            occur n times per round.
        transform: transform applied to each item, usually a MONAI `Compose`; `None` = return the dictionary.
        seed: non-negative integer that determines the random draws.

    Raises:
        ValueError: there is no subject, an entry has no subject or path, or the seed is negative.
        FileNotFoundError: a subject's file is missing.
        OSError: a subject's file cannot be read.
    """

    def __init__(
        self,
        *,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[Any], Any] | None,
        seed: int = 0,
    ):
        if not data:
            raise ValueError(
                "there is no subject to train on: the datalist's section 'training' is empty. Add a subject, or give "
                "another datalist."
            )
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ValueError(f"seed is {seed!r}; it must be a non-negative integer.")
        headers = [_header(entry) for entry in data]
        self.transform = transform
        self.seed = seed
        self._subjects = [str(entry["subject"]) for entry in data]
        self._paths = [str(entry["path"]) for entry in data]
        known: dict[tuple[str, ...], tuple[str, ...]] = {}  # subjects with the same modalities share one tuple
        self._modalities = [known.setdefault(header.modalities, header.modalities) for header in headers]
        axes: dict[tuple, Mapping[str, tuple[int, ...]]] = {}
        self._thin_axes = [
            axes.setdefault(tuple(sorted(header.thin_axes.items())), header.thin_axes) for header in headers
        ]
        self._shapes = np.array([header.shape for header in headers], dtype=np.int32)
        self._boxes = np.array([header.foreground_box for header in headers], dtype=np.int32)
        self._first = self._boxes[:, 0]
        self._counts = (self._boxes[:, 1] - self._first).astype(np.int64)
        self._ends = np.cumsum(self._counts * [int(entry.get("repeat", 1)) for entry in data])
        logger.info("%d subjects, %d slices", len(data), len(self))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int | tuple[int, int]) -> Any:
        """Return the transformed item of an index, or of an (epoch, index) pair."""
        epoch, index = index if isinstance(index, tuple | list) else (0, index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is outside the {len(self)} slices of the dataset.")
        index = int(index) % len(self)
        item = self._item(index)
        if self.transform is None:
            return item
        if isinstance(self.transform, Randomizable):
            # MONAI accepts only a 32-bit seed.
            state = np.random.SeedSequence([self.seed, int(epoch), index]).generate_state(1)
            self.transform.set_random_state(seed=int(state[0]))
        return self.transform(item)

    def _item(self, index: int) -> dict[str, Any]:
        subject = int(np.searchsorted(self._ends, index, side="right"))
        before = int(self._ends[subject - 1]) if subject else 0
        return {
            Keys.SUBJECT: self._subjects[subject],
            Keys.SLICE: int(self._first[subject]) + (index - before) % int(self._counts[subject]),
            "path": self._paths[subject],
            "modalities": self._modalities[subject],
            "thin_axes": self._thin_axes[subject],
            "shape": tuple(self._shapes[subject].tolist()),
            "foreground_box": tuple(self._boxes[subject].tolist()),
        }


def _header(entry: Mapping[str, Any]) -> SubjectHeader:
    missing = {"subject", "path"} - set(entry)
    if missing:
        raise ValueError(
            f"entry {dict(entry)!r} of data has no {' and no '.join(sorted(missing))}; each needs "
            'both: {"subject": "p01", "path": "/data/p01.h5"}.'
        )
    return read_header(entry["path"])
