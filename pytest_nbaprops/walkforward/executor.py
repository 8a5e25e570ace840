"""Fits made ahead of the folds that need them, on a `concurrent.futures` executor; their models lie in the fold store.

One fit on one thread for each core is faster than one fit after the other on all of them, and does not spin where
another program is at work; a fit that is alone has all cores. The trees are the same bit by bit. Tests still run, and
report, date by date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from pytest_nbaprops.walkforward.candidate import Candidate
from pytest_nbaprops.walkforward.plan import Fold


@dataclass(frozen=True, kw_only=True)
class PlannedFit:
    """One fit that a candidate's folds will ask for, by the key that its model has in the store."""

    candidate: Candidate
    fold: Fold
    key: str


Task = Callable[[], float]
"""Makes one fit, leaves its model in the store under its key and gives the seconds that it took."""


class FitsAhead:
    """The fits that tests will ask for, started in the order of first need.

    What is expected is only begun once its candidate is known to evaluate its recipe, since a test may do otherwise.
    """

    def __init__(self) -> None:
        self._executor: Executor | None = None
        self._task: Callable[[PlannedFit], Task] | None = None
        self._elsewhere: Callable[[Exception], object] | None = None
        self._expected: dict[str, list[PlannedFit]] = {}
        self._futures: dict[str, Future[float]] = {}
        self._planned = self._begun = self._left = 0
        self._lock = Lock()

    def run_on(
        self,
        executor: Executor,
        task: Callable[[PlannedFit], Task],
        *,
        elsewhere: Callable[[Exception], object] | None = None,
    ) -> None:
        """Where fits are made, and how.

        Where that is `elsewhere`, whatever goes wrong there is told to this function and the fit made here after all.
        """
        self._executor, self._task, self._elsewhere = executor, task, elsewhere

    def expect(self, fits: Iterable[PlannedFit]) -> None:
        """What is going to be asked for."""
        for planned in fits:
            self._expected.setdefault(planned.candidate.name, []).append(planned)

    def start(self, *names: str) -> None:
        """Begin the fits of these candidates, in the order in which they were expected."""
        if self._executor is None or self._task is None:
            return
        planned = [fit for name in names for fit in self._expected.pop(name, ()) if fit.key not in self._futures]
        tasks = {fit.key: self._task(fit) for fit in planned}  # two candidates may share a fit
        with self._lock:
            self._planned += len(tasks)  # known before the first one begins
            self._left += len(tasks)
        executor = self._executor
        for key, task in tasks.items():
            try:
                future = self._futures[key] = executor.submit(task)
            except Exception as error:
                self._ended()
                if self._elsewhere is None:
                    raise
                self._elsewhere(error)
            else:
                future.add_done_callback(self._ended)

    def _ended(self, _: Future[float] | None = None) -> None:
        with self._lock:
            self._left -= 1

    def share(self, threads: int) -> int:
        """Threads for a fit that begins now: one as long as there are as many fits as cores, all for a lone one.

        The last ones, where they are fewer than cores, share these although earlier fits are about to end on them.
        """
        with self._lock:
            last = self._planned % threads
            is_last = last and self._begun >= self._planned - last
            self._begun += 1
            at_once = max(1, self._left)
            return max(1, threads // (min(last, at_once) if is_last else at_once))

    def is_under_way(self, key: str) -> bool:
        """Whether this fit is waited for, or being made."""
        return key in self._futures and not self._futures[key].done()

    def wait(self, key: str) -> float | None:
        """Seconds that a fit made ahead has taken, its model lies in the store; None for one that was not.

        Raises:
            Exception: whatever the fit raised.
        """
        future = self._futures.get(key)
        if future is None or (future.cancelled() and self._elsewhere is None):
            return None
        try:
            return future.result()
        except Exception as error:
            if self._elsewhere is None:
                raise
            del self._futures[key]
            self._elsewhere(error)
            return None

    def stop(self) -> None:
        """Begin no more fits."""
        self._expected.clear()
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None


def local_executor(threads: int) -> Executor:
    """One thread for each core of this process's share."""
    return ThreadPoolExecutor(threads, thread_name_prefix="nbaprops-fit")
