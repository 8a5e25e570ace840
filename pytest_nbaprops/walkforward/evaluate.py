"""Fit and predict one fold of a recipe, or take it from the store."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.metrics.side import side_sums
from pytest_nbaprops.recipes.parameters import seeded
from pytest_nbaprops.walkforward import estimators
from pytest_nbaprops.walkforward.candidate import Candidate, made_by
from pytest_nbaprops.walkforward.dataset import Dataset, Rows
from pytest_nbaprops.walkforward.executor import FitsAhead, PlannedFit
from pytest_nbaprops.walkforward.plan import Fold
from pytest_nbaprops.walkforward.result import FoldResult, metrics_of
from pytest_nbaprops.walkforward.store import FoldStore

MODELS_IN_MEMORY = 8


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a process needs to work on folds: data, store, its share of the cores and the models fitted so far.

    `session` is the name of the session's folder, by which its own results are told from those of earlier ones.
    """

    dataset: Dataset
    store: FoldStore
    threads: int
    use_cache: bool
    session: str
    models: OrderedDict[str, Any] = field(default_factory=OrderedDict)
    ahead: FitsAhead = field(default_factory=FitsAhead)

    def model(self, key: str, make: Callable[[], Any]) -> Any:
        """The model under this key, made once; the ones used longest ago are let go."""
        if key not in self.models:
            self.models[key] = make()
        self.models.move_to_end(key)
        while len(self.models) > MODELS_IN_MEMORY:
            self.models.popitem(last=False)
        return self.models[key]


def stored_fold(fold: Fold, key: str, resources: Resources) -> FoldResult | None:
    """The fold from the store, if caching is on and its rows are exactly the rows to predict."""
    if not resources.use_cache:
        return None
    found = resources.store.fold(key)
    if found is None or not resources.dataset.covered_by(found.predictions, fold):
        return None
    return replace(found, cached=True)


def evaluate_fold(candidate: Candidate, fold: Fold, key: str, rows: Rows, resources: Resources) -> FoldResult:
    """Fit the recipe (or take the model that this fit already has), predict the fold and keep the result."""
    fit_key = candidate.fit_key(fold, resources.dataset.digest)
    model, seconds = fitted_model(candidate, fold, resources)
    fitted = time.perf_counter()
    predictions = predictions_frame(rows, estimators.predict(model, rows, threads=resources.threads))
    seconds_predict = time.perf_counter() - fitted
    importance = dict(estimators.importance(model, candidate.columns))
    # Sums for the metrics of what the model predicts beside the target; its outcome is looked up afterwards.
    beside = estimators.side_predictions(model, rows, threads=resources.threads)
    outcomes = {name: resources.dataset.games[model.side_targets[name]].loc[rows.y.index] for name in beside}
    details: dict[str, Any] = {
        "fit_key": fit_key,
        "seconds_fit": seconds,
        "seconds_predict": seconds_predict,
        "importance": importance,
        "side": {name: side_sums(outcomes[name].to_numpy(), values) for name, values in beside.items()},
        "made_by": made_by(resources.session, candidate.name),
    }
    details["metrics"] = metrics_of(predictions, details)
    result = FoldResult(predictions=predictions, details=details, key=key)
    resources.store.keep_fold(key, result)
    return result


def predictions_frame(rows: Rows, predicted: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Keys, actual, predicted and baseline, a fresh index."""
    values = {"actual": rows.y.to_numpy(), "predicted": predicted, "baseline": rows.baseline.to_numpy()}
    return rows.keys.assign(**values).reset_index(drop=True)


def fitted_model(candidate: Candidate, fold: Fold, resources: Resources) -> tuple[Any, float]:
    """The candidate's recipe fitted for this fold, and the seconds it took now or ahead; 0 for one in memory."""
    key = candidate.fit_key(fold, resources.dataset.digest)
    in_memory = key in resources.models
    started = time.perf_counter()
    ahead = 0.0 if in_memory else resources.ahead.wait(key)

    def make() -> Any:
        content = resources.store.model(key) if resources.use_cache or ahead is not None else None
        if content is not None:
            return estimators.from_bytes(unfitted(candidate, resources.threads), content)
        return fit_into_store(candidate, fold, resources, threads=resources.threads)

    model = resources.model(key, make)
    return model, time.perf_counter() - started if ahead is None else ahead


def fit_into_store(candidate: Candidate, fold: Fold, resources: Resources, *, threads: int) -> Any:
    """Fit the recipe and leave the model in the store, if it can be kept there."""
    estimator = unfitted(candidate, threads)
    rows = resources.dataset.train(fold, candidate.columns, estimators.width_of(estimator))
    model = estimators.fit(estimator, rows, threads=threads)
    content = estimators.to_bytes(model)
    if content is not None:
        resources.store.keep_model(candidate.fit_key(fold, resources.dataset.digest), content)
    return model


def local_fit(planned: PlannedFit, resources: Resources) -> float:
    """Make a planned fit on its share of this process's threads; the seconds it took."""
    started = time.perf_counter()
    fit_into_store(planned.candidate, planned.fold, resources, threads=resources.ahead.share(resources.threads))
    return time.perf_counter() - started


def fits_to_make(candidate: Candidate, folds: Sequence[Fold], resources: Resources) -> Iterator[PlannedFit]:
    """The fits of these folds, each once and in their order, that the store does not have and that can be made ahead.

    Only models that the store can keep, and whose fit runs no code but the library's: what else a user's estimator
    does while it fits may not bear company.
    """
    if candidate.recipe is None or not estimators.can_be_made_ahead(candidate.recipe.estimator):
        return
    digest, store, seen = resources.dataset.digest, resources.store, set[str]()
    for fold in folds:
        key = candidate.fit_key(fold, digest)
        known = resources.use_cache and (store.has_fold(candidate.fold_key(fold, digest)) or store.has_model(key))
        if not known and key not in seen:
            seen.add(key)
            yield PlannedFit(candidate=candidate, fold=fold, key=key)


def unfitted(candidate: Candidate, threads: int) -> Any:
    """A fresh copy of the recipe's estimator, with the candidate's seed and so many threads."""
    if candidate.recipe is None:
        raise ValueError(f"{candidate.name} brings its own estimator")
    from sklearn.base import clone  # noqa: PLC0415 - scikit-learn is slow to import

    return seeded(clone(candidate.recipe.estimator), seed=candidate.spec.seed, threads=threads)
