"""What a test gets as `fold`."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.errors import FoldError, StoreError
from pytest_nbaprops.metrics.point import STATISTICS
from pytest_nbaprops.walkforward import estimators
from pytest_nbaprops.walkforward.candidate import Candidate, FoldState, made_by
from pytest_nbaprops.walkforward.dataset import Rows
from pytest_nbaprops.walkforward.evaluate import Resources, evaluate_fold, predictions_frame, stored_fold
from pytest_nbaprops.walkforward.result import FoldResult, metrics_of

METRIC_NAME = re.compile(r"[\w\-. ]+", re.ASCII)  # what every MLflow store takes
OWN_MODEL = "model = fold.fit(model); fold.record(model.predict(fold.test.X), model=model)"
TOLERANCE = 1e-6  # estimators may answer in float32, in another order of summing


class ActiveFold:
    """One fold of the walk-forward validation, as a test sees it.

    Everything used for its predictions is older than `cutoff`. Train and test rows are read when first asked for.
    """

    def __init__(self, *, state: FoldState, candidate: Candidate, resources: Resources) -> None:
        self._state, self._fold, self._candidate, self._resources = state, state.fold, candidate, resources
        self._metrics: dict[str, float] = {}
        self._model: Any = None
        self._fitted: list[Any] = []
        self._result: FoldResult | None = None
        self.problem: str | None = None
        """What the test did that gives no honest result."""
        self.lost: str | None = None
        """Why a result could not be kept."""

    def __repr__(self) -> str:
        return f"<fold {self.number} of {self._candidate.name}: {', '.join(day.isoformat() for day in self.dates)}>"

    def __reduce__(self) -> NoReturn:
        raise FoldError("a fold cannot be sent to another process; take what it needs before: X = fold.test.X")

    @property
    def number(self) -> int:
        """1, 2, 3 … in the order of the dates."""
        return self._fold.number

    @property
    def dates(self) -> tuple[dt.date, ...]:
        """The game dates tested."""
        return self._fold.dates

    @property
    def date(self) -> dt.date:
        """The first of them."""
        return self._fold.dates[0]

    @property
    def cutoff(self) -> dt.date:
        """First test date: everything used is older."""
        return self._fold.cutoff

    @property
    def fitted_at(self) -> dt.date:
        """Cutoff of the fit that this fold shares."""
        return self._fold.fitted_at

    @cached_property
    def train(self) -> Rows:
        """`.X`, `.y` and `.keys` of the training rows: before `fitted_at`, inside the window."""
        return self._train_as_it_is()

    @cached_property
    def test(self) -> Rows:
        """`.X`, `.y` and `.keys` of the rows to predict; a copy, which a test may change."""
        rows = self._rows
        return replace(rows, X=rows.X.copy(), y=rows.y.copy(), keys=rows.keys.copy(), baseline=rows.baseline.copy())

    @cached_property
    def _rows(self) -> Rows:
        """The rows to predict as they are, for what is kept."""
        return self._resources.dataset.test(self._fold, self._candidate.columns, self._candidate.groups)

    @property
    def fits_all(self) -> bool:
        """Whether a model was asked for that is fitted on `train` as it is."""
        return bool(self._fitted)

    @property
    def result(self) -> FoldResult | None:
        return self._result

    def sealed(self, hand_over: Path) -> str | None:
        """Seal what the fold left behind and give its key; None where there is nothing, or it could not be kept.

        The recipe's result lies in the store already. What the test adds is sealed beside it: metrics of its own, or
        predictions of its own and the estimator that it handed over, of which a copy is left in `hand_over`.
        """
        if self._result is None or (self._result.key is not None and not self._metrics):
            return None if self._result is None else self._result.key
        by_recipe = self._result.key is not None
        who = made_by(self._resources.session, self._candidate.name)
        details = {"made_by": who, **self._result.details, "own": dict(self._metrics), "recorded_by": who}
        if by_recipe:
            details["recipe"] = self._result.key
        elif (problem := self.model_problem()) is not None:
            details["unregistrable"] = problem
        elif self._model is not None:
            details["estimator"] = estimators.hand_over(self._model, hand_over)
        result = FoldResult(predictions=self._result.predictions, details=details)
        key = self._candidate.own_key(self._fold, self._resources.dataset.digest, result)
        try:
            self._resources.store.keep_fold(key, result)
        except StoreError as error:
            self.lost = str(error)
            return None
        return key

    def model_problem(self) -> str | None:
        """Why the model given to `record` is not what was judged, so that it must not be registered; None if it is.

        What is registered is a copy of it, fitted on `train` of all dates: its own predictions have to be the recorded
        ones, and so have those of a copy fitted on this fold's `train`.
        """
        if self._result is None or self._model is None:
            return None
        recorded, name = self._result.predictions["predicted"].to_numpy(), type(self._model).__name__
        if not _same(recorded, lambda: estimators.predict(self._model, self._rows, threads=self._resources.threads)):
            return f"{name} was handed over, but it does not make the recorded predictions"
        if any(self._model is fitted for fitted in self._fitted) or _same(recorded, self._refitted):
            return None
        return (
            f"{name}, fitted on fold.train, does not make the recorded predictions; fit it by "
            "fold.fit(model), with its preprocessing in a pipeline"
        )

    def _refitted(self) -> npt.NDArray[np.float64]:
        threads, seed = self._resources.threads, self._candidate.spec.seed
        unfitted = estimators.prepared(self._model, seed=seed, threads=threads)
        model = estimators.fit(unfitted, self._train_as_it_is(), threads=threads)
        return estimators.predict(model, self._rows, threads=threads)

    def log(self, **metrics: float) -> None:
        """Log metrics of one's own for this fold; their mean over the folds can be a criterion.

        Raises:
            FoldError: a value is not a number, or a name is one of the plugin's own or one that MLflow refuses.
        """
        for name, value in metrics.items():
            if name in STATISTICS or not METRIC_NAME.fullmatch(name):
                own = ", ".join(STATISTICS)
                raise self._refused(f"log({name}=…): a name is letters, digits, _, -, . and spaces, and none of {own}")
            try:
                self._metrics[name] = float(value)
            except (TypeError, ValueError):
                raise self._refused(f"log({name}={value!r}) is not a number") from None

    def fit(self, model: Any) -> Any:
        """A copy of a scikit-learn style estimator, fitted on `train` as it is; folds that share a fit share it.

        Seeds and thread counts that the estimator leaves open are set from the session's.

        Raises:
            FoldError: it is not a scikit-learn style estimator.
        """
        threads = self._resources.threads
        unfitted = estimators.prepared(model, seed=self._candidate.spec.seed, threads=threads)
        key = self._candidate.fit_key(
            self._fold, self._resources.dataset.digest, estimator=estimators.estimator_digest(unfitted)
        )
        model = self._resources.model(key, lambda: estimators.fit(unfitted, self._train_as_it_is(), threads=threads))
        self._fitted.append(model)
        return model

    def _train_as_it_is(self) -> Rows:
        """What a test has done to `train` must not be shared with the other folds of the fit."""
        return self._resources.dataset.train(self._fold, self._candidate.columns)

    def evaluate(self, *own: object) -> FoldResult:
        """Fit or reuse the recipe's model, predict the fold and record it; an unchanged fold comes from the store.

        Raises:
            FoldError: the test names no recipe, gives a model of its `own`, or the fold was recorded before.
        """
        if own:
            raise self._refused(f"evaluate() takes nothing, it is for the recipe's model; one of your own: {OWN_MODEL}")
        if self._candidate.recipe is None:
            raise self._refused(
                "evaluate() needs a recipe: name one with @pytest.mark.walk_forward(recipe=...) (nbaprops_recipe is "
                "for the built-in suite), or predict yourself and use fold.record(predictions)"
            )
        self._once()
        self._resources.ahead.start(self._candidate.name)
        key = self._state.key or self._candidate.fold_key(self._fold, self._resources.dataset.digest)
        result = stored_fold(self._fold, key, self._resources)
        if result is None:
            try:
                result = evaluate_fold(self._candidate, self._fold, key, self._rows, self._resources)
            except StoreError as error:
                # A result that cannot be stored says nothing against the model: the fold is missing, not failed.
                self.lost = str(error)
                raise
        return self._keep(result)

    def record(self, predictions: npt.ArrayLike | pd.Series[float], model: Any = None) -> FoldResult:
        """Record predictions for the rows of `test`, in their order (a Series is matched by its index).

        Args:
            predictions: one number per row of `test`.
            model: the estimator that made them; without it the candidate can be judged but not registered, and with
                one that would not make them neither.

        Raises:
            FoldError: wrong length or shape, not numbers, a foreign index, or the fold was recorded before.
        """
        self._once()
        values = self._values(predictions)
        self._model = model
        details: dict[str, Any] = {"importance": dict(estimators.importance(model, self._candidate.columns))}
        frame = predictions_frame(self._rows, values)
        details["metrics"] = metrics_of(frame, details)
        return self._keep(FoldResult(predictions=frame, details=details))

    def _once(self) -> None:
        if self._result is not None:
            raise self._refused("was recorded before: call evaluate() or record() once per fold")

    def _keep(self, result: FoldResult) -> FoldResult:
        self._result = result
        frame = result.predictions.copy()  # what a test does to what it gets changes nothing
        frame.insert(3, "PLAYER_NAME", self._resources.dataset.games["PLAYER_NAME"].loc[self.test_index].to_numpy())
        details = {**result.details, "metrics": dict(result.metrics)}
        return replace(result, predictions=frame, details=details)

    @property
    def test_index(self) -> pd.Index[Any]:
        """Row labels of the games to predict."""
        dataset = self._resources.dataset
        return dataset.games.index[dataset.tested(self._fold)]

    def _values(self, predictions: Any) -> npt.NDArray[np.float64]:
        count = len(self.test_index)
        if isinstance(predictions, pd.DataFrame) and predictions.shape[1] == 1:
            predictions = predictions.iloc[:, 0]
        if isinstance(predictions, pd.Series):
            own, index = predictions.index, self.test_index
            if not (own.equals(index) or own.equals(pd.RangeIndex(count))):
                if not own.is_unique or set(own) != set(index):
                    raise self._refused(
                        "record() got a Series whose index is not that of fold.test.X; use the same index"
                    )
                predictions = predictions.reindex(index)
        values = self._numbers(predictions)
        if values.ndim == 2 and values.shape[1] == 1:  # noqa: PLR2004 - a column vector, as some estimators return
            values = values[:, 0]
        if values.shape != (count,):
            raise self._refused(
                f"record() got predictions of shape {values.shape}, but the fold has {count} rows to predict; "
                "predict every row of fold.test.X, in its order"
            )
        return values

    def _numbers(self, predictions: Any) -> npt.NDArray[np.float64]:
        """As float64; what would lose its mask, its imaginary part or its unit on the way is refused."""
        try:
            given = np.asanyarray(predictions)
            lossy = given.dtype.kind in "cmM" or np.ma.is_masked(given)
            values = None if lossy else np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            values = None
        if values is None:
            way_out = f"; give what it predicts: {OWN_MODEL}" if hasattr(predictions, "predict") else ""
            raise self._refused(f"record() got predictions that are not numbers{way_out}")
        return values

    def _refused(self, problem: str) -> FoldError:
        """An error that counts even if the test catches it."""
        self.problem = problem
        return FoldError(f"fold {self.date} of {self._candidate.name}: {problem}")


def _same(recorded: npt.NDArray[np.float64], predict: Callable[[], npt.NDArray[np.float64]]) -> bool:
    """Whether these are the recorded predictions; not so where they cannot be made."""
    try:
        return bool(np.allclose(predict(), recorded, rtol=TOLERANCE, atol=TOLERANCE))
    except Exception:  # noqa: BLE001 - a user's estimator may raise anything
        return False
