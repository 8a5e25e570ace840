"""Groups that change rows, told by the fewest games that still show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from pytest_nbaprops.data.schema import KEY_COLUMNS
from pytest_nbaprops.features.sources import known_sources, read_sources
from pytest_nbaprops.leaks.leak import Leak, moved_value

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_nbaprops.features.group import FeatureGroup


def changed_rows(games: pd.DataFrame, group: FeatureGroup, *, root: Path | None = None) -> tuple[Leak, ...]:
    """A leak of kind "changes rows" where the group's answer has other rows than the games; for builds that failed."""
    tables = known_sources(group, read_sources(group, root), games["GAME_DATE"].max())

    def change_in(rows: pd.DataFrame) -> dict[str, object] | None:
        return row_changes(rows, group(rows.copy(), **tables))

    try:
        whole = change = change_in(games)
        while change is not None and len(games) > 1:
            middle = len(games) // 2
            halves = (part.reset_index(drop=True) for part in (games.iloc[:middle], games.iloc[middle:]))
            smaller = next(((part, found) for part in halves if (found := change_in(part)) is not None), None)
            if smaller is None:
                break
            games, change = smaller
    except Exception:  # noqa: BLE001 - a user's code may raise anything; the build has said so already
        return ()
    if whole is None or change is None:
        return ()
    told = f"{whole['before']:.0f} games, {whole['after']:.0f} rows; {change['detail']}"
    example = {**change, "before": whole["before"], "after": whole["after"], "detail": told}
    return (Leak(group=group.name, columns=(), kind="changes rows", example=example),)


def row_changes(games: pd.DataFrame, answer: Any) -> dict[str, object] | None:
    """None where the answer has the games' rows in their order, else an example that names a key of a changed row."""
    if not isinstance(answer, pd.DataFrame | pd.Series):
        return None
    if len(answer) == len(games) and answer.index.equals(games.index):
        return None
    position, text = _first_change(games, answer.index)
    row = games.iloc[position]
    named = ", ".join(
        f"{name} {row[name]:%Y-%m-%d}" if name == "GAME_DATE" else f"{name} {row[name]}" for name in KEY_COLUMNS
    )
    detail = f"{len(answer)} rows for {len(games)} games; {text} {named}"
    return {**moved_value(row, float(len(games)), float(len(answer))), "detail": detail}


def _first_change(games: pd.DataFrame, index: pd.Index) -> tuple[int, str]:
    lost = ~games.index.isin(index)
    if lost.any():
        return int(lost.argmax()), "lost"
    twice = games.index.isin(index[index.duplicated()])
    if twice.any():
        return int(twice.argmax()), "twice"
    if len(index) == len(games):
        first = int((index.to_numpy() != games.index.to_numpy()).argmax())
        return first, "in another order (end with .reindex(games.index)) from"
    # A merge numbers its rows anew, and which one it added cannot be told from the answer.
    return len(games) - 1, "up to"
