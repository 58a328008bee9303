"""LPIPS: the distance of deep features, which people's judgments of images follow better than PSNR."""

from __future__ import annotations

import importlib.util
import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .measure import CaseVolumes, Column

SMALLEST = 64
"""Side of a slice below which AlexNet's last features are fewer than 3 across."""
BATCH = 16


def build_lpips(*, backbone: str | Path) -> nn.Module:
    """Build LPIPS (Zhang et al., CVPR 2018) with AlexNet, version 0.1, by the `lpips` package; nothing is downloaded.

    Args:
        backbone: weights of torchvision's AlexNet, a state dict.

    Returns:
        A frozen network that takes two batches of RGB images `(B, 3, H, W)` in [-1, 1].

    Raises:
        ImportError: the package is not installed.
        FileNotFoundError: there is no such file.
        ValueError: it holds other weights.
    """
    import lpips

    path = Path(backbone)
    if not path.is_file():
        raise FileNotFoundError(f"lpips_backbone '{path}' does not exist; give the weights of torchvision's AlexNet.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision: `pretrained` is deprecated
        network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    wanted = {key: f"features.{key.split('.', 1)[1]}" for key in network.net.state_dict()}
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.net.load_state_dict({key: state[name] for key, name in wanted.items()})
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        raise ValueError(
            f"lpips_backbone '{path}' is no state of torchvision's AlexNet ({str(error).splitlines()[0]}); it must "
            f"hold {', '.join(list(wanted.values())[:2])} and so on."
        ) from error
    return network.requires_grad_(False).eval()


def perceptual_distance(
    *,
    prediction: np.ndarray,
    target: np.ndarray,
    foreground: np.ndarray,
    network: nn.Module,
    evaluated_slices: Sequence[int] | np.ndarray | None = None,
) -> float:
    """Average LPIPS over the slices that hold foreground; gray images are given as RGB.

    Args:
        prediction: `(D, H, W)`, clipped to [-1, 1].
        target: the truth, the same.
        foreground: bool `(D, H, W)`.
        network: from :func:`build_lpips`.
        evaluated_slices: indices into D that count, `None` for all.

    Returns:
        At least 0; NaN where no slice counts.

    Raises:
        ValueError: slices are too small for the network.
    """
    if min(target.shape[1:]) < SMALLEST:
        raise ValueError(
            f"slices of {target.shape[1]}x{target.shape[2]} are too small for LPIPS, which needs {SMALLEST}; leave "
            "lpips_backbone out."
        )
    slices = np.flatnonzero(foreground.any(axis=(1, 2)))
    if evaluated_slices is not None:
        slices = np.intersect1d(slices, evaluated_slices)
    device = next(network.parameters()).device
    distances = []
    for start in range(0, len(slices), BATCH):
        chosen = slices[start : start + BATCH]
        with torch.no_grad():
            pair = [_rgb(volume[chosen]).to(device) for volume in (prediction, target)]
            distances += network(*pair).flatten().tolist()
    return float(np.mean(distances)) if distances else float("nan")


def _rgb(slices: np.ndarray) -> Tensor:
    gray = torch.from_numpy(np.ascontiguousarray(slices, dtype=np.float32)).clamp(-1, 1)
    return gray[:, None].expand(-1, 3, -1, -1)


class PerceptualDistance:
    """Fill the column `lpips`, or say why it is empty.

    Args:
        backbone: see :func:`build_lpips`; `None` leaves the column empty.
        device: where to compute; `None` = the CPU.

    Raises:
        FileNotFoundError: see :func:`build_lpips`.
        ValueError: see there.
    """

    columns = (Column(name="lpips", label="LPIPS", better="lower"),)

    def __init__(self, *, backbone: str | None = None, device: str | torch.device | None = None) -> None:
        self.network: nn.Module | None = None
        self.note = ""
        if backbone is None:
            self.note = "lpips_backbone was not given: the weights of torchvision's AlexNet (alexnet-owt-7be5be79.pth)."
        elif importlib.util.find_spec("lpips") is None:
            self.note = "the package lpips is not installed: pip install lpips"
        else:
            self.network = build_lpips(backbone=backbone).to(device or "cpu")

    def __call__(self, case: CaseVolumes) -> dict[str, float]:
        """Return `lpips`."""
        if self.network is None:
            return {"lpips": float("nan")}
        distance = perceptual_distance(
            prediction=case.prediction,
            target=case.target,
            foreground=case.foreground,
            evaluated_slices=case.evaluated_slices,
            network=self.network,
        )
        return {"lpips": distance}
