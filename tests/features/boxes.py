"""Hand-made games: one line a box score."""

from __future__ import annotations

import pandas as pd

from pytest_nbaprops.data.schema import COUNT_COLUMNS

TEAMS = {"ATL": 1, "BOS": 2, "CHI": 3, "DEN": 4}


def box(date: str, player: int, matchup: str, minutes: float | None, **stats: float) -> dict[str, object]:
    """A row; without minutes the game is not yet played and every outcome is empty."""
    team = matchup.split(" ", maxsplit=1)[0]
    day = pd.Timestamp(date)
    first_year = day.year if day.month >= 9 else day.year - 1
    empty = float("nan")
    return {
        "PLAYER_ID": player,
        "PLAYER_NAME": f"Player {player}",
        "TEAM_ID": TEAMS[team],
        "TEAM_ABBREVIATION": team,
        "GAME_ID": f"00{day:%y%m%d}{min(TEAMS[team], TEAMS[matchup.split(' ')[2]]):02d}",
        "GAME_DATE": day,
        "MATCHUP": matchup,
        "MIN": empty if minutes is None else minutes,
        **{name: empty if minutes is None else stats.get(name, 0.0) for name in COUNT_COLUMNS},
        "SEASON": f"{first_year}-{(first_year + 1) % 100:02d}",
    }


def frame(*rows: dict[str, object]) -> pd.DataFrame:
    """The rows in canonical order."""
    games = pd.DataFrame(list(rows)).sort_values(["GAME_DATE", "GAME_ID", "PLAYER_ID"], ignore_index=True)
    return games.astype({"GAME_DATE": "datetime64[ns]"})
