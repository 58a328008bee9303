"""Measures by name, as a configuration lists them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from .downstream import DownstreamDice
from .measure import Measure
from .paper import PaperProtocol
from .perceptual import PerceptualDistance
from .spectrum import HighFrequencies
from .strict import StrictProtocol
from .through_plane import ThroughPlane

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
        names: of :data:`MEASURES`, in the order of the columns; an object that measures may stand among them.
        lpips_backbone: see :class:`.perceptual.PerceptualDistance`.
        segmenter: see :class:`.downstream.DownstreamDice`.
        device: where networks compute; `None` = the CPU.

    Raises:
        ValueError: a name is unknown or stands there twice, or strict is missing.
        FileNotFoundError: see the two measures.

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
            f"evaluation_measures is {list(names)}; allowed are {', '.join(MEASURES)}, each once, and strict must be "
            "among them: cases are ranked by its PSNR."
        )
    return [builders[name]() if isinstance(name, str) else name for name in names]
