"""A candidate: what is walked forward, and the keys under which its fits and folds are stored."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pytest_nbaprops.data.digest import DatasetDigest
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.features.lineage import Lineage
from pytest_nbaprops.recipes.catalog import Recipe
from pytest_nbaprops.walkforward.plan import Fold

LIBRARIES = ("pytest-nbaprops", "numpy", "pandas", "pyarrow", "scikit-learn", "xgboost")


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


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A spec with its names looked up: groups, columns and, unless the test brings its own, the recipe."""

    spec: CandidateSpec
    target: str
    groups: tuple[FeatureGroup, ...]
    columns: tuple[str, ...]
    lineage: Lineage
    recipe: Recipe | None

    @property
    def name(self) -> str:
        return self.spec.name

    def fit_key(self, fold: Fold, digest: DatasetDigest, estimator: str | None = None) -> str:
        """Everything that decides a fitted model: data before the fit, window, features, estimator, libraries.

        `estimator` is the content digest of an estimator that the test brings; None means the recipe's.
        """
        return content_key(
            {
                "data": digest.before(fold.fitted_at),
                "fitted_at": fold.fitted_at.isoformat(),
                "train_start": fold.train_start.isoformat(),
                "target": self.target,
                "features": self.lineage.to_dict(),
                "estimator": estimator or self._recipe_identity(),
                "seed": self.spec.seed,
                "libraries": libraries(),
            }
        )

    def fold_key(self, fold: Fold, digest: DatasetDigest) -> str:
        """The recipe's fit, the fold's dates and all data through them.

        The rows of the fold alone would not do: features of a date read every earlier one, also those after the fit.
        """
        dates = [day.isoformat() for day in fold.dates]
        return content_key({"fit": self.fit_key(fold, digest), "dates": dates, "data": digest.through(fold.dates[-1])})

    def identity(self, folds: Sequence[Fold], digest: DatasetDigest) -> str:
        """Same candidate, same data, same folds: same identity, in any session, known before the first fit."""
        return content_key(
            {
                "spec": {**self.spec.to_dict(), "criteria": None},
                "target": self.target,
                "features": self.lineage.to_dict(),
                "estimator": self._recipe_identity(),
                "folds": [fold.to_dict() for fold in folds],
                "data": digest.through(folds[-1].dates[-1]),
                "libraries": libraries(),
            }
        )

    def _recipe_identity(self) -> dict[str, Any] | None:
        return self.recipe.identity() if self.recipe else None


def content_key(parts: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@cache
def libraries() -> dict[str, str]:
    """Versions of Python and of the libraries that can move a result."""
    return {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
