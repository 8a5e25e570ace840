from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.data.digest import dataset_digest
from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.data.sample import sample_league, write_sample
from pytest_nbaprops.data.schema import CANONICAL_COLUMNS, matchup_parts
from pytest_nbaprops.errors import DataError, SettingsError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def league() -> pd.DataFrame:
    return sample_league()


def test_same_seed_same_league() -> None:
    """A seed names one league."""
    first, again, other = (sample_league(seasons=1, players=40, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert dataset_digest(first).full != dataset_digest(other).full


def test_labelled_as_simulated(league: pd.DataFrame) -> None:
    """Names and ids cannot be taken for real ones."""
    assert league["PLAYER_NAME"].str.startswith("Simulated Player ").all()
    assert league["TEAM_NAME"].str.startswith("Simulated ").all()
    assert league["GAME_ID"].str.startswith("009").all()
    assert (league["PLAYER_ID"] > 9_000_000).all()


def test_shape_of_the_league(league: pd.DataFrame) -> None:
    """Two seasons, 30 teams with about 82 games on about 165 dates, never two on a date."""
    assert league.columns.tolist() == list(CANONICAL_COLUMNS)
    assert league["SEASON"].unique().tolist() == ["2022-23", "2023-24"]
    for _, season in league.groupby("SEASON"):
        assert 158 <= season["GAME_DATE"].nunique() <= 168
        team_games = season.drop_duplicates(["TEAM_ID", "GAME_ID"])
        assert team_games.groupby("TEAM_ID").size().between(78, 82).all()
        assert team_games.groupby("TEAM_ID").size().shape == (30,)
        assert not team_games.duplicated(["TEAM_ID", "GAME_DATE"]).any()
    sides = matchup_parts(league).assign(GAME_ID=league["GAME_ID"]).drop_duplicates()
    assert sides.groupby("GAME_ID")["HOME"].agg(["size", "sum"]).eq([2, 1]).all(axis=None)


def test_distribution_is_like_the_real_one(league: pd.DataFrame) -> None:
    """PRA, minutes and rows per game are near the real season's 17.2, 12.6, 22.5, 0.4% and 21.5."""
    pra = league["PTS"] + league["REB"] + league["AST"]
    assert 16 < pra.mean() < 19
    assert 11.5 < pra.std() < 13.5
    assert 21 < league["MIN"].mean() < 24
    assert 0.002 < (league["MIN"] == 0).mean() < 0.008
    assert 20.5 < league.groupby("GAME_ID").size().mean() < 22.5
    past = pra.groupby(league["PLAYER_ID"]).shift(1)
    last_ten = past.groupby(league["PLAYER_ID"]).transform(lambda values: values.rolling(10, min_periods=1).mean())
    assert 5.9 < (pra - last_ten).abs().mean() < 6.6


def test_box_scores_add_up(league: pd.DataFrame) -> None:
    """Points, rebounds, winners and shares are those of the counts."""
    assert (league["PTS"] == 2 * league["FGM"] + league["FG3M"] + league["FTM"]).all()
    assert (league["REB"] == league["OREB"] + league["DREB"]).all()
    for made, tried in (("FGM", "FGA"), ("FG3M", "FG3A"), ("FTM", "FTA"), ("FG3M", "FGM"), ("FG3A", "FGA")):
        assert (league[made] <= league[tried]).all()
    idle = league[league["MIN"] == 0]
    assert (idle[["PTS", "REB", "AST", "FGA"]] == 0).all(axis=None)
    points = league.pivot_table(index="GAME_ID", columns="WL", values="PTS", aggfunc="sum")
    assert (points["W"] > points["L"]).all()
    assert (league["FG_PCT"].isna() == (league["FGA"] == 0)).all()
    assert np.isfinite(league["FANTASY_PTS"]).all()


def test_players_are_traded_and_replaced(league: pd.DataFrame) -> None:
    """Some players change teams within a season, and new ones come for the next."""
    teams = league.groupby(["SEASON", "PLAYER_ID"])["TEAM_ID"].nunique()
    assert 10 <= (teams > 1).groupby("SEASON").sum().min() <= 60
    seasons = league.groupby("PLAYER_ID")["SEASON"].agg(["nunique", "min"])
    assert (seasons["min"] == "2023-24").sum() > 15
    assert (seasons["nunique"] == 2).sum() > 300


def test_many_seasons_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Each season has its own games, also the one that in the real league began in December."""
    league = sample_league(seasons=12, players=20)
    league.to_parquet(tmp_path / "league.parquet")
    pd.testing.assert_frame_equal(load_games(tmp_path / "league.parquet"), league)
    assert set(league.groupby("SEASON")["GAME_ID"].nunique()) == {82}


@pytest.mark.parametrize("players", [20, 39, 60, 100, 600])
def test_any_number_of_players(players: int) -> None:
    """Fewer players make fewer teams, more make larger ones."""
    games = sample_league(seasons=1, players=players)
    assert 0.8 * players <= games["PLAYER_ID"].nunique() <= players
    assert games["TEAM_ID"].nunique() % 2 == 0


def test_later_seasons(tmp_path: Path) -> None:
    """Seasons end with the last one asked for, and written files load as the same games."""
    for name in ("league.csv", "league.parquet"):
        games = write_sample(tmp_path / name, seasons=3, players=20, last_season="2000-01")
        assert games["SEASON"].unique().tolist() == ["1998-99", "1999-00", "2000-01"]
        pd.testing.assert_frame_equal(load_games(tmp_path / name), games)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"seasons": 0}, "found seasons 0, expected 1 to 50"),
        ({"players": 5}, "found players 5, expected 20 to 600"),
        ({"last_season": "2023"}, "found last season '2023'"),
        ({"last_season": "2023-25"}, "found last season '2023-25'"),
    ],
)
def test_impossible_leagues(arguments: dict[str, object], problem: str) -> None:
    """Numbers that give no league are refused in one line."""
    with pytest.raises(SettingsError, match=problem) as caught:
        sample_league(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_unwritable_samples(tmp_path: Path) -> None:
    """Another suffix, or a folder that is not there, is refused in one line."""
    with pytest.raises(SettingsError, match=r"the suffix '\.xlsx'"):
        write_sample(tmp_path / "league.xlsx")
    with pytest.raises(DataError, match="expected a file that can be written"):
        write_sample(tmp_path / "none" / "league.csv", seasons=1, players=20)
