import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from unicoal_components.files.partial import is_running
from unicoal_components.runtime.workers import ITK_THREADS, _end_with_parent, default_workers, one_thread, run_jobs


def died(job):
    return ("died", job)


def work(job):
    if job == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "wrong":
        raise KeyError(job)
    return os.getpid(), os.environ.get(ITK_THREADS), job


def sleep(job):
    time.sleep(job)
    return job


def test_one_worker_is_this_process_with_one_thread():
    before = os.environ.get(ITK_THREADS)
    results = dict(run_jobs(work, ["a", "b"], workers=1, died=died))
    assert results == {name: (os.getpid(), "1", name) for name in "ab"}
    assert os.environ.get(ITK_THREADS) == before


def test_several_workers_are_processes_with_one_thread_each_and_one_that_is_killed_does_not_affect_the_others():
    jobs = ["a", "killed", "b", "c", "d", "e"]
    results = dict(run_jobs(work, jobs, workers=2, died=died))
    assert sorted(results) == sorted(jobs)
    assert results.pop("killed") == ("died", "killed")
    assert [job for _, _, job in results.values()] == list(results)
    assert os.getpid() not in {process for process, _, _ in results.values()}
    assert {threads for _, threads, _ in results.values()} == {"1"}


def test_one_worker_may_be_a_process_of_its_own():
    ((process, threads, _),) = dict(run_jobs(work, ["a"], workers=1, died=died, here=False)).values()
    assert (process != os.getpid(), threads) == (True, "1")


def test_an_error_of_the_function_is_raised_here():
    with pytest.raises(KeyError, match="wrong"):
        list(run_jobs(work, ["a", "wrong"], workers=2, died=died))


def test_processes_at_work_end_with_the_caller():
    start = time.monotonic()
    results = run_jobs(sleep, [0.01, 60.0, 59.0], workers=2, died=died)
    assert next(results)[1] == 0.01
    results.close()  # as an exception of the caller does
    assert time.monotonic() - start < 40


KILLED = """
import multiprocessing, time
from unicoal_components.runtime.workers import run_jobs
results = run_jobs(time.sleep, [0, 60, 60], workers=2, died=print)
next(results)
print(*[child.pid for child in multiprocessing.active_children()], flush=True)
next(results)
"""


def test_processes_end_with_a_caller_that_is_killed():
    caller = subprocess.Popen(
        [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    workers = [int(word) for word in caller.stdout.readline().split()]
    assert len(workers) == 2 and all(is_running(worker) for worker in workers)
    caller.kill()
    caller.communicate()
    end = time.monotonic() + 10
    while any(is_running(worker) for worker in workers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(is_running(worker) for worker in workers)


def test_a_process_notices_that_its_parent_is_gone_on_any_system():
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=sleep_until_the_parent_is_gone)
    child.start()
    child.join(30)
    assert child.exitcode == 1


def sleep_until_the_parent_is_gone():
    multiprocessing.process._parent_process = SimpleNamespace(join=lambda: time.sleep(0.1))
    threading.Thread(target=_end_with_parent).start()
    time.sleep(60)


def test_signals_that_stop_a_command_are_left_to_the_caller():
    results = dict(run_jobs(signal_this_process, [1, 2], workers=2, died=died))
    assert results == {1: "went on", 2: "went on"}


def signal_this_process(job):
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), number)
    return "went on"


def test_there_are_no_more_workers_than_jobs():
    assert default_workers(1) == 1
    assert 1 <= default_workers(10_000) <= (os.cpu_count() or 1)


def test_threads_are_given_back(monkeypatch):
    monkeypatch.delenv("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", raising=False)
    with one_thread():
        assert os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] == "1"
    assert "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS" not in os.environ
