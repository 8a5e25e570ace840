"""Whose code fits and predicts: the project's, or nobody's but libraries' whose estimators are reviewed."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from pytest_nbaprops.leaks.reads import NEVER_PROJECT, is_library_file
from pytest_nbaprops.walkforward.candidate import Candidate

REVIEWED = NEVER_PROJECT | {"pytest_nbaprops", "lightgbm", "catboost"}  # their estimators


def is_only_chosen(state: Candidate) -> bool:
    """Whether the project's code chose a candidate's estimator and nothing else of it: libraries fit and predict."""
    if state.recipe is None or state.around or state.spec.code is not None:
        return False
    return _is_reviewed(state.recipe.estimator)


def is_projects(state: Candidate) -> bool:
    """Whether code of the project's made its recipe, and chose its parameters, or a library that nobody has reviewed.

    What such code learnt from, and what it does with a night's other rows, nobody knows.
    """
    if state.recipe is None:
        return False
    package = state.recipe.made_in.partition(".")[0]
    file = getattr(sys.modules.get(state.recipe.made_in), "__file__", None)
    return package not in REVIEWED or file is None or not is_library_file(file)


def _is_reviewed(value: Any) -> bool:
    """Whether a value is plain, or a reviewed library's with all that it is made of: no code of the project's.

    An array may hold anything, and is none of these.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return True
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_reviewed, value))
    if isinstance(value, dict):
        return all(map(_is_reviewed, (*value, *value.values())))
    made = value if hasattr(value, "__name__") else type(value)
    name = str(getattr(made, "__module__", None) or type(made).__module__)
    module = sys.modules.get(name)
    its_own = getattr(module, made.__name__, None) is made and is_library_file(str(getattr(module, "__file__", None)))
    if isinstance(value, np.ndarray) or name.partition(".")[0] not in REVIEWED or not its_own:
        return False
    return not hasattr(value, "get_params") or all(map(_is_reviewed, value.get_params(deep=False).values()))
