"""The SLURM script, with programs that stand for SLURM's and for Python: what it starts, and when it starts again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "cluster" / "train.sbatch"
SRUN = """#!/usr/bin/env bash
while [[ $1 == --* ]]; do shift; done
export SLURM_NTASKS=2 worst=0
for SLURM_PROCID in 0 1; do
    export SLURM_PROCID SLURM_LOCALID=$SLURM_PROCID
    "$@" || worst=$?
done
exit $worst
"""
SCONTROL = """#!/usr/bin/env bash
echo "$*" >> "$FOLDER/scontrol"
if [ $1 = show ]; then printf 'node7\\nnode8\\n'; fi
"""
PYTHON = f"""#!{sys.executable}
import json, os, sys
names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
with open(os.environ["FOLDER"] + "/started", "a") as file:
    file.write(json.dumps([sys.argv[1:], *(os.environ[name] for name in names)]) + "\\n")
raise SystemExit(int(os.environ["STATUS"]))
"""


@pytest.fixture
def submit(tmp_path):
    """Run the script as SLURM would, with processes that end with `status`; what was started, and asked of SLURM."""
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL), ("python", PYTHON)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def run(status, *options):
        given = {"SLURM_JOB_ID": "41", "SLURM_JOB_NODELIST": "node[7-8]", "SLURM_SUBMIT_DIR": str(tmp_path)}
        given |= {"FOLDER": str(tmp_path), "STATUS": str(status), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        ended = subprocess.run(["bash", SCRIPT, *options], env=given, check=False, timeout=60)
        started = [json.loads(line) for line in (tmp_path / "started").read_text().splitlines()]
        return ended.returncode, started, (tmp_path / "scontrol").read_text().splitlines()

    return run


def test_every_process_gets_its_rank_the_first_node_and_the_options(submit):
    _, started, _ = submit(0, "--dataset_dir", "a folder", "--modalities", "['t1','t2']")
    assert [ranks for _, *ranks in started] == [[rank, "2", rank, "node7", "20041"] for rank in "01"]
    configs = "['bundles/unified/configs/train.json','bundles/unified/configs/multi_gpu_train.json']"
    options = ["--dataset_dir", "a folder", "--modalities", "['t1','t2']"]
    assert [words for words, *_ in started] == [["-m", "monai.bundle", "run", "--config_file", configs, *options]] * 2


@pytest.mark.parametrize(("status", "is_requeued"), [(0, False), (1, False), (130, False), (137, False), (143, True)])
def test_only_a_training_that_sigterm_stopped_is_queued_again(submit, status, is_requeued):
    ended, _, asked = submit(status)
    assert ended == status
    assert ("requeue 41" in asked) == is_requeued
