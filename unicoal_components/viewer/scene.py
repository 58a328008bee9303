"""Volumes side by side on one grid, as the page's script reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from nibabel.orientations import inv_ornt_aff, io_orientation

from ..geometry.orientation import spacing_of
from ..scans.read_volume import Volume
from .packed import packed


@dataclass(frozen=True, eq=False)
class Layer:
    """A volume with its colors.

    Attributes:
        name: its name in the page.
        volume: the volume.
        window: values of the first and the last color.
        unit: words behind the window.
        colors: "gray" or "error".
        linked: layers of the same word get the same window when the user changes it; `None` = alone.
    """

    name: str
    volume: Volume
    window: tuple[float, float]
    unit: str = ""
    colors: str = "gray"
    linked: str | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """Columns of volumes.

    Attributes:
        columns: layers of each column, from the left; the user chooses among several.
        base: the volume on whose grid slices are shown, with its axes in the order and direction closest to R, A, S.
        wipe: whether a slider puts the first column over a part of the second.
        facts: lines about it.
        notes: lines that warn.
    """

    columns: Sequence[Sequence[Layer]]
    base: Volume
    wipe: bool = True
    facts: Sequence[str] = ()
    notes: Sequence[str] = ()

    @cached_property
    def _packed(self) -> list[list[Any]]:
        return [[packed(layer.volume.voxels, layer.volume.storage) for layer in column] for column in self.columns]

    def volumes(self, number: int) -> dict[str, bytes]:
        """Return the volumes, compressed, by their name in the page; `number` tells scenes of a page apart."""
        return {
            f"volume-{number}-{c}-{k}": each.content
            for c, column in enumerate(self._packed)
            for k, each in enumerate(column)
        }

    def content(self, number: int) -> dict[str, Any]:
        """Return all that the script needs beside the voxels, for JSON.

        `shape` (R, A, S), `spacing` in mm and `world` (3 rows of 4, grid to RAS+ world mm) describe the grid.
        `from_grid` of a layer (likewise) leads from the grid to its voxels.
        """
        affine = self.base.affine
        orientation = io_orientation(affine)
        to_base = inv_ornt_aff(orientation, self.base.voxels.shape)
        world = affine @ to_base
        columns = []
        for c, column in enumerate(self.columns):
            layers = []
            for k, layer in enumerate(column):
                each = self._packed[c][k]
                layers.append(
                    {
                        "name": layer.name,
                        "volume": f"volume-{number}-{c}-{k}",
                        "type": each.dtype,
                        "slope": each.slope,
                        "intercept": each.intercept,
                        "shape": list(layer.volume.voxels.shape),
                        "from_grid": _rows(np.linalg.inv(layer.volume.affine) @ world),
                        "window": list(layer.window),
                        "unit": layer.unit,
                        "colors": layer.colors,
                        "linked": layer.linked,
                    }
                )
            columns.append({"layers": layers})
        return {
            "shape": [self.base.voxels.shape[axis] for axis in np.argsort(orientation[:, 0])],
            "spacing": spacing_of(world).tolist(),
            "world": _rows(world),
            "columns": columns,
            "wipe": self.wipe,
            "facts": list(self.facts),
            "notes": list(self.notes),
        }


def _rows(matrix: np.ndarray) -> list[float]:
    """Return the upper rows, rounded so that a place halfway between voxels does not depend on the last bit."""
    return np.round(matrix[:3], 9).ravel().tolist()
