"""LPIPS by hand, and never from the network."""

import builtins

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torchvision.models import alexnet

from unicoal_components.metrics import perceptual
from unicoal_components.metrics.measure import CaseVolumes
from unicoal_components.metrics.perceptual import PerceptualDistance, build_lpips, perceptual_distance


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """A file of weights as torchvision's are, but untrained."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("backbone") / "alexnet.pth"
    torch.save(alexnet().state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def no_download(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("a download was tried")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    target = rng.uniform(-1, 1, (4, 70, 66)).astype(np.float32)
    inside = np.ones(target.shape, bool)
    inside[3] = False
    return CaseVolumes(np.clip(target + rng.normal(0, 0.3, target.shape), -1, 1).astype(np.float32), target, inside)


def by_hand(network, first, second, path):
    """Zhang et al. 2018: features of five layers, unit length over channels, weighted squares, means over space."""
    torch.manual_seed(1)
    net = alexnet()
    net.load_state_dict(torch.load(path, weights_only=True))
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
    total = 0.0
    pair = [(x - shift) / scale for x in (first, second)]
    layers = iter(network.lins)
    for index, layer in enumerate(net.features[:12]):
        pair = [layer(x) for x in pair]
        if index in (1, 4, 7, 9, 11):
            units = [F.normalize(x, dim=1) for x in pair]
            weights = next(layers).model[-1].weight
            total += F.conv2d((units[0] - units[1]).square(), weights).mean()
    return float(total)


def test_it_is_the_mean_over_slices_with_foreground_of_the_distance_by_hand(backbone, case):
    network = build_lpips(backbone=backbone)
    rgb = [torch.from_numpy(x)[:, None].expand(-1, 3, -1, -1) for x in (case.prediction, case.target)]
    with torch.no_grad():
        each = [by_hand(network, rgb[0][i : i + 1], rgb[1][i : i + 1], backbone) for i in range(4)]
    volumes = {"prediction": case.prediction, "target": case.target, "foreground": case.foreground}
    assert perceptual_distance(**volumes, network=network) == pytest.approx(np.mean(each[:3]), rel=1e-4)
    one = perceptual_distance(**volumes, network=network, evaluated_slices=[1, 3])
    assert one == pytest.approx(each[1], rel=1e-4)


def test_equal_volumes_have_no_distance_and_none_is_not_a_number(backbone, case):
    measure = PerceptualDistance(backbone=str(backbone))
    assert measure.note == ""
    same = CaseVolumes(case.target, case.target, case.foreground)
    assert measure(same) == {"lpips": 0.0}
    assert measure(case)["lpips"] > 0
    nowhere = CaseVolumes(case.target, case.target, case.foreground, evaluated_slices=np.array([3]))
    assert np.isnan(measure(nowhere)["lpips"])


def test_without_a_path_the_column_says_why_it_is_empty(case):
    measure = PerceptualDistance()
    assert np.isnan(measure(case)["lpips"])
    assert "lpips_backbone" in measure.note


def test_without_the_package_the_column_says_how_to_get_it(monkeypatch, backbone, case):
    monkeypatch.setattr(perceptual.importlib.util, "find_spec", lambda name: None)
    measure = PerceptualDistance(backbone=str(backbone))
    assert np.isnan(measure(case)["lpips"])
    assert "pip install lpips" in measure.note


def test_a_path_without_a_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.pth' does not exist"):
        PerceptualDistance(backbone=str(tmp_path / "none.pth"))


@pytest.mark.parametrize(
    "content", [{"features.0.weight": torch.zeros(64, 3, 11, 11)}, {"other": 1}, [1], builtins.print]
)
def test_other_files_are_refused_by_name_and_run_no_code(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other.pth' is no state of torchvision's AlexNet.*features\.0\.weight"):
        build_lpips(backbone=tmp_path / "other.pth")


def test_small_slices_are_refused(backbone):
    small = np.zeros((2, 63, 80), np.float32)
    with pytest.raises(ValueError, match="63x80 are too small"):
        PerceptualDistance(backbone=str(backbone))(CaseVolumes(small, small, small == 0))
