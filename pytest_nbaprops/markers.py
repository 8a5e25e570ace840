"""The `walk_forward` and `promotion` markers: their arguments, checked. Nothing heavier than pytest is imported."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal

from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.gate.criteria import asked_criteria
from pytest_nbaprops.options import MARKER_SIGNATURE
from pytest_nbaprops.walkforward.windows import parse_test_window, parse_train_window

MARKER_ARGUMENTS: Mapping[str, Literal["text", "texts", "whole", "mapping"]] = {
    "recipe": "texts",
    "params": "mapping",
    "features": "text",
    "test": "text",
    "train_window": "text",
    "step": "whole",
    "refit": "whole",
    "seed": "whole",
}


def marker_arguments(args: tuple[object, ...], kwargs: Mapping[str, object], where: str) -> dict[str, Any]:
    """Check the arguments of one `walk_forward` marker; `where` is the test's node id.

    Raises:
        SettingsError: a positional argument, an unknown name, or a value that cannot be used.
    """
    if args:
        raise SettingsError(
            f"{where}: walk_forward takes no positional arguments ({args[0]!r}); write {MARKER_SIGNATURE}"
        )
    for name in kwargs:
        if name not in MARKER_ARGUMENTS:
            near = difflib.get_close_matches(name, MARKER_ARGUMENTS, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise SettingsError(f"{where}: walk_forward has no argument {name!r}; {hint}{MARKER_SIGNATURE}")
    return {name: _checked(name, value, where) for name, value in kwargs.items()}


def _checked(name: str, value: object, where: str) -> Any:
    kind, given = MARKER_ARGUMENTS[name], f"{where}: walk_forward({name}={value!r})"
    option = f"{where}: walk_forward({name}=…)"
    if kind == "whole":
        lowest = 0 if name == "seed" else 1
        if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
            raise SettingsError(f"{given} is not a whole number, {lowest} or more")
        return int(value)
    if kind == "mapping":
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise SettingsError(f"{given} is not a dict of hyperparameters")
        return dict(value)
    if kind == "texts":
        values = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else ()
        if not values or not all(isinstance(entry, str) and entry.strip() for entry in values):
            raise SettingsError(f"{given} is not a name or a list of names")
        return without_repeats(tuple(str(entry).strip() for entry in values), option)
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(f"{given} is not a text")
    if name == "test":
        return parse_test_window(value, option=option).text
    if name == "train_window":
        return parse_train_window(value, option=option).text
    return value.strip()


def without_repeats(names: tuple[str, ...], option: str) -> tuple[str, ...]:
    """The names of recipes.

    Raises:
        SettingsError: there is none, or one twice.
    """
    if not names or "" in names:
        raise SettingsError(f"{option}: names no recipe; leave it out to get 'advanced'")
    if len(set(names)) < len(names):
        raise SettingsError(f"{option}: {', '.join(names)} names a recipe twice; name each one once")
    return names


def promotion_criteria(args: tuple[object, ...], kwargs: Mapping[str, object], where: str) -> tuple[str, ...]:
    """Check the criteria of one `promotion` marker.

    Raises:
        SettingsError: keyword arguments, no criterion, or one that cannot be read.
    """
    if kwargs or not args or not all(isinstance(text, str) for text in args):
        raise SettingsError(f"{where}: promotion takes criteria as texts, such as promotion('mae < baseline')")
    asked = asked_criteria(map(str, args), option=f"{where}: promotion(…)")
    return tuple(criterion.expression for criterion in asked)
