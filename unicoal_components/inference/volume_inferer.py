"""MONAI inferer that synthesizes a thin volume from a thick stack, by slices, windows and batches."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.inferers import Inferer
from torch import Tensor
from tqdm import tqdm

from ..files.scratch import release, scratch_array
from ..keys import BLANK
from ..slices.slice_group import check_factor, thin_depths
from .context import predict_in_context
from .data_consistency import make_consistent
from .memory_fallback import MemoryFallback
from .slice_smoothing import smooth_slices
from .windows import PRECISIONS, predict_windows


def slice_groups(stack: Tensor, anchors: Tensor, size: int) -> Tensor:
    """Gather the thick slices around each anchor: for size 4, slices n-1, n, n+1, n+2; blank outside the stack.

    Args:
        stack: thick slices (N, H, W) in [-1, 1].
        anchors: index n of the last thick slice not above the thin one, int64 (B,).
        size: slices in a group, even.

    Returns:
        (B, size, H, W).
    """
    steps = torch.arange(1 - size // 2, size // 2 + 1, device=anchors.device)
    numbers = (anchors[:, None] + steps).to(stack.device)
    inside = (numbers >= 0) & (numbers < stack.shape[0])
    groups = stack[numbers.clamp(0, stack.shape[0] - 1)]
    return torch.where(inside[..., None, None], groups, torch.full_like(groups[:1, :1], BLANK))


class VolumeInferer(Inferer):
    """Run a network of slice groups over a thick stack and collect the thin slices.

    Thin slice b has the anchor n = floor(b / k) and the position b / k - n in [0, 1) (docs/method.md, section 6); its
    group is taken from the thick stack by indices only, so no thin slice needs to exist. One `z` is used for the whole
    volume, so that neighboring slices are consistent. Where the whole group is blank there is no anatomy: the output is
    blank and the network is not called. Slices larger than the network's resolution are covered by overlapping windows
    with Gaussian blending (MONAI's); smaller ones are padded with -1 and cropped back. Apart from the input and the
    output, memory depends on `batch_size` only, not on the number of slices. If that of a GPU is used up, smaller
    batches are tried, then the CPU, see `MemoryFallback`.

    At a factor of 1 the slices along all three axes can be synthesized, and the three volumes averaged (`planes`). From
    plane to plane the network errs differently, so that the mean is nearer to the truth (docs/measurements.md).

    Args:
        resolution: in-plane size R of the network, in pixels.
        slice_group_size: thick slices in a group, even (the paper's network: 4).
        batch_size: slices (or windows) in one call of the network.
        overlap: overlap of adjacent windows as a fraction of their size, in [0, 1).
        context: across modalities, take the coarse brightness of slices much larger than a window from a prediction of
            the whole slice, see `predict_in_context`.
        data_consistency: within a modality at a factor above 1, correct the thin slices so that they average to the
            thick ones, see `make_consistent`. This needs neighboring slices; single ones stay as they are.
        slice_smoothing: across modalities at a factor above 1, average neighboring slices, see `smooth_slices`.
        precision: "float32", or "bfloat16" for the dense convolutions if the device supports it: faster, with about
            50 dB or more relative to float32.
        whole_batches: fill the last batch, so that a compiled network always gets the same shape.
        scratch_dir: folder for an unnamed temporary file that holds the output, for volumes larger than main memory;
            removed with the output. `None` = in memory.
        num_samples: number of latent codes. 1: the given one, or the network's default. More: drawn at random, and the
            output has a second channel.
        z_dim: length of a latent code; required for several samples.
        seed: seed of the latent codes; the same seed gives the same output.
        with_error: also request the expected error of the network, as the last channel of the output.
        progress: show a progress bar over the thin slices; or a function that gets their number and
            returns another bar, a context with `update(slices)`.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(
        self,
        *,
        resolution: int,
        slice_group_size: int = 4,
        batch_size: int = 8,
        overlap: float = 0.25,
        context: bool = False,
        data_consistency: bool = False,
        slice_smoothing: bool = False,
        precision: str = "float32",
        whole_batches: bool = False,
        scratch_dir: str | None = None,
        num_samples: int = 1,
        z_dim: int | None = None,
        seed: int = 0,
        with_error: bool = False,
        progress: bool | Callable[[int], AbstractContextManager[Any]] = False,
    ) -> None:
        super().__init__()
        if slice_group_size < 2 or slice_group_size % 2:
            raise ValueError(f"slice_group_size is {slice_group_size}; it must be an even number of at least 2.")
        for field, value in {"resolution": resolution, "batch_size": batch_size, "num_samples": num_samples}.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{field} is {value!r}; it must be a whole number of at least 1.")
        if num_samples > 1 and z_dim is None:
            raise ValueError(f"num_samples is {num_samples} without z_dim; give the z_dim of the network.")
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap is {overlap}; it must be in [0, 1), such as 0.25.")
        if precision not in PRECISIONS:
            raise ValueError(f"precision is {precision!r}; it must be one of {', '.join(map(repr, PRECISIONS))}.")
        self.resolution = resolution
        self.slice_group_size = slice_group_size
        self.batch_size = batch_size
        self.overlap = overlap
        self.context = context
        self.data_consistency = data_consistency
        self.slice_smoothing = slice_smoothing
        self.precision = precision
        self.whole_batches = whole_batches
        self.scratch_dir = scratch_dir
        self.num_samples = num_samples
        self.z_dim = z_dim
        self.seed = seed
        self.with_error = with_error
        self.progress = progress

    def __call__(  # type: ignore[override]
        self,
        inputs: Tensor,
        network: Callable[..., Tensor],
        *,
        modality: Tensor | None = None,
        factor: Tensor | float = 1.0,
        source_modality: Tensor | None = None,
        indices: Tensor | None = None,
        thickness: Tensor | None = None,
        z: Tensor | None = None,
        planes: Tensor | int = 1,
    ) -> Tensor:
        """Synthesize thin slices.

        Args:
            inputs: thick stack (1, 1, N, H, W) in [-1, 1].
            network: called as `network(groups, z=, modality=, position=, same_modality=, source_modality=, factor=,
                thickness=)` with groups (B, S, R, R), and `with_error=True` if the error is requested; returns
                (B, 1, R, R), or (B, 2, R, R) with the error.
            modality: target class index (1,).
            factor: thick over thin slice spacing k, a real number >= 1; a number or a tensor (1,).
            source_modality: class index of the input (1,); it tells the network whether source and target are the same
                modality. `None` = not passed to the network.
            indices: requested thin slices, int64 (K,) or (1, K). `None` = all round(N k).
            thickness: slice thickness over slice spacing of the input (1,). `None` = the network's default, slices that
                touch.
            z: latent code (1, z_dim), for one sample. `None` = the network's default.
            planes: 1: the slices of the stack; 3: of the volume along all three axes, averaged, for a factor of 1 and
                all slices. A number or a tensor (1,).

        Returns:
            (1, C, K, H, W): the slices in [-1, 1], or for several samples their mean and their standard deviation
            (n - 1) on the same scale; if requested, the expected error on the same scale (mean over samples). With
            three planes every channel is the mean over them.

        Raises:
            ValueError: the input is not one stack with one channel, the factor is below 1, or three planes are wanted
                of single slices or at another factor.
        """
        if inputs.ndim != 5 or inputs.shape[:2] != (1, 1):
            raise ValueError(
                f"inputs has shape {tuple(inputs.shape)}; it must be (1, 1, N, H, W): one stack at a time."
            )
        stack = inputs[0, 0]
        number = check_factor(_number(factor))
        axes = _axes(_number(planes), number, indices)
        if indices is None:
            indices = torch.arange(round(stack.shape[0] * number))
        depths = thin_depths(indices, number)
        same = None if source_modality is None or modality is None else source_modality == modality
        shared = {"modality": modality, "same_modality": same, "source_modality": source_modality}
        shared |= {"factor": stack.new_tensor([number]), "thickness": thickness}
        conditions = [{"z": code, **shared} for code in self._codes(z, stack)]
        with (
            MemoryFallback(network, self.batch_size, stack.device) as now,
            self._bar(len(depths) + sum(stack.shape[axis] for axis in axes)) as progress,
        ):
            output = self._synthesize(stack, depths, network, conditions, now, progress)
            for axis in axes:
                turned = stack.movedim(axis, 0).contiguous()
                other = self._synthesize(turned, np.arange(len(turned)), network, conditions, now, progress)
                output += other.movedim(1, 1 + axis)
            if axes:
                output /= 1 + len(axes)
        if number > 1 and same is not None:
            numbers = indices.reshape(-1)
            if self.data_consistency and bool(same):
                width = 1.0 if thickness is None else _number(thickness)
                make_consistent(output[0], stack, indices=numbers, factor=number, thickness=width)
            if self.slice_smoothing and not bool(same):
                smooth_slices(output[0], indices=numbers, factor=number)
        return output[None]

    def _synthesize(
        self,
        stack: Tensor,
        depths: np.ndarray,
        network: Callable[..., Tensor],
        conditions: list[dict[str, Any]],
        now: MemoryFallback,
        progress: Any,
    ) -> Tensor:
        """Return the thin slices (C, K, H, W) at `depths` in a thick stack (N, H, W), see `__call__`."""
        channels = (1 if self.num_samples == 1 else 2) + self.with_error
        shape = (channels, len(depths), *stack.shape[1:])
        on_disk = None if self.scratch_dir is None else scratch_array(shape, np.float32, self.scratch_dir)
        if on_disk is not None:
            output = torch.from_numpy(on_disk)
        else:
            output = torch.empty(shape, dtype=stack.dtype, device=stack.device)
        start = 0
        while start < len(depths):
            batch = slice(start, start + now.batch_size)
            with now.attempt():
                given = [_on(one, now.device) for one in conditions]
                self._fill(output[:, batch], stack.to(now.device), depths[batch], network, given, now.batch_size)
            if now.completed:
                progress.update(len(depths[batch]))
                start = batch.stop
            if on_disk is not None:
                release(on_disk)
        return output

    def _bar(self, slices: int) -> AbstractContextManager[Any]:
        if callable(self.progress):
            return self.progress(slices)
        return tqdm(total=slices, desc="slices", unit="slice", disable=not self.progress)

    def _codes(self, z: Tensor | None, like: Tensor) -> list[Tensor | None]:
        """Return the latent code (1, z_dim) of each sample, drawn on the CPU to be the same for every device."""
        if self.num_samples == 1:
            return [z]
        generator = torch.Generator().manual_seed(self.seed)
        codes = torch.randn(self.num_samples, 1, self.z_dim or 1, generator=generator)
        return list(codes.to(like))

    def _fill(
        self,
        output: Tensor,
        stack: Tensor,
        depths: np.ndarray,
        network: Callable[..., Tensor],
        conditions: list[dict[str, Any]],
        batch_size: int,
    ) -> None:
        """Write the thin slices at `depths` into `output` (C, B, H, W), see `__call__` for the channels."""
        anchors = np.floor(depths)
        groups = slice_groups(stack, torch.as_tensor(anchors, dtype=torch.int64), self.slice_group_size)
        positions = torch.as_tensor(depths - anchors, dtype=stack.dtype, device=stack.device)
        how: dict[str, Any] = {"resolution": self.resolution, "batch_size": batch_size, "overlap": self.overlap}
        how |= {"precision": self.precision, "whole_batches": self.whole_batches, "with_error": self.with_error}
        predict: Callable[..., Tensor] = partial(predict_windows, positions=positions, network=network, **how)
        same = conditions[0]["same_modality"]
        if self.context and (same is None or not bool(same)):
            predict = partial(predict_in_context, predict=predict, resolution=self.resolution)
        predicted = [predict(groups, conditions=one) for one in conditions]
        samples = [sample[:, 0].clamp(-1, 1) for sample in predicted]
        if not all(bool(sample.isfinite().all()) for sample in predicted):
            raise ValueError(
                "the output of the network is not finite: its weights are damaged or need a higher precision; give "
                "other weights (--ckpt_path), or --precision float32."
            )
        if len(samples) == 1:
            output[0] = samples[0]
        else:
            deviation, mean = torch.std_mean(torch.stack(samples), dim=0)
            output[0], output[1] = mean, deviation
        if self.with_error:
            output[-1] = torch.stack([sample[:, 1] for sample in predicted]).mean(dim=0)


def _number(value: Tensor | float) -> float:
    """Return a number, given as such or as a tensor (1,)."""
    return value.reshape(-1)[0].item() if isinstance(value, Tensor) else value


def _axes(planes: float, factor: float, indices: Tensor | None) -> tuple[int, ...]:
    """Return the axes of the stack along which slices are synthesized too, besides its own."""
    if planes not in (1, 3):
        raise ValueError(f"planes is {planes}; it must be 1, the slices of the stack, or 3, those along every axis.")
    if planes == 3 and (factor != 1 or indices is not None):
        raise ValueError("planes is 3, which needs a factor of 1 and the whole volume; give 1.")
    return () if planes == 1 else (1, 2)


def _on(conditions: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Return conditions with their tensors on a device."""
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in conditions.items()}
