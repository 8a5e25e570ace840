"""Metric files, whole and damaged."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from pytest_nbaprops.importing.points import read_history
from pytest_nbaprops.importing.source import Point

STAMP = 1_600_000_000_000
points = st.lists(
    st.tuples(st.integers(0, 300), st.floats(allow_nan=False)), min_size=1, max_size=30, unique_by=lambda pair: pair[0]
)


def text(pairs: list[tuple[int, float]]) -> bytes:
    return "".join(f"{STAMP + step} {value!r} {step}\n" for step, value in pairs).encode()


@given(points)
def test_any_order_gives_the_same_history(pairs: list[tuple[int, float]]) -> None:
    """Sorted by step, to the last bit; only what was out of order is told."""
    history = read_history(text(pairs))
    assert history.points == [Point(STAMP + step, value, step) for step, value in sorted(pairs)]
    assert history.unsorted == (pairs != sorted(pairs))
    assert (history.broken, history.repeated) == (0, 0)


@given(points, st.integers(1, 40))
def test_a_torn_end_costs_at_most_the_last_line(pairs: list[tuple[int, float]], lost: int) -> None:
    """Whatever is cut off, the lines before are taken as they are."""
    whole = text(sorted(pairs))
    torn = whole[: max(0, len(whole) - lost)]
    complete = torn.count(b"\n")
    kept = read_history(torn).points
    assert set(read_history(whole).points[:complete]) <= set(kept)
    assert len(kept) <= complete + 1


@given(st.binary(max_size=200))
def test_no_bytes_are_too_bad(content: bytes) -> None:
    """Points or nothing, never an error."""
    for point in read_history(content).points:
        assert 0 <= point.timestamp < 2**63


def test_a_last_line_without_its_end_is_taken_where_it_goes_on() -> None:
    """Step 3 after 1 and 2; not step 1 after 8 and 9, which was 10."""
    assert [point.step for point in read_history(text([(1, 5.0), (2, 5.0), (3, 5.0)])[:-1]).points] == [1, 2, 3]
    torn = read_history(text([(8, 5.0), (9, 5.0), (10, 5.0)])[:-2])
    assert [point.step for point in torn.points] == [8, 9]
    assert torn.broken == 1


def test_lines_of_every_version() -> None:
    """Two columns and seconds before MLflow 1.0, five with a dataset; two lines in one are none."""
    old = read_history(b"1540000000 5.5\n")
    assert old.points == [Point(1_540_000_000_000, 5.5, 0)]
    assert old.seconds
    assert read_history(b"1600000000000 5.5 3 data a1b2\n").points == [Point(STAMP, 5.5, 3)]
    joined = read_history(b"1600000000000 0.5 11600000000001 0.4 2\n1600000000002 0.3 3\n")
    assert [point.step for point in joined.points] == [3]
    assert joined.broken == 1
    assert math.isnan(read_history(b"1600000000000 nan 0\n").points[0].value)
