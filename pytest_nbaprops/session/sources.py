"""Declared files: what may not be declared is the games themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_nbaprops.data.schema import OUTCOME_COLUMNS, target_values
from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.settings import Settings
from pytest_nbaprops.walkforward.dataset import game_dates
from pytest_nbaprops.walkforward.windows import parse_test_window

if TYPE_CHECKING:
    from collections.abc import Callable

READERS: dict[str, Callable[[Path], Any]] = {
    ".csv": pd.read_csv,
    ".parquet": pd.read_parquet,
    ".feather": pd.read_feather,
    ".json": pd.read_json,
}
SHARE = 0.5  # of the rows of a table that say what the games say
FEW_ROWS = 20


def refuse_games(settings: Settings, games: pd.DataFrame, target: Sequence[str]) -> None:
    """See that no declared file is the games' own, or a table of outcomes of the test window.

    Raises:
        SettingsError: one is.
    """
    if not settings.sources:
        return
    dates = game_dates(games, tuple(target))
    tested = parse_test_window(settings.test).pick(dates)
    games = games[games["GAME_DATE"] >= pd.Timestamp(min(tested, default=dates[-1].day))]
    for path in settings.sources:
        if settings.data is not None and Path(settings.data) in (Path(path), *Path(path).parents):
            raise SettingsError(
                f"nbaprops_sources: {path} holds the games themselves; they are not declared but loaded"
            )
        reader = READERS.get(Path(path).suffix)
        table = None if reader is None else _read(reader, Path(path))
        if table is not None and (column := _outcomes_in(table, games, target)) is not None:
            raise SettingsError(
                f"nbaprops_sources: {path} holds outcomes of the games (column {column!r} by player and game); declare "
                "such a table as the source of a feature group, with an as-of date: sources={...}"
            )


def _read(reader: Callable[[Path], Any], path: Path) -> pd.DataFrame | None:
    try:
        table = reader(path)
    except Exception:  # noqa: BLE001 - a file that is no table is none of these
        return None
    return table.reset_index() if isinstance(table, pd.DataFrame) else None


def _outcomes_in(table: pd.DataFrame, games: pd.DataFrame, target: Sequence[str]) -> str | None:
    """A column that says what happened in games, by a column of players and one of games or dates; None without."""
    table = table[_rows_of(table, games)]
    player = _matching(table, _text(games["PLAYER_ID"]))
    game = _matching(table, _text(games["GAME_ID"]), but=player)
    by_date = None if game else _matching(table, _text(games["GAME_DATE"]), but=player)
    if player is None or (game or by_date) is None or len(table) < FEW_ROWS:
        return None
    key = _text(games["GAME_ID"] if game else games["GAME_DATE"])
    known = pd.MultiIndex.from_arrays([_text(games["PLAYER_ID"]), key])
    asked = pd.MultiIndex.from_arrays([_text(table[player]), _text(table[game or by_date])])
    rows = known.get_indexer(asked) if known.is_unique else np.full(len(asked), -1)
    found = rows >= 0
    if found.sum() < FEW_ROWS:
        return None
    said = {
        name: games[name].to_numpy() for name in OUTCOME_COLUMNS if name in games and games[name].dtype.kind in "iuf"
    }
    said["the target"] = target_values(games, target).to_numpy()
    for column in table.columns:
        values = table[column]
        if column in (player, game, by_date) or values.dtype.kind not in "iuf":
            continue
        here = values.to_numpy(dtype=float)[found]
        if any((np.abs(here - truth[rows[found]].astype(float)) < 1e-6).mean() > SHARE for truth in said.values()):  # noqa: PLR2004
            return str(column)
    return None


def _rows_of(table: pd.DataFrame, games: pd.DataFrame) -> pd.Series[bool]:
    """The rows that name a game or a date of the test window; earlier ones may be declared."""
    known = {*_text(games["GAME_ID"]), *_text(games["GAME_DATE"])}
    named = [_text(table[column]).isin(known) for column in table.columns]
    return pd.concat(named, axis=1).any(axis=1)


def _matching(table: pd.DataFrame, values: pd.Series[str], but: str | None = None) -> str | None:
    known = set(values)
    for column in table.columns:
        if column != but and _text(table[column]).isin(known).mean() > SHARE:
            return str(column)
    return None


def _text(column: pd.Series[Any]) -> pd.Series[str]:
    if column.dtype.kind == "M":
        column = column.dt.strftime("%Y-%m-%d")
    text: pd.Series[str] = column.astype("string").str.removesuffix(".0").str.lstrip("0")
    return text
