"""Declared files, and what may not be declared: the games themselves."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pytest_nbaprops.data.schema import OUTCOME_COLUMNS, target_values
from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.features.sources import read_sources
from pytest_nbaprops.settings import Settings
from pytest_nbaprops.walkforward.dataset import game_dates
from pytest_nbaprops.walkforward.windows import parse_test_window

READERS: Mapping[str, Callable[[Path], Any]] = {
    ".parquet": pd.read_parquet,
    ".feather": pd.read_feather,
    ".json": pd.read_json,
    ".xlsx": pd.read_excel,
}
MARKS = ",;\t|"
SHARE = 0.5  # of the rows of a table that say what the games say
FEW_ROWS = 20
KEYS = ["player", "game"]
EARLIEST = pd.Timedelta(days=60)  # before the first test date: that early no table tells of it


def declared_files(settings: Settings) -> dict[str, str]:
    """SHA-256 of the declared files, by their path from the rootdir."""
    return {
        os.path.relpath(path, settings.rootdir): hashlib.sha256(Path(path).read_bytes()).hexdigest()
        for path in settings.sources
    }


def refuse_games(
    settings: Settings, games: pd.DataFrame, target: Sequence[str], groups: Sequence[FeatureGroup] = ()
) -> None:
    """See that no declared file is the games' own, or a table of outcomes of the test window.

    Tables of the groups may tell outcomes, but not before the games.

    Raises:
        SettingsError: one is.
        FeatureError: a group's table cannot be read.
    """
    with_tables = [group for group in groups if group.sources]
    if not (settings.sources or with_tables):
        return
    dates = game_dates(games, tuple(target))
    tested = parse_test_window(settings.test).pick(dates)
    start = pd.Timestamp(min(tested, default=dates[-1].day))
    games = games[games["GAME_DATE"] >= start]
    for group in with_tables:
        for key, table in read_sources(group, Path(settings.rootdir)).items():
            as_of = group.sources[key].as_of
            late = table[(table[as_of] >= start - EARLIEST) | _names_games(table, games)]
            if (column := _outcome_in(late, games, target, as_of=as_of)) is not None:
                raise SettingsError(
                    f"feature group {group.name!r}, source {key!r}: column {column!r} holds outcomes of games that are "
                    f"still to come on its date {as_of}; leave it out, or date each row when it was known"
                )
    for path in map(Path, settings.sources):
        if settings.data is not None and Path(settings.data) in (path, *path.parents):
            raise SettingsError(
                f"nbaprops_sources: {path} holds the games themselves, which are not declared but loaded: learn from "
                "what groups and tests are handed, or from a copy of earlier seasons outside of the data's folder"
            )
        file = _table(path)
        if file is not None and (column := _outcome_in(file, games, target)) is not None:
            raise SettingsError(
                f"nbaprops_sources: {path} holds outcomes of the games (column {column!r} by player and game); declare "
                "such a table as the source of a feature group, with an as-of date: sources={...}"
            )


def _names_games(table: pd.DataFrame, games: pd.DataFrame) -> pd.Series[bool]:
    """Rows that say, by id or day, which of these games they are about, however early they are dated."""
    known = {*_text(games["GAME_ID"]), *_text(games["GAME_DATE"])}
    named = pd.Series(data=False, index=table.index)
    for column in table.select_dtypes(exclude=["number", "bool"]).columns.union(table.select_dtypes("integer").columns):
        values = table[column].drop_duplicates()
        named |= table[column].isin(values[_text(values).isin(known)])
    return named


def _table(path: Path) -> pd.DataFrame | None:
    """The table in a file, whatever separates its cells and packs it; None in any other file."""
    try:
        if (read := READERS.get(path.suffix.lower())) is not None:
            table = read(path)
        else:
            header = str(pd.read_csv(path, sep="\0", engine="python", header=None, nrows=1).iloc[0, 0])
            table = pd.read_csv(path, sep=max(MARKS, key=header.count))
    except Exception:  # noqa: BLE001 - a file that is no table is none of these
        return None
    return table.reset_index() if isinstance(table, pd.DataFrame) else None


def _outcome_in(
    table: pd.DataFrame, games: pd.DataFrame, target: Sequence[str], as_of: str | None = None
) -> str | None:
    """A column that says what happened in games, by a column of players and one of games or dates; None without.

    With `as_of` only what a row says of games that are later than its own date; where it names none, of the next one.
    """
    if table.empty:
        return None
    texts = table.drop(columns=[as_of] if as_of else []).apply(_text)
    ids, days = (_text(games[name]) for name in ("GAME_ID", "GAME_DATE"))
    of_games = texts[texts.isin({*ids, *days}).any(axis=1)]  # earlier games may be declared
    game = _like(of_games, ids) or _like(of_games, days)
    texts = of_games if game is not None else texts
    known_as = [_text(games[name]) for name in ("PLAYER_ID", "PLAYER_NAME")]
    found = ((name, players) for players in known_as if (name := _like(texts, players, but=game)) is not None)
    player, players = next(found, (None, known_as[0]))
    if player is None or (game is None and as_of is None):
        return None
    names = [name for name in OUTCOME_COLUMNS if name in games and games[name].dtype.kind in "iuf"]
    truth = games[[*names, "GAME_DATE"]].assign(target=target_values(games, target), player=players)
    numbers = table.drop(columns=[player, *filter(None, [game])]).select_dtypes("number")
    said = texts[[player]].set_axis(["player"], axis=1).join(numbers.add_prefix("said "))
    said["known"] = table[as_of] if as_of else pd.NaT
    if game is None:
        both = pd.merge_asof(
            said.sort_values("known"),
            truth.sort_values("GAME_DATE"),
            left_on="known",
            right_on="GAME_DATE",
            by="player",
            direction="forward",
            allow_exact_matches=False,
        ).dropna(subset="GAME_DATE")
    else:
        truth["game"] = ids if texts[game].isin({*ids}).any() else days
        both = said.assign(game=texts[game]).merge(truth.drop_duplicates(KEYS), on=KEYS)
        both = both[~(both["known"] >= both["GAME_DATE"])]
    for outcome in [*names, "target"] if len(both) >= FEW_ROWS else ():
        # Most players have no block, and no flag either.
        telling = both[~both[outcome].isin(both[outcome].mode().head(1))]
        for column in numbers:
            if _says(telling[f"said {column}"], telling[outcome]):
                return str(column)
    return None


def _says(said: pd.Series[float], outcome: pd.Series[float]) -> bool:
    """Whether a column is mostly the outcome, and not by chance: who is blocked at all mostly is once."""
    same = ((said - outcome).abs() < 1e-6).mean()  # noqa: PLR2004 - the same
    by_chance = (said.value_counts(normalize=True) * outcome.value_counts(normalize=True)).sum()
    return bool(same > SHARE and same - by_chance > SHARE / 2)


def _like(texts: pd.DataFrame, values: pd.Series[str], but: str | None = None) -> str | None:
    """The first column whose values are mostly among these."""
    known = set(values)
    return next((str(name) for name in texts if name != but and texts[name].isin(known).mean() > SHARE), None)


def _text(column: pd.Series[Any]) -> pd.Series[str]:
    if column.dtype.kind == "M":
        column = column.dt.strftime("%Y-%m-%d")
    text: pd.Series[str] = column.astype("string").str.removesuffix(".0").str.lstrip("0").str.casefold()
    return text
