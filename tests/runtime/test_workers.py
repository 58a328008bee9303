import os
import signal
import time

import pytest

from unicoal_components.runtime.workers import ITK_THREADS, default_workers, one_thread, run_jobs


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


def test_an_error_of_the_function_is_raised_here():
    with pytest.raises(KeyError, match="wrong"):
        list(run_jobs(work, ["a", "wrong"], workers=2, died=died))


def test_processes_at_work_end_with_the_caller():
    start = time.monotonic()
    results = run_jobs(sleep, [0.01, 60.0, 59.0], workers=2, died=died)
    assert next(results)[1] == 0.01
    results.close()  # as an exception of the caller does
    assert time.monotonic() - start < 40


def test_there_are_no_more_workers_than_jobs():
    assert default_workers(1) == 1
    assert 1 <= default_workers(10_000) <= (os.cpu_count() or 1)


def test_threads_are_given_back(monkeypatch):
    monkeypatch.delenv("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", raising=False)
    with one_thread():
        assert os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] == "1"
    assert "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS" not in os.environ
