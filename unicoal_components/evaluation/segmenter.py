"""A frozen segmenter that the user names: a TorchScript file or a Python callable."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

HOW = "give a TorchScript file such as net.ts, or a Python callable as package.module:function or path/file.py:function"


class Segmenter:
    """Turn a volume into a map of labels.

    What is named runs as the code that it is, so it must be trusted: `torch.jit.load` and an import execute files. It
    is frozen: a network is put in eval mode, and no gradient is kept. Padding, resampling and its own scaling of
    intensities are the segmenter's business.

    Args:
        name: TorchScript file, or `package.module:function`, or `file.py:function`; or the callable itself. It takes a
            float32 volume `(1, 1, D, H, W)` in [0, 1], where this package's x in [-1, 1] is (x + 1) / 2 and background
            0, axes to superior, posterior and left, voxels of the case's size, and returns logits `(1, C, D, H, W)`
            of C >= 2 classes, the largest of which counts, or integer labels `(D, H, W)`, 1s in front allowed.
        device: where the volume goes, and a network with it; `None` = the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no TorchScript or fails, or there is no such callable.

    >>> bright = Segmenter(lambda volume: (volume > 0.5).long())
    >>> bright(np.array([[[-1.0, 0.5]]])).tolist()
    [[[0, 1]]]
    """

    def __init__(self, name: str | Callable[[Tensor], Any], *, device: str | torch.device | None = None) -> None:
        self.name = name if isinstance(name, str) else getattr(name, "__name__", type(name).__name__)
        self.device = torch.device(device or "cpu")
        self.function: Callable[[Tensor], Any] = _load(name) if isinstance(name, str) else name
        if not callable(self.function):
            raise ValueError(f"segmenter is {name!r}; {HOW}.")
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
            if result.min() < 0:
                raise ValueError(f"segmenter '{self.name}' returned the label {int(result.min())}; labels are >= 0.")
            return result.reshape(shape).long()
        raise ValueError(
            f"segmenter '{self.name}' returned {result.dtype} {tuple(result.shape)} for a volume {tuple(shape)}; it "
            f"must be logits (1, C, {', '.join(map(str, shape))}) of at least two classes, or integer labels "
            f"{tuple(shape)}."
        )


def segmenter_file(name: str | None) -> str | None:
    """Return the file that holds a segmenter, whose change is a change of the segmenter.

    Args:
        name: see `Segmenter`; `None` for none.

    Returns:
        The TorchScript or Python file; of a module that is not there, its name.

    >>> segmenter_file("folder:1/net.ts"), segmenter_file("file.py:segment"), segmenter_file(None)
    ('folder:1/net.ts', 'file.py', None)
    """
    if name is None or not _is_callable(name):
        return name
    place = name.rpartition(":")[0]
    if place.endswith(".py"):
        return place
    try:
        spec = importlib.util.find_spec(place)
    except (ImportError, ValueError):
        return place
    return place if spec is None or spec.origin is None else spec.origin


def _is_callable(name: str) -> bool:
    """Tell a callable from a TorchScript file, whose name may hold a colon too."""
    _, colon, attribute = name.rpartition(":")
    return bool(colon) and attribute.isidentifier()


def _load(name: str) -> Callable[[Tensor], Any]:
    if _is_callable(name):
        place, _, attribute = name.rpartition(":")
        return _callable(place, attribute)
    if not Path(name).is_file():
        raise FileNotFoundError(f"segmenter '{name}' does not exist; {HOW}.")
    try:
        return torch.jit.load(name, map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"segmenter '{name}' is no TorchScript ({str(error).splitlines()[0]}); {HOW}.") from error


def _callable(place: str, attribute: str) -> Callable[[Tensor], Any]:
    """Import `attribute` of a module, or of a file that need not be on the path."""
    if place.endswith(".py") and not Path(place).is_file():
        raise FileNotFoundError(f"segmenter '{place}:{attribute}': there is no file '{place}'; {HOW}.")
    try:
        module = _run_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:  # whatever the user's code raises
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"segmenter '{place}:{attribute}' cannot be imported ({reason}); {HOW}.") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ValueError(f"segmenter '{place}:{attribute}': '{place}' has no callable '{attribute}'; {HOW}.")
    return function


def _run_file(path: Path) -> ModuleType:
    name = f"_segmenter_{path.stem}"  # its own name, so that a file json.py hides no module
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[name] = module  # as an import does; dataclasses look themselves up there
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module
