"""Segmenters by name: files, modules, callables, and their errors."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from unicoal_components.evaluation.segmenter import Segmenter, segmenter_file

VOLUME = np.linspace(-1, 1, 3 * 4 * 5).reshape(3, 4, 5)
UNIT = (VOLUME.astype(np.float32) + 1) / 2


class Threshold(nn.Module):
    """Logits of two classes, equal at 0.5; dropout would spoil them in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.0, 1.0]).view(1, 2, 1, 1, 1))
        self.dropout = nn.Dropout(0.9)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.weight * (volume - 0.5))


CODE = """
from __future__ import annotations
import dataclasses
import torch

@dataclasses.dataclass
class Bounds:
    low: float = 0.25

def segment(volume):
    assert volume.dtype == torch.float32 and not torch.is_grad_enabled()
    return (volume > Bounds().low).to(torch.uint8)

class Network(torch.nn.Module):
    def forward(self, volume):
        assert not self.training
        return torch.cat([0.75 - volume, volume - 0.25], dim=1)

network = Network()
number = 3
"""


@pytest.fixture
def code(tmp_path):
    (tmp_path / "json.py").write_text(CODE)  # must not shadow the module json
    return tmp_path / "json.py"


def test_a_torchscript_file_is_a_segmenter_whose_largest_logit_counts(tmp_path):
    path = tmp_path / "net.ts"
    torch.jit.script(Threshold().train()).save(path)
    np.testing.assert_array_equal(Segmenter(str(path))(VOLUME), UNIT > 0.5)


def test_a_function_of_a_file_is_a_segmenter(code):
    labels = Segmenter(f"{code}:segment", device="cpu")(VOLUME)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, UNIT > 0.25)
    assert "dumps" in dir(sys.modules.get("json") or __import__("json"))


def test_a_network_of_a_file_is_a_segmenter(code):
    np.testing.assert_array_equal(Segmenter(f"{code}:network")(VOLUME), UNIT > 0.5)


def test_a_function_of_a_module_is_a_segmenter(tmp_path, monkeypatch):
    folder = tmp_path / "someones_package"
    folder.mkdir()
    (folder / "nets.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    np.testing.assert_array_equal(Segmenter("someones_package.nets:segment")(VOLUME), UNIT > 0.25)


def test_a_network_itself_is_a_segmenter_and_leaves_training_mode():
    network = Threshold().train()
    np.testing.assert_array_equal(Segmenter(network)(VOLUME), UNIT > 0.5)
    assert not network.training


def test_it_gets_the_volume_clipped_and_mapped_to_0_1_as_a_batch_of_one():
    seen = []

    def spy(volume):
        seen.append(volume.clone())
        return volume.long()

    Segmenter(spy)(np.array([[[-3.0, -1.0, 0.0, 1.0, 2.0]]]))
    assert seen[0].tolist() == [[[[[0.0, 0.0, 0.5, 1.0, 1.0]]]]]


def test_the_volume_stays_as_it_was_whatever_the_segmenter_does():
    kept = VOLUME.astype(np.float32)
    Segmenter(lambda volume: volume.mul_(0).long())(kept)
    np.testing.assert_array_equal(kept, VOLUME.astype(np.float32))


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 3, 4, 5), (1, 1, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32])
def test_labels_may_be_of_any_integer_type_with_ones_in_front(shape, dtype):
    np.testing.assert_array_equal(Segmenter(lambda x: (x > 0.5).to(dtype).reshape(shape))(VOLUME), UNIT > 0.5)


def test_labels_may_be_an_array():
    np.testing.assert_array_equal(Segmenter(lambda x: np.full((3, 4, 5), 7))(VOLUME), 7)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda x: x, r"returned torch.float32 \(1, 1, 3, 4, 5\).*logits \(1, C, 3, 4, 5\) of at least two"),
        (lambda x: x[0, 0].long().permute(2, 1, 0), r"returned torch.int64 \(5, 4, 3\)"),
        (lambda x: torch.cat([x, x])[:, :, 1:], r"\(2, 1, 2, 4, 5\)"),
        (lambda x: torch.full((1, 2, 3, 4, 5), torch.nan), "not finite"),
        (lambda x: x.long() - 1, "the label -1; labels are >= 0"),
        (lambda x: None, "'<lambda>' failed on a volume"),
    ],
)
def test_a_result_that_is_no_segmentation_is_an_error(result, message):
    with pytest.raises(ValueError, match=message):
        Segmenter(result)(VOLUME)


def test_a_failure_inside_the_segmenter_names_it_and_keeps_its_cause(tmp_path):
    (tmp_path / "mine.py").write_text("def segment(volume):\n    raise RuntimeError('needs 256^3')\n")
    with pytest.raises(ValueError, match=r"mine\.py:segment' failed on a volume \(3, 4, 5\): .*needs 256\^3") as caught:
        Segmenter(f"{tmp_path}/mine.py:segment")(VOLUME)
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize("name", ["net.ts", "net.py:segment"])
def test_a_missing_file_is_an_error_with_a_hint(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="TorchScript file such as net.ts, or a Python callable"):
        Segmenter(f"{tmp_path}/{name}")


def test_a_flipped_bit_of_a_torchscript_is_seen(tmp_path):
    path = tmp_path / "net.ts"
    network = torch.nn.Linear(50, 50)
    torch.jit.script(network).save(path)
    content = bytearray(path.read_bytes())
    content[content.index(network.weight.detach().numpy().tobytes()) + 99] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"net\.ts.*checksum"):
        Segmenter(str(path))


@pytest.mark.parametrize("write", [lambda p: p.write_bytes(b"x" * 99), lambda p: torch.save({"a": torch.ones(1)}, p)])
def test_a_file_that_is_no_torchscript_is_an_error_with_a_hint(tmp_path, write):
    write(tmp_path / "net.pt")
    with pytest.raises(ValueError, match=r"net\.pt' is no TorchScript .*; give a TorchScript file such as net.ts"):
        Segmenter(str(tmp_path / "net.pt"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_package.nets:segment", "cannot be imported.*No module named 'no_such_package'.*; give a"),
        (":segment", "cannot be imported"),
        ("math:nothing", "'math' has no callable 'nothing'; give a"),
        ("math:pi", "'math' has no callable 'pi'"),
    ],
)
def test_a_name_without_a_callable_is_an_error_with_a_hint(name, message):
    with pytest.raises(ValueError, match=message):
        Segmenter(name)


def test_a_file_without_that_callable_is_an_error(code):
    with pytest.raises(ValueError, match="no callable 'number'"):
        Segmenter(f"{code}:number")


def test_a_file_that_fails_is_an_error_with_its_cause(tmp_path):
    (tmp_path / "broken.py").write_text("weights = open('/no/such/weights')\n")
    with pytest.raises(ValueError, match=r"broken\.py:f' cannot be imported \(FileNotFoundError") as caught:
        Segmenter(f"{tmp_path}/broken.py:f")
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_value_that_is_neither_a_name_nor_callable_is_an_error():
    with pytest.raises(ValueError, match="segmenter is 3; give a"):
        Segmenter(3)


def test_the_file_of_a_segmenter_is_found_whatever_way_it_is_named(tmp_path, monkeypatch):
    (tmp_path / "net_of_ours.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert segmenter_file("net_of_ours:segment") == str(tmp_path / "net_of_ours.py")
    assert segmenter_file("no_such.module:segment") == "no_such.module"
    assert segmenter_file(f"{tmp_path}/net_of_ours.py:segment") == str(tmp_path / "net_of_ours.py")
    assert segmenter_file("a:b/net.ts") == "a:b/net.ts"
    assert segmenter_file(None) is None
