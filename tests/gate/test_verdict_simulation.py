"""The quick, seeded version of tests/benchmarks/verdict_simulation.py."""

from __future__ import annotations

import pytest

from tests.benchmarks.verdict_simulation import (
    NOMINAL,
    PROCESSES,
    Process,
    gate,
    percentile,
    promotion_rate,
    usual_rows,
)


@pytest.mark.parametrize("process", PROCESSES[::2], ids=lambda process: process.name)
@pytest.mark.parametrize("dates", [20, 40])
def test_no_change_is_promoted_as_rarely_as_stated(dates: int, process: Process) -> None:
    """False promotions of an equal model are not above the nominal 2.5%, within Monte Carlo error."""
    rate = promotion_rate(gate, usual_rows(dates), process, 0.0, count=100, seed=11)
    assert rate.interval[0] <= NOMINAL


def test_the_textbook_interval_would_not_do() -> None:
    """The plain percentile interval promotes equal models far too often on 20 dates: why the gate's is wider."""
    rate = promotion_rate(percentile, usual_rows(20), PROCESSES[2], 0.0, count=100, seed=11)
    assert rate.interval[0] > 2 * NOMINAL


def test_a_model_one_percent_better_is_found_in_a_season() -> None:
    """A 1% lower MAE is promoted at least nine times in ten on 160 dates, a higher one never."""
    rows = usual_rows(160)
    assert promotion_rate(gate, rows, PROCESSES[1], -0.01, count=30, seed=11).value >= 0.9
    assert promotion_rate(gate, rows, PROCESSES[1], 0.01, count=10, seed=11).hits == 0
