"""Where data comes from: names of project modules whose values were read when the modules were imported."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import PurePath
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.leaks.callers import is_library_file
from pytest_nbaprops.leaks.steps import module_named, steps_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from pytest_nbaprops.leaks.steps import Step

# Values like these are the same object in many places, so that their identity says nothing.
SCALARS = (bool, int, float, complex, str, bytes, type(None))
# A path is no table, a logger set up from a file says nothing, and what functions use is walked through anyway.
NO_DATA = (ModuleType, FunctionType, FeatureGroup, PurePath, logging.Logger, type(None))
ROUNDS = 4


@dataclass(kw_only=True)
class Origins:
    """What imports read, and which globals hold something made of it: (file, name) to what was read."""

    project: tuple[str, ...] = ()
    read: dict[str, dict[int, str]] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    objects: dict[int, str] = field(default_factory=dict)

    def note(self, what: str, frame: FrameType | None) -> None:
        """Keep a read with the module-level statement behind it, the innermost one; for `audit.noted`."""
        while frame is not None:
            file = frame.f_code.co_filename
            mine = not is_library_file(file) or file.startswith(self.project or ("\0",))
            if mine and frame.f_code.co_name == "<module>":
                self.read.setdefault(file, {}).setdefault(frame.f_lineno, what)
                return
            frame = frame.f_back

    def follow(self, modules: Mapping[str, ModuleType]) -> None:
        """Find the globals of project modules that hold what was read, or what later statements made of it."""
        if not self.read:
            return
        for _ in range(ROUNDS):  # a module may import from one that comes later in the list
            before = len(self.names)
            for module in list(modules.values()):
                self._follow(vars(module))
            if len(self.names) == before:
                break

    def _follow(self, scope: Mapping[str, Any]) -> None:
        file = str(scope.get("__file__"))
        told: dict[str, str] = {}
        # Twice, since functions use names that are only filled further down.
        for step in steps_of(file) * 2:
            direct = next((self.read[file][line] for line in step.lines if line in self.read.get(file, {})), None)
            for name, what in self._filled(step, scope, direct, told):
                told.setdefault(name, what)
                # Code that uses what was read is walked through anyway; what it hands on is of interest here.
                if name in scope and (direct or not step.defines):
                    self._keep((file, name), scope[name], what)

    def _filled(
        self, step: Step, scope: Mapping[str, Any], direct: str | None, told: Mapping[str, str]
    ) -> Iterator[tuple[str, str]]:
        """The names that a step fills with something read, and what that was."""
        if step.imported:
            yield from self._imported(step, scope)
            return
        what = direct or next((told[name] for name in step.uses if name in told), None)
        what = what or self._by_attribute(step, scope)
        if what is not None:
            yield from ((name, what) for name in step.fills)

    def _imported(self, step: Step, scope: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for here, module, there, level in step.imported:
            found = module_named(scope, module, level)
            what = self.names.get((str(getattr(found, "__file__", None)), there or ""))
            if what is not None:
                yield here, what

    def _by_attribute(self, step: Step, scope: Mapping[str, Any]) -> str | None:
        """``tables.RATINGS`` in a statement: a name of another module that holds something read."""
        modules = [scope[name] for name in step.uses if isinstance(scope.get(name), ModuleType)]
        files = [str(getattr(module, "__file__", None)) for module in modules]
        return next((self.names[file, one] for file in files for one in step.asks if (file, one) in self.names), None)

    def _keep(self, key: tuple[str, str], value: Any, what: str) -> None:
        if isinstance(value, NO_DATA):
            return
        self.names.setdefault(key, what)
        if not isinstance(value, SCALARS):
            self.objects.setdefault(id(value), what)
