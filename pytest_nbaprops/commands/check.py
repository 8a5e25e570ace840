"""`nbaprops check`."""

from __future__ import annotations

import click

from pytest_nbaprops.commands.check_games import check_games_of
from pytest_nbaprops.commands.output import format_option


@click.command()
@click.option("--data", metavar="PATH", help="Game logs: file, folder or glob [default: the project's own].")
@format_option
def check(data: str | None, style: str) -> None:
    """Say what a session would say about the data, without one; exit code 1 where something is wrong.

    Columns, kinds of games and the hook are the project's. Wrong is what a session refuses, duplicates among it, and
    games whose sides do not add up; gaps and oddities are said.

    Example: nbaprops check --data game_logs/
    """
    check_games_of(data, style)
