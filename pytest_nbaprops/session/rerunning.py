"""Running a collected item once more, which pytest has no public way for, and where its folds are not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Literal

import pytest

from pytest_nbaprops.code.reached import is_project
from pytest_nbaprops.walkforward.store import FoldEntry, FoldStore

OURS = ("fold", "nbaprops_games", "nbaprops_features")


class Nowhere(FoldStore):
    """A fold store that keeps nothing: what is rehearsed is no result."""

    def __init__(self) -> None:
        self.folder = Path()

    def fold(self, key: str) -> FoldEntry | None:
        del key
        return None

    def keep_fold(self, key: str, entry: FoldEntry) -> None:
        del key, entry

    def model(self, key: str) -> bytes | None:
        del key
        return None

    def keep_model(self, key: str, content: bytes) -> None:
        del key, content


def phase(item: pytest.Item, when: Literal["setup", "call", "teardown"], run: Callable[[], object]) -> str | None:
    """One phase of an item without its report being told; what went wrong, if anything did."""
    call = pytest.CallInfo.from_call(run, when, reraise=(KeyboardInterrupt, pytest.exit.Exception))
    item.ihook.pytest_runtest_makereport(item=item, call=call)  # other plugins' fixtures look at it
    return None if call.excinfo is None else " ".join(call.excinfo.exconly(tryshort=True).split())


class QuietSubtests:
    """In place of pytest's `subtests`: what fails in a block of a rerun is told to nobody."""

    def test(self, msg: str | None = None, **names: object) -> AbstractContextManager[None]:
        """A block that goes on where one of `subtests` would."""
        del msg, names
        return suppress(Exception)


def quiet(item: Any) -> None:
    """Let nothing that the item reports by itself count."""
    if "subtests" in item.funcargs:
        item.funcargs["subtests"] = QuietSubtests()


def _definitions(item: Any) -> dict[str, Any]:
    """The fixture definitions behind an item by name; pytest has no public way to see them."""
    return {name: found[-1] for name, found in item._fixtureinfo.name2fixturedefs.items() if found}  # noqa: SLF001


def forget_fixtures(item: Any) -> None:
    """Let our fixtures and the project's be made anew, also those of a module or session."""
    for name, definition in _definitions(item).items():
        if name in OURS or is_project(definition.func):
            definition.finish(item._request)  # noqa: SLF001 - as above


def handed_by_others(item: Any) -> dict[str, object]:
    """Parameters, and fixture values that are made without ours, so that changed games cannot reach them."""
    definitions = _definitions(item)

    def made_of_ours(name: str, seen: frozenset[str] = frozenset()) -> bool:
        if name in OURS or name in seen:
            return name in OURS
        arguments = definitions[name].argnames if name in definitions else ()
        return any(made_of_ours(argument, seen | {name}) for argument in arguments)

    own = (name for name, definition in definitions.items() if is_project(definition.func))
    values = {name: item.funcargs[name] for name in own if name in item.funcargs and not made_of_ours(name)}
    return values | {name: value for name, value in item.callspec.params.items() if name not in OURS}


def code_of(items: Iterable[Any]) -> list[object]:
    """What runs in these items and is the project's: test functions, their classes and their fixtures."""
    found: dict[int, object] = {}
    for item in items:
        own = (one.func for one in _definitions(item).values() if is_project(one.func))
        for part in (item.function, item.cls, *own):
            found[id(part)] = part
    return list(found.values())
