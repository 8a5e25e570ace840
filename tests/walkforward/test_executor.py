"""Fits ahead of the folds that ask for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier, Event
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_nbaprops.walkforward.executor import FitsAhead, PlannedFit, Task

THREADS = 4


def planned(key: str, name: str = "advanced") -> PlannedFit:
    return PlannedFit(candidate=cast("Any", SimpleNamespace(name=name)), fold=cast("Any", None), key=key)


@pytest.mark.parametrize(("fits", "threads"), [(1, 4), (2, 2), (3, 1), (4, 1)])
def test_fits_at_once_share_the_cores(fits: int, threads: int) -> None:
    """As many as there are cores have one each; a lone one has all, and is not held for one of several."""
    ahead, shares, together = FitsAhead(), [], Barrier(fits)

    def task(_: PlannedFit) -> Task:
        def fit() -> float:
            shares.append(ahead.share(THREADS))
            together.wait(10)
            return 1.0

        return fit

    with ThreadPoolExecutor(THREADS) as pool:
        ahead.run_on(pool, task)
        ahead.expect(planned(str(number)) for number in range(fits))
        ahead.start("advanced")
        assert [ahead.wait(str(number)) for number in range(fits)] == [1.0] * fits
    assert shares == [threads] * fits


def test_a_fit_that_two_candidates_share_is_made_once() -> None:
    """By the key of its model; one that nobody expects is not made."""
    made: list[str] = []
    ahead = FitsAhead()

    def fit(key: str) -> float:
        made.append(key)
        return 2.0

    with ThreadPoolExecutor(1) as pool:
        ahead.run_on(pool, lambda one: partial(fit, one.key))
        ahead.expect([planned("a"), planned("b"), planned("a", "other")])
        ahead.start("advanced", "other")
        assert [ahead.wait(key) for key in ("a", "b", "c")] == [2.0, 2.0, None]
    assert sorted(made) == ["a", "b"]


def test_a_failed_fit_leaves_its_cores_to_the_others() -> None:
    """It raises where it is waited for."""
    ahead = FitsAhead()

    def task(_: PlannedFit) -> Task:
        def fit() -> float:
            raise ValueError("no rows")

        return fit

    with ThreadPoolExecutor(1) as pool:
        ahead.run_on(pool, task)
        ahead.expect([planned("a"), planned("b")])
        ahead.start("advanced")
        for key in ("a", "b"):
            with pytest.raises(ValueError, match="no rows"):
                ahead.wait(key)
    assert ahead.share(THREADS) == THREADS


def test_the_last_of_an_odd_number_of_fits_has_all_cores() -> None:
    """The one before it is about to end, since fits take about as long as one another."""
    ahead, shares, half_way = FitsAhead(), dict[str, int](), Event()

    def fit(key: str) -> float:
        shares[key] = ahead.share(2)
        if key == "a":
            half_way.wait(10)  # still at work while the last one begins
        elif key == "c":
            half_way.set()
        return 1.0

    with ThreadPoolExecutor(2) as pool:
        ahead.run_on(pool, lambda one: partial(fit, one.key))
        ahead.expect(map(planned, "abc"))
        ahead.start("advanced")
        assert [ahead.wait(key) for key in "abc"] == [1.0] * 3
    assert shares == {"a": 1, "b": 1, "c": 2}
