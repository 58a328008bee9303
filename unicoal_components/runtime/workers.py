"""Jobs in processes of their own, where one that dies takes no other with it."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

ITK_THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"


def default_workers(jobs: int) -> int:
    """Return as many workers as this process may use processors, at most one per job."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(processors, jobs))


def run_jobs(
    function: Callable[[Job], Result], jobs: Sequence[Job], *, workers: int, died: Callable[[Job], Result]
) -> Iterator[tuple[Job, Result]]:
    """Yield each job with its result as it is done, in any order.

    Each worker is a pool of one process: if that dies (killed for its memory, a crash in a library), it is known which
    job it had, and a new one takes the next. Processes start anew or from a clean server, not as copies of this one
    with its threads. When the caller stops, by Ctrl-C or otherwise, processes at work are ended.

    Args:
        function: to call with each job, in one thread; a function of a module, as it is sent by name. What it raises
            is raised here.
        jobs: values that can be pickled.
        workers: how many processes; 1 = here, without any.
        died: gives the result of a job whose process died.
    """
    if workers <= 1 or len(jobs) <= 1:
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
                child.terminate()
            for pool, _ in running.values():
                pool.shutdown(wait=True, cancel_futures=True)


def _pool() -> ProcessPoolExecutor:
    if "forkserver" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("forkserver")
    else:
        context = multiprocessing.get_context("spawn")  # type: ignore[assignment]
    return ProcessPoolExecutor(1, mp_context=context, initializer=_begin)


def _start(
    pool: ProcessPoolExecutor, function: Callable, job: Job, running: dict[Future, tuple[ProcessPoolExecutor, Job]]
) -> None:
    running[pool.submit(function, job)] = (pool, job)


def _begin() -> None:
    """Leave Ctrl-C to the process that started this one, and the other processors to the other workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _set_threads("1")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let ITK use one thread here; sums do not depend on the number of processors then."""
    threads = os.environ.get(ITK_THREADS)
    _set_threads("1")
    try:
        yield
    finally:
        _set_threads(threads)


def _set_threads(itk_threads: str | None) -> None:
    """Set ITK's number of threads; it reads the environment when it is imported, which may not be yet."""
    if itk_threads is None:
        os.environ.pop(ITK_THREADS, None)
    else:
        os.environ[ITK_THREADS] = itk_threads
    if "itk" in sys.modules:
        threader = sys.modules["itk"].MultiThreaderBase
        threader.SetGlobalDefaultNumberOfThreads(int(itk_threads or threader.GetGlobalMaximumNumberOfThreads()))
