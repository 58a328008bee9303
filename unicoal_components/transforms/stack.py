"""A scan of any orientation becomes the stack of slices that the network sees."""

from collections.abc import Mapping
from typing import Any

import torch
from monai.transforms import Transform

from ..data.geometry import choose_plane, to_stack
from ..data.intensity import percentile_range, scale_to_unit
from ..data.read_volume import read_image
from ..keys import Keys

SOURCE = "source_info"
"""Item key of what :class:`LoadStackd` remembers of the scan and :class:`SaveStackd` needs."""


class LoadStackd(Transform):
    """Read a scan and turn it into a stack in [-1, 1], slices first, as the preparation of the training data does.

    Axes are permuted and flipped, nothing is resampled; slices lie upright with the nose at the top (axial).
    Intensities are scaled by the 0.5 and 99.5 percentiles of the non-zero voxels. The way back is kept in the item
    under "source_info": path, stack affine (voxel w, h, d to RAS+ mm), plane, the original orientation, low and high
    in the scan's units, as plain values that a data loader can collate.

    Args:
        key: Item key of the path; the stack (1, N, H, W), float32, replaces it.
        through_plane: "auto": slices along the coarsest axis if its spacing is more than 10 % above the others, else
            axial; or "axial", "coronal", "sagittal".

    Raises:
        ValueError: If the plane is unknown; and, when called, if the scan cannot be used (the message names the file).
        FileNotFoundError: When called, if it does not exist.
    """

    def __init__(self, *, key: str = Keys.IMAGE, through_plane: str = "auto") -> None:
        choose_plane(torch.eye(4).numpy(), through_plane)
        self.key = key
        self.through_plane = through_plane

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the item with the stack and "source_info"."""
        path = data[self.key]
        volume, affine = read_image(path)
        try:
            low, high = percentile_range(volume)
        except ValueError as error:
            raise ValueError(f"'{path}' cannot be scaled: {error}") from error
        stack = to_stack(volume, affine, self.through_plane)
        source = {
            "path": str(path),
            "affine": torch.from_numpy(stack.affine),
            "plane": stack.plane,
            "orientation": stack.orientation,
            "low": low,
            "high": high,
            "background": torch.from_numpy(stack.slices == 0),
        }
        image = torch.from_numpy(scale_to_unit(stack.slices, low, high))[None]
        return {**data, self.key: image, SOURCE: source}
