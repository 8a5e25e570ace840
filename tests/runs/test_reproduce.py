"""The data of a run, found again in the data that there is now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pytest_nbaprops.data.digest import dataset_digest
from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.data.sample import SAMPLE_LABEL, sample_league
from pytest_nbaprops.errors import DataError
from pytest_nbaprops.runs.games import games_again, recorded_games
from pytest_nbaprops.runs.recorded import Recorded


@pytest.fixture(scope="module")
def games() -> pd.DataFrame:
    """A small league."""
    return sample_league(seasons=1, players=30)


@pytest.fixture(scope="module")
def dates(games: pd.DataFrame) -> list[str]:
    """Its dates."""
    return list(dataset_digest(games).dates)


def _run(games: pd.DataFrame, source: Path | str, rootdir: Path) -> Recorded:
    settings = {"data": str(source), "rootdir": str(rootdir), "target": "PTS+REB+AST", "columns": {}}
    dataset = {"source": str(source), "digest": dataset_digest(games).to_dict()}
    document: dict[str, Any] = {"dataset": dataset, "settings": settings}
    return Recorded(run_id="1", run_name="run", document=document, predictions=pd.DataFrame())


def _through(games: pd.DataFrame, date: str) -> pd.DataFrame:
    return games[games["GAME_DATE"] <= date]


def test_canonical_games_keep_their_digest_through_parquet(games: pd.DataFrame, tmp_path: Path) -> None:
    """Also with extra columns of text, numbers and empty cells, and with a game not yet played."""
    extra = games.assign(NOTE=pd.Series(["a", None, "3"], dtype="str"), WEIGHT=1.5)
    path = tmp_path / "first.csv"
    extra.to_csv(path, index=False)
    first = load_games(path)
    first.to_parquet(tmp_path / "again.parquet", index=False)
    assert dataset_digest(load_games(tmp_path / "again.parquet")).full == dataset_digest(first).full


def test_the_same_data_is_taken_as_it_is(games: pd.DataFrame, tmp_path: Path) -> None:
    """From where it was."""
    path = tmp_path / "games.parquet"
    games.to_parquet(path)
    found, check = games_again(_run(games, path, tmp_path), data=None, root=tmp_path)
    assert found is not None
    assert dataset_digest(found).full == dataset_digest(games).full
    assert check.outcome == "same"


def test_data_that_has_grown_is_cut(games: pd.DataFrame, dates: list[str], tmp_path: Path) -> None:
    """To the recorded dates."""
    before = _through(games, dates[50])
    path = tmp_path / "games.parquet"
    games.to_parquet(path)
    found, check = games_again(_run(before, "gone.csv", tmp_path), data=str(path), root=tmp_path)
    assert found is not None
    assert dataset_digest(found).full == dataset_digest(before).full
    assert check.outcome == f"cut to {dates[50]}"


def test_data_moves_with_its_project(games: pd.DataFrame, tmp_path: Path) -> None:
    """It is looked for at the same place below the rootdir."""
    (tmp_path / "here" / "data").mkdir(parents=True)
    games.to_parquet(tmp_path / "here" / "data" / "games.parquet")
    run = _run(games, tmp_path / "there" / "data" / "games.parquet", tmp_path / "there")
    _, check = games_again(run, data=None, root=tmp_path / "here")
    assert check.outcome == "same"


def test_the_sample_league_needs_no_file(tmp_path: Path) -> None:
    """It is simulated again."""
    found, check = games_again(_run(sample_league(), SAMPLE_LABEL, tmp_path), data=None, root=tmp_path)
    assert (found is not None, check.outcome) == (True, "same")


@pytest.mark.parametrize("change", ["was changed", "was added", "is missing"])
def test_the_first_date_that_differs_is_named(games: pd.DataFrame, dates: list[str], change: str) -> None:
    """A cell, a date too many or one too few; later differences do not matter."""
    early, late = pd.Timestamp(dates[20]), pd.Timestamp(dates[30])
    moved = games.assign(PTS=games["PTS"].where(~games["GAME_DATE"].isin([early, late]), games["PTS"] + 1))
    without = games[~games["GAME_DATE"].isin([early, late])]
    recorded, now = {"was changed": (games, moved), "was added": (without, games), "is missing": (games, without)}[
        change
    ]
    with pytest.raises(DataError, match=f"the hook: the data is not what the run had: {dates[20]} {change}"):
        recorded_games(now, dataset_digest(recorded).to_dict(), source="the hook", target="PTS")


def test_data_that_ends_earlier_is_refused(games: pd.DataFrame, dates: list[str]) -> None:
    """The first date that it lacks is named."""
    with pytest.raises(DataError, match=f"{dates[51]} is missing"):
        recorded_games(_through(games, dates[50]), dataset_digest(games).to_dict(), source="the hook", target="PTS")
