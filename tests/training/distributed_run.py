"""One of the processes of test_distributed: python distributed_run.py RANK WORLD_SIZE FOLDER."""

import importlib.util
import sys
import warnings
from pathlib import Path

import torch
import torch.distributed as dist


def load_builders():
    spec = importlib.util.spec_from_file_location("builders", Path(__file__).with_name("conftest.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def state_of(trainer):
    network = getattr(trainer.network, "module", trainer.network)
    parts = (network, trainer.discriminator, trainer.average)
    return torch.cat([value.flatten().float() for part in parts for value in part.state_dict().values()])


def check_equal_on_all_ranks(state):
    others = [torch.zeros_like(state) for _ in range(dist.get_world_size())]
    dist.all_gather(others, state)
    if not all(torch.equal(state, other) for other in others):
        raise SystemExit("the processes have different weights")


def train(builders, folder, *, epochs, seed):
    torch.manual_seed(seed + dist.get_rank())
    trainer = builders.build_resumable(folder, max_epochs=epochs, length=8)
    with torch.no_grad():  # all processes start from different weights; the trainer must synchronize them
        trainer.discriminator.out.weight.add_(dist.get_rank())
    torch.manual_seed(seed + dist.get_rank())
    trainer.run()
    dist.barrier()
    return state_of(trainer)


def check_gradient_average():
    from unicoal_components.runtime.distributed import average_gradients

    torch.manual_seed(0)
    critic, images = torch.nn.Linear(3, 1), torch.randn(4, 3)
    reference = torch.autograd.grad(critic(images).square().mean(), critic.weight)[0]
    critic(images.chunk(2)[dist.get_rank()]).square().mean().backward()
    average_gradients(critic)
    torch.testing.assert_close(critic.weight.grad, reference)


def check_wrapped(builders):
    """A generator in DistributedDataParallel stays equal on all processes, R1 included."""
    torch.manual_seed(dist.get_rank())
    wrapped = torch.nn.parallel.DistributedDataParallel(builders.tiny_generator(seed=dist.get_rank()))
    trainer = builders.build_trainer(max_epochs=1, length=8, generator=wrapped)
    if trainer.batch_size != 4:
        raise SystemExit(f"global batch size {trainer.batch_size}")
    trainer.run()
    check_equal_on_all_ranks(state_of(trainer))


def main():
    rank, world_size, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world_size)
    builders = load_builders()
    check_gradient_average()
    check_wrapped(builders)
    whole = train(builders, folder / "whole", epochs=2, seed=3)
    check_equal_on_all_ranks(whole)
    train(builders, folder / "parts", epochs=1, seed=3)
    parts = train(builders, folder / "parts", epochs=2, seed=50)
    if not torch.equal(whole, parts):
        raise SystemExit("the restarted run differs from the whole one")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
