"""Rows that the games lack because of what happened in them, or that were changed: a side of five tells who is missing.

A side's box scores add up, to 240 minutes and more and to five times the margin in PLUS_MINUS. Sides that do so less
often on the tested dates than before lack rows that nobody has explained. In whole NBA seasons an end of a distribution
that every season has tells by what rows were left out. Players who are left out altogether are nobody's leak.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

NBA_TEAMS = frozenset(
    """
    ATL BKN BOS CHA CHI CLE DAL DEN DET GSW HOU IND LAC LAL MEM MIA MIL MIN NOP NYK OKC ORL PHI PHX POR SAC SAS TOR
    UTA WAS
    """.split()  # noqa: SIM905 - thirty quoted names are no easier to read
)
ENOUGH_TEAMS, ENOUGH_GAMES = 28, 300
# Of the sides of nine real seasons 99.6% and more add up; rounded minutes are forgiven.
WHOLE, TEAM_MINUTES = 0.95, 237.0
# How much more often sides must lack players than before: the share of it, and its standard errors.
MORE_OFTEN, ERRORS, USUAL, FEWEST_SIDES = 0.03, 4.0, 0.01, 8
CHOSEN_PLAYERS = 0.5  # where more sides than that lack players anyway, whole players were left out: others each season

# Of nine real seasons every row adds up, and no season has more than two names of several players.
SUMS = {"PTS": {"FGM": 2, "FG3M": 1, "FTM": 1}, "REB": {"OREB": 1, "DREB": 1}}
ENOUGH_ROWS, CHANGED, NAMESAKES = 50, 0.01, 4
# At most three of a season's 22,000 lines of ten minutes and more are those of an earlier game of the player's.
LINE = ("FGM", "FGA", "FG3M", "FG3A", "FTM", "FTA", "OREB", "DREB", "AST", "STL", "BLK", "TOV", "PF")
SHORT_LINE = ("PTS", "REB", "AST")  # which at most 13 of 22,000 rows of a real season repeat the day after
LONG_LINE, LONG_GAME, REPEATED = 10, 10.0, 0.002
KNOWN_CHANGE = (
    "outcomes or players were changed; load the games as they are, or say why with nbaprops_known_gaps = REASON"
)

# What nine real seasons reach, and then some room. Somebody has none of what is counted, one minute (four, of the
# regulars alone), 60 points, 73 points + rebounds + assists, 51 minutes; sides have 13 players and more.
COUNTED = ("PTS", "REB", "AST", "FGA", "FGM", "FTA", "STL", "TOV", "PF", "PRA")
LEAST_MINUTES, LEAST_OF_REGULARS = 1.0, 4.0
HIGHEST = {"PTS": 45.0, "PRA": 55.0, "MIN": 44.0}
WHOLE_TEAM, LARGEST_SIDE, CUT = 13, 10, 0.25  # a quarter of the sides at that end: a sample of rows has few there
# 40 points + rebounds + assists away from one's own mean; margins of 49; one game in twenty goes to overtime.
MOST_WON_AT_HOME = 0.8  # 54% to 59% in nine real seasons
LARGEST_DEVIATION, LARGEST_MARGIN, OVERTIME_MINUTES = 25.0, 25.0, 250.0
CROWD = 12  # rows at an end; the own ends of stars, bench players and rookies have one to eight


Season = tuple[str, pd.DataFrame, pd.DataFrame]
"""Its name, the rows of those who played, and their sides."""


@dataclass(frozen=True, kw_only=True)
class Gaps:
    """Rows that the games lack: picked by an outcome (`picked`), unexplained (`problem`), or only worth saying."""

    picked: str | None = None
    problem: str | None = None
    said: list[str] = field(default_factory=list)


def gaps_of(games: pd.DataFrame, tested: Sequence[dt.date], *, known: str | None = None) -> Gaps:
    """What the games lack, and whether on the tested dates; `known` is the user's own explanation.

    It explains rows that are missing or do not add up. Nothing explains a game that tells its outcome the day before.
    """
    seasons = list(whole_seasons(games))
    if (picked := first_picked(seasons)) is not None:
        return Gaps(picked=picked)
    if (twice := _twice(games, tested)) is not None:
        return Gaps(problem=twice)
    problem = _changed(games, tested) or _more_often(games, tested)
    if known:
        overruled = [f"overruled by that: {problem.partition(':')[0]}"] if problem is not None else []
        return Gaps(said=[f"rows are missing from the games, as is known: {known}", *overruled])
    share = incomplete(seasons)
    if problem is not None or share <= 1 - WHOLE:
        return Gaps(problem=problem)
    return Gaps(said=[f"{share:.0%} of the games' sides lack players; players left out altogether bias no comparison"])


def _changed(games: pd.DataFrame, tested: Sequence[dt.date]) -> str | None:
    """How the tested rows are no box scores any more: outcomes that do not add up, or players of several ids."""
    rows = games[games["GAME_DATE"].isin([pd.Timestamp(day) for day in tested])]
    for name, parts in SUMS.items():
        if name in rows and set(parts) <= set(rows):
            total = sum(times * rows[part] for part, times in parts.items())
            known = rows[name].notna() & pd.notna(total)
            if known.sum() >= ENOUGH_ROWS and (share := (rows[name] != total)[known].mean()) > CHANGED:
                made = " + ".join(f"{times if times > 1 else ''} {part}".strip() for part, times in parts.items())
                return f"{share:.0%} of the tested rows have {name} that are not {made}: {KNOWN_CHANGE}"
    if "PLAYER_NAME" in rows:
        ids = rows.groupby("PLAYER_NAME")["PLAYER_ID"].nunique()
        if len(ids) and (several := int((ids > 1).sum())) > max(NAMESAKES, CHANGED * len(ids)):
            return f"{several} of {len(ids)} players on the tested dates have several PLAYER_IDs: {KNOWN_CHANGE}"
    return None


def _twice(games: pd.DataFrame, tested: Sequence[dt.date]) -> str | None:
    """How many tested rows are the box scores of an earlier date: of a game under two dates one tells the other."""
    rows = games[games["MIN"] >= LONG_GAME].sort_values("GAME_DATE", kind="stable")
    line = [name for name in LINE if name in games and rows[name].min() < rows[name].max()]
    again = rows.duplicated(["PLAYER_ID", "SEASON", *line]) & (len(line) >= LONG_LINE)
    # Another source may lack most of the line, and have it a day off: in UTC, for one.
    before = rows.groupby("PLAYER_ID")[["GAME_DATE", *SHORT_LINE]].shift(1)
    day_before = rows["GAME_DATE"] - before["GAME_DATE"] <= pd.Timedelta(days=1)
    again |= day_before & (rows[[*SHORT_LINE]] == before[[*SHORT_LINE]]).all(axis=1)
    repeated = again[rows["GAME_DATE"].isin([pd.Timestamp(day) for day in tested])]
    if repeated.sum() <= max(NAMESAKES, REPEATED * len(repeated)):
        return None
    return (
        f"{repeated.sum()} of {len(repeated)} box scores on the tested dates are those of an earlier date, too: games "
        "are there twice, under two dates and ids, and the first tells the other's outcome; load each of them once"
    )


def _more_often(games: pd.DataFrame, tested: Sequence[dt.date]) -> str | None:
    played = games[games["MIN"].notna()]
    if played.empty or not {"GAME_ID", "TEAM_ABBREVIATION", "PTS"} <= set(played):
        return None
    sides = _sides(played)
    # A game of which one side is there lacks all of the other's.
    alone = (sides.groupby(level=0)["points"].transform("size") < 2).to_numpy()  # noqa: PLR2004 - two sides play
    lacks = ~_adds_up(sides) | alone
    now = sides["date"].isin([pd.Timestamp(day) for day in tested]).to_numpy()
    before = (sides["date"] < pd.Timestamp(min(tested))).to_numpy()
    usual = max(USUAL, float(lacks[before].mean()) if before.sum() >= FEWEST_SIDES else 0.0)
    if now.sum() < FEWEST_SIDES or usual > CHOSEN_PLAYERS or lacks[now].mean() < usual + MORE_OFTEN:
        return None
    if (lacks[now].mean() - usual) / np.sqrt(usual * (1 - usual) / now.sum()) < ERRORS:
        return None
    return (
        f"{lacks[now].mean():.0%} of the sides on the tested dates lack players (their minutes do not add up), "
        f"{usual:.0%} before: rows are missing, and nobody knows by what; load the games whole, or say why with "
        "nbaprops_known_gaps = REASON"
    )


def first_picked(seasons: Iterable[Season]) -> str | None:
    """How a season lacks rows that an outcome picked, or None."""
    picked = ((name, _picked(played, sides)) for name, played, sides in seasons)
    return next((f"{name}: {said}" for name, said in picked if said is not None), None)


def incomplete(seasons: Iterable[Season]) -> float:
    """The share of the sides that lack players, whatever the reason; 0 where there are none."""
    add_up = [_adds_up(sides) for _, _, sides in seasons]
    return float(1.0 - np.concatenate(add_up).mean()) if add_up else 0.0


def whole_seasons(games: pd.DataFrame) -> Iterator[Season]:
    """Those of the NBA; others are not judged."""
    for season, played in games[games["MIN"].notna()].groupby("SEASON"):
        teams = NBA_TEAMS & set(played["TEAM_ABBREVIATION"].unique())
        if len(teams) >= ENOUGH_TEAMS and played["GAME_ID"].nunique() >= ENOUGH_GAMES:
            yield str(season), played, _sides(played)


def _sides(played: pd.DataFrame) -> pd.DataFrame:
    """A row per game and team: date, minutes, points, margin, PLUS_MINUS and the number of players."""
    plus_minus = played.get("PLUS_MINUS", np.nan)
    grouped = played.assign(PLUS_MINUS=plus_minus).groupby(["GAME_ID", "TEAM_ABBREVIATION"])
    sides = grouped.agg(
        date=("GAME_DATE", "first"), minutes=("MIN", "sum"), points=("PTS", "sum"), players=("PTS", "size")
    )
    sides["plus_minus"] = grouped["PLUS_MINUS"].sum(min_count=1)
    sides["margin"] = 2 * sides["points"] - sides.groupby(level=0)["points"].transform("sum")
    return sides


def _adds_up(sides: pd.DataFrame) -> npt.NDArray[np.bool_]:
    return (sides["minutes"] >= TEAM_MINUTES).to_numpy() | _margins_add_up(sides)


def _margins_add_up(sides: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Each of five players on the court at every point gets it in his PLUS_MINUS."""
    equal: npt.NDArray[np.bool_] = (sides["plus_minus"] == 5 * sides["margin"]).to_numpy()
    return equal


def _picked(played: pd.DataFrame, sides: pd.DataFrame) -> str | None:
    if (said := _one_sided(played, sides)) is not None:
        return said
    whole = float(_adds_up(sides).mean())
    if whole < WHOLE:
        said = next(_missing_ends(played.assign(PRA=played["PTS"] + played["REB"] + played["AST"]), sides), None)
        return said and f"{said}, and {1 - whole:.0%} of the sides lack players: rows were left out by their outcome"
    if _margins_add_up(sides).mean() < WHOLE:
        return None
    # Whole games that are not there are missed by no side, but a season without them is none.
    if (largest := sides["margin"].abs().max()) < LARGEST_MARGIN:
        return f"no game was decided by more than {largest:.0f}: games were left out by their result"
    if sides["minutes"].max() < OVERTIME_MINUTES:
        return "no game went to overtime: games were left out by their length"
    return None


def _one_sided(played: pd.DataFrame, sides: pd.DataFrame) -> str | None:
    alone = sides.groupby(level=0).size() < 2  # noqa: PLR2004 - two sides play
    results: Any = played["WL"].dropna().unique() if "WL" in played else []
    if len(results) == 1 and alone.mean() >= 0.5:  # noqa: PLR2004 - most games
        return f"only games with WL {results[0]}, one side of each"
    if "MATCHUP" in played and (won := _won_at_home(played, sides)) > MOST_WON_AT_HOME:
        return f"the home side won {won:.0%} of the games: MATCHUP says who won, not who was at home"
    return None


def _won_at_home(played: pd.DataFrame, sides: pd.DataFrame) -> float:
    """The share of the games with two sides, one of them at home, that this one won."""
    at_home = played.groupby(["GAME_ID", "TEAM_ABBREVIATION"])["MATCHUP"].first().str.contains(" vs. ", regex=False)
    whole = at_home.groupby(level=0).transform("size").eq(2) & at_home.groupby(level=0).transform("sum").eq(1)
    decided = whole & sides["margin"].ne(0)
    return float((sides["margin"] > 0)[decided & at_home].mean()) if (decided & at_home).any() else 0.0


def _missing_ends(played: pd.DataFrame, sides: pd.DataFrame) -> Iterator[str]:
    whole_teams = played.groupby("TEAM_ABBREVIATION")["PLAYER_ID"].nunique().median() >= WHOLE_TEAM
    least = {"MIN": LEAST_MINUTES if whole_teams else LEAST_OF_REGULARS, **dict.fromkeys(COUNTED, 0.0)}
    for name, lowest in least.items():
        if name in played and played[name].min() > lowest and _is_cut(-played[name]):
            yield f"no row has {name} below {played[name].min():g}"
    for name, highest in HIGHEST.items():
        if played[name].max() < highest and _is_cut(played[name]):
            yield f"no row has {name} above {played[name].max():g}"
    largest = sides["players"].max()
    if largest <= LARGEST_SIDE and whole_teams and (sides["players"] == largest).mean() >= CUT:
        yield f"no side has more than {largest} players"
    deviation = (played["PRA"] - played.groupby("PLAYER_ID")["PRA"].transform("mean")).abs().max()
    if deviation < LARGEST_DEVIATION:
        yield f"no row is more than {deviation:.0f} points + rebounds + assists away from the player's mean"
    if "PLUS_MINUS" in played and not (played["PLUS_MINUS"] == 0).any():
        yield "no row has PLUS_MINUS 0"


def _is_cut(values: pd.Series[Any]) -> bool:
    """Whether many rows are within a unit of the largest one: an end that nobody made thins out."""
    return bool((values > values.max() - 1).sum() >= CROWD)
