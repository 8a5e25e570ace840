"""Declared tables beside the games: read, dated by their as-of column, and cut at what was known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from pytest_nbaprops.data.cells import GAME_ID_DIGITS
from pytest_nbaprops.errors import FeatureError
from pytest_nbaprops.features.group import FeatureGroup, Source

A_DAY = r"\d{8}|\d{4}([-/])\d{1,2}\1\d{1,2}([T ].+)?|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}|\d{1,2}[ -][A-Za-z]{3,9}[ -]\d{4}"
OTHER_FORMATS = (".json", ".jsonl", ".ndjson", ".xlsx", ".xls", ".feather", ".arrow", ".pkl", ".db", ".sqlite", ".html")
SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars"}


def source_path(source: Source, root: Path | None) -> Path:
    """Where the table is: relative paths start at `root`, else at the working directory."""
    path = Path(source.path).expanduser()
    return path if path.is_absolute() or root is None else root / path


def read_sources(group: FeatureGroup, root: Path | None) -> dict[str, pd.DataFrame]:
    """The group's declared tables, whole, by argument name, with their as-of columns as midnight datetime64[ns].

    Raises FeatureError for a file that cannot be read, or that has no as-of column or no dates in it.
    """
    return {key: _read(group.name, key, source, source_path(source, root)) for key, source in group.sources.items()}


def known_sources(group: FeatureGroup, tables: dict[str, pd.DataFrame], date: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """The rows of the tables that are known on the morning of `date`: as-of dates before it."""
    return {
        key: table.loc[table[group.sources[key].as_of] < date].reset_index(drop=True) for key, table in tables.items()
    }


def join_as_of(games: pd.DataFrame, table: pd.DataFrame, *, by: str, as_of: str = "AS_OF") -> pd.DataFrame:
    """For each row of the games the newest row of `table` with the same `by` and an as-of date before the game's.

    Columns of the table without `by` and `as_of`, on the index of the games; missing where nothing was known.
    Raises FeatureError where one of them lacks a column that is named.
    """
    for name, where, frame in ((as_of, "the table", table), (by, "the table", table), (by, "the games", games)):
        if name not in frame:
            there = ", ".join(map(str, frame.columns))
            raise FeatureError(f"{where} has no column {name!r} (there: {there}); say join_as_of(…, by=…, as_of=…)")
    date, key, row = "nbaprops date", "nbaprops key", "nbaprops row"  # no table has such columns
    keys = pd.DataFrame({date: games["GAME_DATE"].to_numpy(), key: games[by].to_numpy(), row: range(len(games))})
    right = table.rename(columns={by: key, as_of: date}).sort_values(date, kind="stable")
    right[date] = right[date].astype(keys[date].dtype)
    left = keys.sort_values(date, kind="stable")
    joined = pd.merge_asof(left, right, on=date, by=key, allow_exact_matches=False).sort_values(row)
    return joined.drop(columns=[date, key, row]).set_axis(games.index)


def _read(group: str, key: str, source: Source, path: Path) -> pd.DataFrame:
    where = f"feature group {group!r}, source {key!r} ({path})"
    if path.suffix.lower() in OTHER_FORMATS:
        raise FeatureError(f"{where}: a table is CSV or Parquet; write it as one of them")
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as problem:
        text = " ".join(str(problem).split())
        raise FeatureError(f"{where}: cannot be read as CSV or Parquet: {text}; mend the path or the file") from problem
    others = [name for mark, name in SEPARATORS.items() if len(table.columns) == 1 and mark in str(table.columns[0])]
    if others:
        raise FeatureError(f"{where}: its cells are separated by {others[0]}; export it with commas, or as Parquet")
    if source.as_of not in table.columns:
        raise FeatureError(
            f"{where}: no as-of column {source.as_of!r} among {', '.join(map(str, table.columns))}; "
            'name it with Source(path=..., as_of="..."), or declare a table that has no dates as nbaprops_sources and '
            "read it in the group"
        )
    for name in (name for name in table.columns if str(name).upper() == "GAME_ID"):
        table[name] = _game_ids(table[name])
    dates = _dates(table[source.as_of])
    if dates.isna().any():
        bad = table[source.as_of][dates.isna()].iloc[0]
        raise FeatureError(
            f"{where}: column {source.as_of!r} holds {str(bad)!r}, which is no date that can be read in one way only; "
            "use YYYY-MM-DD, for a period its last day"
        )
    return table.assign(**{source.as_of: dates})


def _game_ids(values: pd.Series[Any]) -> pd.Series[str]:
    """As the games have them: ten digits, of which CSV drops the zeros in front."""
    texts = values.astype("string").str.removesuffix(".0")
    return texts.where(~texts.str.fullmatch(r"\d{1,9}", na=False), texts.str.zfill(GAME_ID_DIGITS)).astype("str")


def _dates(values: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    """As midnights; NaT for what is no day (a bare number, a month) or could be two of them (`01/03/2024`)."""
    if not pd.api.types.is_datetime64_any_dtype(values):
        texts = values.astype("string").str.removesuffix(".0").str.strip()
        values = texts.where(texts.str.fullmatch(A_DAY, na=False))
    dates = pd.to_datetime(values, errors="coerce", utc=True, format="mixed").dt.tz_localize(None)
    return dates.astype("datetime64[ns]").dt.normalize()
