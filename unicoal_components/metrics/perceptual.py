"""LPIPS: a distance of deep features that agrees better with human judgment than PSNR."""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..runtime.weights import read_weights
from .measure import CaseVolumes, Column
from .volume_pair import Volume, checked_mask, volume_pair

SMALLEST = 64
"""Smallest side of a slice, at which AlexNet's last features are 3 across."""
BATCH = 16

HINT = "give --lpips_backbone alexnet-owt-7be5be79.pth, the weights of torchvision's AlexNet"


def build_lpips(*, backbone: str | Path) -> nn.Module:
    """Build LPIPS (Zhang et al., CVPR 2018) with AlexNet, version 0.1, by the `lpips` package; nothing is downloaded.

    The package's wheel contains the linear layers. All weights are read as data, never as code.

    Args:
        backbone: weights of torchvision's AlexNet, a state dict; its classifier is ignored and may be missing.

    Returns:
        A frozen network that takes two batches of RGB images `(B, 3, H, W)` in [-1, 1].

    Raises:
        ImportError: the package is not installed.
        FileNotFoundError: there is no such file.
        ValueError: the file has other weights.
    """
    features = _features(_existing(backbone))
    import lpips  # imported here, as the package is optional

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision: `pretrained` is deprecated
        network = lpips.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False)
    linear = Path(inspect.getfile(lpips.LPIPS)).parent / "weights" / "v0.1" / "alex.pth"
    network.load_state_dict(read_weights(linear), strict=False)
    for key, value in network.net.state_dict().items():  # slice2.3.weight is AlexNet's features.3.weight
        value.copy_(_fitting(features, f"features.{key.split('.', 1)[1]}", value.shape, backbone))
    return network.requires_grad_(False).eval()


def _existing(backbone: str | Path) -> Path:
    if not Path(backbone).is_file():
        raise FileNotFoundError(f"lpips_backbone '{backbone}' does not exist; {HINT}.")
    return Path(backbone)


def _features(path: Path) -> dict[str, Tensor]:
    try:
        state = read_weights(path)
    except ValueError as error:
        raise ValueError(f"lpips_backbone '{path}' cannot be read as a state dict ({error}); {HINT}.") from error
    return {key: value for key, value in state.items() if key.startswith("features.")}


def _fitting(features: dict[str, Tensor], name: str, shape: torch.Size, path: str | Path) -> Tensor:
    if name not in features:
        raise ValueError(f"lpips_backbone '{path}' has no '{name}'; {HINT}.")
    found = getattr(features[name], "shape", None)
    if found != shape:
        raise ValueError(f"lpips_backbone '{path}': the shape of '{name}' is {found}, not {shape}; {HINT}.")
    return features[name]


def perceptual_distance(
    *,
    prediction: Volume,
    target: Volume,
    foreground: Volume,
    network: nn.Module,
    evaluated_slices: Sequence[int] | np.ndarray | None = None,
    batch: int = BATCH,
) -> float:
    """Average LPIPS over the slices, along D, that contain foreground; gray images are given as RGB.

    With f_l the features of layer l at a position, scaled to length 1 over channels, and w_l >= 0 the linear layers::

        LPIPS = sum over l of the mean over positions of  sum over channels of  w_l (f_l(p) - f_l(t))^2

    It was fitted to photographs; for MR images it is only a supplementary measure.

    Args:
        prediction: `(D, H, W)`, clipped to [-1, 1].
        target: the truth, same shape, clipped likewise.
        foreground: bool `(D, H, W)`.
        network: network from `build_lpips`.
        evaluated_slices: indices into D to evaluate, `None` for all.
        batch: number of slices at a time.

    Returns:
        At least 0; NaN if no slice is evaluated.

    Raises:
        ValueError: slices are too small for the network, shapes differ, or a value is not finite.
    """
    predicted, true = volume_pair(prediction, target)
    mask = checked_mask(foreground, shape=true.shape, name="foreground")
    if min(true.shape[1:]) < SMALLEST:
        raise ValueError(
            f"slices of {true.shape[1]}x{true.shape[2]} are too small for LPIPS, which needs {SMALLEST}; leave "
            "lpips_backbone out."
        )
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    if evaluated_slices is not None:
        slices = np.intersect1d(slices, evaluated_slices)
    device = next(network.parameters()).device
    distances = []
    for start in range(0, len(slices), batch):
        chosen = slices[start : start + batch]
        with torch.no_grad():
            pair = [_rgb(volume[chosen]).to(device) for volume in (predicted, true)]
            distances += network(*pair).flatten().tolist()
    return float(np.mean(distances)) if distances else float("nan")


def _rgb(slices: np.ndarray) -> Tensor:
    gray = torch.from_numpy(np.ascontiguousarray(slices, dtype=np.float32)).clamp(-1, 1)
    return gray[:, None].expand(-1, 3, -1, -1)


class PerceptualDistance:
    """Measure of the column `lpips`, with a note if it is empty.

    Args:
        backbone: see `build_lpips`; `None` leaves the column empty.
        device: where to compute; `None` = the CPU.

    Raises:
        FileNotFoundError: see `build_lpips`.
        ValueError: see `build_lpips`.
    """

    columns = (Column(name="lpips", label="LPIPS", better="lower"),)

    def __init__(self, *, backbone: str | None = None, device: str | torch.device | None = None) -> None:
        self.network: nn.Module | None = None
        self.note = ""
        if backbone is None:
            self.note = HINT
        elif _existing(backbone) and importlib.util.find_spec("lpips") is None:
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
