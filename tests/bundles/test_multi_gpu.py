"""The bundle in two processes, as torchrun starts them; on the CPU, where they talk through gloo.

The packed bundle trains an epoch, without the package and from another folder; the one of the repository goes on.
"""

import csv
import json

import pytest
import torch

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
KEEP = "$torch.save(@{}.state_dict(), @output_dir + '/{}_' + str(torch.distributed.get_rank()) + '.pt')"
RUN = """
import json, sys
import monai.bundle
for options in sys.argv[1:]:
    monai.bundle.run(**json.loads(options))
"""
CASES = [("t1", "t1", 4), ("t1", "t2", 1), ("t2", "t1", 2.5)]
TEST_CASES = [dict(zip(("source", "target", "factor"), case, strict=True)) for case in CASES]


@pytest.fixture(scope="module")
def ran(tmp_path_factory, bundle_class, elsewhere, cohort):
    """What torchrun did and said.

    Returns:
        the folder of a training of one epoch and, after a restart, a second one, with the evaluation of its weights in
        two processes; what the first launch said; what the second one said.
    """
    bundle, folder = bundle_class("unified"), tmp_path_factory.mktemp("trained")
    paths = {"dataset_dir": cohort, "output_dir": folder / "output", "ckpt_path": folder / "model.pt"}
    train, multi_gpu = (elsewhere.root / "configs" / f"{name}.json" for name in ("train", "multi_gpu_train"))
    options = {"bundle_root": elsewhere.root, "max_epochs": 1, "batch_size": 2, "num_workers": 1} | paths
    module = (*TORCHRUN, "-m", "monai.bundle")
    said = [succeeded(elsewhere.command(train, elsewhere.sizes[0], multi_gpu, cwd=folder, before=module, **options))]

    (folder / "run.py").write_text(RUN)
    steps = ["$@check", "$@train::trainer.run()", *(KEEP.format(name, name) for name in ("network", "average"))]
    common = bundle.network | bundle.training | {name: str(path) for name, path in paths.items()} | {"batch_size": 2}
    common |= {"bundle_root": str(bundle.root)}
    # both in one launch and one process group: a second group may meet the addresses of the first, and wait for ever
    second = {"max_epochs": 2, "run": steps, "validation_cases": TEST_CASES[:1], "finalize": []}
    runs = [
        {"config_file": [str(bundle.configs / f"{name}.json") for name in ("train", *overlays)]} | common | more
        for overlays, more in (
            (["multi_gpu_train"], second),
            (["evaluate", "multi_gpu_evaluate"], {"test_cases": TEST_CASES, "initialize": []}),
        )
    ]
    said.append(succeeded(bundle.python(*TORCHRUN, str(folder / "run.py"), *map(json.dumps, runs))))
    return folder, *said


def succeeded(process):
    assert process.returncode == 0, process.stderr[-3000:]
    return process.stdout + process.stderr


@pytest.fixture(scope="module")
def trained(ran):
    """Folder of the training; what the restart said."""
    return ran[0], ran[2]


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_packed_bundle_trains_in_two_processes_with_workers_from_elsewhere(ran):
    folder, said, _ = ran
    assert "scripts.unicoal_components" in said
    assert "Epoch[1] Metrics -- " in said
    assert (folder / "model.pt").is_file()


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


def test_an_evaluation_in_two_processes_gives_what_one_gives(trained, bundle_class, cohort, tmp_path):
    bundle, sizes = bundle_class("unified"), tmp_path / "sizes.json"
    sizes.write_text(json.dumps(bundle.network | bundle.training | {"batch_size": 2}))
    configs = [bundle.configs / "train.json", sizes, bundle.configs / "evaluate.json"]
    paths = {"dataset_dir": cohort, "output_dir": tmp_path, "ckpt_path": trained[0] / "model.pt"}
    bundle.command_here(*configs, **paths, test_cases=TEST_CASES)
    one, two = tmp_path / "evaluation", trained[0] / "output" / "evaluation"
    for name in ("per_subject.csv", "summary.csv"):
        assert rows(one / name) == rows(two / name)
    assert len(rows(one / "per_subject.csv")) == 3 * 5
    assert [len(list((folder / "panels").iterdir())) for folder in (one, two)] == [3, 3]  # each case is drawn
    assert (two / "report.html").is_file()
