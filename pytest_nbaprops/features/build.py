"""Feature groups applied to games: one float32 table, checked group by group."""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pytest_nbaprops.data.schema import KEY_COLUMNS, OUTCOME_COLUMNS, closest
from pytest_nbaprops.errors import FeatureError, RowsChangedError
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.features.history import shared_history
from pytest_nbaprops.features.sources import known_sources, read_sources

COPY_ON_WRITE = int(pd.__version__.partition(".")[0]) >= 3  # noqa: PLR2004 - from pandas 3 on a copy costs nothing


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """The columns of all groups.

    Attributes:
        parts: each group's columns, float32, one row per row of the games, same `index`.
        columns: which group made which columns.
        broken: groups that changed rows and so made none, with what was wrong.
    """

    parts: tuple[pd.DataFrame, ...]
    index: pd.Index
    columns: Mapping[str, tuple[str, ...]]
    broken: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """All columns side by side: a second time in memory, so who can do with `parts` should."""
        return pd.concat(self.parts, axis=1) if self.parts else pd.DataFrame(index=self.index)


def build_features(
    games: pd.DataFrame,
    groups: Sequence[FeatureGroup],
    *,
    root: Path | None = None,
    keep_going: bool = False,
    compute: Callable[..., pd.DataFrame] | None = None,
) -> FeatureTable:
    """All groups' columns for all rows of the games, in the order of `groups`.

    Relative paths of declared sources start at `root`. Raises FeatureError in one line, naming the group, when a
    group fails, changes rows (unless `keep_going`: it is then `broken` and makes no column), or makes columns that
    are not numbers, are infinite or exist already. `compute` stands in for `compute_group` where parts are known.
    """
    compute = compute or compute_group
    columns: dict[str, tuple[str, ...]] = {}
    broken: dict[str, str] = {}
    parts = []
    with shared_history(games):
        for group in groups:
            try:
                part = compute(games, group, root=root)
            except RowsChangedError as error:
                if not keep_going:
                    raise
                broken[group.name], columns[group.name] = str(error), ()
                continue
            for other, name in ((other, name) for other, names in columns.items() for name in names if name in part):
                raise FeatureError(
                    f"feature groups {other!r} and {group.name!r} both make the column {name!r}; "
                    "rename it in one of them"
                )
            columns[group.name] = tuple(part.columns)
            parts.append(part)
    return FeatureTable(parts=tuple(parts), index=games.index, columns=columns, broken=broken)


def build_as_of(
    games: pd.DataFrame,
    groups: Sequence[FeatureGroup],
    *,
    dates: Sequence[pd.Timestamp],
    root: Path | None = None,
    unknown: Sequence[str] = (),
) -> pd.DataFrame:
    """Features of the rows of `dates` as known on the morning of the first of them, in canonical order.

    The groups get all rows of earlier dates and the rows of `dates` with their outcomes and the columns `unknown`
    emptied; float32 columns.
    """
    wanted = games["GAME_DATE"].isin(list(dates))
    known = games.loc[wanted | (games["GAME_DATE"] < min(dates))].sort_values(list(KEY_COLUMNS), ignore_index=True)
    tonight = known["GAME_DATE"].isin(list(dates))
    emptied = without_outcomes(known, tonight, unknown)
    return build_features(emptied, groups, root=root).frame.loc[tonight].reset_index(drop=True)


def without_outcomes(games: pd.DataFrame, rows: pd.Series[bool], unknown: Sequence[str] = ()) -> pd.DataFrame:
    """A copy with all outcome columns and `unknown` ones empty in `rows`, as if these games were not yet played."""
    names = (name for name in (*OUTCOME_COLUMNS, *unknown) if name in games)
    return games.assign(**{name: games[name].mask(rows) for name in names})


def compute_group(games: pd.DataFrame, group: FeatureGroup, *, root: Path | None = None) -> pd.DataFrame:
    """One group's columns as float32, checked. Raises FeatureError as `build_features` does."""
    tables = known_sources(group, read_sources(group, root), games["GAME_DATE"].max())
    try:
        # A copy, so that a group that adds or changes a column cannot feed the next one; ours do no such thing.
        answer = group(games if _is_ours(group) else games.copy(deep=not COPY_ON_WRITE), **tables)
    except Exception as problem:
        text = f"{type(problem).__name__}: {' '.join(str(problem).split())}"
        where = f"{_place(problem, group, root)}{_meant(problem, games)}"
        raise FeatureError(f"feature group {group.name!r} failed: {text} ({where})") from problem
    return _checked(group, answer, games)


def _is_ours(group: FeatureGroup) -> bool:
    function = getattr(group.function, "func", group.function)  # of a partial
    module = getattr(function, "__globals__", {}).get("__name__", "")  # where it is, whatever it says of itself
    return str(module).partition(".")[0] == __name__.partition(".")[0]


def _place(problem: Exception, group: FeatureGroup, root: Path | None) -> str:
    """File and line in the group's own file where it failed, else where the exception comes from."""
    frames = traceback.extract_tb(problem.__traceback__)
    code = getattr(inspect.unwrap(group.function), "__code__", None)
    own = [frame for frame in frames if code is not None and frame.filename == code.co_filename]
    frame = (own or list(frames))[-1]
    path = Path(frame.filename)
    near = path.relative_to(root) if root is not None and path.is_relative_to(root) else path
    return f"{near}, line {frame.lineno}"


def _meant(problem: Exception, games: pd.DataFrame) -> str:
    """The column that was meant, where a name of none was asked for, or where an argument comes from."""
    if isinstance(problem, TypeError) and "positional argument" in str(problem):
        return "; a group is given games, and the tables that it declares: feature_group(sources={NAME: FILE})"
    if not isinstance(problem, KeyError | AttributeError):
        return ""
    names = [str(name) for name in games.columns]
    said = [*re.findall(r"'([^']+)'", str(problem)), str(problem).rpartition(": ")[2].strip("'")]
    close = [found for word in said if word not in names and (found := closest(word, names))]
    return f"; did you mean {close[0]}?" if close else ""


def _checked(group: FeatureGroup, answer: Any, games: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(answer, pd.DataFrame):
        package, found = type(answer).__module__.partition(".")[0], type(answer).__name__
        found = found if package in ("builtins", "pandas") else f"{package} {found}"
        pandas = " of pandas (.to_pandas())" if hasattr(answer, "to_pandas") else ""
        raise FeatureError(
            f"feature group {group.name!r} gave a {found}; return a DataFrame{pandas} on the index of games"
        )
    if len(answer) != len(games):
        raise RowsChangedError(
            f"feature group {group.name!r} gave {len(answer)} rows for {len(games)} games; "
            "return one row per row of games (a merge may have added or lost rows)"
        )
    if not answer.index.equals(games.index):
        raise RowsChangedError(
            f"feature group {group.name!r} gave another index or order than that of games; "
            "end with .reindex(games.index)"
        )
    names = list(answer.columns)
    if not names:
        raise FeatureError(f"feature group {group.name!r} gave no columns; return at least one")
    for name in names:
        if not isinstance(name, str) or not name:
            raise FeatureError(f"feature group {group.name!r} has a column called {name!r}; use non-empty text")
    for name in answer.columns[answer.columns.duplicated()]:
        raise FeatureError(f"feature group {group.name!r} gave the column {name!r} twice; rename one")
    values = np.empty((len(names), len(games)), dtype=np.float32)  # a column's numbers lie side by side
    for place, name in enumerate(names):
        values[place] = _numbers(group, name, answer[name])
    return pd.DataFrame(values.T, index=games.index, columns=names, copy=False)


def _numbers(group: FeatureGroup, name: str, column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    kind = column.dtype
    if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)) or kind.kind == "c":
        raise FeatureError(
            f"feature group {group.name!r}: column {name!r} has dtype {kind}; return numbers or booleans, "
            "and only columns of your own"
        )
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    with np.errstate(over="ignore"):
        numbers = values.astype(np.float32)
    infinite = np.isinf(numbers)
    if infinite.any():
        raise FeatureError(
            f"feature group {group.name!r}: column {name!r} is infinite or beyond float32 in {int(infinite.sum())} "
            f"rows (first: row {column.index[infinite][0]}); divide only where the divisor is above zero"
        )
    return numbers
