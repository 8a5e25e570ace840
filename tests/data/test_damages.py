"""Whatever is done to a file: it is read rightly, or refused in one line; never a traceback or a wrong number."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.data.remarks import remarks_of
from pytest_nbaprops.errors import DataError
from tests.data.damages import BAD_CELLS, CONTAINERS, DAMAGES, FORMS, SHAPES, TEXTS, Log, valid_log, write


@cache
def undamaged(seed: int) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        return load_games(write(valid_log(seed), Path(folder)))


def examine(seed: int, damages: list[Callable[[Log], None]]) -> str:
    """Compose the damages, read the file, and hold what comes of it against what must; "read" or "refused"."""
    expected = undamaged(seed)
    with tempfile.TemporaryDirectory() as broken:
        log = valid_log(seed)
        for damage in damages:
            damage(log)
        source = write(log, Path(broken))
        try:
            games = load_games(source)
        except DataError as error:
            refusal = str(error)
        else:
            _require_rightly_read(games, expected, log)
            return "read"
        assert log.outcome != "read", refusal
        _require_one_line(refusal, broken)
        return "refused"


def _require_one_line(message: str, folder: str) -> None:
    assert "\n" not in message, message
    assert message.startswith(folder), message
    for part in ("found ", "expected ", "; "):
        assert part in message, message


def _require_rightly_read(games: pd.DataFrame, expected: pd.DataFrame, log: Log) -> None:
    assert log.outcome != "refused", "read, though it must be refused"
    assert log.outcome != "told" or remarks_of(games), "read without a word"
    if log.columns:
        found = games[[name for name in expected.columns if name in log.columns]]
        pd.testing.assert_frame_equal(found, expected[list(found.columns)], check_dtype=True)
        assert set(log.columns) <= set(games.columns)
    if log.outcome == "read":
        for remark in log.remarks:
            assert any(remark in line for line in remarks_of(games)), (remark, remarks_of(games))


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_each_damage(damage: Callable[[Log], None]) -> None:
    """Each damage alone is read rightly or refused, as it must be."""
    examine(7, [damage])


# In the order of life: shapes and forms of cells, one bad value, the text, the container.
compositions = st.tuples(
    st.lists(st.sampled_from(SHAPES), max_size=2, unique=True),
    st.lists(st.sampled_from(FORMS), max_size=2, unique=True),
    st.lists(st.sampled_from(BAD_CELLS), max_size=1),
    st.lists(st.sampled_from(TEXTS), max_size=1),
    st.lists(st.sampled_from(CONTAINERS), max_size=1),
).map(lambda lists: [damage for part in lists for damage in part])


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(seed=st.integers(0, 20), damages=compositions)
def test_composed_damages(seed: int, damages: list[Callable[[Log], None]]) -> None:
    """Damages composed at random are no other: never a traceback, never a wrong number without a word."""
    examine(seed, damages)
