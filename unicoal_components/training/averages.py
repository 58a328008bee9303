"""Running averages of weights and statistics, updated by explicit calls of the trainer."""

import copy
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.hooks import RemovableHandle

from ..runtime.distributed import average_over_ranks, unwrap, world_size
from .schedules import average_half_life, decay_from_half_life


class AveragedGenerator:
    """Keep an exponential moving average of a generator's weights, for validation and release.

    Unlike MONAI's `EMAHandler` it has a half-life in images and a state that a checkpoint restores.

    Args:
        generator: network to follow; copied, frozen and set to eval mode.
        half_life_images: images after which the share of an old weight has halved, > 0.
        rampup: see `average_half_life`.

    Attributes:
        module: the averaged network.

    Raises:
        ValueError: the half-life is not positive.
    """

    def __init__(self, *, generator: nn.Module, half_life_images: float = 10_000, rampup: float | None = 0.05) -> None:
        if half_life_images <= 0:
            raise ValueError(f"half_life_images is {half_life_images}; it must be > 0")
        self.module = copy.deepcopy(unwrap(generator)).requires_grad_(False).eval()
        self.half_life_images = half_life_images
        self.rampup = rampup

    @torch.no_grad()
    def update(self, generator: nn.Module, *, batch_size: int, images_seen: float) -> None:
        """Move towards `generator` by one batch; buffers are copied.

        Args:
            generator: network in training, of the same architecture.
            batch_size: images in this iteration, over all processes.
            images_seen: images before this iteration.
        """
        generator = unwrap(generator)
        half_life = average_half_life(images_seen, half_life_images=self.half_life_images, rampup=self.rampup)
        move = get_ema_multi_avg_fn(decay_from_half_life(batch_size, half_life))
        move(list(self.module.parameters()), list(generator.parameters()), torch.ones(()))
        for average, current in zip(self.module.buffers(), generator.buffers(), strict=True):
            average.copy_(current)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the averaged network's plain state dict, the content of `model.pt`."""
        return self.module.state_dict()

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Load the averaged network's state dict from a checkpoint."""
        self.module.load_state_dict(state)


class InputStatistics:
    """Record statistics of a forward pass, and update `magnitude_ema` and `w_avg` afterwards.

    Every module with a buffer `magnitude_ema` is a modulated convolution: mean(x²) of its input x is recorded. Every
    module with a buffer `w_avg` is a mapping: the mean of its output w is recorded. The official code never updates
    either, so its layers are scaled by a wrong magnitude and truncation pulls towards zero.

        with InputStatistics(network=generator) as statistics:
            fake = generator(image)
        statistics.update(batch_size=16)

    Args:
        network: network whose modules are recorded.
        magnitude_half_life_images: half-life of `magnitude_ema`, in images.
        w_decay: share of the old `w_avg` after one iteration, in [0, 1].
    """

    def __init__(
        self, *, network: nn.Module, magnitude_half_life_images: float = 20_000, w_decay: float = 0.998
    ) -> None:
        self.magnitude_half_life_images = magnitude_half_life_images
        self.w_decay = w_decay
        self.convolutions = _owners(network, "magnitude_ema")
        self.mappings = _owners(network, "w_avg")
        self._seen: dict[nn.Module, list[torch.Tensor]] = {}
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> "InputStatistics":
        self._seen = {}
        self._hooks = [m.register_forward_hook(self._note_input) for m in self.convolutions]
        self._hooks += [m.register_forward_hook(self._note_output) for m in self.mappings]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _note_input(self, module: nn.Module, inputs: tuple[Any, ...], _: Any) -> None:
        x = inputs[0].detach()
        mean_square = torch.linalg.vector_norm(x, dtype=torch.float32).square() / x.numel()
        self._seen.setdefault(module, []).append(mean_square)

    def _note_output(self, module: nn.Module, _: tuple[Any, ...], w: torch.Tensor) -> None:
        self._seen.setdefault(module, []).append(w.detach().float().flatten(0, -2).mean(dim=0))

    @torch.no_grad()
    def update(self, *, batch_size: int) -> None:
        """Move the buffers towards the statistics of the forward pass, averaged over all processes.

        Args:
            batch_size: images in this iteration, over all processes.
        """
        magnitude_decay = decay_from_half_life(batch_size, self.magnitude_half_life_images)
        moves = [(m, m.magnitude_ema, magnitude_decay) for m in self.convolutions]
        moves += [(m, m.w_avg, self.w_decay) for m in self.mappings]
        if world_size() == 1:  # else all processes send equally much; one without statistics sends its buffers
            moves = [move for move in moves if move[0] in self._seen]
        if not moves:
            return
        targets = [
            torch.stack(self._seen[module]).mean(dim=0) if module in self._seen else buffer.float()
            for module, buffer, _ in moves
        ]
        if world_size() > 1:
            flat = average_over_ranks(torch.cat([target.flatten() for target in targets]))
            targets = list(flat.split([target.numel() for target in targets]))
        for (_, buffer, decay), target in zip(moves, targets, strict=True):
            target = target.view_as(buffer).to(buffer)
            buffer.lerp_(torch.where(target.isfinite(), target, buffer), 1.0 - decay)  # ignore a bad batch


def _owners(network: nn.Module, name: str) -> list[Any]:
    """List the modules that own a buffer of this name."""
    return [m for m in network.modules() if any(key == name for key, _ in m.named_buffers(recurse=False))]
