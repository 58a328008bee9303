"""Golden cases: weights by a recipe, with inputs and results of the official implementation from files."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from unicoal_components.networks.official import discriminator_from_official, generator_from_official

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = ["unified_tiny", "cms_tiny", "plain_encoder_tiny"]
DESIGNED = ("up_filter", "down_filter", "resample_filter", "transform")


def draw(rng, key, shape):
    """Draw one weight; the first rule that fits the key wins."""
    if key.endswith("magnitude_ema"):
        return rng.uniform(0.5, 2, shape)
    if key.endswith("input.freqs"):
        return rng.uniform(-2, 2, shape)
    if key.endswith("input.phases"):
        return rng.uniform(-0.5, 0.5, shape)
    if key.endswith("input.affine.weight"):
        return 0.05 * rng.normal(size=shape)
    if key.endswith("input.affine.bias"):
        return np.array([0.9, 0.3, 0.05, -0.02])
    if "mapping" in key and ".fc" in key:
        return (100 if key.endswith("weight") else 20) * rng.normal(size=shape)
    if key.endswith("affine.bias"):
        return 1 + 0.2 * rng.normal(size=shape)
    if key.endswith("bias"):
        return 0.2 * rng.normal(size=shape)
    return (0.3 if key.endswith("w_avg") else 1) * rng.normal(size=shape)


def draw_weights(shapes, seed):
    """Draw the weights of a golden network: sorted keys, rounded to float16, used as float32."""
    rng = np.random.default_rng(seed)
    weights = {}
    for key in sorted(shapes):
        if key.endswith(DESIGNED):
            weights[key] = torch.eye(3) if key.endswith("transform") else torch.zeros(shapes[key])
        else:
            value = np.asarray(draw(rng, key, tuple(shapes[key])))
            weights[key] = torch.from_numpy(value.astype(np.float16).astype(np.float32)).reshape(shapes[key])
    return weights


def load(name):
    settings = json.loads((GOLDEN / f"{name}.json").read_text())
    with np.load(GOLDEN / f"{name}_outputs.npz") as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file}
    inputs = {key[3:]: value for key, value in arrays.items() if key.startswith("in_")}
    generator_weights = draw_weights(settings["shapes_G"], settings["seed"])
    discriminator_weights = draw_weights(settings["shapes_D"], settings["seed"] + 1)
    return SimpleNamespace(
        name=name,
        settings=settings,
        conditions={"modality": inputs["c"], "position": inputs["index"]},
        z=inputs["z"],
        source=inputs["A"],
        target=inputs["B"],
        outputs={key[4:]: value for key, value in arrays.items() if key.startswith("out_")},
        generator_weights=generator_weights,
        discriminator_weights=discriminator_weights,
        generator=generator_from_official(generator_weights, skip_resolution=settings["skip_resolution"]),
        discriminator=discriminator_from_official(discriminator_weights),
    )


@pytest.fixture(scope="session", params=NAMES)
def golden(request):
    return load(request.param)


@pytest.fixture(scope="session")
def unified():
    return load("unified_tiny")
