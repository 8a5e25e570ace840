"""A candidate, from the plan to the decision, and the keys under which its fits and folds are stored."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_nbaprops.data.digest import DatasetDigest
from pytest_nbaprops.data.schema import KEY_COLUMNS
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.features.lineage import Lineage
from pytest_nbaprops.metrics.side import side_metrics
from pytest_nbaprops.recipes.catalog import Recipe
from pytest_nbaprops.walkforward.estimators import RECIPE
from pytest_nbaprops.walkforward.plan import Fold
from pytest_nbaprops.walkforward.result import FoldResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAME_AS = {"xgboost": ("xgboost-cpu",)}
LIBRARIES = ("pytest-nbaprops", "numpy", "pandas", "pyarrow", "scikit-learn", "xgboost")
ROOMS = ("data", "features", "recipes", "metrics", "walkforward")
OWN_DETAILS = ("recipe", "estimator", "unregistrable", "recorded_by", "made_by")


@dataclass(frozen=True, kw_only=True)
class CandidateSpec:
    """What the settings and the marker say of a candidate; exact builtins, so that it travels.

    Attributes:
        name: `test_two_stage[two_stage]`, or just the recipe in the built-in suite.
        recipe: its name; None for a test that brings its own estimator.
        code: digest of the test function, which is part of what its own estimator depends on; None if built in.
    """

    name: str
    recipe: str | None
    params: Mapping[str, Any]
    features: str | None
    test: str
    train_window: str
    step: int
    refit: int
    seed: int
    criteria: tuple[str, ...]
    code: str | None

    def to_dict(self) -> dict[str, Any]:
        plain = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {**plain, "params": dict(self.params), "criteria": list(self.criteria)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> CandidateSpec:
        return cls(**{**plain, "criteria": tuple(plain["criteria"])})


@dataclass(kw_only=True)
class FoldState:
    """One planned fold of a candidate, and what became of it.

    Attributes:
        nodeid: the test that runs it.
        key: under which the recipe's result lies in the fold store; None for a test that brings its own estimator.
        collected: whether its test was selected.
        failure: of its test, or of what it recorded.
        missing: why there is no result that could be trusted.
    """

    fold: Fold
    nodeid: str = ""
    key: str | None = None
    collected: bool = False
    result: FoldResult | None = None
    failure: str | None = None
    missing: str | None = None

    @property
    def reason_missing(self) -> str | None:
        """Why the fold counts as missing; None if it was evaluated or failed."""
        if self.failure is not None:
            return None
        if self.missing is None and self.result is None:
            return "did not run" if self.collected else "not selected"
        return self.missing


@dataclass(kw_only=True, eq=False)
class Candidate:
    """A test function and a recipe for one target, from the plan to the decision.

    First it has a spec with its names looked up: target, groups, columns and, unless the test brings its own
    estimator, the recipe. `planned` gives it folds and an identity, reports fill the folds, and the gate its decision.
    `undeclared` are the columns of the games that are empty in the rows to predict of folds of several dates. `around`
    says whether code of the project's runs around its fits, in a test, a hook or a patch: what was made so is no one
    else's.
    """

    spec: CandidateSpec
    target: str
    groups: tuple[FeatureGroup, ...]
    columns: tuple[str, ...]
    lineage: Lineage
    recipe: Recipe | None
    undeclared: tuple[str, ...] = ()
    around: bool = False
    folds: list[FoldState] = field(default_factory=list)
    identity: str = ""
    """Same candidate, same data, same folds: same identity, in any session, known before the first fit."""
    _fit_keys: dict[object, str] = field(default_factory=dict, init=False, repr=False)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def plan(self) -> tuple[Fold, ...]:
        """Its folds as they were planned."""
        return tuple(state.fold for state in self.folds)

    @property
    def dates(self) -> list[date]:
        """All tested dates, oldest first."""
        return [day for state in self.folds for day in state.fold.dates]

    @property
    def codes(self) -> dict[str, str | None]:
        """Digests of the code that its results are bound to: the groups' and the recipe's, or its own test's."""
        if self.recipe is None:
            return {"its test": self.spec.code}
        groups = {f"the feature group {group.name}": group.code for group in self.lineage.groups}
        return {**groups, "the recipe": self.recipe.code_digest}

    # keys

    @property
    def made_of(self) -> str:
        """As the function `made_of` tells it."""
        recipe = self.recipe.identity() if self.recipe else None
        return made_of(self.spec.to_dict(), self.target, self.lineage, recipe)

    def planned(
        self,
        folds: Sequence[Fold],
        digest: DatasetDigest,
        nodeids: Sequence[str] | None = None,
        *,
        around: bool = False,
    ) -> Candidate:
        """The same candidate with folds to run, their keys and the tests that run them, `around` as above."""
        candidate = replace(self, around=around)
        candidate._fit_keys = self._fit_keys  # noqa: SLF001 - what was asked of it so far
        keys = [candidate.fold_key(fold, digest) if self.recipe else None for fold in folds]
        tests = nodeids if nodeids is not None else [""] * len(folds)
        states = [
            FoldState(fold=fold, nodeid=nodeid, key=key) for fold, nodeid, key in zip(folds, tests, keys, strict=True)
        ]
        identity = content_key(
            {
                "spec": {**self.spec.to_dict(), "criteria": None},
                "target": self.target,
                "features": self.lineage.to_dict(),
                "estimator": self.recipe.identity() if self.recipe else None,
                "folds": [fold.to_dict() for fold in folds],
                "data": digest.through(folds[-1].dates[-1]),
                "libraries": libraries(),
            }
        )
        candidate.folds, candidate.identity = states, identity
        return candidate

    def fit_key(self, fold: Fold, digest: DatasetDigest, estimator: str | None = None) -> str:
        """Everything that decides a fitted model: data before the fit, window, features, estimator, libraries.

        Days without a game do not count: the model that was registered last night is the one for the next night.
        `estimator` is the content digest of an estimator that the test brings; None means the recipe's.
        """
        known = (fold.fitted_at, fold.train_start, digest.full, estimator, self.around)
        if known not in self._fit_keys:
            self._fit_keys[known] = content_key(
                {
                    "data": digest.before(fold.fitted_at),
                    "since": digest.first_date(fold.train_start),
                    "target": self.target,
                    "features": self.lineage.to_dict(),
                    "estimator": estimator or (self.recipe.identity() if self.recipe else None),
                    "seed": self.spec.seed,
                    "libraries": libraries(),
                    **({"around": True} if self.around else {}),
                }
            )
        return self._fit_keys[known]

    def fold_key(self, fold: Fold, digest: DatasetDigest) -> str:
        """The recipe's fit, the fold's dates and all data through them.

        The rows of the fold alone would not do: features of a date read every earlier one, also those after the fit.
        """
        dates = [day.isoformat() for day in fold.dates]
        emptied = {"undeclared": list(self.undeclared)} if len(dates) > 1 and self.undeclared else {}
        data = digest.through(fold.dates[-1])
        return content_key({"fit": self.fit_key(fold, digest), "dates": dates, "data": data, **emptied})

    def own_key(self, fold: Fold, digest: DatasetDigest, result: FoldResult) -> str:
        """Key of a result that is the test's own: its content, bound to this candidate and this fold."""
        details = {name: result.details.get(name) for name in OWN_DETAILS}
        return content_key(
            {
                "fold": fold.to_dict(),
                "candidate": self.name,
                "code": self.spec.code,
                "predictions": [repr(value) for value in result.predictions["predicted"].tolist()],
                "details": {**details, "own": {name: repr(value) for name, value in result.own.items()}},
                "data": digest.through(fold.dates[-1]),
            }
        )

    def asked_for(self, state: FoldState, digest: DatasetDigest, result: FoldResult, session: str) -> bool:
        """Whether a result is the one that the plan asks for: the recipe's, or the test's own of this session."""
        if result.key is None or result.key == state.key:
            return result.key is not None
        mine = result.details.get("recorded_by") == made_by(session, self.name)
        return mine and result.key == self.own_key(state.fold, digest, result)

    # results

    @property
    def evaluated(self) -> list[tuple[FoldState, FoldResult]]:
        """Folds with a result, whatever their test thought of it."""
        return [(state, state.result) for state in self.folds if state.result is not None]

    def predictions(self) -> pd.DataFrame | None:
        """Predictions of all folds that have some, with candidate and fold, in the order of the games."""
        frames = [result.predictions.assign(fold=state.fold.number) for state, result in self.evaluated]
        if not frames:
            return None
        table = pd.concat(frames, ignore_index=True)
        table.insert(0, "candidate", self.name)
        table.insert(1, "fold", table.pop("fold"))
        return table

    def predicted(self) -> str | None:
        """SHA-256 of all that was predicted, whatever it hangs on; None without predictions."""
        predictions = self.predictions()
        if predictions is None:
            return None
        return array_digest(predictions.sort_values(list(KEY_COLUMNS))["predicted"].to_numpy(np.float64))

    def own_metrics(self) -> dict[str, float]:
        """Mean over the folds of each metric that the test logged; NaN unless every fold logged it."""
        results = [result for _, result in self.evaluated]
        names = sorted({name for result in results for name in result.own})
        return self.side_metrics() | {
            name: fmean(values) if len(values) == len(self.folds) else math.nan
            for name in names
            if (values := [result.own[name] for result in results if name in result.own])
        }

    def side_metrics(self) -> dict[str, float]:
        """Metrics of what the recipe predicts beside the target, over all rows: `mae_minutes`, `r2_minutes`."""
        sums = [result.details.get("side", {}) for _, result in self.evaluated]
        return side_metrics(sums) if any(sums) else {}

    def estimator(self) -> tuple[str | None, str | None]:
        """Digest of the estimator that every fold was recorded with, RECIPE, or why there is not one."""
        results = [state.result for state in self.folds]
        if problem := next((r.details["unregistrable"] for r in results if r and "unregistrable" in r.details), None):
            return None, problem
        digests = {self._estimator_of(state) for state in self.folds}
        if digests == {None}:
            return None, "the test records predictions without their model: fold.record(predictions, model=model)"
        if len(digests) > 1:
            return None, "the test records another model, or none, in some folds"
        return digests.pop(), None

    def _estimator_of(self, state: FoldState) -> str | None:
        if state.result is None:
            return None
        by_recipe = state.key is not None and state.key in (state.result.key, state.result.details.get("recipe"))
        handed_over: str | None = state.result.details.get("estimator")
        return RECIPE if by_recipe else handed_over


def made_by(session: str, candidate: str) -> str:
    """Who made a result: a candidate of a session, whose folder has a name of its own."""
    return f"{session}:{candidate}"


def made_of(spec: Mapping[str, Any], target: str, lineage: Lineage, recipe: Mapping[str, Any] | None) -> str:
    """Short identity of what a candidate is, whatever data it learns from and on whatever dates it is tested."""
    parts = {"spec": {**spec, "test": None, "criteria": None}, "target": target, "features": lineage.to_dict()}
    return content_key({**parts, "estimator": recipe})[:16]


def content_key(parts: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def array_digest(numbers: NDArray[Any]) -> str:
    """SHA-256 of an array's values."""
    return hashlib.sha256(np.ascontiguousarray(numbers).tobytes()).hexdigest()


@cache
def libraries() -> dict[str, str]:
    """Versions of Python and of the libraries that can move a result; of this one with its code: checkouts differ."""
    versions = {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}
    return {**versions, LIBRARIES[0]: f"{versions[LIBRARIES[0]]}+{_own_code()}"}


def _own_code() -> str:
    """Short SHA-256 of the rooms of this package that make predictions."""
    package = Path(__file__).parents[1]
    files = sorted(path for room in ROOMS for path in (package / room).glob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:12]


def _version(name: str) -> str:
    for distribution in (name, *SAME_AS.get(name, ())):
        with contextlib.suppress(PackageNotFoundError):
            return version(distribution)
    return "unknown"  # run from a checkout that is not installed
