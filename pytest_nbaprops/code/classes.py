"""What a class holds, and who comes of it, besides what its source says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from pytest_nbaprops.code.compiled import CODE, closure_of
from pytest_nbaprops.code.owners import is_project
from pytest_nbaprops.code.values import PLAIN


def subclasses_of(kind: type) -> Iterator[type]:
    """All classes below one, in the order of their names."""
    below: list[type] = type.__subclasses__(kind)
    for one in sorted(below, key=lambda one: (one.__module__, one.__qualname__)):
        yield one
        yield from subclasses_of(one)


def made_where_it_ran(kind: type, tree: ast.AST) -> dict[str, Any]:
    """What a class has from the place where it was made: its methods' closures, and values that are no literals."""
    methods = [value for value in vars(kind).values() if isinstance(value, FunctionType)]
    made = {name: value for method in methods for name, value in closure_of(method).items() if name != "__class__"}
    for line in getattr(tree, "body", ()):
        names = [
            one.id for one in getattr(line, "targets", [getattr(line, "target", None)]) if isinstance(one, ast.Name)
        ]
        if names and not _is_literal(getattr(line, "value", None)):
            made |= {name: vars(kind)[name] for name in names if isinstance(vars(kind).get(name, kind), PLAIN)}
    return made


def registered_in(kind: type) -> dict[str, Any]:
    """What a class holds of the project's code in collections of its own."""
    own = ((name, value) for name, value in vars(kind).items() if name[:2] != "__")  # libraries keep theirs so
    held = {name: value for name, value in own if isinstance(value, list | dict | set | tuple)}
    parts = {name: [*(value.values() if isinstance(value, dict) else value)] for name, value in held.items()}
    return {name: held[name] for name, some in parts.items() if any(isinstance(one, CODE) for one in some)}


def _is_literal(node: ast.AST | None) -> bool:
    try:
        ast.literal_eval(node if node is not None else "None")
    except (ValueError, TypeError):
        return False
    return True


def slots_of(kind: type) -> Iterator[str]:
    """Attributes behind the slots of a project's class."""
    if is_project(kind):
        slots = vars(kind).get("__slots__", ())
        names = sorted({slots} if isinstance(slots, str) else slots)
        hidden = f"_{kind.__name__.lstrip('_')}"  # what Python puts in front of a name with two underscores
        yield from (name if name[:2] != "__" else hidden + name for name in names if name[-2:] != "__")
