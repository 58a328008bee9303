import numpy as np
import pytest
import torch

from unicoal_components.inference.volume_inferer import VolumeInferer, slice_groups
from unicoal_components.slices.interpolation import linear_interpolation


class Recorder:
    """Interpolates linearly between the two middle slices, and records its conditions."""

    def __init__(self):
        self.calls = []

    def __call__(self, groups, *, position=None, **conditions):
        self.calls.append({"groups": groups, "position": position, **conditions})
        weight = position[:, None, None, None]
        return (1 - weight) * groups[:, 1:2] + weight * groups[:, 2:3]

    def collected(self, name):
        return torch.cat([call[name] for call in self.calls])


def stack(n=5, h=8, w=8, seed=0):
    return torch.rand(1, 1, n, h, w, generator=torch.Generator().manual_seed(seed)) * 1.8 - 0.9


T1, T2 = torch.tensor([0]), torch.tensor([1])


@pytest.mark.parametrize("factor", [1, 1.1, 2.0, 2.5, 6])
@pytest.mark.parametrize("size", [(8, 8), (5, 7), (8, 3), (20, 8), (19, 23), (3, 21)])
def test_an_interpolating_network_gives_linear_interpolation_for_any_in_plane_size(factor, size):
    image = stack(5, *size)
    last = int(4 * factor)  # after the last thick slice the network gets a blank one
    indices = torch.arange(last + 1)
    got = VolumeInferer(resolution=8, batch_size=3)(image, Recorder(), modality=T1, factor=factor, indices=indices)
    want = linear_interpolation(image[0, 0], float(factor), indices)
    assert got.shape == (1, 1, last + 1, *size)
    torch.testing.assert_close(got[0, 0], want, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("factor", "count"), [(1.0, 5), (2.0, 10), (2.5, 12), (4.0, 20), (1.1, 6)])
def test_without_indices_all_thin_slices_are_returned(factor, count):
    got = VolumeInferer(resolution=8)(stack(), Recorder(), modality=T1, factor=torch.tensor([factor]))
    assert got.shape == (1, 1, count, 8, 8) and got.dtype == torch.float32


def test_groups_are_the_four_thick_slices_around_and_blank_outside():
    image = torch.arange(3.0).reshape(3, 1, 1).expand(3, 2, 2) / 10
    groups = slice_groups(image, torch.tensor([0, 1, 2]), 4)[:, :, 0, 0]
    want = torch.tensor([[-1.0, 0.0, 0.1, 0.2], [0.0, 0.1, 0.2, -1.0], [0.1, 0.2, -1.0, -1.0]])
    torch.testing.assert_close(groups, want)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("factor", [1.1, 2.3, 3.3, 7 / 3, 5.7])
def test_positions_are_b_over_k_modulo_one_and_never_reach_one(factor, dtype):
    network, count = Recorder(), 200
    image = torch.zeros(1, 1, 201, 8, 8)
    indices = torch.arange(count)
    VolumeInferer(resolution=8)(
        image, network, modality=T1, factor=torch.tensor([factor], dtype=dtype), indices=indices[None]
    )
    got = network.collected("position").double().numpy()
    assert got.min() >= 0 and got.max() < 1 - 1e-4
    difference = (got - np.arange(count) / factor) % 1
    np.testing.assert_allclose(np.minimum(difference, 1 - difference), 0, atol=2e-4)


def test_a_thin_slice_on_a_thick_one_has_position_zero_in_spite_of_rounding():
    network = Recorder()
    image = stack(31)
    VolumeInferer(resolution=8)(image, network, modality=T1, factor=1.1, indices=torch.tensor([33]))
    assert network.collected("position").tolist() == [0.0]
    torch.testing.assert_close(network.collected("groups")[0, 1], image[0, 0, 30])


def test_every_window_gets_the_conditions_of_its_slice():
    network, z = Recorder(), torch.randn(1, 6)
    image = stack(3, 20, 20)
    inferer = VolumeInferer(resolution=8, batch_size=5)
    inferer(image, network, modality=T2, source_modality=T1, factor=4.0, indices=torch.tensor([1, 2]), z=z)
    positions = network.collected("position")
    assert set(positions.tolist()) == {0.25, 0.5} and (positions == 0.25).sum() * 2 == len(positions)
    assert all(len(call["groups"]) <= 5 and call["groups"].shape[1:] == (4, 8, 8) for call in network.calls)
    assert torch.equal(network.collected("z"), z.expand(len(positions), 6))
    assert network.collected("modality").tolist() == [1] * len(positions)
    assert network.collected("same_modality").tolist() == [False] * len(positions)


def test_the_network_gets_whether_source_and_target_are_the_same_modality():
    network = Recorder()
    VolumeInferer(resolution=8)(stack(), network, modality=T2, source_modality=T2)
    assert network.collected("same_modality").all()
    network = Recorder()
    VolumeInferer(resolution=8)(stack(), network, modality=T2)
    assert network.calls[0]["same_modality"] is None and network.calls[0]["z"] is None


def test_small_slices_are_padded_with_blank():
    network = Recorder()
    VolumeInferer(resolution=8)(torch.zeros(1, 1, 4, 4, 8), network, modality=T1, indices=torch.tensor([1]))
    group = network.calls[0]["groups"][0]
    assert group.shape == (4, 8, 8)
    assert (group[:, :2] == -1).all() and (group[:, 6:] == -1).all() and (group[:, 2:6] == 0).all()


def test_the_output_is_clamped():
    got = VolumeInferer(resolution=8)(stack(), lambda groups, **_: groups[:, 1:2] * 9, modality=T1)
    assert got.min() == -1 and got.max() == 1


def test_slices_and_windows_without_anatomy_are_blank_without_the_network():
    image = torch.full((1, 1, 12, 8, 8), -1.0)
    image[:, :, 6] = 0.5
    network = Recorder()
    got = VolumeInferer(resolution=8)(image, network, modality=T1, factor=2.0)
    assert len(network.collected("position")) == 8  # anchors 4 to 7, two thin slices each
    assert (got[0, 0, :8] == -1).all() and (got[0, 0, 16:] == -1).all()
    image, network = torch.full((1, 1, 4, 24, 8), -1.0), Recorder()
    image[..., 20, 4] = 0.5
    VolumeInferer(resolution=8, overlap=0)(image, network, modality=T1)
    assert len(network.collected("position")) == 4  # of twelve windows


def test_a_network_in_half_precision_fills_a_float32_volume():
    got = VolumeInferer(resolution=8)(stack(), lambda groups, **_: groups[:, 1:2].half(), modality=T1)
    torch.testing.assert_close(got, stack(), atol=1e-3, rtol=0)


def test_the_batch_size_changes_nothing():
    image = stack(6, 13, 9)
    results = [
        VolumeInferer(resolution=8, batch_size=size)(image, Recorder(), modality=T1, factor=2.5) for size in (1, 4, 50)
    ]
    torch.testing.assert_close(results[0], results[1])
    torch.testing.assert_close(results[0], results[2])


@pytest.mark.parametrize(
    ("field", "value"),
    [("resolution", 0), ("slice_group_size", 3), ("slice_group_size", 0), ("batch_size", 0), ("overlap", 1.0)],
)
def test_a_bad_argument_is_named(field, value):
    with pytest.raises(ValueError, match=field):
        VolumeInferer(**{"resolution": 8, field: value})


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"\(1, 1, N, H, W\)"):
        VolumeInferer(resolution=8)(torch.zeros(2, 1, 4, 8, 8), Recorder(), modality=T1)
    with pytest.raises(ValueError, match="factor is 0.5"):
        VolumeInferer(resolution=8)(stack(), Recorder(), modality=T1, factor=0.5)


def test_whole_batches_show_the_network_one_shape_and_change_nothing():
    network, plain = Recorder(), Recorder()
    image = stack()
    image[0, 0, :3] = -1  # blank groups are skipped, so that batches shrink
    got = VolumeInferer(resolution=8, batch_size=4, whole_batches=True)(image, network, modality=T1, factor=2.5)
    want = VolumeInferer(resolution=8, batch_size=4)(image, plain, modality=T1, factor=2.5)
    assert torch.equal(got, want)
    assert {len(call["groups"]) for call in network.calls} == {4}
    assert {len(call["groups"]) for call in plain.calls} != {4}


def test_precision_is_that_of_the_dense_convolutions():
    seen = []

    def network(groups, *, position, **_):
        weight = torch.ones(1, groups.shape[1], 1, 1) / groups.shape[1]
        output = torch.nn.functional.conv2d(groups, weight)
        seen.append(output.dtype)
        return output

    exact = VolumeInferer(resolution=8)(stack(), network, modality=T1)
    got = VolumeInferer(resolution=8, precision="bfloat16")(stack(), network, modality=T1)
    assert set(seen) == {torch.float32, torch.bfloat16}
    assert got.dtype == torch.float32
    assert 0 < (got - exact).abs().max() < 0.02


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision is 'half'.*'float32', 'bfloat16'"):
        VolumeInferer(resolution=8, precision="half")


class Noisy:
    """Returns the two first numbers of the latent code, mixed by position: known mean and deviation over codes."""

    def __init__(self):
        self.codes = []

    def __call__(self, groups, *, z=None, position=None, **conditions):
        self.codes.append(z)
        weight = position[:, None, None, None]
        value = (1 - weight) * z[:, :1, None, None] + weight * z[:, 1:2, None, None]
        return (value / 8).expand(-1, 1, *groups.shape[2:])


def samples(count, seed=0, network=None, **options):
    inferer = VolumeInferer(resolution=8, batch_size=3, num_samples=count, z_dim=4, seed=seed, **options)
    return inferer(stack(), network or Noisy(), modality=T1, factor=2.0)


def test_samples_give_their_mean_and_standard_deviation_over_one_code_a_volume():
    network = Noisy()
    got = samples(5, network=network)
    codes = torch.stack(network.codes[:5])[:, 0]  # the first batch: each code once
    for code in network.codes:
        assert any(torch.equal(code, one.expand_as(code)) for one in codes)  # and no others later
    weight = torch.tensor([0.0, 0.5]).repeat(5)
    values = ((1 - weight) * codes[:, :1] + weight * codes[:, 1:2]) / 8
    assert got.shape == (1, 2, 10, 8, 8)
    torch.testing.assert_close(got[0, 0, :, 3, 3], values.mean(0))
    torch.testing.assert_close(got[0, 1, :, 3, 3], values.std(0))


def test_the_same_seed_gives_the_same_samples_and_another_seed_others():
    assert torch.equal(samples(3), samples(3)) and not torch.equal(samples(3), samples(3, seed=1))
    torch.rand(1)  # for any global random state
    assert torch.equal(samples(3), samples(3))


def test_one_sample_uses_the_network_s_default_and_has_no_deviation():
    network = Recorder()
    got = VolumeInferer(resolution=8)(stack(), network, modality=T1)
    assert got.shape == (1, 1, 5, 8, 8) and network.calls[0]["z"] is None


@pytest.mark.parametrize("options", [{"num_samples": 0}, {"num_samples": 2.5, "z_dim": 4}, {"num_samples": 3}])
def test_invalid_numbers_of_samples_are_refused(options):
    with pytest.raises(ValueError, match="num_samples is"):
        VolumeInferer(resolution=8, **options)


def test_an_output_on_the_disk_is_the_same_and_leaves_no_file(tmp_path):
    in_memory = samples(2)
    on_disk = samples(2, scratch_dir=str(tmp_path / "new"))
    assert torch.equal(on_disk, in_memory) and list((tmp_path / "new").iterdir()) == []


def test_values_that_are_not_finite_are_refused():
    def broken(groups, **conditions):
        return torch.full_like(groups[:, :1], float("nan"))

    with pytest.raises(ValueError, match="not finite.*--precision float32"):
        VolumeInferer(resolution=8)(stack(), broken)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 1)])
def test_slices_of_a_single_pixel_keep_their_position(size):
    network = Recorder()
    VolumeInferer(resolution=8)(stack(5, *size), network, factor=2.0)
    assert sorted(set(network.collected("position").tolist())) == [0, 0.5]


def test_every_window_gets_factor_thickness_and_source():
    network = Recorder()
    conditions = {"modality": T2, "source_modality": T1, "thickness": torch.tensor([0.8])}
    VolumeInferer(resolution=8, batch_size=5)(stack(3, 20, 20), network, factor=2.5, **conditions)
    count = len(network.collected("position"))
    assert network.collected("factor").tolist() == [2.5] * count
    assert network.collected("source_modality").tolist() == [0] * count
    torch.testing.assert_close(network.collected("thickness"), torch.full((count,), 0.8))


class Doubtful(Recorder):
    """Expects an error of a tenth of the absolute value of its output."""

    def __call__(self, groups, *, with_error=False, **conditions):
        output = super().__call__(groups, **conditions)
        return torch.cat([output, output.abs() / 10], dim=1) if with_error else output


@pytest.mark.parametrize("size", [(8, 8), (5, 7), (19, 23)])
def test_the_error_is_the_last_channel_and_0_in_blank_windows(size):
    image = stack(6, *size)
    image[:, :, :3] = -1
    got = VolumeInferer(resolution=8, batch_size=3, with_error=True)(image, Doubtful(), modality=T1, factor=2.0)
    want = VolumeInferer(resolution=8)(image, Doubtful(), modality=T1, factor=2.0)
    assert got.shape == (1, 2, 12, *size)
    torch.testing.assert_close(got[:, :1], want)
    at_thick = got[0, :, 6::2]  # where windows blend equal values
    torch.testing.assert_close(at_thick[1], at_thick[0].abs() / 10)
    assert (got[0, 0, :2] == -1).all() and (got[0, 1, :2] == 0).all()


def test_several_samples_give_the_mean_error_and_keep_the_deviation():
    class Network(Noisy):
        def __call__(self, groups, *, with_error=False, z=None, **conditions):
            output = super().__call__(groups, z=z, **conditions)
            return torch.cat([output, z[:, 2:3, None, None].abs().expand_as(output)], dim=1) if with_error else output

    network = Network()
    got = samples(4, network=network, with_error=True)
    codes = torch.stack(network.codes[:4])[:, 0]
    assert got.shape == (1, 3, 10, 8, 8)
    torch.testing.assert_close(got[:, :2], samples(4))
    torch.testing.assert_close(got[0, 2], codes[:, 2].abs().mean().expand(10, 8, 8))


def test_a_network_without_an_error_is_refused_if_it_is_requested():
    with pytest.raises(ValueError, match="gives 1 channels, but 2 are needed with with_error True"):
        VolumeInferer(resolution=8, with_error=True)(stack(), lambda groups, **_: groups[:, 1:2])


def test_an_error_that_is_not_finite_is_refused():
    def broken(groups, **conditions):
        return torch.cat([groups[:, 1:2], torch.full_like(groups[:, :1], float("nan"))], dim=1)

    with pytest.raises(ValueError, match="not finite"):
        VolumeInferer(resolution=8, with_error=True)(stack(), broken)


class Neighbors:
    """Gives the mean of the slices before and after, and its number of rows as the expected error."""

    def __call__(self, groups, *, with_error=False, **conditions):
        mean = (groups[:, :1] + groups[:, 2:3]) / 2
        return torch.cat([mean, torch.full_like(mean, groups.shape[2])], dim=1) if with_error else mean


@pytest.mark.parametrize("on_disk", [False, True])
def test_three_planes_are_the_mean_over_slices_along_every_axis(on_disk, tmp_path):
    image = stack(5, 6, 7)
    folder = str(tmp_path) if on_disk else None
    inferer = VolumeInferer(resolution=8, with_error=True, scratch_dir=folder)
    got = inferer(image, Neighbors(), factor=1.0, planes=torch.tensor([3]))
    padded = torch.nn.functional.pad(image[0, 0], (1, 1, 1, 1, 1, 1), value=-1)
    core = slice(1, -1)
    shifted = [
        padded[tuple(slice(1 + d, 1 + d + n) if a == axis else core for a, n in enumerate(image.shape[2:]))]
        for axis in range(3)
        for d in (-1, 1)
    ]
    torch.testing.assert_close(got[0, 0], torch.stack(shifted).mean(0))
    torch.testing.assert_close(got[0, 1], torch.full((5, 6, 7), 8.0))


@pytest.mark.parametrize(
    "wrong", [{"planes": 2}, {"planes": 3, "factor": 2.0}, {"planes": 3, "indices": torch.tensor([1])}]
)
def test_three_planes_need_a_whole_volume_at_factor_1(wrong):
    with pytest.raises(ValueError, match=f"planes is {wrong['planes']}"):
        VolumeInferer(resolution=8)(stack(), Recorder(), **wrong)
