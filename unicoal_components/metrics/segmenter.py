"""A frozen segmenter that the user names: a TorchScript file or a Python callable."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

HOW = "give a TorchScript file such as net.ts, or a Python callable as package.module:function or path/file.py:function"


class Segmenter:
    """Turn a volume into a map of labels.

    What is named runs as the code that it is, so it must be trusted: `torch.jit.load` and an import execute files.

    Args:
        name: TorchScript file, or `package.module:function`, or `file.py:function`; or the callable itself. It takes a
            float32 volume `(1, 1, D, H, W)` in [0, 1], axes to superior, posterior and left, and returns logits
            `(1, C, D, H, W)` of C >= 2 classes, or integer labels `(D, H, W)` with any number of 1s in front.
        device: where the volume goes, and a network with it; `None` = the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no TorchScript, or there is no such callable.
    """

    def __init__(self, name: str | Callable[[Tensor], Any], *, device: str | torch.device | None = None) -> None:
        self.name = name if isinstance(name, str) else getattr(name, "__name__", type(name).__name__)
        self.device = torch.device(device or "cpu")
        self.function: Callable[[Tensor], Any] = _load(name) if isinstance(name, str) else name
        if isinstance(self.function, nn.Module):
            self.function = self.function.to(self.device).eval()

    def __call__(self, volume: np.ndarray) -> np.ndarray:
        """Segment a volume.

        Args:
            volume: `(D, H, W)` in [-1, 1]; clipped, and mapped to [0, 1].

        Returns:
            Labels `(D, H, W)`, int64, 0 = background.

        Raises:
            ValueError: the segmenter failed, or returned something else.
        """
        gray = (torch.from_numpy(np.ascontiguousarray(volume, dtype=np.float32)).clamp(-1, 1) + 1) / 2
        try:
            with torch.no_grad():
                result = torch.as_tensor(self.function(gray[None, None].to(self.device))).cpu()
        except Exception as error:
            raise ValueError(
                f"segmenter '{self.name}' failed on a volume {tuple(gray.shape)}: {type(error).__name__}: {error}"
            ) from error
        return self._labels(result, gray.shape).numpy()

    def _labels(self, result: Tensor, shape: torch.Size) -> Tensor:
        if result.ndim == 5 and len(result) == 1 and result.shape[1] > 1 and result.shape[2:] == shape:
            if not bool(result.isfinite().all()):
                raise ValueError(f"segmenter '{self.name}' returned values that are not finite.")
            return result[0].argmax(dim=0)
        if result.numel() == shape.numel() and result.shape[-3:] == shape and not result.is_floating_point():
            return result.reshape(shape).long()
        raise ValueError(
            f"segmenter '{self.name}' returned {result.dtype} {tuple(result.shape)} for a volume {tuple(shape)}; it "
            f"must be logits (1, C, {', '.join(map(str, shape))}) of at least two classes, or integer labels "
            f"{tuple(shape)}."
        )


def _load(name: str) -> Callable[[Tensor], Any]:
    place, colon, attribute = name.rpartition(":")
    if colon and attribute.isidentifier():
        return _callable(place, attribute)
    if not Path(name).is_file():
        raise FileNotFoundError(f"segmenter '{name}' does not exist; {HOW}.")
    try:
        return torch.jit.load(name, map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"segmenter '{name}' is no TorchScript ({str(error).splitlines()[0]}); {HOW}.") from error


def _callable(place: str, attribute: str) -> Callable[[Tensor], Any]:
    """Import `attribute` of a module, or of a file that need not be on the path."""
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise FileNotFoundError(f"segmenter '{place}:{attribute}': there is no file '{place}'; {HOW}.")
        spec = importlib.util.spec_from_file_location(Path(place).stem, place)
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    else:
        try:
            module = importlib.import_module(place)
        except ImportError as error:
            raise ValueError(f"segmenter '{place}:{attribute}' cannot be imported ({error}); {HOW}.") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ValueError(f"segmenter '{place}:{attribute}': '{place}' has no callable '{attribute}'; {HOW}.")
    return function
