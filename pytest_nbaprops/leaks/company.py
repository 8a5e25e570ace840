"""What a test or an estimator has at hand besides the fold: data and fitted models that changed games cannot reach."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any

from pytest_nbaprops.leaks.held import is_fitted
from pytest_nbaprops.leaks.reachable import reached_by

__all__ = ["company_of", "company_of_estimator", "is_fitted"]


def company_of(function: object, values: Mapping[str, object]) -> tuple[str, ...]:
    """Data and fitted models that a test's code refers to, or that it is handed by fixtures, each in a few words."""
    found = [f"data kept in memory: {name}" for name in reached_by(function).data]
    found += [f"a model fitted elsewhere: {name}" for name in _fitted_globals(function)]
    for name, value in values.items():
        found += [f"data from the fixture {name}: {where}" for where in reached_by(value).data]
        if is_fitted(value):
            found.append(f"a model fitted elsewhere, from the fixture {name}")
    return tuple(dict.fromkeys(found))


def company_of_estimator(estimator: Any) -> tuple[str, ...]:
    """Data that an unfitted estimator, one of its steps or the code of their classes holds on to."""
    parts = [estimator, *_parts(estimator)]
    return tuple(dict.fromkeys(f"data kept in memory: {name}" for part in parts for name in reached_by(part).data))


def _parts(estimator: Any) -> list[Any]:
    parameters = getattr(estimator, "get_params", None)
    values = parameters(deep=True).values() if callable(parameters) else ()
    steps = [step for value in values if isinstance(value, list | tuple) for step in value if isinstance(step, tuple)]
    return [*values, *(part for step in steps for part in step)]


def _fitted_globals(function: object) -> list[str]:
    function = getattr(function, "__func__", function)
    if not isinstance(function, FunctionType):
        return []
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    there = {name: function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__}
    for name, cell in cells.items():
        try:
            there[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return [name for name, value in there.items() if is_fitted(value)]
