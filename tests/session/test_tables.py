"""Tables that the fold store keeps."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from pytest_nbaprops.data import load
from pytest_nbaprops.data.kinds import COUNTED
from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.data.remarks import remarks_of
from pytest_nbaprops.data.sample import write_sample
from pytest_nbaprops.data.tables import read_table
from pytest_nbaprops.errors import DataError, StoreError
from pytest_nbaprops.features.build import build_features
from pytest_nbaprops.features.catalog import builtin_groups
from pytest_nbaprops.features.group import FeatureGroup
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


def kept_tables(store: FoldStore, path: Path, *, use_cache: bool = True) -> KeptTables:
    settings = SimpleNamespace(
        rootdir=str(path.parent),
        target="+".join(TARGET),
        columns={},
        games=COUNTED,
        sources=(),
        from_command_line=(),
        use_cache=use_cache,
    )
    return KeptTables(store, cast("Any", settings), threads=2)


def made(
    store: FoldStore, path: Path, *, use_cache: bool = True, ahead: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Games and features, as a session makes or finds them."""
    kept = kept_tables(store, path, use_cache=use_cache)
    if ahead:
        kept.begin(str(path))
    games = kept.games(str(path))
    features = kept.features(games, GROUPS).frame
    kept.close()
    return games.frame, features


def not_again(*_: object, **__: object) -> None:
    raise AssertionError("made a second time")


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("few_rows", [0, 10**9])
def test_what_is_made_is_what_is_found(
    store: FoldStore, league: Path, monkeypatch: pytest.MonkeyPatch, few_rows: int, *, ahead: bool
) -> None:
    """One group after the other, side by side or ahead: the same numbers as without a store, nothing made twice."""
    monkeypatch.setattr(tables, "FEW_ROWS", few_rows)
    games, features = made(store, league, ahead=ahead)
    pd.testing.assert_frame_equal(features, build_features(games, GROUPS).frame)
    monkeypatch.setattr(tables, "patches", lambda *_: {})  # what follows are some
    for making in ("compute_group", "load_games"):
        monkeypatch.setattr(tables, making, not_again)
    for again, before in zip(made(store, league), (games, features), strict=True):
        pd.testing.assert_frame_equal(again, before)


def test_other_rows_are_read_again(store: FoldStore, league: Path) -> None:
    """A file that has changed is another one."""
    games, _ = made(store, league)
    lines = league.read_text(encoding="utf-8").splitlines(keepends=True)
    league.write_text("".join(lines[:-1]), encoding="utf-8")
    assert len(made(store, league)[0]) == len(games) - 1


@pytest.fixture
def seasons(tmp_path: Path) -> Path:
    """A folder with a file for each of two seasons, the last with something odd in it."""
    folder = tmp_path / "seasons"
    folder.mkdir()
    write_sample(tmp_path / "all.csv", seasons=2, players=30)
    games = pd.read_csv(tmp_path / "all.csv", dtype=str)
    for season, rows in games.groupby("SEASON"):
        rows.to_csv(folder / f"{season}.csv", index=False)
    path = max(folder.iterdir())
    path.write_text(path.read_text(encoding="utf-8").replace(",W,", ",w,", 1), encoding="utf-8")
    return folder


def test_a_new_day_costs_its_own_file(store: FoldStore, seasons: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that have not changed are not read again, and nobody can tell: not by the games, nor by what is said."""
    last = max(seasons.iterdir())
    lines = last.read_text(encoding="utf-8").splitlines(keepends=True)
    last.write_text("".join(lines[:-40]), encoding="utf-8")
    read: list[Path] = []

    def noted(path: Path, **how: Any) -> Any:
        read.append(path)
        return read_table(path, **how)

    monkeypatch.setattr(load, "read_table", noted)
    made(store, seasons)
    assert len(read) == len(list(seasons.iterdir()))
    last.write_text("".join(lines), encoding="utf-8")
    read.clear()
    games, _ = made(store, seasons)
    assert read == [last]
    expected = load_games(seasons)
    pd.testing.assert_frame_equal(games, expected)
    assert kept_tables(store, seasons).games(str(seasons)).remarks == remarks_of(expected) != ()


def test_rows_of_known_files_are_named_by_their_lines(store: FoldStore, seasons: Path) -> None:
    """A row that is there twice is named where an editor shows it, in the file that was not read as in the new one."""
    made(store, seasons)
    first, last = sorted(seasons.iterdir())
    row = first.read_text(encoding="utf-8").splitlines(keepends=True)[7]
    with last.open("a", encoding="utf-8") as file:
        file.write(row)
    with pytest.raises(DataError) as expected:
        load_games(seasons)
    with pytest.raises(DataError) as error:
        made(store, seasons)
    assert str(error.value) == str(expected.value)
    assert f"{first}, row 8" in str(error.value)


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    store: FoldStore, seasons: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read is not what the key says."""
    last = max(seasons.iterdir())
    before = last.read_text(encoding="utf-8")
    less = "".join(before.splitlines(keepends=True)[:-40])

    def late(path: Path, **how: Any) -> Any:
        if path == last:
            path.write_text(less, encoding="utf-8")
        return read_table(path, **how)

    monkeypatch.setattr(load, "read_table", late)
    games, _ = made(store, seasons)
    last.write_text(before, encoding="utf-8")
    monkeypatch.setattr(load, "read_table", read_table)
    assert len(made(store, seasons)[0]) == len(games) + 40


def test_a_session_that_ends_early_does_not_wait_for_what_has_not_begun(
    store: FoldStore, league: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong option is told at once: the group that is at work is made, and no other one is."""
    made_ones, begun, go_on = [], Event(), Event()

    def slowly(games: pd.DataFrame, group: FeatureGroup, **_: object) -> pd.DataFrame:
        made_ones.append(group.name)
        begun.set()
        go_on.wait(10)
        return pd.DataFrame({group.name: 0.0}, index=games.index)

    monkeypatch.setattr(tables, "compute_group", slowly)
    kept = kept_tables(store, league)
    kept.begin(str(league))
    assert begun.wait(10)
    closing = Thread(target=kept.close)
    closing.start()
    closing.join(0.2)  # by then it waits for those at work
    go_on.set()
    closing.join(10)
    assert not closing.is_alive()
    assert len(made_ones) < len(GROUPS)


def test_a_full_disk_costs_nothing_but_time(store: FoldStore, league: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be kept is handed on as it was made."""
    expected = made(store, league, use_cache=False)

    def full(*_: object) -> None:
        raise StoreError("no space left on device")

    monkeypatch.setattr(FoldStore, "keep_table", full)
    monkeypatch.setattr(FoldStore, "keep_check", full)
    for frame, other in zip(made(store, league, use_cache=False), expected, strict=True):
        pd.testing.assert_frame_equal(frame, other)
