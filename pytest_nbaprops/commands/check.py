"""`nbaprops check`: what is in the files, and what a session would say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pytest_nbaprops.commands.check_games import check_games_of
from pytest_nbaprops.commands.output import Report, Table, format_option, show

if TYPE_CHECKING:
    import pandas as pd
    import pytest

    from pytest_nbaprops.market.inspection import Inspection
    from pytest_nbaprops.settings import Settings

NAMED = 20
BOOKS = {"margin": ".1%"}
PAIRS = {"gain": ".1%", "line_over": ".1f", "line_under": ".1f", "over_price": ".3f", "under_price": ".3f"}


@click.command()
@click.option("--odds", metavar="PATH", help="Player-prop lines: CSV, Parquet or JSON file, folder or glob.")
@click.option("--data", metavar="PATH", help="Game logs: file, folder or glob [default: the project's own].")
@format_option
def check(**asked: Any) -> None:
    """Say what a session would say about game logs, or with --odds about a file of lines.

    Game logs: seasons, players, gaps, kinds of games, sides that do not add up. Lines: rows by book and market,
    matched players, mixed rungs, duplicates, arbitrage.

    Exit code 0: a session can use it as it is. 1: it cannot, or something in it should be known first.

    Example: nbaprops check --data game_logs/
    """
    if asked["odds"] is None:
        check_games_of(asked["data"], asked["style"])
        return
    from pytest_nbaprops.commands.visit import visit  # noqa: PLC0415 - pandas only where it is needed
    from pytest_nbaprops.data.problems import RowsError  # noqa: PLC0415

    arguments = [] if asked["data"] is None else [f"--nbaprops-data={asked['data']}"]
    try:
        found = visit(arguments, lambda config, settings: _inspected(config, settings, asked["odds"]))
    except RowsError as error:
        for problem in error.problems:
            click.echo(f"Error: {problem}", err=True)
        raise SystemExit(1) from None
    show(_report(found), asked["style"])
    raise SystemExit(1 if any(one.problems for one in found) else 0)


def _inspected(config: pytest.Config, settings: Settings, path: str) -> list[Inspection]:
    """One inspection per target; the lines are matched where the project has games of its own."""
    from pytest_nbaprops.data.sample import SAMPLE_LABEL  # noqa: PLC0415 - heavy
    from pytest_nbaprops.data.schema import parse_target  # noqa: PLC0415
    from pytest_nbaprops.market.inspection import inspect_odds, targets_in  # noqa: PLC0415
    from pytest_nbaprops.market.odds import read_odds  # noqa: PLC0415
    from pytest_nbaprops.session.context import read_games  # noqa: PLC0415

    odds = read_odds(path)
    games: pd.DataFrame | None
    games, source = read_games(config, settings, parse_target(settings.target))
    games = None if source == SAMPLE_LABEL else games
    return [inspect_odds(odds, games, target) for target in targets_in(odds, settings.target)]


def _report(found: list[Inspection]) -> Report:
    tables = [_books(one) for one in found]
    tables += [_unmatched(one) for one in found if len(one.unmatched)]
    tables += [_arbitrage(one) for one in found if len(one.arbitrage)]
    notes = [note for one in found for note in _notes(one)]
    notes += [f"problem: {one.target}: {problem}" for one in found for problem in one.problems]
    document = [
        {
            "target": one.target,
            "facts": one.facts,
            "books": _rows(one.books),
            "unmatched": _rows(one.unmatched[["PLAYER", "EVENT_DATE", "BOOKMAKER", "KIND", "REASON"]]),
            "arbitrage": _rows(one.arbitrage),
            "problems": list(one.problems),
        }
        for one in found
    ]
    return Report(tables=tables, document=document, notes=notes)


def _books(one: Inspection) -> Table:
    columns = list(one.books.columns)
    rows = [list(row.values()) for row in _rows(one.books)]
    return Table(columns=columns, rows=rows, title=one.target, texts=BOOKS, folding=("book",))


def _notes(one: Inspection) -> list[str]:
    facts = one.facts
    matched = "not matched: no game logs (--data)" if facts["matched"] is None else f"{facts['matched']:.2%} matched"
    counts = [f"{facts[name]:,} {name}" for name in ("duplicates", "other snapshots", "after tip-off", "arbitrage")]
    found = [f"{one.target}: {facts['rows']:,} rows, {facts['player_games']:,} player-games, {matched}"]
    found.append(f"{one.target}: {', '.join(counts)}")
    if facts["without tip-off time"]:
        found.append(
            f"{one.target}: {facts['without tip-off time']:,} rows do not say when the game began: "
            "they count unless they are from after the latest tip-off of the date"
        )
    return found


def _unmatched(one: Inspection) -> Table:
    """The reasons with the number of lines, those first that may be a matter of names."""
    lost = one.unmatched.sort_values("PLAYED", ascending=False, kind="stable")
    by_kind = {str(kind): int(n) for kind, n in lost["KIND"].value_counts(sort=False).items()}
    counts = lost.groupby(["KIND", "PLAYER", "REASON"], sort=False).size().reset_index(name="LINES")
    few = counts[counts["KIND"].map(by_kind) <= NAMED * 10].head(NAMED)
    rows: list[list[Any]] = [[str(kind), str(player), str(why), int(n)] for kind, player, why, n in few.to_numpy()]
    rows += [[kind, "", "", n] for kind, n in by_kind.items() if n > NAMED * 10]
    title = f"{one.target}: lines without a player ({', '.join(f'{n:,} {kind}' for kind, n in by_kind.items())})"
    return Table(columns=["kind", "player", "reason", "lines"], rows=rows, title=title, folding=("reason",))


def _arbitrage(one: Inspection) -> Table:
    kept = one.arbitrage.drop(columns=["GAME_ID"]).head(NAMED)
    rows = [list(row.values()) for row in _rows(kept)]
    title = f"{one.target}: over and under that win together ({len(one.arbitrage):,})"
    return Table(columns=[str(name).lower() for name in kept.columns], rows=rows, title=title, texts=PAIRS)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    from pytest_nbaprops.market.inspection import plain_value  # noqa: PLC0415 - pandas only where it is needed

    return [{str(name): plain_value(value) for name, value in row.items()} for row in frame.to_dict("records")]
