"""Frozen segmenter given by name: a TorchScript file or a Python callable."""

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

from ..runtime.weights import check_archive

HINT = (
    "give a TorchScript file such as net.ts, or a Python callable as package.module:function or path/file.py:function"
)


class Segmenter:
    """Segment a volume with a given network or function.

    The segmenter must be trusted: `torch.jit.load` and an import execute code. It is frozen: a network is put in eval
    mode, and no gradient is kept. Padding, resampling and any further scaling of intensities are left to the segmenter.

    Args:
        name: TorchScript file, `package.module:function` or `file.py:function`; or the callable itself. It takes a
            float32 volume `(1, 1, D, H, W)` in [0, 1] (this package's x in [-1, 1] as (x + 1) / 2, background 0), with
            axes to superior, posterior and left and voxels of the case's size. It returns logits `(1, C, D, H, W)`
            of C >= 2 classes, of which the largest is taken, or integer labels `(D, H, W)`, leading 1s allowed.
        device: device of the volume, and of a network; `None` = the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no TorchScript or cannot be loaded, or there is no such callable.

    Example:
        >>> bright = Segmenter(lambda volume: (volume > 0.5).long())
        >>> bright(np.array([[[-1.0, 0.5]]])).tolist()
        [[[0, 1]]]
    """

    def __init__(self, name: str | Callable[[Tensor], Any], *, device: str | torch.device | None = None) -> None:
        self.name = name if isinstance(name, str) else getattr(name, "__name__", type(name).__name__)
        self.device = torch.device(device or "cpu")
        self.function: Callable[[Tensor], Any] = _load(name) if isinstance(name, str) else name
        if not callable(self.function):
            raise ValueError(f"segmenter is {name!r}; {HINT}.")
        if isinstance(self.function, nn.Module):
            self.function = self.function.to(self.device).eval()

    def __call__(self, volume: np.ndarray) -> np.ndarray:
        """Segment a volume.

        Args:
            volume: `(D, H, W)` in [-1, 1]; clipped, and mapped to [0, 1].

        Returns:
            Labels `(D, H, W)`, int64, 0 = background.

        Raises:
            ValueError: the segmenter failed, or its result has another shape or type.
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
    """Return the file that holds a segmenter, to detect when the segmenter changes.

    Args:
        name: see `Segmenter`; `None` for none.

    Returns:
        The TorchScript or Python file; for a module that is not installed, its name.

    Example:
        >>> segmenter_file("folder:1/net.ts"), segmenter_file("file.py:segment"), segmenter_file(None)
        ('folder:1/net.ts', 'file.py', None)
    """
    if name is None or not _is_callable(name):
        return name
    location = name.rpartition(":")[0]
    if location.endswith(".py"):
        return location
    try:
        spec = importlib.util.find_spec(location)
    except (ImportError, ValueError):
        return location
    return location if spec is None or spec.origin is None else spec.origin


def _is_callable(name: str) -> bool:
    """Return whether the name is of a callable, not of a TorchScript file, which may contain a colon too."""
    _, colon, attribute = name.rpartition(":")
    return bool(colon) and attribute.isidentifier()


def _load(name: str) -> Callable[[Tensor], Any]:
    if _is_callable(name):
        location, _, attribute = name.rpartition(":")
        return _callable(location, attribute)
    if not Path(name).is_file():
        raise FileNotFoundError(f"segmenter '{name}' does not exist; {HINT}.")
    try:
        check_archive(name)
        return torch.jit.load(name, map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"segmenter '{name}' is no TorchScript ({str(error).splitlines()[0]}); {HINT}.") from error


def _callable(location: str, attribute: str) -> Callable[[Tensor], Any]:
    """Import `attribute` from a module, or from a file that need not be on the Python path."""
    if location.endswith(".py") and not Path(location).is_file():
        raise FileNotFoundError(f"segmenter '{location}:{attribute}': there is no file '{location}'; {HINT}.")
    try:
        module = _run_file(Path(location)) if location.endswith(".py") else importlib.import_module(location)
    except Exception as error:  # whatever the user's code raises
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"segmenter '{location}:{attribute}' cannot be imported ({reason}); {HINT}.") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ValueError(f"segmenter '{location}:{attribute}': '{location}' has no callable '{attribute}'; {HINT}.")
    return function


def _run_file(path: Path) -> ModuleType:
    name = f"_segmenter_{path.stem}"  # a private name, so that a file json.py does not shadow the module json
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[name] = module  # as an import does; dataclasses look up their module here
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module
