import functools

import numpy as np
import pytest
import torch
from ignite.metrics import Average
from monai.engines import SupervisedEvaluator
from monai.handlers import ValidationHandler, from_engine
from monai.inferers import SimpleInferer
from torch.utils.data import DataLoader, Dataset

from unicoal_components.datasets.sampler import SliceSampler
from unicoal_components.losses.objective import SynthesisObjective
from unicoal_components.networks.discriminator import Discriminator
from unicoal_components.networks.generator import Generator
from unicoal_components.training.averages import AveragedGenerator
from unicoal_components.training.checkpoint import ResumeCheckpoint
from unicoal_components.training.prepare_batch import PrepareSlices
from unicoal_components.training.schedules import LearningRateDecay
from unicoal_components.training.trainer import UniCOALTrainer

RESOLUTION = 16


class SeededSlices(Dataset):
    """Random slices that depend on (round, index) only, as the real dataset's items do."""

    def __init__(self, length=6):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        rng = np.random.default_rng(index if isinstance(index, tuple) else (0, index))
        image = rng.uniform(-1, 1, (4, RESOLUTION, RESOLUTION)).astype(np.float32)
        return {
            "image": torch.from_numpy(image),
            "label": torch.from_numpy(image[1:2] * 0.8),
            "modality": int(rng.integers(2)),
            "source_modality": int(rng.integers(2)),
            "position": np.float32(rng.uniform()),
            "factor": np.float32(rng.uniform(1, 6)),
            "thickness": np.float32(rng.uniform(0.6, 1.3)),
        }


def tiny_generator(seed=0, **options):
    torch.manual_seed(seed)
    sizes = {"channel_base": 128, "channel_max": 8, "num_layers": 4, "w_dim": 16, "image_style_dim": 16, "z_dim": 8}
    return Generator(resolution=RESOLUTION, num_modalities=2, **{**sizes, **options})


def tiny_discriminator(seed=1):
    torch.manual_seed(seed)
    return Discriminator(resolution=RESOLUTION, num_modalities=2, channel_base=128, channel_max=8)


def adam(network, lr=0.002):
    return torch.optim.Adam(network.parameters(), lr=lr, betas=(0.0, 0.99))


def build_trainer(
    *, workers=0, persistent=False, max_epochs=2, length=6, handlers=(), objective=None, generator=None, **options
):
    """A trainer of tiny networks; three iterations per epoch by default."""
    network = tiny_generator() if generator is None else generator
    discriminator = tiny_discriminator()
    dataset = SeededSlices(length)
    loader = DataLoader(
        dataset,
        batch_size=2,
        sampler=SliceSampler(dataset=dataset, seed=0),
        num_workers=workers,
        persistent_workers=persistent,
        drop_last=True,
    )
    values = {
        "device": "cpu",
        "max_epochs": max_epochs,
        "train_data_loader": loader,
        "network": network,
        "optimizer": adam(network),
        "objective": SynthesisObjective() if objective is None else objective,
        "prepare_batch": PrepareSlices(z_dim=8),
        "discriminator": discriminator,
        "discriminator_optimizer": adam(discriminator),
        "average": AveragedGenerator(generator=network, half_life_images=20),
        "r1_interval": 2,
        "blur_initial_sigma": 1.0,
        "blur_fade_images": 10,
        "train_handlers": list(handlers),
    }
    return UniCOALTrainer(**{**values, **options})


def build_resumable(folder, *, max_epochs, workers=0, scores=None, resume=True, **options):
    """A trainer with validation and checkpoints, wired as in the bundles; `scores` are the metric of each epoch."""
    network = tiny_generator()
    average = AveragedGenerator(generator=network, half_life_images=20)

    def score(data):
        return 0.0 if scores is None else scores[evaluator.state.epoch - 1]

    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(SeededSlices(2), batch_size=1),
        network=average.module,
        prepare_batch=PrepareSlices(z_dim=8),
        inferer=SimpleInferer(),
        key_val_metric={"score": Average(output_transform=score)},
    )
    handlers = [
        ResumeCheckpoint(output_dir=str(folder), evaluator=evaluator, resume=resume),
        LearningRateDecay(constant_epochs=1, decay_epochs=4),
        ValidationHandler(interval=1, validator=evaluator),
    ]
    trainer = build_trainer(
        max_epochs=max_epochs, workers=workers, handlers=handlers, generator=network, average=average, **options
    )
    trainer.evaluator = evaluator
    return trainer


@pytest.fixture
def engines():
    """The builders above, for test modules that cannot import a conftest; workers end with the test.

    Left to the garbage collector, persistent workers of several trainers are waited for up to a minute.
    """
    loaders = []

    def closing(build):
        @functools.wraps(build)
        def builder(*args, **options):
            trainer = build(*args, **options)
            loaders.append(trainer.data_loader)
            return trainer

        return builder

    class Builders:
        trainer = staticmethod(closing(build_trainer))
        resumable = staticmethod(closing(build_resumable))
        generator = staticmethod(tiny_generator)
        discriminator = staticmethod(tiny_discriminator)
        loss_of = staticmethod(from_engine(["loss"], first=True))

    yield Builders
    for loader in loaders:
        if loader._iterator is not None:
            loader._iterator._shutdown_workers()
