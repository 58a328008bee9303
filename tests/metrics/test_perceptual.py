"""LPIPS against its formula, written out on a randomly initialized AlexNet."""

import importlib.util
import inspect
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision

from unicoal_components.metrics.measure import CaseVolumes
from unicoal_components.metrics.perceptual import PerceptualDistance, build_lpips, perceptual_distance

lpips = pytest.importorskip("lpips")


@pytest.fixture(scope="module")
def state():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torchvision.models.alexnet(weights=None).state_dict()


@pytest.fixture(scope="module")
def backbone(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "alexnet.pth"
    torch.save({key: value for key, value in state.items() if key.startswith("features.")}, path)
    return path


@pytest.fixture(scope="module")
def network(backbone):
    return build_lpips(backbone=backbone)


@pytest.fixture(scope="module")
def volumes():
    rng = np.random.default_rng(0)
    target = rng.uniform(-1, 1, (5, 66, 70)).astype(np.float32)
    prediction = (target + rng.normal(0, 0.3, target.shape)).astype(np.float32)
    foreground = np.zeros(target.shape, dtype=bool)
    foreground[1:4, 20:40, 30:50] = True
    return {"prediction": prediction, "target": target, "foreground": foreground}


def features(state, gray):
    """The five activations of AlexNet for a gray slice in [-1, 1], as RGB in LPIPS' normalization."""
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    x = (gray.expand(1, 3, -1, -1) - shift.view(1, 3, 1, 1)) / scale.view(1, 3, 1, 1)
    found = []
    for place, options in ((0, {"stride": 4, "padding": 2}), (3, {"padding": 2}), (6, {}), (8, {}), (10, {})):
        options = options or {"padding": 1}
        if place in (3, 6):
            x = F.max_pool2d(x, 3, 2)
        x = F.relu(F.conv2d(x, state[f"features.{place}.weight"], state[f"features.{place}.bias"], **options))
        found.append(x)
    return found


def by_hand(state, prediction, target):
    """LPIPS of two slices."""
    linear = torch.load(
        Path(inspect.getfile(lpips.LPIPS)).parent / "weights/v0.1/alex.pth", map_location="cpu", weights_only=True
    )
    pair = [features(state, torch.from_numpy(x).clamp(-1, 1)) for x in (prediction, target)]
    total = 0.0
    for layer, (p, t) in enumerate(zip(*pair, strict=True)):
        unit_p, unit_t = (x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10) for x in (p, t))
        weights = linear[f"lin{layer}.model.1.weight"].view(1, -1, 1, 1)
        total += ((unit_p - unit_t).square() * weights).sum(dim=1).mean().item()
    return total


def test_it_is_the_formula_averaged_over_slices_with_foreground(state, network, volumes):
    expected = [by_hand(state, volumes["prediction"][k], volumes["target"][k]) for k in (1, 2, 3)]
    assert min(expected) > 1e-4
    assert perceptual_distance(**volumes, network=network, batch=2) == pytest.approx(np.mean(expected), rel=1e-4)


def test_only_evaluated_slices_count(state, network, volumes):
    expected = by_hand(state, volumes["prediction"][3], volumes["target"][3])
    found = perceptual_distance(**volumes, network=network, evaluated_slices=np.array([0, 3]))
    assert found == pytest.approx(expected, rel=1e-4)


def test_equal_volumes_are_at_distance_0(network, volumes):
    assert perceptual_distance(**volumes | {"prediction": volumes["target"]}, network=network) == 0


def test_tensors_are_measured_like_arrays(network, volumes):
    tensors = {key: torch.from_numpy(value) for key, value in volumes.items()}
    assert perceptual_distance(**tensors, network=network) == perceptual_distance(**volumes, network=network)


def test_without_a_slice_that_counts_there_is_no_distance(network, volumes):
    assert math.isnan(perceptual_distance(**volumes, network=network, evaluated_slices=[0, 4]))


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (np.zeros((5, 66, 71)), "same grid"),
        (np.full((5, 66, 70), np.nan), "NaN"),
    ],
)
def test_what_cannot_be_compared_is_an_error(network, volumes, prediction, message):
    with pytest.raises(ValueError, match=message):
        perceptual_distance(**volumes | {"prediction": prediction}, network=network)


def test_slices_that_are_too_small_are_an_error_that_says_what_to_leave_out(network, volumes):
    small = {key: volume[:, :63] for key, volume in volumes.items()}
    with pytest.raises(ValueError, match="63x70 are too small for LPIPS, which needs 64; leave lpips_backbone out"):
        perceptual_distance(**small, network=network)


def test_the_network_is_frozen_and_in_eval_mode(network):
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.modules())


def test_building_asks_no_network_prints_nothing_and_reads_no_code(backbone, monkeypatch, capsys):
    def refuse(*arguments, **options):
        raise AssertionError(f"download of {arguments}")

    read = torch.load

    def read_safely(*arguments, **options):
        assert options.get("weights_only") is True
        return read(*arguments, **options)

    for name in ("download_url_to_file", "load_state_dict_from_url", "load", "urlopen"):
        monkeypatch.setattr(torch.hub, name, refuse)
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr(torch, "load", read_safely)
    build_lpips(backbone=str(backbone))
    assert capsys.readouterr() == ("", "")


def test_the_state_of_a_whole_alexnet_will_do(state, network, volumes, tmp_path):
    torch.save(state, tmp_path / "whole.pth")
    whole = build_lpips(backbone=tmp_path / "whole.pth")
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), network.parameters(), strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: {k: v for k, v in state.items() if k != "features.6.bias"},
            "no 'features.6.bias'; give --lpips",
        ),
        (lambda state: {f"net.{k}": v for k, v in state.items()}, "no 'features.0.weight'; give --lpips"),
        (lambda state: state | {"features.3.bias": torch.zeros(7)}, r"'features.3.bias' is torch.Size\(\[7\]\)"),
        (lambda state: [1, 2], "cannot be read as a state dict"),
    ],
)
def test_other_weights_are_an_error_that_names_file_and_key(state, tmp_path, change, message):
    path = tmp_path / "other.pth"
    torch.save(change({key: value for key, value in state.items() if key.startswith("features.")}), path)
    with pytest.raises(ValueError, match=rf"lpips_backbone '.*other\.pth'.*{message}"):
        build_lpips(backbone=path)


class Malicious:
    """What a pickle could run."""

    def __reduce__(self):
        return (exec, ("raise SystemExit",))


@pytest.mark.parametrize(
    "content", [b"", b"no weights", pickle.dumps(Malicious(), protocol=2)], ids=["empty", "text", "code"]
)
def test_a_file_that_is_no_state_is_an_error(tmp_path, content):
    path = tmp_path / "alexnet.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as a state dict .*; give --lpips_backbone"):
        build_lpips(backbone=path)


def test_a_flipped_bit_of_the_weights_is_seen(backbone, tmp_path):
    content = bytearray(backbone.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "alexnet.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"lpips_backbone '.*alexnet\.pth'.*checksum"):
        build_lpips(backbone=tmp_path / "alexnet.pth")


def test_the_measure_fills_its_column(backbone, network, volumes):
    measure = PerceptualDistance(backbone=str(backbone), device="cpu")
    case = CaseVolumes(**volumes, evaluated_slices=np.array([2]))
    expected = perceptual_distance(**volumes, network=network, evaluated_slices=[2])
    assert measure(case) == {"lpips": expected}
    assert [(column.name, column.better) for column in measure.columns] == [("lpips", "lower")]
    assert measure.note == ""


def test_without_weights_the_column_is_empty_and_the_note_says_how_to_fill_it(volumes):
    measure = PerceptualDistance(backbone=None)
    assert math.isnan(measure(CaseVolumes(**volumes))["lpips"])
    assert "--lpips_backbone alexnet-owt-7be5be79.pth, the weights of torchvision's AlexNet" in measure.note


def test_without_the_package_the_column_is_empty_and_the_note_says_how_to_fill_it(backbone, volumes, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    measure = PerceptualDistance(backbone=str(backbone))
    assert math.isnan(measure(CaseVolumes(**volumes))["lpips"])
    assert "pip install lpips" in measure.note


def test_a_path_without_a_file_is_an_error_with_and_without_the_package(tmp_path, monkeypatch):
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match=r"none\.pth' does not exist; give --lpips_backbone"):
            PerceptualDistance(backbone=str(tmp_path / "none.pth"))
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
