"""What can be said about games without a session: seasons, gaps, sides that do not add up, digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from pytest_nbaprops.data.digest import dataset_digest
from pytest_nbaprops.data.kinds import OTHER, kind_of_game
from pytest_nbaprops.data.problems import listed
from pytest_nbaprops.data.remarks import KIND_COUNTS, remarks_of

REGULATION: Final = 240
"""Minutes of a side's players together, 25 more in each overtime."""
OVERTIME: Final = 25
ROUNDING: Final = 8
"""Minutes that a side's sum can be off, since each player's are rounded."""
FEWEST_PLAYERS: Final = 5
LONGEST_BREAK: Final = 8
"""Days without a game inside a season that need no word: the All-Star break takes seven."""


@dataclass(frozen=True, kw_only=True)
class Season:
    """One season's rows.

    Attributes:
        unplayed: rows of games that are still to come.
        missing: games of the regular season whose numbers are not there, up to the highest one.
        breaks: (last date before, first date after, days) where more than `LONGEST_BREAK` days have no game.
    """

    season: str
    games: int
    rows: int
    players: int
    first_date: str
    last_date: str
    unplayed: int
    missing: int
    breaks: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, kw_only=True)
class GamesCheck:
    """What is in the games.

    Attributes:
        kinds: (games, rows) by kind of game, those left out included.
        sides: a line for each played game whose two sides do not add up.
        remarks: what was odd and yet read.
    """

    rows: int
    games: int
    players: int
    digest: str
    seasons: tuple[Season, ...]
    kinds: Mapping[str, tuple[int, int]]
    sides: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.sides

    def to_dict(self) -> dict[str, Any]:
        """Exact builtins, for JSON."""
        kinds = {kind: {"games": games, "rows": rows} for kind, (games, rows) in self.kinds.items()}
        return {**asdict(self), "kinds": kinds}


def check_games(games: pd.DataFrame) -> GamesCheck:
    """Look at canonical games as `load_games` gives them."""
    return GamesCheck(
        rows=len(games),
        games=games["GAME_ID"].nunique(),
        players=games["PLAYER_ID"].nunique(),
        digest=dataset_digest(games).full,
        seasons=tuple(_season(str(name), rows) for name, rows in games.groupby("SEASON", sort=True)),
        kinds=dict(games.attrs.get(KIND_COUNTS, {})),
        sides=tuple(_sides(games[games["MIN"].notna()])),
        remarks=remarks_of(games),
    )


def _season(name: str, rows: pd.DataFrame) -> Season:
    dates = np.unique(rows["GAME_DATE"].to_numpy()).astype("datetime64[D]")
    days, gaps = [str(date) for date in dates], np.diff(dates).astype(np.int64).tolist()
    ids = [str(game) for game in rows["GAME_ID"].unique()]
    numbers = {int(game[5:]) for game in ids if kind_of_game(game) == "regular"}
    return Season(
        season=name,
        games=len(ids),
        rows=len(rows),
        players=rows["PLAYER_ID"].nunique(),
        first_date=days[0],
        last_date=days[-1],
        unplayed=int(rows["MIN"].isna().sum()),
        missing=max(numbers, default=0) - len(numbers),
        breaks=tuple((days[at], days[at + 1], gap) for at, gap in enumerate(gaps) if gap > LONGEST_BREAK),
    )


def _sides(played: pd.DataFrame) -> Iterator[str]:
    """Games without two sides of five players or more whose points say who won and whose minutes are a game's."""
    by_side = played.groupby(["GAME_ID", "TEAM_ABBREVIATION"], sort=True)
    columns = {"players": ("MIN", "size"), "minutes": ("MIN", "sum"), "points": ("PTS", "sum")}
    won = {"won": ("WL", "first")} if "WL" in played else {}
    sides = by_side.agg(**columns, **won).reset_index()
    count = sides.groupby("GAME_ID")["GAME_ID"].transform("size")
    for game, team in sides.loc[count == 1, ["GAME_ID", "TEAM_ABBREVIATION"]].itertuples(index=False):
        yield f"game {game}: only the side of {team}"
    paired = sides[count == 2]  # noqa: PLR2004 - the loader refuses a third
    left, right = paired.iloc[::2].reset_index(drop=True), paired.iloc[1::2].reset_index(drop=True)
    few = paired[paired["players"] < FEWEST_PLAYERS]
    short = {str(row.GAME_ID): f"{row.players} players of {row.TEAM_ABBREVIATION}" for row in few.itertuples()}
    for game, reasons in sorted({**short, **_odd_pairs(left, right)}.items()):
        yield f"game {game}: {reasons}"


def _odd_pairs(left: pd.DataFrame, right: pd.DataFrame) -> dict[str, str]:
    over = np.round((left["minutes"] - REGULATION).clip(lower=0) / OVERTIME) * OVERTIME + REGULATION
    apart = (left["minutes"] - right["minutes"]).abs() > ROUNDING
    # Other leagues' games have another length, and the simulated one's bench is short at times.
    nba = left["GAME_ID"].str.startswith("00") & left["GAME_ID"].map(kind_of_game).ne(OTHER)
    wrong = {
        "{} and {} points": left["points"] == right["points"],
        "{} and {} minutes": nba & (((left["minutes"] - over).abs() > ROUNDING) | apart),
    }
    found = {}
    for text, rows in wrong.items():
        what = text.rpartition(" ")[2]
        for at in np.flatnonzero(rows):
            sides = (f"{side[what][at]:g} of {side['TEAM_ABBREVIATION'][at]}" for side in (left, right))
            found[left["GAME_ID"][at]] = text.format(*sides)
    if "won" in left:
        lost = (left["won"] == "W") & (left["points"] < right["points"])
        both = left["won"].notna() & (left["won"] == right["won"])
        for at in np.flatnonzero(lost | both | ((right["won"] == "W") & (right["points"] < left["points"]))):
            results = (
                f"{s['won'][at]} for {s['TEAM_ABBREVIATION'][at]} with {s['points'][at]:g} points"
                for s in (left, right)
            )
            found[left["GAME_ID"][at]] = " and ".join(results)
    return found


def lines_of(check: GamesCheck, outcomes: Sequence[str], known: Sequence[str]) -> Iterator[str]:
    """The check in words, a line each."""
    yield f"{check.rows:,} player-games of {check.players:,} players in {check.games:,} games; digest {check.digest}"
    kinds = (f"{kind} {games:,} games ({rows:,} rows)" for kind, (games, rows) in check.kinds.items())
    yield f"kinds of games: {', '.join(kinds)}"
    yield "duplicates: none; one date and at most two teams a game"
    yield f"columns of your own that count as outcomes: {listed(list(outcomes)) or 'none'}" + (
        f"; known before the game: {listed(list(known))}" if known else ""
    )
    for season in check.seasons:
        yield from (f"no game of {season.season} from {a} to {b} ({days} days)" for a, b, days in season.breaks)
        if season.missing:
            yield f"{season.season}: {season.missing} games are missing by their numbers (GAME_ID)"
    yield from check.remarks
    yield f"sides: {len(check.sides)} games do not add up" if check.sides else "sides: every played game adds up"
