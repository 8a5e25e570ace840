"""What the other process runs: groups called for the first time, watched, in modules that were just imported."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import sys
from contextlib import nullcontext, suppress
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from pytest_nbaprops.leaks.answers import Answer
from pytest_nbaprops.leaks.audit import noted, watched
from pytest_nbaprops.leaks.imports import Origins
from pytest_nbaprops.leaks.reachable import fresh, reached_by
from pytest_nbaprops.leaks.steps import steps_of
from pytest_nbaprops.leaks.subprocess_check import (
    HOOK,
    OWN_PACKAGE,
    as_plain,
    groups_in,
    identity,
    is_module_of_project,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    import pandas as pd

    from pytest_nbaprops.features.group import FeatureGroup
    from pytest_nbaprops.leaks.subprocess_check import Asked, Order


class SameFiles(MetaPathFinder):
    """Finds the project's modules under the names and in the files that the first process has them from."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname not in self._files:
            return None
        file = Path(self._files[fullname])
        folders = [str(file.parent)] if file.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(fullname, file, submodule_search_locations=folders)


class Modules:
    """The project's modules, imported anew for every module that groups are from, and watched while they are."""

    def __init__(self, order: Order) -> None:
        self._files = order.files
        self.listens = order.listens
        self._loaded: dict[str, dict[str, ModuleType]] = {}
        self._origins: dict[str, Origins] = {}
        for library in sorted(_libraries(order.files)):
            with suppress(Exception):
                importlib.import_module(library)
        self._known = dict.fromkeys(sys.modules, False)

    def imported(self, name: str, asked: Asked) -> Origins | None:
        """Have `name` and what it imports as the only project modules there are; None where it cannot be imported.

        So each group sees what it imports itself, and not what another group imported before.
        """
        for other in self._own(asked):
            del sys.modules[other]
        if name not in self._loaded:
            self._import(name, asked)
        sys.modules.update(self._loaded[name])
        return self._origins.get(name)

    def _import(self, name: str, asked: Asked) -> None:
        origins = Origins(project=asked.folders)
        try:
            with noted(origins.note, project=asked.folders) if self.listens else nullcontext():
                importlib.import_module(name)
        except Exception:  # noqa: BLE001 - a user's module may raise anything
            self._loaded[name] = {}
            return
        self._loaded[name] = self._own(asked)
        origins.follow(self._loaded[name])
        self._origins[name] = origins

    def _own(self, asked: Asked) -> dict[str, ModuleType]:
        return {name: module for name, module in sys.modules.items() if self._is_project(name, asked)}

    def _is_project(self, name: str, asked: Asked) -> bool:
        if name in self._files or name.partition(".")[0] == asked.package:
            return True
        if name not in self._known:
            own = name.partition(".")[0] == OWN_PACKAGE
            self._known[name] = not own and is_module_of_project(sys.modules[name])
        return self._known[name]


def _libraries(files: Mapping[str, str]) -> set[str]:
    """What the project's modules import besides each other: watching that would only take time."""
    tops = {name.partition(".")[0] for name in files}
    named = {
        module
        for file in files.values()
        for step in steps_of(file)
        for _, module, _, level in step.imported
        if not level
    }
    return {module for module in named if module.partition(".")[0] not in tops}


def main(question: str, answer: str) -> None:
    """Read the order in file `question` and write the answers to file `answer`."""
    order: Order = pickle.loads(Path(question).read_bytes())  # noqa: S301 - written by the process that started this
    sys.path[:] = order.path
    sys.meta_path.insert(0, SameFiles(order.files))
    modules = Modules(order)
    answers = {one.name: made for one in order.groups if (made := _answer(one, order.games, modules)) is not None}
    Path(answer).write_bytes(pickle.dumps(answers))


def _answer(asked: Asked, games: pd.DataFrame, modules: Modules) -> dict[str, Any] | None:
    reads: list[str] = []
    function, origins = _function(asked, modules, reads)
    if function is None:
        return None
    reached = reached_by(function, origins)
    data = list(reached.data)
    try:
        with fresh(reached), watched(reads, clock=modules.listens, project=asked.folders):
            raw = function(games.copy(deep=True), **asked.tables)
    except Exception as problem:  # noqa: BLE001 - a user's code may raise anything
        return as_plain(Answer.failed(f"{type(problem).__name__}: {problem}"), reads, data)
    return as_plain(Answer.of(raw, games), reads, data)


def _function(asked: Asked, modules: Modules, reads: list[str]) -> tuple[Any, Origins | None]:
    """The group's function in freshly imported modules: by its name, else as it was sent."""
    for name in asked.modules:
        origins = modules.imported(name, asked)
        function = None if origins is None else _found(asked, modules, name, reads)
        if function is not None:
            return function, origins
    origins = modules.imported(asked.identity[0], asked)
    try:
        return (None if asked.code is None else pickle.loads(asked.code)), origins  # noqa: S301 - as below
    except Exception:  # noqa: BLE001 - a module that cannot be imported here cannot be asked
        return None, None


def _found(asked: Asked, modules: Modules, name: str, reads: list[str]) -> Any:
    module = sys.modules[name]
    kept = _matching(asked, groups_in(vars(module).values()))
    named = vars(module).get(asked.identity[1])
    if kept is None and isinstance(named, FunctionType) and identity(named) == asked.identity:
        kept = named
    return kept if kept is not None or not callable(vars(module).get(HOOK)) else _made(asked, modules, module, reads)


def _made(asked: Asked, modules: Modules, module: ModuleType, reads: list[str]) -> Any:
    """The group that the module's hook makes, where it can do without pytest's configuration."""
    heard: list[str] = []
    try:
        with watched(heard, clock=modules.listens, project=asked.folders):
            made = list(vars(module)[HOOK](config=None))
    except Exception:  # noqa: BLE001 - most likely it wants the configuration
        return None
    function = _matching(asked, groups_in(made))
    if function is not None and _carries(function):
        reads += heard
    return function


def _matching(asked: Asked, groups: Iterable[FeatureGroup]) -> Any:
    same = (one.function for one in groups if one.name == asked.name and identity(one.function) == asked.identity)
    return next(same, None)


def _carries(function: Any) -> bool:
    """Whether values came with a function when it was made, so that what was read then may be among them."""
    if not isinstance(function, FunctionType):
        return True
    return bool(function.__closure__ or function.__defaults__ or function.__kwdefaults__)


if __name__ == "__main__":
    main(*sys.argv[1:])
