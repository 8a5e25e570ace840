"""Tables that the fold store keeps."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from pytest_nbaprops.data.kinds import COUNTED
from pytest_nbaprops.data.sample import write_sample
from pytest_nbaprops.errors import StoreError
from pytest_nbaprops.features.build import build_features
from pytest_nbaprops.features.catalog import builtin_groups
from pytest_nbaprops.session import tables
from pytest_nbaprops.session.tables import KeptTables
from pytest_nbaprops.walkforward.store import FoldStore

TARGET = ("PTS", "REB", "AST")
GROUPS = builtin_groups(TARGET)


@pytest.fixture
def league(tmp_path: Path) -> Path:
    path = tmp_path / "league.csv"
    write_sample(path, seasons=1, players=40)
    return path


@pytest.fixture
def store(tmp_path: Path) -> FoldStore:
    return FoldStore(tmp_path / "store")


def made(store: FoldStore, path: Path, *, use_cache: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Games and features, as a session makes or finds them."""
    settings = SimpleNamespace(rootdir=str(path.parent), columns={}, games=COUNTED, use_cache=use_cache)
    kept = KeptTables(store, cast("Any", settings), TARGET)
    games = kept.games(str(path))
    return games.frame, kept.features(games, GROUPS, {}, threads=2).frame


@pytest.mark.parametrize("few_rows", [0, 10**9])
def test_what_is_made_is_what_is_found(
    store: FoldStore, league: Path, monkeypatch: pytest.MonkeyPatch, few_rows: int
) -> None:
    """One group after the other or side by side: the same numbers as without a store, and nothing is made twice."""
    monkeypatch.setattr(tables, "FEW_ROWS", few_rows)
    games, features = made(store, league)
    pd.testing.assert_frame_equal(features, build_features(games, GROUPS).frame)
    monkeypatch.setattr(tables, "compute_group", None)
    monkeypatch.setattr(tables, "load_games", None)
    for again, before in zip(made(store, league), (games, features), strict=True):
        pd.testing.assert_frame_equal(again, before)


def test_other_rows_are_read_again(store: FoldStore, league: Path) -> None:
    """A file that has changed is another one."""
    games, _ = made(store, league)
    lines = league.read_text(encoding="utf-8").splitlines(keepends=True)
    league.write_text("".join(lines[:-1]), encoding="utf-8")
    assert len(made(store, league)[0]) == len(games) - 1


def test_a_full_disk_costs_nothing_but_time(store: FoldStore, league: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be kept is handed on as it was made."""
    expected = made(store, league, use_cache=False)

    def full(*_: object) -> None:
        raise StoreError("no space left on device")

    monkeypatch.setattr(FoldStore, "keep_table", full)
    monkeypatch.setattr(FoldStore, "keep_check", full)
    for frame, other in zip(made(store, league, use_cache=False), expected, strict=True):
        pd.testing.assert_frame_equal(frame, other)
