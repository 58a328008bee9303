import pytest
import torch

from unicoal_components.training.gradients import NonFiniteGuard, replace_nonfinite_gradients


def test_bad_values_are_zeroed_and_counted_and_good_ones_kept():
    first, second, without = (torch.nn.Parameter(torch.zeros(2)) for _ in range(3))
    first.grad = torch.tensor([float("nan"), 2.0])
    second.grad = torch.tensor([float("-inf"), float("inf")])
    assert int(replace_nonfinite_gradients([first, second, without])) == 3
    assert first.grad.tolist() == [0.0, 2.0]
    assert second.grad.tolist() == [0.0, 0.0]
    assert int(replace_nonfinite_gradients([first, second])) == 0


def test_no_gradients_count_as_none():
    assert int(replace_nonfinite_gradients([torch.nn.Parameter(torch.zeros(1))])) == 0


def test_the_guard_stops_after_consecutive_bad_iterations_only():
    guard = NonFiniteGuard(patience=3)
    for iteration, count in enumerate([1, 5, 0, 2, 2], start=1):
        guard.update(count, iteration=iteration)
    assert guard.total == 10
    with pytest.raises(RuntimeError, match="3 iterations in a row, up to iteration 6"):
        guard.update(1, iteration=6)


def test_the_counters_survive_a_restart():
    guard, other = NonFiniteGuard(), NonFiniteGuard()
    guard.update(4, iteration=1)
    other.load_state_dict(guard.state_dict())
    assert (other.total, other.consecutive) == (4, 1)


def test_a_patience_below_one_is_refused():
    with pytest.raises(ValueError, match="patience"):
        NonFiniteGuard(patience=0)
