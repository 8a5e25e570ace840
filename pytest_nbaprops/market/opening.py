"""Lines on a target, matched to games and checked: the market that models are judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from pytest_nbaprops.data.problems import listed
from pytest_nbaprops.data.schema import target_values
from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.market.board import KEYS, Board, make_board
from pytest_nbaprops.market.markets import misspelt
from pytest_nbaprops.market.match import Lines, match_players
from pytest_nbaprops.market.odds import of_target, unread_markets
from pytest_nbaprops.market.settings import MarketSettings

ENOUGH_MATCHED: Final = 0.99
SHOWN: Final = 5


@dataclass(frozen=True, kw_only=True)
class Market:
    """The lines on one target, matched and checked, ready to judge any model of it.

    `unread` counts the rows of markets that are on no target that is known here.
    """

    target: str
    settings: MarketSettings
    lines: Lines
    board: Board
    unread: Mapping[str, int] = field(default_factory=dict)

    def board_problems(self) -> list[str]:
        """What is wrong with the lines that there are, a line each."""
        found = [
            f"{book}: {row['off']:.0f} of {row['compared']:.0f} lines carry the price of another line "
            f"({row['share']:.0%}); none of its lines counts"
            for book, row in self.board.mixed.items()
        ]
        found += [
            f"{book}: its prices do not come true (z = {z:.1f}), they are of other lines; none of its lines counts"
            for book, z in self.board.contradicted.items()
        ]
        found += [
            f"{book}: its prices are the contrary of the other books' (correlation {alike:+.2f}), as where over and "
            "under are exchanged; none of its lines counts"
            for book, alike in self.board.contrary.items()
        ]
        if self.board.impossible:
            found.append(f"{self.board.impossible}; nothing is judged by these lines")
        found += [
            f"{rows:,} rows of the market {text!r} are left out: nobody knows {said}"
            for text, rows in self.unread.items()
            if (said := misspelt(text)) is not None
        ]
        if self.board.counts["after tip-off"]:
            found.append(f"{self.board.counts['after tip-off']:,} lines are from after tip-off and do not count")
        return found

    def problems(self) -> list[str]:
        """What a user should know of the lines themselves, a line each."""
        found = self.board_problems()
        if not len(self.lines.matched):
            others = f" (other markets there: {listed(list(self.unread), SHOWN)})" if self.unread else ""
            found.append(f"no line on {self.target} is for a player-game of the data{others}")
        elif self.lines.share < ENOUGH_MATCHED:
            lost = int(self.lines.unmatched["PLAYED"].sum())
            found.append(
                f"{lost:,} lines find no player ({1 - self.lines.share:.1%} of those whose player may have played)"
            )
        return found


def open_market(odds: pd.DataFrame, games: pd.DataFrame, target: str, settings: MarketSettings) -> Market:
    """Match lines, as `read_odds` gives them, to canonical games that were played, and see which of them count.

    Raises:
        SettingsError: the one book of the bet rule has no line.
    """
    # The games that the lines can be for, and those that say who is with which team then.
    first, last = odds["EVENT_DATE"].min() - pd.Timedelta(days=1), odds["EVENT_DATE"].max()
    near = games[games["GAME_DATE"].between(first, last)]
    roster = games[games["SEASON"].isin(near["SEASON"].unique())]
    lines = match_players(of_target(odds, target), near, roster=roster)
    actual = near[KEYS].assign(actual=target_values(near, target.split("+")))
    board = make_board(lines.matched, target, snapshot=settings.snapshot, actual=actual)
    books = sorted(board.lines["BOOKMAKER"].unique())
    if settings.book is not None and settings.book.casefold() not in {book.casefold() for book in books}:
        raise SettingsError(
            f"--nbaprops-bet-rule: the odds have no book {settings.book!r} with a matched line on {target}; "
            f"there are {', '.join(books) or 'none'}"
        )
    return Market(target=target, settings=settings, lines=lines, board=board, unread=unread_markets(odds))
