"""`nbaprops check`: what is in the files, and what a session would say of them."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import click

from pytest_nbaprops.cli import spelled
from pytest_nbaprops.commands.output import Report, Table, format_option, show
from pytest_nbaprops.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import pytest

    from pytest_nbaprops.market.inspection import Inspection
    from pytest_nbaprops.settings import Settings

NAMED, SIDES_SHOWN, MARKETS_SHOWN = 20, 10, 5
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
    if asked["odds"] == "":
        raise click.UsageError("--odds is empty: name a file, folder or glob of player-prop lines")
    if asked["odds"] is None:
        _check_games(asked["data"], asked["style"])
        return
    from pytest_nbaprops.commands.visit import visit  # noqa: PLC0415 - pandas only where it is needed

    arguments = [] if asked["data"] is None else [f"--nbaprops-data={asked['data']}"]
    found = visit(arguments, lambda config, settings: _inspected(config, settings, asked["odds"]))
    show(_report(found), asked["style"])
    raise SystemExit(1 if any(one.problems for one in found) else 0)


def _check_games(data: str | None, style: str) -> None:
    """Print what a session would say about these game logs, or the project's own."""
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
    from pytest_nbaprops.data.schema import CANONICAL_COLUMNS, parse_target  # noqa: PLC0415
    from pytest_nbaprops.leaks.columns import named_columns, undeclared_columns  # noqa: PLC0415
    from pytest_nbaprops.session.hooks import read_games  # noqa: PLC0415 - heavy

    games, source = read_games(config, settings, parse_target(settings.target))
    found = check_games(games)
    outcomes = list(undeclared_columns(games, named_columns(games, settings.known_columns)))
    own = [str(name) for name in games.columns if name not in CANONICAL_COLUMNS]
    known = [name for name in own if name not in outcomes]
    document = {"source": source, "ok": found.ok, **found.to_dict()}
    document |= {"outcome_columns": outcomes, "known_columns": known}
    told = attrgetter("season", "games", "rows", "players", "first_date", "last_date", "unplayed", "missing")
    table = Table(
        title=source,
        columns=["season", "games", "rows", "players", "first", "last", "to come", "missing", "longest break"],
        rows=[[*told(one), max((days for *_, days in one.breaks), default=None)] for one in found.seasons],
    )
    more = len(found.sides) - SIDES_SHOWN
    notes = [*lines_of(found, outcomes, known), *found.sides[:SIDES_SHOWN], *([f"and {more} more"] if more > 0 else [])]
    return Report(tables=[table], notes=notes, document=document), found.ok


def _inspected(config: pytest.Config, settings: Settings, path: str) -> list[Inspection]:
    """One inspection per target; the lines are matched where the project has games of its own."""
    from pytest_nbaprops.data.problems import listed  # noqa: PLC0415 - heavy
    from pytest_nbaprops.data.sample import SAMPLE_LABEL  # noqa: PLC0415
    from pytest_nbaprops.data.schema import parse_target  # noqa: PLC0415
    from pytest_nbaprops.market.inspection import inspect_odds, targets_in  # noqa: PLC0415
    from pytest_nbaprops.market.odds import read_odds, unread_markets  # noqa: PLC0415
    from pytest_nbaprops.session.hooks import read_games  # noqa: PLC0415

    odds = read_odds(path)
    targets = targets_in(odds, settings.target)
    if not targets:
        found = listed([f"{text} ({rows:,} rows)" for text, rows in unread_markets(odds).items()], MARKETS_SHOWN)
        raise DataError(f"{path}: found only the markets {found}, expected a market such as player_points_assists")
    games: pd.DataFrame | None
    games, source = read_games(config, settings, parse_target(settings.target))
    games = None if source == SAMPLE_LABEL else games
    return [inspect_odds(odds, games, target) for target in targets]


def _report(found: list[Inspection]) -> Report:
    tables = [
        Table(
            columns=list(one.books.columns),
            rows=[list(row.values()) for row in _rows(one.books)],
            title=one.target,
            texts=BOOKS,
            folding=("book",),
        )
        for one in found
    ]
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


def _notes(one: Inspection) -> list[str]:
    facts = one.facts
    share = facts["matched"]
    if share is None:
        matched = "not matched: no game logs (--data)"
    else:
        matched = "none of them matched" if math.isnan(share) else f"{share:.2%} matched"
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
