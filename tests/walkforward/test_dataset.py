"""The session's data: training rows, test rows, and what is known when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.data.digest import dataset_digest
from pytest_nbaprops.data.sample import sample_league
from pytest_nbaprops.data.schema import OUTCOME_COLUMNS
from pytest_nbaprops.features.build import build_features
from pytest_nbaprops.features.catalog import builtin_groups
from pytest_nbaprops.features.group import feature_group
from pytest_nbaprops.walkforward.dataset import Dataset, read_dataset, targets_of, write_dataset
from pytest_nbaprops.walkforward.plan import Fold, plan
from pytest_nbaprops.walkforward.windows import parse_test_window, parse_train_window

TARGET = ("PTS", "REB", "AST")
GROUPS = builtin_groups()


def dataset_of(games: pd.DataFrame, folder: Path) -> Dataset:
    folder.mkdir(exist_ok=True)
    write_dataset(folder, games, build_features(games, GROUPS).frame, targets_of(games, TARGET))
    return read_dataset(folder, digest=dataset_digest(games), target_columns=TARGET, root=folder)


def folds_of(dataset: Dataset, step: int) -> tuple[Fold, ...]:
    return plan(
        dataset.game_dates,
        test=parse_test_window("last 12 dates"),
        step=step,
        refit=7,
        train_window=parse_train_window("expanding"),
    )


@pytest.fixture(scope="module")
def games() -> pd.DataFrame:
    return sample_league(seasons=1, players=40)


@pytest.fixture(scope="module")
def dataset(games: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset_of(games, tmp_path_factory.mktemp("data"))


def columns(dataset: Dataset) -> list[str]:
    return list(dataset.features.columns)


def test_training_rows_are_older_than_the_fit(dataset: Dataset) -> None:
    """And the test rows are those of the fold's dates."""
    for fold in folds_of(dataset, 1):
        train, test = dataset.train(fold, columns(dataset)), dataset.test(fold, columns(dataset), GROUPS)
        assert train.keys["GAME_DATE"].max() < pd.Timestamp(fold.fitted_at)
        assert set(test.keys["GAME_DATE"]) == {pd.Timestamp(day) for day in fold.dates}
        assert train.y.notna().all()


@pytest.mark.parametrize("step", [1, 3])
def test_nothing_of_the_fold_or_later_moves_its_features(
    games: pd.DataFrame, dataset: Dataset, tmp_path: Path, step: int
) -> None:
    """Outcomes from the cutoff on do not change a bit of the fold's features or baseline, also in longer folds."""
    fold = folds_of(dataset, step)[1]
    changed = games.copy()
    later = changed["GAME_DATE"] >= pd.Timestamp(fold.cutoff)
    numbers = [name for name in OUTCOME_COLUMNS if name in changed and name != "WL"]
    changed.loc[later, numbers] = changed.loc[later, numbers] * 3 + 1
    other = dataset_of(changed, tmp_path / "other")
    ours = dataset.test(fold, columns(dataset), GROUPS)
    theirs = other.test(fold, columns(dataset), GROUPS)
    pd.testing.assert_frame_equal(ours.X, theirs.X, check_exact=True)
    pd.testing.assert_series_equal(ours.baseline, theirs.baseline, check_exact=True)
    assert not np.array_equal(ours.y, theirs.y)


def test_columns_of_ones_own_are_empty_in_a_fold_of_several_dates(games: pd.DataFrame, dataset: Dataset) -> None:
    """What nobody has said to be known before the game is not known of the fold's earlier dates either."""

    @feature_group(tier="core")
    def last_target(games: pd.DataFrame) -> pd.DataFrame:
        return games.groupby("PLAYER_ID")["PRA"].shift(1).to_frame("last_target")

    own = games.assign(PRA=games["PTS"] + games["REB"] + games["AST"])
    features = build_features(own, [last_target]).frame
    fold = folds_of(dataset, 3)[1]
    known = replace(dataset, games=own, features=features)
    played_before = known.test(fold, ["last_target"], [last_target]).X["last_target"].notna()
    unknown = replace(known, undeclared=("PRA",)).test(fold, ["last_target"], [last_target])
    earlier = unknown.keys["GAME_DATE"] == pd.Timestamp(fold.cutoff)
    again = unknown.keys["PLAYER_ID"].isin(unknown.keys["PLAYER_ID"][earlier]) & ~earlier
    assert again.any()
    assert played_before[again].all()
    assert unknown.X["last_target"][again].isna().all()


def test_rows_not_yet_played_are_neither_trained_nor_tested(games: pd.DataFrame, tmp_path: Path) -> None:
    """A date with empty outcomes is no test date."""
    scheduled = games.copy()
    last = scheduled["GAME_DATE"] == scheduled["GAME_DATE"].max()
    scheduled.loc[last, [name for name in OUTCOME_COLUMNS if name in scheduled]] = None
    dataset = dataset_of(scheduled, tmp_path / "scheduled")
    assert dataset.game_dates[-1].day < scheduled["GAME_DATE"].max().date()
    assert dataset.features.loc[last].notna().any().any()


def test_expected_rows_are_all_player_games_of_the_folds(games: pd.DataFrame, dataset: Dataset) -> None:
    """Nothing is left out."""
    folds = folds_of(dataset, 1)
    expected = dataset.expected(folds)
    days = [pd.Timestamp(day) for fold in folds for day in fold.dates]
    assert len(expected) == games["GAME_DATE"].isin(days).sum()
