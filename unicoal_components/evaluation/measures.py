"""Measures by name, as a configuration lists them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..metrics.measure import Measure
from ..metrics.paper import PaperProtocol
from ..metrics.perceptual import PerceptualDistance
from ..metrics.spectrum import HighFrequencies
from ..metrics.strict import StrictProtocol
from ..metrics.through_plane import ThroughPlane
from .downstream import DownstreamDice

MEASURES = ("strict", "paper", "lpips", "dice", "through_plane", "high_frequencies")


def build_measures(
    *,
    names: Sequence[str | Measure],
    lpips_backbone: str | None = None,
    segmenter: str | Callable[[torch.Tensor], Any] | None = None,
    device: str | torch.device | None = None,
) -> list[Measure]:
    """Build the measures of a report.

    Args:
        names: names from `MEASURES` or built measures, in the order of the columns.
        lpips_backbone: see `PerceptualDistance`.
        segmenter: see `DownstreamDice`.
        device: where networks compute; `None` = the CPU.

    Raises:
        ValueError: a name is unknown or given twice, or strict is missing.
        FileNotFoundError: see `PerceptualDistance` and `DownstreamDice`.

    Example:
        >>> [type(measure).__name__ for measure in build_measures(names=["strict", "dice"])]
        ['StrictProtocol', 'DownstreamDice']
    """
    builders: dict[str, Callable[[], Measure]] = {
        "strict": StrictProtocol,
        "paper": PaperProtocol,
        "lpips": lambda: PerceptualDistance(backbone=lpips_backbone, device=device),
        "dice": lambda: DownstreamDice(segmenter=segmenter, device=device),
        "through_plane": ThroughPlane,
        "high_frequencies": HighFrequencies,
    }
    given = [name for name in names if isinstance(name, str)]
    if "strict" not in given or len(set(given)) < len(given) or set(given) - set(builders):
        raise ValueError(
            f"evaluation_measures is {list(names)}; it must hold names from {', '.join(MEASURES)}, each once, and "
            "always strict, as cases are ranked by its PSNR."
        )
    return [builders[name]() if isinstance(name, str) else name for name in names]
