"""The columns of a game log, what they mean, and the few things that are read out of them."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from pytest_nbaprops.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TARGET_OPTION: Final = "--nbaprops-target"
COLUMN_MAP_OPTION: Final = "nbaprops_columns"

KEY_COLUMNS: Final = ("GAME_DATE", "GAME_ID", "PLAYER_ID")

ID_COLUMNS: Final = ("PLAYER_ID", "TEAM_ID")
COUNT_COLUMNS: Final = (
    "FGM", "FGA", "FG3M", "FG3A", "FTM", "FTA", "OREB", "DREB", "REB",
    "AST", "STL", "BLK", "TOV", "PF", "PTS",
)  # fmt: skip
SHARE_COLUMNS: Final = ("FG_PCT", "FG3_PCT", "FT_PCT")
SIGNED_COLUMNS: Final = ("PLUS_MINUS", "FANTASY_PTS")

# The order of stats.nba.com's LeagueGameLog, then SEASON.
CANONICAL_COLUMNS: Final = (
    "SEASON_ID", "PLAYER_ID", "PLAYER_NAME", "TEAM_ID", "TEAM_ABBREVIATION", "TEAM_NAME", "GAME_ID", "GAME_DATE",
    "MATCHUP", "WL", "MIN", "FGM", "FGA", "FG_PCT", "FG3M", "FG3A", "FG3_PCT", "FTM", "FTA", "FT_PCT", "OREB",
    "DREB", "REB", "AST", "STL", "BLK", "TOV", "PF", "PTS", "PLUS_MINUS", "FANTASY_PTS", "VIDEO_AVAILABLE", "SEASON",
)  # fmt: skip
OPTIONAL_COLUMNS: Final = (
    "SEASON_ID", "TEAM_NAME", "WL", "FG_PCT", "FG3_PCT", "FT_PCT", "PLUS_MINUS", "FANTASY_PTS", "VIDEO_AVAILABLE",
    "SEASON",
)  # fmt: skip
REQUIRED_COLUMNS: Final = tuple(name for name in CANONICAL_COLUMNS if name not in OPTIONAL_COLUMNS)

# Everything from the final buzzer on; empty in the rows of games that are not yet played.
OUTCOME_COLUMNS: Final = CANONICAL_COLUMNS[CANONICAL_COLUMNS.index("WL") : CANONICAL_COLUMNS.index("SEASON")]
REQUIRED_OUTCOMES: Final = tuple(name for name in OUTCOME_COLUMNS if name in REQUIRED_COLUMNS)
NUMBER_COLUMNS: Final = tuple(name for name in OUTCOME_COLUMNS if name != "WL")
TARGET_COLUMNS: Final = ("MIN", *COUNT_COLUMNS, *SIGNED_COLUMNS)

MATCHUP_SHAPE: Final = re.compile(r"(?P<left>[A-Z]{2,4}) (?P<marker>vs\.|@) (?!(?P=left)\Z)(?P<right>[A-Z]{2,4})")
"""Two different teams."""

FIRST_MONTH_OF_SEASON: Final = 9
# The 2019-20 season was played on until 11 October 2020 and the next one began in December.
LATE_SEASON: Final = (pd.Timestamp("2020-09-01"), pd.Timestamp("2020-10-15"))


def nearest(name: str, allowed: Iterable[str]) -> str:
    """`` (did you mean X?)``, or nothing when no allowed name comes near."""
    found = closest(name, allowed)
    return f" (did you mean {found}?)" if found else ""


def closest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that comes nearest; before all others one of the same letters (PST is PTS, not STL)."""
    near = difflib.get_close_matches(name.upper(), list(allowed), n=5)
    return min(near, key=lambda other: sorted(other) != sorted(name.upper()), default=None)


def parse_target(expression: str) -> tuple[str, ...]:
    """The stat columns of a target such as ``PTS+REB+AST``, in the order given.

    Raises SettingsError for blanks, duplicates and names that are not stat columns.
    """
    columns = tuple(part.strip() for part in expression.split("+"))
    for column in columns:
        if column not in TARGET_COLUMNS:
            problem = f"{column!r} is not a stat column{nearest(column, TARGET_COLUMNS)}"
        elif columns.count(column) > 1:
            problem = f"{column} is there twice"
        else:
            continue
        raise SettingsError(
            f"{TARGET_OPTION}: found {expression!r}, where {problem}; expected a sum of stat columns such as "
            f"PTS+REB+AST, each one of {', '.join(TARGET_COLUMNS)}; name every column once, joined by +"
        )
    return columns


def target_values(games: pd.DataFrame, columns: Sequence[str]) -> pd.Series[float]:
    """The sum of the target columns per row as float64, NaN where the game is not yet played."""
    total = np.zeros(len(games))
    for column in columns:
        total += games[column].to_numpy(dtype=np.float64)
    return pd.Series(total, index=games.index, name="+".join(columns))


def matchup_parts(games: pd.DataFrame) -> pd.DataFrame:
    """HOME (bool) and OPPONENT (abbreviation) of each row, on the same index.

    ``ATL vs. DET`` is at home for ATL, ``ATL @ DET`` is away. At neutral sites both sides carry the same marker; the
    opponent is the other abbreviation all the same. The team may also be the second one named, as in schedules.
    """
    matchup = games["MATCHUP"].astype("category")
    split = [text.split(" ") for text in matchup.cat.categories]
    parts = np.array(split, dtype=object).reshape(-1, 3)
    left, marker, right = parts[matchup.cat.codes].T
    named_second = games["TEAM_ABBREVIATION"].to_numpy(dtype=object) == right
    opponent = np.where(named_second, left, right)
    home = (marker == "vs.") ^ named_second
    return pd.DataFrame({"HOME": home, "OPPONENT": opponent}, index=games.index)


def season_of_date(date: pd.Timestamp) -> str:
    """The season a game date belongs to: ``2023-24`` for 2023-10-24 and for 2024-04-14."""
    late = LATE_SEASON[0] <= date <= LATE_SEASON[1]
    first_year = date.year if date.month >= FIRST_MONTH_OF_SEASON and not late else date.year - 1
    return season_name(first_year)


def season_name(first_year: int) -> str:
    """``2023-24`` for 2023."""
    return f"{first_year}-{(first_year + 1) % 100:02d}"
