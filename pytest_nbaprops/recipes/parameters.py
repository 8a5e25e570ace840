"""Parameters of estimators: checked, seeded, and spelled out as exact builtins."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_nbaprops.code.reached import code_digest
from pytest_nbaprops.code.values import has_parameters, learnt_by
from pytest_nbaprops.errors import SettingsError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

THREAD_PARAMETERS = ("n_jobs", "nthread", "thread_count", "num_threads")
SEED_PARAMETERS = ("random_state", "seed", "random_seed")

LONGEST_COMPLAINT = 300


def refuse_unknown(where: str, recipe: str, name: str, allowed: Iterable[str]) -> None:
    """Raise SettingsError unless the recipe has this parameter."""
    known = sorted(allowed)
    if name in known:
        return
    raise SettingsError(
        f"{where}: recipe {recipe!r} has no parameter {name!r}{did_you_mean(name, known, most=3)}; "
        f"it has {', '.join(known) or 'none'}"
    )


def refuse_bad_values(where: str, estimator: Any) -> None:
    """Raise SettingsError when the estimator itself refuses a value, instead of failing in every fold."""
    problem = _complaint(estimator)
    if problem is not None:
        raise SettingsError(f"{where}: {_one_line(problem)}; give a value that the estimator allows")


def _one_line(problem: Exception) -> str:
    # XGBoost puts the time and a place in its own source in front.
    text = re.sub(r"^\[[\d:]+\] \S+: ", "", str(problem))
    return " ".join(text.split())[:LONGEST_COMPLAINT]


def _complaint(estimator: Any) -> Exception | None:
    checkable = hasattr(estimator, "_parameter_constraints")  # scikit-learn's own, not every subclass of its base
    try:
        if hasattr(estimator, "stages"):
            for stage in estimator.stages():
                _probe_booster(stage)
        elif hasattr(estimator, "get_booster"):
            _probe_booster(estimator)
        elif checkable:
            estimator._validate_params()  # noqa: SLF001 - what fit() would call first
    except Exception as problem:  # noqa: BLE001 - whatever a library raises for a bad value is the user's to read
        return problem
    return None


def _probe_booster(estimator: Any) -> None:
    # XGBoost reads its parameters only when it fits; one tree on ten rows says what is wrong with them.
    from sklearn.base import clone  # noqa: PLC0415 - scikit-learn is slow to import

    trees = estimator.n_estimators
    if trees is not None and (not isinstance(trees, int) or isinstance(trees, bool) or trees < 1):
        raise ValueError(f"n_estimators={trees!r} is no whole number above 0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clone(estimator).set_params(n_estimators=1, n_jobs=1).fit(np.arange(10.0).reshape(10, 1), np.arange(10.0))


def seeded(estimator: Any, *, seed: int, threads: int) -> Any:
    """The same estimator with the seed where it is left open, nested ones too, and its share of threads."""
    values = estimator.get_params(deep=True)
    seeds = {name: seed for name, value in values.items() if _last(name) in SEED_PARAMETERS and value is None}
    jobs = {name: threads for name in values if _last(name) in THREAD_PARAMETERS}
    return estimator.set_params(**seeds, **jobs)


def with_imputer(estimator: Any) -> Any:
    """The estimator, behind an imputer of means if its scikit-learn tags say that it takes no missing values."""
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415 - scikit-learn is slow to import
    from sklearn.impute import SimpleImputer  # noqa: PLC0415 - as above
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - as above

    if _takes_nan(estimator):
        return estimator
    imputer = SimpleImputer(keep_empty_features=True)
    parts = (estimator, *estimator.get_params(deep=True).values())
    if any(isinstance(part, ColumnTransformer) for part in parts):  # it may pick columns by their names
        imputer.set_output(transform="pandas")
    return make_pipeline(imputer, estimator)


def _takes_nan(estimator: Any) -> bool:
    from sklearn.utils import get_tags  # noqa: PLC0415 - scikit-learn is slow to import

    try:
        return bool(get_tags(estimator).input_tags.allow_nan)
    except (AttributeError, TypeError):  # no tags: an estimator that does not say is given what there is
        return True


def plain_parameters(estimator: Any) -> dict[str, Any]:
    """All parameters but the number of threads, sorted, as exact builtins."""
    values = estimator.get_params(deep=True)
    return {name: _plain(values[name]) for name in sorted(values) if _last(name) not in THREAD_PARAMETERS}


def _plain(value: Any) -> Any:
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else repr(float(value))
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, type) or has_parameters(value):
        kind = value if isinstance(value, type) else type(value)
        learnt = {} if isinstance(value, type) else learnt_by(value)
        fitted = f":{code_digest(learnt)[:16]}" if learnt else ""
        return f"{kind.__module__}:{kind.__qualname__}:{code_digest(kind)[:16]}{fitted}"
    held = value
    if isinstance(value, np.random.RandomState):  # every fit begins with a copy of it
        held = value.get_state(legacy=False)
    elif isinstance(value, np.random.Generator):
        held = value.bit_generator.state
    return f"{type(value).__qualname__}:{code_digest(held)[:16]}"


def _last(name: str) -> str:
    return name.rsplit("__", 1)[-1]
