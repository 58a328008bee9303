"""The bundle in two processes, as torchrun starts them; on the CPU, where they talk through gloo."""

import csv
import json

import pytest
import torch

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "monai.bundle")
KEEP = "$torch.save(@{}.state_dict(), @output_dir + '/{}_' + str(torch.distributed.get_rank()) + '.pt')"


@pytest.fixture(scope="module")
def run(tmp_path_factory, bundle_class, cohort):
    """Run unified with tiny sizes on top of the overlays; give the process, which must end well."""
    bundle = bundle_class("unified")
    sizes = tmp_path_factory.mktemp("overlays") / "sizes.json"

    def call(*overlays, folder, values=None, **options):
        sizes.write_text(json.dumps(bundle.network | bundle.training | {"batch_size": 2} | (values or {})))
        files = [bundle.configs / "train.json", sizes, *(bundle.configs / f"{name}.json" for name in overlays)]
        paths = {"dataset_dir": cohort, "output_dir": folder / "output", "ckpt_path": folder / "model.pt"}
        process = bundle.command(*files, **(paths | options))
        assert process.returncode == 0, process.stderr[-3000:]
        return process

    return call


@pytest.fixture(scope="module")
def trained(run, tmp_path_factory):
    """Folder of a training of one epoch and, after a restart, a second one; what the restart said."""
    folder = tmp_path_factory.mktemp("trained")
    run("multi_gpu_train", folder=folder, before=TORCHRUN, max_epochs=1)
    steps = ["$@check", "$@train::trainer.run()", *(KEEP.format(name, name) for name in ("network", "average"))]
    values = {"run": steps, "validation_cases": [{"source": "t1", "target": "t1", "factor": 4}]}
    process = run("multi_gpu_train", folder=folder, before=TORCHRUN, max_epochs=2, values=values)
    return folder, process.stdout + process.stderr


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_two_processes_train_one_network_and_go_on_after_a_restart(trained):
    folder, said = trained
    assert "epoch 2 of 2 comes next" in said
    for name in ("network", "average"):
        first, second = (torch.load(folder / "output" / f"{name}_{rank}.pt") for rank in range(2))
        assert all(torch.equal(first[key], second[key]) for key in first)
    saved = torch.load(folder / "output" / "checkpoint.pt", weights_only=True)
    assert (saved["epoch"], saved["epoch_length"]) == (2, 4)  # 16 images, 2 in each of 2 processes
    assert all(
        torch.equal(saved["average"][key], value)
        for key, value in torch.load(folder / "output" / "average_0.pt").items()
    )


def test_each_process_has_its_own_random_numbers(trained):
    states = torch.load(trained[0] / "output" / "checkpoint.pt", weights_only=True)["random_states"]
    assert len(states) == 2
    assert not torch.equal(states[0]["torch"], states[1]["torch"])


def test_only_the_first_process_writes(trained):
    folder, said = trained
    events = list((folder / "output" / "tensorboard").iterdir())
    assert len({path.name.split(".")[-2] for path in events}) == 2, events  # one process of each of the two runs
    told = [line for line in said.splitlines() if "Epoch[2] Metrics -- " in line]
    assert [sum(f"{name}: " in line for line in told) for name in ("train_psnr", "val_psnr")] == [1, 1]


def test_a_single_case_for_two_processes_counts_once(trained):
    (row,) = rows(trained[0] / "output" / "validation" / "per_subject.csv")
    assert f"Epoch[2] Metrics -- strict_psnr: {float(row['psnr']):.4f}" in trained[1]


def test_an_evaluation_in_two_processes_gives_what_one_gives(run, trained, tmp_path):
    cases = [("t1", "t1", 4), ("t1", "t2", 1), ("t2", "t1", 2.5)]
    options = {"test_cases": [dict(zip(("source", "target", "factor"), case, strict=True)) for case in cases]}
    options |= {"ckpt_path": trained[0] / "model.pt"}
    run("evaluate", folder=tmp_path / "one", **options)
    run("evaluate", "multi_gpu_evaluate", folder=tmp_path / "two", before=TORCHRUN, **options)
    one, two = (tmp_path / name / "output" / "evaluation" for name in ("one", "two"))
    for name in ("per_subject.csv", "summary.csv"):
        assert rows(one / name) == rows(two / name)
    assert len(rows(one / "per_subject.csv")) == 3 * 5
    assert len(list((two / "panels").iterdir())) == 3
    assert (two / "report.html").is_file()
