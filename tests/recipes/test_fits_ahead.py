"""Fits made ahead on an executor: the same bits, in order, and never more than was asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from xgboost import XGBRegressor

from pytest_nbaprops.errors import StoreError
from pytest_nbaprops.walkforward import estimators
from pytest_nbaprops.walkforward.active import ActiveFold
from pytest_nbaprops.walkforward.candidate import Candidate
from pytest_nbaprops.walkforward.dataset import Dataset
from pytest_nbaprops.walkforward.evaluate import Resources, fits_to_make, local_fit
from pytest_nbaprops.walkforward.executor import PlannedFit, local_executor
from pytest_nbaprops.walkforward.plan import Fold, plan
from pytest_nbaprops.walkforward.windows import parse_test_window, parse_train_window
from tests.recipes.test_folds import candidate_of, dataset, resources_of

__all__ = ["dataset"]


@pytest.fixture(scope="module")
def folds(dataset: Dataset) -> tuple[Fold, ...]:
    """Six folds of three fits."""
    window = {"test": parse_test_window("last 6 dates"), "train_window": parse_train_window("expanding")}
    return plan(dataset.game_dates, step=1, refit=2, **window)  # type: ignore[arg-type] # each has its own type


@pytest.fixture(scope="module")
def candidate(dataset: Dataset, folds: tuple[Fold, ...]) -> Candidate:
    return candidate_of("advanced", dataset).planned(folds, dataset.digest)


def expecting(candidate: Candidate, folds: tuple[Fold, ...], resources: Resources) -> list[str]:
    """Expect the fits of the folds; the keys of those that are then begun, in order."""
    begun: list[str] = []

    def fit(planned: PlannedFit) -> float:
        begun.append(planned.key)
        return local_fit(planned, resources)

    resources.ahead.run_on(local_executor(1), lambda planned: partial(fit, planned))
    resources.ahead.expect(fits_to_make(candidate, folds, resources))
    return begun


def evaluated(candidate: Candidate, resources: Resources) -> list[pd.DataFrame]:
    active = [ActiveFold(state=state, candidate=candidate, resources=resources) for state in candidate.folds]
    return [fold.evaluate().predictions for fold in active]


def test_folds_are_bit_for_bit_those_of_fits_made_in_place(
    dataset: Dataset, candidate: Candidate, folds: tuple[Fold, ...], tmp_path: Path
) -> None:
    """Each fit once, in the order in which folds need them, begun by the first fold that evaluates the recipe."""
    in_place = evaluated(candidate, resources_of(dataset, tmp_path / "in-place", threads=2))
    resources = resources_of(dataset, tmp_path / "ahead")
    begun = expecting(candidate, folds, resources)
    assert begun == []
    ahead = evaluated(candidate, resources)
    assert begun == list(dict.fromkeys(candidate.fit_key(fold, dataset.digest) for fold in folds))
    assert len(begun) < len(folds)
    pd.testing.assert_frame_equal(pd.concat(ahead), pd.concat(in_place), check_exact=True)
    stored = [resources.store.fold(state.key or "") for state in candidate.folds]
    seconds = [result.details["seconds_fit"] for result in stored if result is not None]
    assert sum(took > 0 for took in seconds) == len(begun)  # the fold that a fit was made for says how long it took


def test_what_the_store_has_is_not_fitted_again(
    dataset: Dataset, candidate: Candidate, folds: tuple[Fold, ...], tmp_path: Path
) -> None:
    """Neither for a fold nor for a model that is there, unless the store is not to be believed."""
    resources = resources_of(dataset, tmp_path)
    evaluated(candidate, resources)
    assert list(fits_to_make(candidate, folds, resources)) == []
    for path in (tmp_path / "folds").glob("??/*"):
        path.unlink()
    assert list(fits_to_make(candidate, folds, resources)) == []
    fresh = replace(resources, use_cache=False, models=type(resources.models)())
    for path in (tmp_path / "models").glob("??/*"):
        path.write_bytes(b"of another session")
    begun = expecting(candidate, folds, fresh)
    evaluated(candidate, fresh)
    assert len(begun) == len(set(begun)) > 1


def test_days_without_games_make_no_other_fit(dataset: Dataset, candidate: Candidate, folds: tuple[Fold, ...]) -> None:
    """The model that is fitted after the last game is the one for the next night, whenever that is."""

    def key(**changes: Any) -> str:
        return candidate.fit_key(replace(folds[0], **changes), dataset.digest)

    played = [day.day for day in dataset.game_dates]
    last, following = max(pairwise(played), key=lambda pair: pair[1] - pair[0])
    assert following - last > timedelta(days=1)
    assert key(fitted_at=last + timedelta(days=1)) == key(fitted_at=following)
    assert len({key(fitted_at=day) for day in (last, following, following + timedelta(days=1))}) == 3
    assert key(train_start=played[0] - timedelta(days=90)) == key(train_start=played[0]) != key(train_start=played[1])


@pytest.mark.parametrize("error", [ValueError("no trees today"), StoreError("the disk is full")])
def test_a_fit_that_fails_fails_every_fold_that_asks_for_it(
    dataset: Dataset, candidate: Candidate, folds: tuple[Fold, ...], tmp_path: Path, error: Exception
) -> None:
    """With what it raised, as if it had been made in place."""
    resources = resources_of(dataset, tmp_path)

    def fit() -> float:
        raise error

    resources.ahead.run_on(local_executor(1), lambda _: fit)
    resources.ahead.expect(fits_to_make(candidate, folds, resources))
    for state in candidate.folds:
        active = ActiveFold(state=state, candidate=candidate, resources=resources)
        with pytest.raises(type(error), match=str(error)):
            active.evaluate()
        assert (active.lost is not None) == isinstance(error, StoreError)


def test_after_the_end_no_more_fits_are_begun(
    dataset: Dataset, candidate: Candidate, folds: tuple[Fold, ...], tmp_path: Path
) -> None:
    """A session that stops early leaves the rest; whoever asks still gets a model."""
    resources = resources_of(dataset, tmp_path)
    begun = expecting(candidate, folds, resources)
    resources.ahead.stop()
    assert len(evaluated(candidate, resources)) == len(folds)
    assert begun == []


def of_a_users_class() -> Any:
    return type("Mine", (XGBRegressor,), {"__module__": "conftest"})()


@pytest.mark.parametrize(
    "estimator",
    [
        Ridge(),
        of_a_users_class(),
        XGBRegressor(objective=lambda actual, predicted: (predicted - actual, actual * 0 + 1)),
    ],
    ids=["no-ubj", "class", "objective"],
)
def test_code_of_a_users_own_does_not_run_beside_other_code(estimator: Any) -> None:
    """Nor is anything made ahead whose model the store cannot keep."""
    assert not estimators.can_be_made_ahead(estimator)
    assert estimators.can_be_made_ahead(XGBRegressor(n_estimators=5))


def test_two_candidates_that_share_a_fit_share_it_ahead(
    dataset: Dataset, candidate: Candidate, folds: tuple[Fold, ...], tmp_path: Path
) -> None:
    """Whichever comes first."""
    resources = resources_of(dataset, tmp_path)
    other = replace(candidate, spec=replace(candidate.spec, name="same"))
    resources.ahead.run_on(local_executor(2), lambda planned: partial(local_fit, planned, resources))
    for each in (candidate, other):
        resources.ahead.expect(fits_to_make(each, folds, resources))
    first, second = evaluated(candidate, resources), evaluated(other, resources)
    pd.testing.assert_frame_equal(pd.concat(first), pd.concat(second), check_exact=True)
