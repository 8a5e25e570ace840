"""Groups that change rows, told by the fewest games that still show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_nbaprops.features.sources import known_sources, read_sources
from pytest_nbaprops.leaks.answers import row_changes
from pytest_nbaprops.leaks.leak import Leak

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from pytest_nbaprops.features.group import FeatureGroup


def changed_rows(games: pd.DataFrame, group: FeatureGroup, *, root: Path | None = None) -> tuple[Leak, ...]:
    """A leak of kind "changes rows" where the group's answer has other rows than the games; for builds that failed."""
    tables = known_sources(group, read_sources(group, root), games["GAME_DATE"].max())
    try:
        change = _fewest(games, lambda rows: group(rows.copy(), **tables))
    except Exception:  # noqa: BLE001 - a user's code may raise anything; the build has said so already
        return ()
    return () if change is None else (Leak(group=group.name, columns=(), kind="changes rows", example=change),)


def _fewest(games: pd.DataFrame, call: Callable[[pd.DataFrame], Any]) -> dict[str, object] | None:
    whole = change = row_changes(games, call(games))
    while change is not None and len(games) > 1:
        middle = len(games) // 2
        for part in (games.iloc[:middle], games.iloc[middle:]):
            rows = part.reset_index(drop=True)
            smaller = row_changes(rows, call(rows))
            if smaller is not None:
                break
        else:
            break
        games, change = rows, smaller
    if change is None or whole is None:
        return None
    told = f"{whole['before']:.0f} games, {whole['after']:.0f} rows; {change['detail']}"
    detail = whole["detail"] if change is whole else told
    return {**change, "before": whole["before"], "after": whole["after"], "detail": detail}
