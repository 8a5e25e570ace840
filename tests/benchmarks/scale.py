"""Time and memory of a session as the games grow. Run by hand; never a timed test.

    python -m tests.benchmarks.scale [--seasons 20] [--leagues 1 2 4 11] [--workers 2]

So many simulated leagues of 450 players side by side, 26,000 rows a season and league: 20 seasons of 11 leagues are 5.7
million rows. Each line is one session with everything on that fits once, for the last two dates. Peaks are of the
largest process, and in multiples of the feature matrix once 400 MiB for Python and its libraries are taken off.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import product
from pathlib import Path
from string import ascii_uppercase

import pandas as pd

from pytest_nbaprops.data.sample import sample_league
from pytest_nbaprops.features.build import build_features
from pytest_nbaprops.features.catalog import builtin_groups, select_groups
from tests.benchmarks.overhead import timed

LIBRARIES = 400  # MiB
GAMES_OF_A_LEAGUE, PLAYERS_OF_A_LEAGUE, TEAMS_OF_A_LEAGUE = 1_500, 100_000, 1_000
CODES = ["".join(letters) for letters in product(ascii_uppercase, repeat=3)]


def another_league(games: pd.DataFrame, number: int) -> pd.DataFrame:
    """The same games of other players, by other teams."""
    teams = sorted(games["TEAM_ABBREVIATION"].unique())
    codes = {team: CODES[number * len(teams) + place] for place, team in enumerate(teams)}
    game_ids = games["GAME_ID"].astype("int64") + number * GAMES_OF_A_LEAGUE
    return games.assign(
        PLAYER_ID=games["PLAYER_ID"] + number * PLAYERS_OF_A_LEAGUE,
        TEAM_ID=games["TEAM_ID"] + number * TEAMS_OF_A_LEAGUE,
        TEAM_ABBREVIATION=games["TEAM_ABBREVIATION"].map(codes),
        MATCHUP=games["MATCHUP"].map({
            f"{one} {where} {other}": f"{codes[one]} {where} {codes[other]}"
            for one in teams for other in teams for where in ("vs.", "@")
        }),
        GAME_ID=game_ids.astype(str).str.zfill(10),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seasons", type=int, default=20)
    parser.add_argument("--leagues", type=int, nargs="+", default=[1, 2, 4, 11])
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    games = sample_league(seasons=options.seasons)
    columns = build_features(games.head(1_000), select_groups(builtin_groups(), "all", ())).frame.shape[1]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "--nbaprops-train"]
    command += ["--nbaprops-test", "last 2 dates", "--nbaprops-criterion", "mae < 100"]
    command += ["-n", str(options.workers)] if options.workers else []
    for leagues in options.leagues:
        with tempfile.TemporaryDirectory() as name:
            data, project = Path(name, "data"), Path(name, "project")
            for folder in (data, project):
                folder.mkdir()
            for number in range(leagues):
                another_league(games, number).to_parquet(data / f"league-{number:02}.parquet")
            seconds, peak = timed([*command, "--nbaprops-data", str(data)], project)
        rows = leagues * len(games)
        matrix = 4 * rows * columns / 2**20
        print(  # noqa: T201
            f"{rows:9,} rows: {seconds:6.1f} s, {1e6 * seconds / rows:5.1f} s a million; "
            f"peak {peak:6.0f} MiB, {(peak - LIBRARIES) / matrix:.2f} of the matrix's {matrix:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
