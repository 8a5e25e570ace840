"""The bundled sample league: a seeded simulation in the schema of real game logs, for trying things out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pytest_nbaprops.data.canonical import SEASON_SHAPE
from pytest_nbaprops.data.league import TRAITS, Appearances, Calendar, Floats, League, appearances, season_calendar
from pytest_nbaprops.data.load import normalize_games
from pytest_nbaprops.data.problems import reason
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

HOME_EDGE: Final = 0.014
TIRED_EDGE: Final = -0.03
NIGHT_SPREAD: Final = 0.18

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
    calendar = season_calendar(year, teams, rng)
    games = appearances(league, calendar)
    team_traits = np.stack([rng.normal(0, 0.03, teams), rng.normal(0, 0.055, teams)])
    counts = _box_scores(league, calendar, games, team_traits)
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
        for name, values in _game_columns(calendar, year, margin).items()
    }
    for name, (made, tried) in PERCENTAGES.items():  # empty without attempts
        columns[name] = np.round(columns[made] / np.where(columns[tried] > 0, columns[tried], np.nan), 3)
    fantasy = columns["PTS"] + 1.2 * columns["REB"] + 1.5 * columns["AST"] - columns["TOV"]
    columns["FANTASY_PTS"] = np.round(fantasy + 3 * (columns["STL"] + columns["BLK"]), 1)  # as stats.nba.com
    return pd.DataFrame(columns)[[name for name in CANONICAL_COLUMNS if name != "SEASON"]]


def _game_columns(calendar: Calendar, year: int, margin: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Columns that are the same for a whole team in a game, one value per team-game."""
    abbreviation = np.array(TEAMS, dtype=object)
    host, guest = abbreviation[calendar.home], abbreviation[calendar.away]
    team = np.r_[calendar.home, calendar.away]
    number = [f"00{SEASON_TYPE}{year % 100:02d}{game:05d}" for game in range(1, len(host) + 1)]
    date = np.datetime64(calendar.first_date) + calendar.day
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


def _box_scores(
    league: League, calendar: Calendar, games: Appearances, team_traits: Floats
) -> dict[str, NDArray[np.float64]]:
    """Counts (team-game, slot) by column name, zero for those who do not play.

    ``team_traits`` is (2, teams): pace, and points allowed, both as logarithms around 0.
    """
    rng = league.rng
    traits = dict(zip(TRAITS, league.traits[:, games.player], strict=True))
    inside, outside, line = league.touch[:, games.player]
    pace = np.tile(team_traits[0][calendar.home] + team_traits[0][calendar.away], 2)
    edge = np.repeat([HOME_EDGE, -HOME_EDGE], len(calendar.day))
    tempo = games.minutes / 36 * np.exp((pace + edge + TIRED_EDGE * _back_to_back(calendar))[:, None])
    night = np.exp(rng.normal(0, NIGHT_SPREAD, games.minutes.shape)) * games.form
    load = tempo * night
    # Half a Poisson's variance: teammates share one ball.
    wanted = 2 * load * traits["shots"] * _usage(games, traits["shots"])
    shots = rng.binomial(np.floor(wanted + rng.random(wanted.shape)).astype(np.int64), 0.5)
    defence = np.exp(team_traits[1][np.r_[calendar.away, calendar.home]][:, None])  # what the opponent allows
    threes = rng.binomial(shots, np.clip(traits["threes"], 0, 1))
    threes_made = rng.binomial(threes, np.clip(outside * defence, 0, 1))
    made = threes_made + rng.binomial(shots - threes, np.clip(inside * defence, 0, 1))
    free = rng.poisson(load * traits["free_throws"])
    counts = {"FGM": made, "FGA": shots, "FG3M": threes_made, "FG3A": threes, "FTM": rng.binomial(free, line)}
    counts |= {"FTA": free, "PF": np.minimum(rng.poisson(tempo * traits["pf"]), 6)}
    counts |= {name.upper(): rng.poisson(load * traits[name]) for name in ("oreb", "dreb", "ast", "stl", "blk", "tov")}
    untied = _without_ties({name: values.astype(np.float64) for name, values in counts.items()}, games)
    return untied | {"REB": untied["OREB"] + untied["DREB"], "PTS": _points(untied)}


def _back_to_back(calendar: Calendar) -> NDArray[np.bool_]:
    """Per team-game: whether the team also played the day before."""
    team, day = calendar.team_games
    order = np.lexsort((day, team))
    found = np.empty(len(order), dtype=bool)
    found[order] = np.r_[False, (np.diff(team[order]) == 0) & (np.diff(day[order]) == 1)]
    return found


def _usage(games: Appearances, shots: Floats) -> Floats:
    """Shots that missing teammates leave go to those who are there."""
    weight = games.minutes.sum(axis=1, keepdims=True)
    there = (games.minutes * shots).sum(axis=1, keepdims=True) / np.maximum(weight, 1)
    return np.asarray(shots[games.plays].mean() * 1.06 / np.maximum(there, 1))


def _without_ties(counts: dict[str, NDArray[np.float64]], games: Appearances) -> dict[str, NDArray[np.float64]]:
    """A made free throw for the home side's busiest player where both sides have as many points."""
    points = _points(counts).sum(axis=1)
    half = len(points) // 2
    tied = np.flatnonzero(points[:half] == points[half:])
    busiest = games.minutes[tied].argmax(axis=1)
    for name in ("FTM", "FTA"):
        counts[name][tied, busiest] += 1
    return counts


def _points(counts: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Two for a shot, one more from behind the arc, one for a free throw."""
    return 2 * counts["FGM"] + counts["FG3M"] + counts["FTM"]


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
