"""Fit and predict one fold of a recipe, or take it from the store."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.metrics.side import side_sums
from pytest_nbaprops.walkforward import estimators
from pytest_nbaprops.walkforward.candidate import Candidate, made_by
from pytest_nbaprops.walkforward.dataset import Dataset, Rows
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
    started = time.perf_counter()
    model = resources.model(fit_key, lambda: _fitted(candidate, fold, fit_key, resources))
    fitted = time.perf_counter()
    predictions = predictions_frame(rows, estimators.predict(model, rows, threads=resources.threads))
    details: dict[str, Any] = {
        "fit_key": fit_key,
        "seconds_fit": fitted - started,
        "seconds_predict": time.perf_counter() - fitted,
        "importance": dict(estimators.importance(model, candidate.columns)),
        "side": _side(model, rows, resources),
        "made_by": made_by(resources.session, candidate.name),
    }
    details["metrics"] = metrics_of(predictions, details)
    result = FoldResult(predictions=predictions, details=details, key=key)
    resources.store.keep_fold(key, result)
    return result


def _side(model: Any, rows: Rows, resources: Resources) -> dict[str, list[float]]:
    """Sums for the metrics of what the model predicts beside the target; its outcome is looked up afterwards."""
    predicted = estimators.side_predictions(model, rows, threads=resources.threads)
    outcomes = {name: resources.dataset.games[model.side_targets[name]].loc[rows.y.index] for name in predicted}
    return {name: side_sums(outcomes[name].to_numpy(), values) for name, values in predicted.items()}


def predictions_frame(rows: Rows, predicted: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Keys, actual, predicted and baseline, a fresh index."""
    values = {"actual": rows.y.to_numpy(), "predicted": predicted, "baseline": rows.baseline.to_numpy()}
    return rows.keys.assign(**values).reset_index(drop=True)


def fit_recipe(candidate: Candidate, rows: Rows, *, threads: int) -> Any:
    """The candidate's recipe fitted on these rows."""
    if candidate.recipe is None:
        raise ValueError(f"{candidate.name} brings its own estimator")
    estimator = estimators.prepared(candidate.recipe.estimator, seed=candidate.spec.seed, threads=threads)
    return estimators.fit(estimator, rows, threads=threads)


def _fitted(candidate: Candidate, fold: Fold, fit_key: str, resources: Resources) -> Any:
    if candidate.recipe is not None and resources.use_cache:
        content = resources.store.model(fit_key)
        if content is not None:
            estimator = estimators.prepared(
                candidate.recipe.estimator, seed=candidate.spec.seed, threads=resources.threads
            )
            return estimators.from_bytes(estimator, content)
    model = fit_recipe(candidate, resources.dataset.train(fold, candidate.columns), threads=resources.threads)
    content = estimators.to_bytes(model)
    if content is not None:
        resources.store.keep_model(fit_key, content)
    return model
