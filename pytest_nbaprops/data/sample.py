"""The bundled sample league: a seeded simulation in the schema of real game logs, for trying things out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pytest_nbaprops.data.boxscore import box_scores
from pytest_nbaprops.data.canonical import SEASON_SHAPE
from pytest_nbaprops.data.league import League, appearances
from pytest_nbaprops.data.load import normalize_games
from pytest_nbaprops.data.problems import reason
from pytest_nbaprops.data.schedule import Schedule, season_schedule
from pytest_nbaprops.data.schema import CANONICAL_COLUMNS, season_name
from pytest_nbaprops.errors import DataError, SettingsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_LABEL: Final = "simulated sample league"

TEAMS: Final = (
    "ATL", "BOS", "BKN", "CHA", "CHI", "CLE", "DAL", "DEN", "DET", "GSW", "HOU", "IND", "LAC", "LAL", "MEM",
    "MIA", "MIL", "MIN", "NOP", "NYK", "OKC", "ORL", "PHI", "PHX", "POR", "SAC", "SAS", "TOR", "UTA", "WAS",
)  # fmt: skip
TEAM_SIZE: Final = 15
SMALLEST_TEAM: Final = 10
FEWEST_PLAYERS: Final = 2 * SMALLEST_TEAM
MOST_PLAYERS: Final = len(TEAMS) * 20
MOST_SEASONS: Final = 50
# Numbers that real logs do not use, so that simulated rows are never taken for real ones or mixed with them.
FIRST_PLAYER_ID: Final = 9_000_001
FIRST_TEAM_ID: Final = 9_610_612_737
SEASON_TYPE: Final = 9
PERCENTAGES: Final = {"FG_PCT": ("FGM", "FGA"), "FG3_PCT": ("FG3M", "FG3A"), "FT_PCT": ("FTM", "FTA")}


def sample_league(
    *, seasons: int = 2, players: int = 450, seed: int = 2024, last_season: str = "2023-24"
) -> pd.DataFrame:
    """Simulated game logs in canonical form, about 26,000 rows a season with 450 players in the league at a time.

    30 teams of 15 (fewer teams for fewer players), about 82 games each. Names, ids and SEASON_ID say that nothing of
    it is real. The same arguments give the same rows. Raises SettingsError for numbers that give no league.
    """
    last_year = _checked(seasons, players, last_season)
    rng = np.random.default_rng(seed)
    teams = min(
        len(TEAMS), max(players // TEAM_SIZE, players // SMALLEST_TEAM if players < TEAM_SIZE * 4 else 0) // 2 * 2
    )
    league = League.founded(teams, players // teams, rng)
    frames = []
    for year in range(last_year - seasons + 1, last_year + 1):
        frames.append(_season(league, year))
        league.next_season()
    return normalize_games(pd.concat(frames, ignore_index=True), source=SAMPLE_LABEL)


def _checked(seasons: int, players: int, last_season: str) -> int:
    """The last season's first year."""
    shape = SEASON_SHAPE.fullmatch(last_season)
    for name, value, low, high in (
        ("seasons", seasons, 1, MOST_SEASONS),
        ("players", players, FEWEST_PLAYERS, MOST_PLAYERS),
    ):
        if not low <= value <= high:
            raise SettingsError(
                f"sample league: found {name} {value}, expected {low} to {high}; choose a number in between"
            )
    if shape is None or last_season != season_name(int(shape[1])) or not 2000 <= int(shape[1]) < 2100:  # noqa: PLR2004 - the years a simulated season may have
        raise SettingsError(
            f"sample league: found last season {last_season!r}, expected a season from 2000-01 to 2099-00; "
            "write it as 2023-24"
        )
    return int(shape[1])


def _season(league: League, year: int) -> pd.DataFrame:
    rng, teams = league.rng, len(league.roster)
    schedule = season_schedule(year, teams, rng)
    games = appearances(league, schedule)
    team_traits = np.stack([rng.normal(0, 0.03, teams), rng.normal(0, 0.055, teams)])
    counts = box_scores(league, schedule, games, team_traits)
    home, away = np.split(counts["PTS"].sum(axis=1), 2)
    margin = np.r_[home - away, away - home]
    rows = games.plays
    share = games.minutes / 48
    swing = np.rint(
        margin[:, None] * share + rng.normal(0, 1, rows.shape) * 9.5 * np.sqrt(share * np.clip(1.1 - share, 0, 1))
    )
    columns: dict[str, NDArray[Any]] = {name: values[rows] for name, values in counts.items()}
    columns |= {"MIN": games.minutes[rows], "PLUS_MINUS": (swing + 0.0)[rows]}
    player = games.player[rows]
    names = np.array([f"Simulated Player {number:03d}" for number in range(1, int(player.max()) + 2)], dtype=object)
    columns |= {"PLAYER_ID": player + FIRST_PLAYER_ID, "PLAYER_NAME": names[player]}
    columns |= {
        name: np.broadcast_to(values[:, None], rows.shape)[rows]
        for name, values in _game_columns(schedule, year, margin).items()
    }
    return pd.DataFrame(columns | _derived(columns))[[name for name in CANONICAL_COLUMNS if name != "SEASON"]]


def _game_columns(schedule: Schedule, year: int, margin: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Columns that are the same for a whole team in a game, one value per team-game."""
    abbreviation = np.array(TEAMS, dtype=object)
    host, guest = abbreviation[schedule.home], abbreviation[schedule.away]
    team = np.r_[schedule.home, schedule.away]
    number = [f"00{SEASON_TYPE}{year % 100:02d}{game:05d}" for game in range(1, len(host) + 1)]
    date = np.datetime64(schedule.first_date) + schedule.day
    return {
        "SEASON_ID": np.full(len(team), f"{SEASON_TYPE}{year}", dtype=object),
        "TEAM_ID": team + FIRST_TEAM_ID,
        "TEAM_ABBREVIATION": abbreviation[team],
        "TEAM_NAME": np.array([f"Simulated {name}" for name in TEAMS], dtype=object)[team],
        "GAME_ID": np.array(number * 2, dtype=object),
        "GAME_DATE": np.r_[date, date].astype("datetime64[ns]"),
        "MATCHUP": np.r_[host + " vs. " + guest, guest + " @ " + host],
        "WL": np.where(margin > 0, "W", "L").astype(object),
        "VIDEO_AVAILABLE": np.zeros(len(team)),
    }


def _derived(columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Percentages (empty without attempts) and stats.nba.com's fantasy points."""
    found: dict[str, NDArray[Any]] = {}
    for name, (made, tried) in PERCENTAGES.items():
        share = columns[made] / np.where(columns[tried] > 0, columns[tried], np.nan)
        found[name] = np.round(share, 3)
    points = columns["PTS"] + 1.2 * columns["REB"] + 1.5 * columns["AST"] - columns["TOV"]
    found["FANTASY_PTS"] = np.round(points + 3 * (columns["STL"] + columns["BLK"]), 1)
    return found


def write_sample(
    path: str | Path, *, seasons: int = 2, players: int = 450, seed: int = 2024, last_season: str = "2023-24"
) -> pd.DataFrame:
    """Write the sample league as CSV or Parquet, by the path's suffix, and return it.

    Raises SettingsError for another suffix and DataError when the file cannot be written.
    """
    target = Path(path).expanduser()
    if target.suffix.lower() not in (".csv", ".parquet"):
        raise SettingsError(f"{target}: found the suffix {target.suffix!r}, expected .csv or .parquet; rename the file")
    games = sample_league(seasons=seasons, players=players, seed=seed, last_season=last_season)
    try:
        if target.suffix.lower() == ".csv":
            games.assign(GAME_DATE=games["GAME_DATE"].dt.strftime("%Y-%m-%d")).to_csv(target, index=False)
        else:
            pq.write_table(pa.Table.from_pandas(games, preserve_index=False), target)
    except OSError as error:
        raise DataError(
            f"{target}: found {reason(error)}, expected a file that can be written; choose another path"
        ) from error
    return games
