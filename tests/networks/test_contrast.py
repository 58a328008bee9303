"""Contrast curves between modalities."""

import numpy as np
import torch

from unicoal_components.networks.contrast import GAIN, ContrastCurve

M, K = 3, 5


def one_hot(*classes):
    return torch.eye(M)[list(classes)]


def curve(seed=0):
    network = ContrastCurve(num_modalities=M, num_knots=K)
    with torch.no_grad():
        network.values.copy_(torch.randn(M, M, K, generator=torch.Generator().manual_seed(seed)) / GAIN)
    return network


def test_it_starts_as_the_identity_and_stays_at_its_ends_beyond_the_range():
    image = torch.linspace(-1.5, 1.5, 31).view(1, 1, 1, 31)
    result = ContrastCurve(num_modalities=M)(image, source=one_hot(0), target=one_hot(2))
    torch.testing.assert_close(result, image.clamp(-1, 1))


def test_it_is_the_linear_interpolation_between_the_knots_of_the_pair():
    network, image = curve(), torch.rand(2, 1, 4, 4) * 2 - 1
    result = network(image, source=one_hot(0, 2), target=one_hot(1, 0)).detach().numpy()
    values = GAIN * network.values.detach().numpy()
    for i, (source, target) in enumerate([(0, 1), (2, 0)]):
        expected = np.interp(image[i].numpy(), np.linspace(-1, 1, K), values[source, target])
        np.testing.assert_allclose(result[i], expected, atol=1e-5)


def test_of_an_unknown_source_it_is_the_mean_over_all():
    network, image = curve(), torch.rand(1, 1, 4, 4)
    known = [network(image, source=one_hot(source), target=one_hot(1)) for source in range(M)]
    unknown = network(image, source=torch.zeros(1, M), target=one_hot(1))
    torch.testing.assert_close(unknown, torch.stack(known).mean(dim=0))


def test_only_the_pairs_curve_learns():
    network = curve()
    network(torch.rand(1, 1, 8, 8) * 2 - 1, source=one_hot(0), target=one_hot(1)).sum().backward()
    moved = network.values.grad.abs().sum(dim=2) > 0
    assert moved.nonzero().tolist() == [[0, 1]]
