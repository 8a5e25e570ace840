"""What `nbaprops check` says about game logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pytest_nbaprops.cli import spelled
from pytest_nbaprops.commands.output import Report, Table, show
from pytest_nbaprops.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import pytest

    from pytest_nbaprops.settings import Settings

_SHOWN = 10


def check_games_of(data: str | None, style: str) -> None:
    """Print what a session would say about these game logs, or the project's own.

    Raises:
        SystemExit: with 1, where something is wrong.
        DataError: a session would refuse the data; with the style `json` that is printed, too.
    """
    from pytest_nbaprops.commands.visit import visit  # noqa: PLC0415 - pandas only where it is needed

    arguments = [f"--nbaprops-data={data}"] if data is not None else []
    try:
        report, ok = visit(arguments, _games_report)
    except DataError as error:
        if style != "json":
            raise
        report, ok = Report(tables=[], document={"ok": False, "problem": spelled(str(error))}), False
    show(report, style)
    if not ok:
        raise SystemExit(1)


def _games_report(config: pytest.Config, settings: Settings) -> tuple[Report, bool]:
    """What there is to say about the games, and whether that is all right."""
    from pytest_nbaprops.data.check import check_games, lines_of  # noqa: PLC0415
    from pytest_nbaprops.data.schema import parse_target  # noqa: PLC0415
    from pytest_nbaprops.session.context import read_games  # noqa: PLC0415 - heavy

    games, source = read_games(config, settings, parse_target(settings.target))
    found = check_games(games)
    outcomes, known = _own_columns(games, settings.known_columns)
    document = {
        "source": source,
        "ok": found.ok,
        **found.to_dict(),
        "outcome_columns": outcomes,
        "known_columns": known,
    }
    table = Table(
        title=source,
        columns=["season", "games", "rows", "players", "first", "last", "to come", "missing", "longest break"],
        rows=[
            [
                season.season,
                season.games,
                season.rows,
                season.players,
                season.first_date,
                season.last_date,
                season.unplayed,
                season.missing,
                max((days for *_, days in season.breaks), default=None),
            ]
            for season in found.seasons
        ],
    )
    more = len(found.sides) - _SHOWN
    notes = [*lines_of(found, outcomes, known), *found.sides[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
    return Report(tables=[table], notes=notes, document=document), found.ok


def _own_columns(games: pd.DataFrame, named: Sequence[str]) -> tuple[list[str], list[str]]:
    """Columns that are not the league's: those that count as outcomes, and those known before the game."""
    from pytest_nbaprops.data.schema import CANONICAL_COLUMNS  # noqa: PLC0415
    from pytest_nbaprops.leaks.columns import undeclared_columns  # noqa: PLC0415

    outcomes: Any = undeclared_columns(games, named)
    own = [str(name) for name in games.columns if name not in CANONICAL_COLUMNS]
    return list(outcomes), [name for name in own if name not in outcomes]
