"""Segmenters that a user may name, and what they may return."""

import numpy as np
import pytest
import torch

from unicoal_components.metrics.segmenter import Segmenter

VOLUME = np.random.default_rng(0).uniform(-1.2, 1.2, (3, 4, 5)).astype(np.float32)
EXPECTED = (VOLUME > 0).astype(np.int64)


class Threshold(torch.nn.Module):
    """Logits of background and bright tissue."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([0.5 - x, x - 0.5], dim=1)


def labels(volume):
    assert volume.shape == (1, 1, 3, 4, 5) and volume.dtype == torch.float32
    assert volume.min() >= 0 and volume.max() <= 1
    assert not torch.is_grad_enabled()
    return (volume > 0.5).long()


@pytest.fixture
def script(tmp_path):
    torch.jit.script(Threshold()).save(tmp_path / "net.ts")
    return str(tmp_path / "net.ts")


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_segmenter.py").write_text(
        "def segment(volume):\n    return (volume[0, 0] > 0.5).int()\nthing = 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_torchscript_modules_files_and_callables_say_the_same(script, module):
    for name in (script, "my_segmenter:segment", f"{module}/my_segmenter.py:segment", labels, Threshold()):
        result = Segmenter(name)(VOLUME)
        assert result.dtype == np.int64
        np.testing.assert_array_equal(result, EXPECTED)


def test_arrays_and_leading_ones_are_taken(module):
    np.testing.assert_array_equal(Segmenter(lambda v: (v[0, 0] > 0.5).numpy().astype(np.uint8))(VOLUME), EXPECTED)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("none.ts", FileNotFoundError, "'none.ts' does not exist; give a TorchScript"),
        ("none.py:segment", FileNotFoundError, "there is no file 'none.py'"),
        ("no_such_module:segment", ValueError, "cannot be imported"),
        ("my_segmenter:none", ValueError, "has no callable 'none'"),
        ("my_segmenter:thing", ValueError, "has no callable 'thing'"),
    ],
)
def test_what_cannot_be_found_is_named(module, name, kind, message):
    with pytest.raises(kind, match=message):
        Segmenter(name)


def test_weights_are_no_torchscript(tmp_path):
    torch.save(Threshold().state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"weights.pt' is no TorchScript"):
        Segmenter(str(tmp_path / "weights.pt"))


def fails(volume):
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda v: v, r"returned torch.float32 \(1, 1, 3, 4, 5\)"),
        (lambda v: torch.zeros(1, 3, 3, 4, 4), r"\(1, 3, 3, 4, 4\) for a volume \(3, 4, 5\)"),
        (lambda v: torch.full((1, 2, 3, 4, 5), torch.nan), "not finite"),
        (lambda v: torch.zeros(4, 3, 5, dtype=torch.long), r"\(4, 3, 5\)"),
        (fails, "'fails' failed on a volume.*RuntimeError: out of memory"),
    ],
)
def test_what_is_no_segmentation_is_refused(function, message):
    with pytest.raises(ValueError, match=message):
        Segmenter(function)(VOLUME)
