"""Independent tasks side by side: threads on one machine by default, processes, Ray or Dask through joblib's own backends.

Each task runs its linear algebra on one BLAS thread, whatever the engine, so that the numbers do not depend on it.
"""

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from genscope.errors import UnsupportedInput, UsageError

ENGINES = ("threads", "processes", "ray", "dask")
_BACKENDS = {"threads": "threading", "processes": "loky", "ray": "ray"}


def run_tasks(worker: Callable[[Any], Any], tasks: Sequence[Any], *, jobs: int = 1, engine: str = "threads", isolated: bool = False) -> Iterator[Any]:
    """Yield ``worker(task)`` for every task, as they finish.

    Args:
        worker: a function of one task; for engines other than threads it must be picklable.
        tasks: the largest first, so that the last to finish are small.
        jobs: workers at once.
        engine: ``threads``, ``processes``, ``ray`` or ``dask``.
        isolated: no task runs in this process, not even a single one (engines other than threads), so that one that dies takes nothing along.

    Raises:
        UsageError: an unknown engine.
        UnsupportedInput: the engine's package is not installed.
    """
    if engine not in ENGINES:
        raise UsageError(f"There is no engine {engine!r}; use one of {', '.join(ENGINES)}.")
    jobs = max(1, min(jobs, len(tasks)))  # more workers than tasks only use up threads
    if engine == "threads" and jobs <= 1:
        with one_blas_thread():
            for task in tasks:
                yield worker(task)
        return
    from joblib import Parallel, delayed, parallel_config

    if isolated and engine != "threads":
        jobs = max(2, jobs)  # joblib runs the tasks of a single worker in the caller's own process
    call = worker if engine == "threads" else _OnOneThread(worker)
    if engine == "dask":
        yield from _on_dask(call, tasks, jobs)
        return
    with _engine_ready(engine, jobs), one_blas_thread(), parallel_config(backend=_BACKENDS[engine], n_jobs=jobs):
        # Ray's backend hands results back only when all are done: give it a few per worker at a time, so that finished work is kept
        size = 8 * jobs if engine == "ray" else len(tasks)
        pool = Parallel(return_as="list" if engine == "ray" else "generator_unordered", batch_size=1)
        with warnings.catch_warnings():
            # on an interrupt joblib tells how many results were not fetched; the user is told how to resume instead
            warnings.filterwarnings("ignore", message=".*tasks.*", category=UserWarning, module="joblib")
            for start in range(0, len(tasks), max(size, 1)):
                yield from pool(delayed(call)(task) for task in tasks[start : start + size])


def _on_dask(call: Callable[[Any], Any], tasks: Sequence[Any], jobs: int) -> Iterator[Any]:
    """Straight through Dask's own futures: joblib's backend waits for ever for a task whose workers died."""
    with _engine_ready("dask", jobs):
        from distributed import as_completed, get_client

        futures = get_client().map(call, tasks, pure=False)
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            get_client().cancel(futures)


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold every BLAS of this process to one thread, and give the former number back."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield


class _OnOneThread:
    """The worker as another process calls it: that process's BLAS is limited too."""

    def __init__(self, worker: Callable[[Any], Any]) -> None:
        self.worker = worker

    def __call__(self, task: Any) -> Any:
        with one_blas_thread():
            return self.worker(task)


@contextlib.contextmanager
def _engine_ready(engine: str, jobs: int) -> Iterator[None]:
    if engine == "ray":
        try:
            import ray
            from ray.util.joblib import register_ray
        except ImportError:
            raise UnsupportedInput("The engine 'ray' needs the package ray; install genscope[ray].") from None
        if not ray.is_initialized():
            ray.init(num_cpus=max(jobs, 1), include_dashboard=False, log_to_driver=False)
        register_ray()
        yield
    elif engine == "dask":
        try:
            from distributed import Client, LocalCluster, get_client
        except ImportError:
            raise UnsupportedInput("The engine 'dask' needs the package distributed; install genscope[dask].") from None
        try:
            get_client()
            yield
        except ValueError:
            with LocalCluster(n_workers=max(jobs, 1), threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
                yield
    else:
        yield


class MemoryGate:
    """Lets tasks in while their predicted bytes fit together; a task larger than the budget runs alone."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._held = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def hold(self, n_bytes: int) -> Iterator[None]:
        """Wait until ``n_bytes`` fit beside what runs, and hold them."""
        with self._changed:
            self._changed.wait_for(lambda: self._held == 0 or self._held + n_bytes <= self._budget)
            self._held += n_bytes
        try:
            yield
        finally:
            with self._changed:
                self._held -= n_bytes
                self._changed.notify_all()
