"""What may be declared as a file beside the games, and what is the games themselves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from pytest_nbaprops.data.sample import sample_league
from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.features.group import feature_group
from pytest_nbaprops.session.sources import refuse_games

TARGET = ("PTS", "REB", "AST")


@pytest.fixture(scope="module")
def games() -> pd.DataFrame:
    return sample_league(seasons=1, players=40, seed=11)


def refuse(games: pd.DataFrame, path: Path, data: Path | None = None) -> None:
    declared: Any = SimpleNamespace(sources=(str(path),), data=data and str(data), test="last 20 dates")
    refuse_games(declared, games, TARGET)


def written(table: pd.DataFrame, path: Path) -> Path:
    mark = {".tsv": "\t", ".txt": ";"}.get(path.suffix, ",")
    table.to_parquet(path) if path.suffix == ".parquet" else table.to_csv(path, index=False, sep=mark)
    return path


def late(games: pd.DataFrame) -> Any:
    return games[games["GAME_DATE"] >= games["GAME_DATE"].unique()[-20]]


def answers(games: pd.DataFrame) -> Any:
    rows = late(games)
    return rows[["GAME_ID", "PLAYER_ID"]].assign(GUESS=rows[list(TARGET)].sum(axis=1).astype(float))


Table = Callable[[pd.DataFrame], Any]

REFUSED: dict[str, tuple[Table, str]] = {
    "the target by game and player": (answers, "answers.csv"),
    "as numbers": (lambda games: answers(games).astype({"GAME_ID": "int64"}), "answers.parquet"),
    "by date and player": (lambda games: late(games)[["GAME_DATE", "PLAYER_ID", "PTS"]], "points.csv"),
    "under other names": (
        lambda games: late(games)[["PLAYER_ID", "GAME_ID", "MIN"]].set_axis(["who", "what", "x"], axis=1),
        "x.csv",
    ),
    "by name": (lambda games: late(games)[["PLAYER_NAME", "GAME_DATE", "MIN"]], "minutes.csv"),
    "packed": (answers, "answers.csv.gz"),
    "separated by tabs": (answers, "answers.tsv"),
    "separated by semicolons": (answers, "answers.txt"),
    "beside the seasons before": (lambda games: games[["GAME_ID", "PLAYER_ID", "REB"]], "all.csv"),
}
ALLOWED: dict[str, tuple[Table, str]] = {
    "earlier games": (
        lambda games: games[~games.index.isin(late(games).index)][["GAME_ID", "PLAYER_ID", "PTS"]],
        "p.csv",
    ),
    "arenas": (lambda games: pd.DataFrame({"TEAM": games["TEAM_ABBREVIATION"].unique(), "ALTITUDE": 1.0}), "a.csv"),
    "heights": (lambda games: games[["PLAYER_ID"]].drop_duplicates().assign(HEIGHT=195), "h.csv"),
    "a flag that few have": (lambda games: answers(games).assign(GUESS=0.0), "flags.csv"),
    "a flag that all have": (lambda games: answers(games).assign(GUESS=1.0), "active.csv"),
    "what is expected": (lambda games: answers(games).assign(GUESS=11.25), "expected.csv"),
    "the schedule": (lambda games: late(games)[["GAME_ID", "GAME_DATE", "PLAYER_ID"]], "schedule.parquet"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_outcomes_of_the_test_window_cannot_be_declared(games: pd.DataFrame, tmp_path: Path, name: str) -> None:
    """However the table is called and whatever else is in it; the way out is named."""
    table, file = REFUSED[name]
    with pytest.raises(
        SettingsError, match="declare such a table as the source of a feature group, with an as-of date"
    ):
        refuse(games, written(table(games), tmp_path / file))


def refuse_source(games: pd.DataFrame, path: Path) -> None:
    """As the table of a feature group with the as-of date AS_OF."""
    group = feature_group(tier="core", sources={"lines": str(path)}, name="lines")(
        lambda games, lines: (games, lines)[0][["GAME_ID"]]
    )
    declared: Any = SimpleNamespace(sources=(), data=None, test="last 20 dates", rootdir=str(path.parent))
    refuse_games(declared, games, TARGET, [group])


STILL_TO_COME = pytest.raises(SettingsError, match="'GUESS' holds outcomes of games that are still to come")


@pytest.mark.parametrize(
    "keys", [["GAME_ID", "PLAYER_ID"], ["GAME_DATE", "PLAYER_NAME"], ["PLAYER_ID"], ["PLAYER_NAME"]]
)
@pytest.mark.parametrize(("days", "expected"), [(-1, STILL_TO_COME), (0, nullcontext()), (1, nullcontext())])
def test_a_groups_table_tells_no_outcome_before_the_game(
    games: pd.DataFrame, tmp_path: Path, days: int, expected: AbstractContextManager[Any], keys: list[str]
) -> None:
    """A closing line that carries the result of its game, on the date of the line; a log of results is well.

    Where a row names no game it is of the player's next one.
    """
    as_of = late(games)["GAME_DATE"] + pd.Timedelta(days=days)
    table = late(games)[keys].assign(GUESS=answers(games)["GUESS"], LINE=11.5, ACTIVE=1, AS_OF=as_of)
    with expected:
        refuse_source(games, written(table, tmp_path / "lines.csv"))


@pytest.mark.parametrize("keys", [["GAME_ID", "PLAYER_ID"], ["GAME_DATE", "PLAYER_NAME"]])
def test_a_table_that_names_its_games_is_read_however_early_it_is_dated(
    games: pd.DataFrame, tmp_path: Path, keys: list[str]
) -> None:
    """All of it may claim to be known since the season began."""
    table = late(games)[keys].assign(GUESS=answers(games)["GUESS"], AS_OF=games["GAME_DATE"].min())
    with STILL_TO_COME:
        refuse_source(games, written(table, tmp_path / "lines.csv"))


@pytest.mark.parametrize("name", ALLOWED)
def test_other_tables_can(games: pd.DataFrame, tmp_path: Path, name: str) -> None:
    """The past, what lasts and what was planned say nothing of tonight."""
    table, file = ALLOWED[name]
    refuse(games, written(table(games), tmp_path / file))


def test_the_games_own_file_is_loaded_and_not_declared(games: pd.DataFrame, tmp_path: Path) -> None:
    """Nor can a file of the folder that they lie in be."""
    file = written(games.head(3), tmp_path / "games.csv")
    for data in (file, tmp_path):
        with pytest.raises(SettingsError, match="holds the games themselves"):
            refuse(games, file, data)


def test_what_is_no_table_is_none_of_the_games(games: pd.DataFrame, tmp_path: Path) -> None:
    """A configuration, or something that its name promises and it is not."""
    for name in ("config.yaml", "broken.json", "broken.parquet"):
        (tmp_path / name).write_text("alpha: 3\n")
        refuse(games, tmp_path / name)
