"""The network as one ONNX file, whose metadata tell a foreign program how to use it on a scan."""

import json
import logging
import os
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..geometry.orientation import COARSER, PLANES
from ..geometry.pixel_size import TOLERANCE
from ..keys import BLANK
from ..scans.intensity import PERCENTILES
from ..slices.slice_group import SNAP
from .context import BLUR, SMALLEST, WIDE
from .data_consistency import DAMPING, INSIDE, SMOOTHNESS
from .load_stack import FAINTEST
from .slice_smoothing import LARGEST, STRENGTH
from .task import MARGIN

KEY = "unicoal"
"""Name of the entry in the file's metadata; its text is JSON."""

OUTPUTS = ("slice", "error")

DIRECTIONS = {"axial": "SI", "coronal": "AP", "sagittal": "LR"}
"""Directions, across the slices, of each plane."""


class SliceNetwork(nn.Module):
    """A generator with the inputs that a scan gives, and its error as a second output.

    Args:
        network: the generator.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, image: Tensor, source: Tensor, target: Tensor, position: Tensor, factor: Tensor, thickness: Tensor
    ) -> tuple[Tensor, ...]:
        """Return slices and, if the network predicts it, their expected error, `(B, 1, R, R)` each.

        Args:
            image: slice groups `(B, S, R, R)` in [-1, 1].
            source: modality of the input `(B,)`.
            target: modality of the output `(B,)`.
            position: of the wanted slice between the two middle slices `(B,)`, in [0, 1).
            factor: thick over thin slice spacing `(B,)`.
            thickness: slice thickness over thick slice spacing `(B,)`.
        """
        made: Tensor = self.network(
            image,
            modality=target,
            position=position,
            same_modality=source == target,
            source_modality=source,
            factor=factor,
            thickness=thickness,
            with_error=self.network.error_output,
        )
        return made.split(1, dim=1)


def save_onnx(network: SliceNetwork, facts: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Write an ONNX file for any number of slice groups.

    Args:
        network: with its weights, in eval mode.
        facts: what a program must do around the network, see `description_of`; they go into the file's metadata.
        path: file to write.
    """
    generator: Any = network.network
    inputs = {
        "image": torch.zeros(2, generator.in_channels, generator.resolution, generator.resolution),
        "source": torch.zeros(2, dtype=torch.int64),
        "target": torch.zeros(2, dtype=torch.int64),
        "position": torch.tensor([0.0, 0.5]),
        "factor": torch.tensor([1.0, 4.0]),
        "thickness": torch.tensor([1.0, 0.9]),
    }
    for library in ("onnx_ir", "onnxscript"):  # they tell each constant that they merge, or leave
        logging.getLogger(library).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        program: Any = torch.onnx.export(
            network,
            kwargs=inputs,
            output_names=OUTPUTS if generator.error_output else OUTPUTS[:1],
            dynamic_shapes={name: {0: torch.export.Dim.DYNAMIC} for name in inputs},
            verbose=False,
        )
    program.model.metadata_props[KEY] = json.dumps(facts, indent=2)
    program.save(path, external_data=False)


def description_of(config: Any, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a program must do around the network, in its order, with the values.

    Args:
        config: values of `inference.json`.
        metadata: the bundle's.
    """
    return {
        **{key: metadata[key] for key in ("name", "version", "intended_use", "references")},
        "modalities": config["modalities"],
        "orientation": {
            "does": "Permute and flip the axes, without resampling, so that columns, rows and slices of the stack run "
            "to the directions given for the thick axis: the coarsest, if it is `coarser` times as coarse as the "
            "others, else that nearest to S.",
            "axes": {letter: PLANES[plane] for plane, letters in DIRECTIONS.items() for letter in letters},
            "coarser": COARSER,
        },
        "in_plane_spacing": {
            "does": "Pixels in mm that the network takes; others are resampled to the nearer end, and back "
            "afterwards. Up to `tolerance` beyond, as a part, no resampling is needed.",
            "range": config["in_plane_spacing"],
            "tolerance": TOLERANCE,
        },
        "intensity": {
            "does": "Clip at the percentiles of the whole scan's non-zero voxels, map these to -1 and 1; exact zeros "
            "become -1, all others at least `darkest`.",
            "percentiles": PERCENTILES,
            "darkest": FAINTEST,
        },
        "slice_group": {
            "does": "Thin slice b of round(N factor) is at depth d = b / factor in thick slices, taken as whole if "
            "closer to it than `snap`. Its image is the thick slices floor(d) - size/2 + 1 to floor(d) + size/2, "
            "blank outside the stack, its position d - floor(d).",
            "size": config["slice_group_size"],
            "blank": BLANK,
            "snap": SNAP,
        },
        "thickness": {
            "does": "Thickness over spacing of the thick slices, clipped to the range; 1 if unknown, and at factor 1.",
            "range": config["training_range"]["relative_thickness"],
        },
        "windows": {
            "does": "Pad to `size`, half before; cover more by windows of `size` with this overlap, the last one flush "
            "with the edge. Weigh them by a Gaussian of standard deviation `sigma` times `size` along each axis, the "
            "product at least `floor`. Blank windows stay blank. Clip the result to -1 and 1.",
            "size": config["resolution"],
            "overlap": config["inferer"]["overlap"],
            "sigma": 0.125,
            "floor": 1e-3,
        },
        "context": {
            "does": "Another modality, if the longer side L of the slice is above `wide` times the window: predict the "
            "group reduced by max(window / L, `smallest`), rounded to whole pixels, too (each pixel the mean of what "
            "it covers), enlarge this linearly, take the difference to the slice where one of the two middle slices "
            "of the group is not blank, blur it inside there by a Gaussian of standard deviation `blur` times the "
            "window, and add it.",
            "wide": WIDE,
            "smallest": SMALLEST,
            "blur": BLUR,
        },
        "planes": {
            "does": "Another modality at factor 1, if the slices are as far apart as pixels may be (and `margin` as "
            "a part beyond): predict the slices along all three axes of the stack, and average the three volumes.",
            "range": config["in_plane_spacing"],
            "margin": MARGIN,
        },
        "data_consistency": {
            "does": "Same modality, factor above 1: with A the weights of the K thin slices in each thick one, x the "
            "thin and y the thick ones, W = exp(-(i - j)^2 / (2 (`smoothness` factor)^2)) for thin slices i and j, add "
            "W A' (A W A' + `damping` m I)^-1 r where x is above -1, m the mean of the diagonal of A W A', and clip "
            "to -1 and 1. r is y - A x less, in each slice, its multiple of y + 1 by least squares. With the "
            "thickness t in thin slices and the distance s to the center, the weights are the mean of min((t + 1) / "
            "2 - s, 1) from 0 up and of exp(-4 ln 2 (s / t)^2) up to s = 1.5 t, each divided by its sum, beyond the "
            "ends too; both are 1 - s if t is at most 1. A thick slice with less than `least_inside` of its weights "
            "in x is left out; the others are divided by it.",
            "smoothness": SMOOTHNESS,
            "least_inside": INSIDE,
            "damping": DAMPING,
        },
        "slice_smoothing": {
            "does": "Another modality at a factor above 1: add to each thin slice e times the difference of the "
            "slice before to it, and of that after it, where both are above -1; e is `strength` factor^2, `largest` "
            "at most.",
            "strength": STRENGTH,
            "largest": LARGEST,
        },
        "output": {
            "does": "Same modality: map -1 and 1 back to the percentiles; add what the network did not see, the thick "
            "slices minus their input mapped back, interpolated linearly to d; clip to the scan's smallest and "
            "largest value. Another modality: map -1 and 1 to the values given. 0 where the thick slices on both sides "
            "of d are exactly 0. The first slice stays where it was.",
            "another_modality": config["synthesis_range"],
        },
    }
