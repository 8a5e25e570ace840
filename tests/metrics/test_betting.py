"""What bets came to, against slow recounts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nbaprops.metrics.betting import bet_profits, bets_to_know, break_even, drawdown, longest_losing_run

profits = st.lists(st.floats(-10, 10), max_size=60)
results = st.lists(st.sampled_from([1, 0, -1]), max_size=60)


@given(profits)
def test_drawdown_is_the_deepest_fall(values: list[float]) -> None:
    """Over all pairs of moments, the later one lower; the start counts as one."""
    running = [sum(values[:i]) for i in range(len(values) + 1)]
    deepest = max((running[i] - running[j] for i in range(len(running)) for j in range(i, len(running))), default=0.0)
    assert drawdown(values) == pytest.approx(deepest, abs=1e-9)


@given(profits)
def test_drawdown_does_not_see_gains_before_it(values: list[float]) -> None:
    """Winning first never makes it deeper, losing first never makes it shallower."""
    assert drawdown([5.0, *values]) == pytest.approx(drawdown(values), abs=1e-9)
    assert drawdown([-5.0, *values]) >= drawdown(values) - 1e-9


@given(results)
def test_the_longest_losing_run_passes_over_pushes(values: list[int]) -> None:
    """As splitting the results without pushes at the wins does."""
    text = "".join("W" if value > 0 else "L" for value in values if value != 0)
    assert longest_losing_run(values) == max(map(len, text.split("W")), default=0)


@given(st.lists(st.tuples(st.floats(0.1, 5), st.floats(1.05, 6)), min_size=1, max_size=30))
def test_at_the_break_even_rate_nothing_is_won(bets: list[tuple[float, float]]) -> None:
    """If every bet wins with that chance, the mean profit is 0."""
    stake, price = np.array(bets).T
    rate = break_even(price, stake)
    expected = sum(s * (rate * (p - 1) - (1 - rate)) for s, p in bets)
    assert expected == pytest.approx(0, abs=1e-9)


def test_profits_are_counted_by_hand() -> None:
    """Won, lost and pushed."""
    assert bet_profits([2, 2, 2], [1.5, 1.5, 1.5], [1, -1, 0]).tolist() == [1.0, -2.0, 0.0]


def test_how_many_bets_it_takes() -> None:
    """An ROI of 3% with a spread of 0.95 takes about 3,900 bets; none at all shows nothing."""
    assert bets_to_know(0.03, 0.95) == pytest.approx(3852, abs=1)
    assert bets_to_know(0.0, 0.95) == math.inf
