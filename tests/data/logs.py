"""A small, valid game log to spoil, and the real one where it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

REAL_LOGS: Final = Path(__file__).parents[3] / "shared" / "data" / "game_logs"

HEADER: Final = (
    "SEASON_ID,PLAYER_ID,PLAYER_NAME,TEAM_ID,TEAM_ABBREVIATION,TEAM_NAME,GAME_ID,GAME_DATE,MATCHUP,WL,MIN,FGM,FGA,"
    "FG_PCT,FG3M,FG3A,FG3_PCT,FTM,FTA,FT_PCT,OREB,DREB,REB,AST,STL,BLK,TOV,PF,PTS,PLUS_MINUS,FANTASY_PTS,"
    "VIDEO_AVAILABLE,SEASON"
)
COLUMNS: Final = HEADER.split(",")
BOX: Final = "34,8,17,0.471,4,9,0.444,2,2,1.0,2,2,4,10,3,0,2,4,22,-2,48.8,1"


def row(player: int, game: int, side: str = "BOS vs. NYK", date: str = "2024-01-05") -> str:
    """A valid row; 33 cells."""
    abbreviation = side[:3]
    team = 1610612738 if abbreviation == "BOS" else 1610612752
    return f"22023,{player},Player Ć{player},{team},{abbreviation},Team,{game:010d},{date},{side},W,{BOX},2023-24"


ROWS: Final = [
    row(101, 22300001, date="2024-01-05"),
    row(102, 22300001, "NYK @ BOS", date="2024-01-05"),
    row(101, 22300002, "BOS @ NYK", date="2024-01-06"),
    row(102, 22300002, "NYK vs. BOS", date="2024-01-06"),
    row(103, 22300002, "NYK vs. BOS", date="2024-01-06"),
]
LOG: Final = "\n".join([HEADER, *ROWS, ""])


def with_cell(column: str, value: str, *, line: int = 4) -> str:
    """The log with one cell changed; lines count from 1 with the header."""
    lines = LOG.splitlines()
    cells = lines[line - 1].split(",")
    cells[COLUMNS.index(column)] = value
    lines[line - 1] = ",".join(cells)
    return "\n".join([*lines, ""])


def without_column(column: str) -> str:
    """The log without one column."""
    position = COLUMNS.index(column)
    lines = [line.split(",") for line in LOG.splitlines()]
    return "\n".join([*(",".join(cells[:position] + cells[position + 1 :]) for cells in lines), ""])
