import subprocess
import sys
from pathlib import Path

import torch

from unicoal_components.runtime.distributed import average_gradients, average_over_ranks, rank, unwrap, world_size


def test_a_single_process_is_left_alone():
    layer = torch.nn.Linear(1, 1)
    layer(torch.ones(1, 1)).sum().backward()
    before = layer.weight.grad.clone()
    average_gradients(layer)
    assert torch.equal(before, layer.weight.grad)
    assert (rank(), world_size(), unwrap(layer)) == (0, 1, layer)
    assert average_over_ranks(torch.ones(2)).tolist() == [1, 1]


def test_two_processes_train_alike_with_r1_and_resume_exactly(tmp_path):
    script = Path(__file__).with_name("distributed_run.py")
    root = Path(__file__).parents[2]
    commands = [[sys.executable, str(script), str(rank), "2", str(tmp_path)] for rank in range(2)]
    environment = {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    processes = [
        subprocess.Popen(c, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for c in commands
    ]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)
    saved = torch.load(tmp_path / "whole" / "checkpoint.pt", weights_only=True)
    assert len(saved["random_states"]) == 2
