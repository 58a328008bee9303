"""Parallel jobs in separate processes; one that dies does not affect the others."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

_PR_SET_PDEATHSIG = 1
"""Linux: the signal that a process gets when its parent ends."""

ITK_THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"


def default_workers(jobs: int) -> int:
    """Return the number of processors available to this process, at most one per job."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(processors, jobs))


def run_jobs(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int,
    died: Callable[[Job], Result],
    here: bool = True,
) -> Iterator[tuple[Job, Result]]:
    """Yield each job with its result as it finishes, in any order.

    Each worker is a pool of one process: if that dies (killed for its memory, a crash in a library), its job is known,
    and a new process takes the next. Processes are new ones, not copies of this process and its threads. When the
    caller stops, by Ctrl-C, by an exception or because it is killed, they are ended.

    Args:
        function: function to call with each job, in one thread; a module-level function, as it is sent by name. Its
            exceptions are raised here.
        jobs: values that can be pickled.
        workers: number of processes.
        died: returns the result of a job whose process died.
        here: run in this process if one is enough. Ctrl-C then waits for the end of a call of a library, which may
            take long.
    """
    if here and (workers <= 1 or len(jobs) <= 1):
        for job in jobs:
            with one_thread():
                result = function(job)
            yield job, result
        return
    others = set(multiprocessing.active_children())
    waiting = list(reversed(jobs))
    running: dict[Future, tuple[ProcessPoolExecutor, Job]] = {}
    try:
        for _ in range(min(workers, len(jobs))):
            _start(_pool(), function, waiting.pop(), running)
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                pool, job = running.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    result = died(job)
                    pool.shutdown(wait=False)
                    pool = _pool()
                if waiting:
                    _start(pool, function, waiting.pop(), running)
                else:
                    pool.shutdown(wait=False)
                yield job, result
    finally:
        if running:
            for child in set(multiprocessing.active_children()) - others:
                child.kill()
            for pool, _ in running.values():
                pool.shutdown(wait=True, cancel_futures=True)


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)


def _start(
    pool: ProcessPoolExecutor, function: Callable, job: Job, running: dict[Future, tuple[ProcessPoolExecutor, Job]]
) -> None:
    with _stop_signals_blocked():
        running[pool.submit(function, job)] = (pool, job)


@contextmanager
def _stop_signals_blocked() -> Iterator[None]:
    """Leave Ctrl-C and SIGTERM to this process: those that it starts in the block are never stopped by them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """End with the parent process, leave Ctrl-C to it, and use one thread only."""
    if sys.platform == "linux":  # at once, also within a long call of a library
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "fork" in multiprocessing.get_all_start_methods():
        # Locks for processes started in this way have no name: ITK's would stay on the system after a kill.
        multiprocessing.set_start_method("fork", force=True)
    _set_threads("1")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Make ITK use one thread here, so that sums do not depend on the number of processors."""
    threads = os.environ.get(ITK_THREADS)
    _set_threads("1")
    try:
        yield
    finally:
        _set_threads(threads)


def _set_threads(itk_threads: str | None) -> None:
    """Set ITK's number of threads, also in the environment, which ITK reads when it is imported."""
    if itk_threads is None:
        os.environ.pop(ITK_THREADS, None)
    else:
        os.environ[ITK_THREADS] = itk_threads
    if "itk" in sys.modules:
        threader = sys.modules["itk"].MultiThreaderBase
        threader.SetGlobalDefaultNumberOfThreads(int(itk_threads or threader.GetGlobalMaximumNumberOfThreads()))
