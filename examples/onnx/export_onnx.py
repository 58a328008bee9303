"""Export a bundle's network to one ONNX file whose metadata tell how to use it on a scan.

    python examples/onnx/export_onnx.py --output unicoal.onnx

`synthesize.py` beside this file uses it without PyTorch, MONAI and this package. Needs: pip install -e ".[export]"
"""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn

from unicoal_components.command_line import Files, run_command
from unicoal_components.commands.bundle_run import importable
from unicoal_components.commands.bundles import METADATA, bundle_folder, weights_of
from unicoal_components.files.atomic import atomic_path
from unicoal_components.geometry.orientation import COARSER, PLANES
from unicoal_components.geometry.pixel_size import TOLERANCE
from unicoal_components.keys import BLANK
from unicoal_components.runtime.weights import load_weights
from unicoal_components.scans.intensity import PERCENTILES
from unicoal_components.slices.slice_group import SNAP

KEY = "unicoal"
"""Name of the entry in the file's metadata; its text is JSON."""

DIRECTIONS = {"axial": "SI", "coronal": "AP", "sagittal": "LR"}
"""Directions, across the slices, of each plane."""


class SliceNetwork(nn.Module):
    """A generator with the inputs that a scan gives, and its error as a second output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, image: Tensor, source: Tensor, target: Tensor, position: Tensor, factor: Tensor, thickness: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return slices and their expected error, `(B, 1, R, R)` each; see `Generator.forward`."""
        both = self.network(
            image,
            modality=target,
            position=position,
            same_modality=source == target,
            source_modality=source,
            factor=factor,
            thickness=thickness,
            with_error=True,
        )
        return both[:, :1], both[:, 1:]


def export_onnx(*, output: str, bundle: str = "unified", ckpt_path: str = "", overlays: Files = ()) -> None:
    """Write the ONNX file.

    Args:
        output: the file, such as unicoal.onnx.
        bundle: name of the bundle, unified, sr, cms or cmsr.
        ckpt_path: weights, by default the bundle's.
        overlays: config files with other values for inference.json.

    Raises:
        OSError: a file is missing, or the output cannot be written.
        ValueError: the weights do not fit the network, or it does not predict its error.
    """
    more = [overlays] if isinstance(overlays, str) else overlays
    network, facts = network_of(bundle_folder(bundle), ckpt_path, more)
    inputs = {
        "image": torch.zeros(2, facts["slice_group"]["size"], *[facts["windows"]["size"]] * 2),
        "source": torch.tensor([0, 1]),
        "target": torch.tensor([1, 1]),
        "position": torch.tensor([0.0, 0.5]),
        "factor": torch.tensor([1.0, 4.0]),
        "thickness": torch.tensor([1.0, 0.9]),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        program: Any = torch.onnx.export(
            network,
            kwargs=inputs,
            output_names=["slice", "error"],
            dynamic_shapes={name: {0: torch.export.Dim.DYNAMIC} for name in inputs},
            verbose=False,
        )
    program.model.metadata_props[KEY] = json.dumps(facts, indent=2)
    with atomic_path(output) as partial:
        program.save(partial, external_data=False)


def network_of(root: Path, ckpt_path: str, overlays: Sequence[str]) -> tuple[SliceNetwork, dict[str, Any]]:
    """Return the network of a bundle in `root`, and what a program must do around it; see `export_onnx`."""
    parser = ConfigParser(ConfigParser.load_config_files([str(root / "configs" / "inference.json"), *overlays]))
    if not parser["error_output"]:
        raise ValueError("error_output is false, but the expected error is an output of the file; set it to true.")
    importable(root.absolute())
    network = load_weights(network=parser.get_parsed_content("network_def"), path=weights_of(root, ckpt_path or None))
    metadata = json.loads((root / METADATA).read_text(encoding="utf-8"))
    return SliceNetwork(network).eval(), description_of(parser, metadata)


def description_of(parser: ConfigParser, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return what a program must do around the network, in its order, with the values."""
    return {
        **{key: metadata[key] for key in ("name", "version", "intended_use", "references")},
        "modalities": parser["modalities"],
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
            "range": parser["in_plane_spacing"],
            "tolerance": TOLERANCE,
        },
        "intensity": {
            "does": "Clip at the percentiles of the whole scan's non-zero voxels, map these to -1 and 1; exact zeros "
            "become -1.",
            "percentiles": PERCENTILES,
        },
        "slice_group": {
            "does": "Thin slice b of round(N factor) is at depth d = b / factor in thick slices, taken as whole if "
            "closer to it than `snap`. Its image is the thick slices floor(d) - size/2 + 1 to floor(d) + size/2, "
            "blank outside the stack, its position d - floor(d).",
            "size": parser["slice_group_size"],
            "blank": BLANK,
            "snap": SNAP,
        },
        "thickness": {
            "does": "Thickness over spacing of the thick slices, clipped to the range; 1 if unknown, and at factor 1.",
            "range": parser["training_range"]["relative_thickness"],
        },
        "windows": {
            "does": "Pad to `size`, half before; cover more by windows of `size` with this overlap, the last one flush "
            "with the edge. Weigh them by a Gaussian of standard deviation `sigma` times `size` along each axis, the "
            "product at least `floor`. Blank windows stay blank. Clip the result to -1 and 1.",
            "size": parser["resolution"],
            "overlap": parser["inferer"]["overlap"],
            "sigma": 0.125,
            "floor": 1e-3,
        },
        "output": {
            "does": "Same modality: map -1 and 1 back to the percentiles; add what the network did not see, the thick "
            "slices minus their input mapped back, interpolated linearly to d; clip to the scan's smallest and "
            "largest value. Another modality: map -1 and 1 to the values given. 0 where the thick slices on both sides "
            "of d are exactly 0. The first slice stays where it was.",
            "another_modality": parser["synthesis_range"],
        },
    }


if __name__ == "__main__":
    run_command(export_onnx)
