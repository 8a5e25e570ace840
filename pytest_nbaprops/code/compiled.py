"""Kinds of code, and what a function's compiled code names, says and has from around it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from pytest_nbaprops.code.values import text_of

WRAPPERS = (staticmethod, classmethod, type(functools.cache(len)))
CODE = (FunctionType, type, ModuleType, MethodType, functools.partial, *WRAPPERS)
QUOTED = re.compile(r"@([A-Za-z_]\w*)")  # a name in a text of pandas' query and eval


def codes_of(code: CodeType) -> Iterator[CodeType]:
    """A function's code and that of the functions inside of it."""
    yield code
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from codes_of(part)


def names_in(code: CodeType) -> set[str]:
    """The names that are looked up outside of a function, by it or the functions inside of it."""
    return {name for one in codes_of(code) for name in (*one.co_names, *one.co_freevars)}


def quoted_in(code: CodeType) -> set[str]:
    """Those that texts name for pandas to look up."""
    texts = (text for one in codes_of(code) for text in one.co_consts if isinstance(text, str))
    return {name for text in texts for name in QUOTED.findall(text)}


def instructions_of(code: CodeType) -> Any:
    """What is compared of code that has no source."""
    constants = [instructions_of(part) if isinstance(part, CodeType) else text_of(part) for part in code.co_consts]
    return [code.co_code.hex(), constants, list(code.co_names), list(code.co_varnames)]


def closure_of(function: FunctionType) -> dict[str, Any]:
    """What names of the function around it stand for, as far as they are assigned."""
    filled = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            filled[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return filled
