import random

import numpy as np
import torch

from unicoal_components.training.random_state import get_random_state, set_random_state


def draw():
    return torch.rand(2).tolist(), np.random.randn(3).tolist(), random.gauss(0, 1), random.random()


def test_all_generators_continue_where_they_were_after_a_file(tmp_path):
    random.gauss(0, 1), np.random.randn()  # leaves a cached second value in both
    torch.save(get_random_state(), tmp_path / "state.pt")
    first = draw()
    set_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert draw() == first
