"""Non-finite gradients: replace and count them, and stop the training if they persist."""

import logging
from collections.abc import Iterable

import torch

logger = logging.getLogger(__name__)


def replace_nonfinite_gradients(parameters: Iterable[torch.nn.Parameter]) -> torch.Tensor:
    """Replace every gradient value that is not finite by 0, in place.

    One such value would otherwise spoil the optimizer's moments permanently.

    Args:
        parameters: parameters to check; those without a gradient are skipped.

    Returns:
        Number of values replaced, a 0-dim int64 tensor on the gradients' device, to avoid a synchronization here.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(3))
        >>> weight.grad = torch.tensor([1.0, float("nan"), float("inf")])
        >>> replace_nonfinite_gradients([weight]).item(), weight.grad.tolist()
        (2, [1.0, 0.0, 0.0])
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return torch.zeros((), dtype=torch.int64)
    counts = [gradient.isfinite().logical_not().sum() for gradient in gradients]
    for gradient in gradients:
        torch.nan_to_num_(gradient, nan=0.0, posinf=0.0, neginf=0.0)
    return torch.stack(counts).sum()


class NonFiniteGuard:
    """Stop a training that has diverged.

    Args:
        patience: consecutive iterations with a non-finite gradient value that end the training, ≥ 1.

    Attributes:
        total: values replaced since the start of training.
        consecutive: number of the latest consecutive iterations in which a value was replaced.
    """

    def __init__(self, *, patience: int = 10) -> None:
        if patience < 1:
            raise ValueError(f"patience is {patience}; it must be ≥ 1 iterations")
        self.patience = patience
        self.total = 0
        self.consecutive = 0

    def update(self, count: int, *, iteration: int) -> None:
        """Add the count of values replaced in one iteration.

        Args:
            count: number of values replaced.
            iteration: number of the iteration, for messages.

        Raises:
            RuntimeError: `patience` is used up.
        """
        if count == 0:
            self.consecutive = 0
            return
        self.total += count
        self.consecutive += 1
        logger.warning("Iteration %d: %d non-finite gradient values replaced by 0", iteration, count)
        if self.consecutive >= self.patience:
            raise RuntimeError(
                f"gradients were not finite in {self.consecutive} iterations in a row, up to iteration {iteration} "
                f"({self.total} values in all): training has diverged. Lower the learning rates, check the images "
                "for NaN or values outside of [-1, 1], and start again from the last checkpoint."
            )

    def state_dict(self) -> dict[str, int]:
        """Return the counters, for the checkpoint."""
        return {"total": self.total, "consecutive": self.consecutive}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Restore the counters from a checkpoint."""
        self.total, self.consecutive = int(state["total"]), int(state["consecutive"])
