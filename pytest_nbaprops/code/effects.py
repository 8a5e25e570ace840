"""What importing the project's modules does beside defining names: registering, patching, setting options.

Code reaches what comes of it by no name: an accessor of pandas, a class in a registry, an attribute set afterwards. So
the statements that do it belong to all code of the modules that import them, and so do conftests, which pytest imports.
"""

from __future__ import annotations

import ast
import functools
import inspect
import os
import sys
from collections.abc import Iterable, Iterator, MutableMapping, MutableSequence, MutableSet
from importlib.util import resolve_name
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from pytest_nbaprops.code.conftests import LOADED
from pytest_nbaprops.code.owners import OWN_PACKAGE, is_own, is_project
from pytest_nbaprops.code.syntax import dotted, dotted_names, imported_by_name, tree_of

# Their decorators hand a function over, or wrap it, where only its own name leads to it.
PURE = {OWN_PACKAGE, "pytest", "_pytest", "pluggy", "click", "numba", "joblib", "attr", "attrs", "pydantic"}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def imported_by(modules: Iterable[ModuleType]) -> list[ModuleType]:
    """These modules of the project and those that they import, with the conftests above them; not this package's."""
    found: dict[str, ModuleType] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        file = str(vars(module).get("__file__"))
        if file not in found and is_project(module) and not is_own(module):
            found[file] = module
            above = Path(file).parents
            waiting += [*_imports(module), *(LOADED[one] for one in sorted(LOADED) if Path(one).parent in above)]
    return list(found.values())


def module_of(obj: FunctionType | type) -> ModuleType | None:
    """The module that a function or class was made in."""
    scope = obj.__globals__ if isinstance(obj, FunctionType) else None
    name = str(scope.get("__name__") if scope is not None else obj.__module__)
    for module in filter(None, (sys.modules.get(name), *LOADED.values())):
        if vars(module) is scope or (scope is None and vars(module).get(obj.__qualname__.partition(".")[0]) is obj):
            return module
    return sys.modules.get(name) if scope is None else None


def effects_of(module: ModuleType) -> list[ast.stmt]:
    """The statements of a module that do more than to define names in it, or to fill what it holds.

    Those at its top, and of a conftest those in its hooks, which pytest calls.
    """
    tree = tree_of(module)
    return [line for line in _lines(tree) if _counts(line, module)] if isinstance(tree, ast.Module) else []


@functools.cache
def _lines(tree: ast.Module) -> tuple[ast.stmt, ...]:
    return tuple(_acting(tree.body, hooks=True))


def _acting(body: Iterable[ast.stmt], *, hooks: bool = False) -> Iterator[ast.stmt]:
    """Statements that may act, in blocks, classes and hooks, too."""
    for line in body:
        blocks = [getattr(line, part, []) for part in ("body", "orelse", "finalbody")]
        blocks += [part.body for part in (*getattr(line, "handlers", ()), *getattr(line, "cases", ()))]
        inside = [one for block in blocks for one in block]
        if isinstance(line, ast.If | ast.Assert | ast.Match):
            test = line.subject if isinstance(line, ast.Match) else line.test
            if _runs_as_a_script(test):
                continue
            if any(isinstance(one, ast.Call) for one in ast.walk(test)):
                yield ast.Expr(test)
        if isinstance(line, ast.If | ast.Try | ast.With | ast.Match):
            yield from _acting(inside)
        elif isinstance(line, Definition):
            yield line
            if isinstance(line, ast.ClassDef) or (hooks and line.name.startswith("pytest_")):
                given = {one.arg for one in ast.walk(line) if isinstance(one, ast.arg)}  # pytest's own objects
                lines = (one for one in _acting(inside) if not isinstance(one, Definition))
                yield from (one for one in lines if not given.issuperset(_roots(one)))
        elif isinstance(line, ast.For | ast.While) or any(True for _ in _acted_on(line)):
            yield line


def _roots(line: ast.stmt) -> set[str]:
    return {(dotted(part) or "").partition(".")[0] for part in _acted_on(line)} or {""}


def _runs_as_a_script(test: ast.expr) -> bool:
    names = {one.id for one in ast.walk(test) if isinstance(one, ast.Name)}
    is_equal = isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq)
    return is_equal and "__name__" in names


def _acted_on(line: ast.stmt) -> Iterator[ast.expr]:
    """What a statement calls for its effect, and the targets that are no names."""
    if isinstance(line, ast.Expr):
        if not isinstance(line.value, ast.Constant):
            yield line.value.func if isinstance(line.value, ast.Call) else line.value
    elif isinstance(line, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Delete):
        targets = line.targets if isinstance(line, ast.Assign | ast.Delete) else [line.target]
        every = (one for target in targets for one in getattr(target, "elts", [target]))
        yield from (one.value for one in every if isinstance(one, ast.Attribute | ast.Subscript))
        value = getattr(line, "value", None)
        if isinstance(value, ast.Call) and _registering(value):
            yield value.func


def _registering(call: ast.Call) -> bool:
    """Whether a call is made to register what it gives back, or is handed, by its name."""
    called = call.func.func if isinstance(call.func, ast.Call) else call.func
    last = (dotted(called) or "").split(".")[-1]
    return last == "setattr" or last.startswith("register")


def _counts(line: ast.stmt, module: ModuleType) -> bool:
    if isinstance(line, Definition):
        return any(_acts_elsewhere(_asked(decorator, module)) for decorator in line.decorator_list)
    if isinstance(line, ast.Expr) and _hands_code_to_ours(line.value, module):
        return False
    if isinstance(line, ast.For | ast.While):
        return any(_counts(one, module) for one in _acting([*line.body, *line.orelse]))
    return any(not _is_held(_asked(part, module)) for part in _acted_on(line))


def _hands_code_to_ours(call: ast.expr, module: ModuleType) -> bool:
    """Whether code is handed to a function of the project that keeps it: where it is kept, a name leads there."""
    if not isinstance(call, ast.Call):
        return False
    asked = _asked(call.func, module)
    given = (part for argument in call.args for _, _, part in named_in(argument, module))
    is_code = any(isinstance(one, FunctionType | type) for one in given)
    return is_code and _is_projects(asked) and not _acts_elsewhere(asked)


def _asked(part: ast.expr, module: ModuleType) -> Any:
    """What a name with its attributes stands for, of a method its object or class; None where that cannot be told."""
    while isinstance(part, ast.Subscript | ast.Call):
        part = part.value if isinstance(part, ast.Subscript) else part.func
    first, *rest = (dotted(part) or "").split(".")
    found: Any = vars(module).get(first)
    for name in rest:
        if isinstance(found, type) or _is_held(found):  # what a class holds its source may not tell
            break
        found = inspect.getattr_static(found, name, None) if found is not None else None
    return found.func if isinstance(found, functools.partial) else found


def _is_held(obj: Any) -> bool:
    """Whether it is a collection, or an object of the project's own: what is put in there is found by its name."""
    if isinstance(obj, type | ModuleType | FunctionType) or obj is os.environ:
        return False
    return isinstance(obj, MutableSequence | MutableMapping | MutableSet) or (obj is not None and is_project(type(obj)))


def _acts_elsewhere(obj: Any) -> bool:
    """Whether who is handed code (a decorator) may put it into a library, which hands it to whoever asks there."""
    if obj is None or (isinstance(obj, FunctionType | type) and is_own(obj)):
        return False
    if not _is_projects(obj):
        package = str(getattr(obj, "__module__", None) or type(obj).__module__).partition(".")[0]
        return package not in PURE and package not in sys.stdlib_module_names
    module = module_of(obj) if isinstance(obj, FunctionType) else None
    tree = tree_of(obj) if module is not None else None
    if module is None or tree is None:
        return False
    called = [one for one in ast.walk(tree) if isinstance(one, ast.Call)]
    if any((dotted(one.func) or "") == "setattr" for one in called):
        return True
    parts = (part for one in ast.walk(tree) if isinstance(one, ast.stmt) for part in _acted_on(one))
    return any(_acts_elsewhere(found) for part in parts if not _is_projects(found := _asked(part, module)))


def _is_projects(obj: Any) -> bool:
    return is_project(obj if isinstance(obj, FunctionType | type) else type(obj))


def _imports(module: ModuleType) -> Iterator[ModuleType]:
    """The modules that a module's own statements have loaded: by name or, where a name is made, any in its folder."""
    tree = tree_of(module)
    if not isinstance(tree, ast.Module):
        return
    for name in _imported_names(tree, str(module.__package__ or "")):
        found = sys.modules.get(name)
        if isinstance(found, ModuleType):
            yield found
    if any("" in imported_by_name(line, "") for line in tree.body if not isinstance(line, Definition)):
        below = f"{Path(str(module.__file__)).parent}{os.sep}"
        loaded = [one for one in list(sys.modules.values()) if isinstance(one, ModuleType)]
        inside = {str(vars(one).get("__file__")): one for one in loaded}
        yield from (inside[file] for file in sorted(inside) if file.startswith(below))


@functools.cache
def _imported_names(tree: ast.Module, package: str) -> tuple[str, ...]:
    names: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)} if base else set()
        elif isinstance(node, ast.Assign) and any(getattr(one, "id", "") == "pytest_plugins" for one in node.targets):
            names |= {str(one.value) for one in ast.walk(node.value) if isinstance(one, ast.Constant)}
        elif not isinstance(node, Definition | ast.Lambda) or getattr(node, "name", "").startswith("pytest_"):
            waiting += ast.iter_child_nodes(node)  # what another function imports is looked at where it counts
    names |= set(filter(None, _called_in(tree)))
    parents = {".".join(parts[:n]) for name in names for parts in [name.split(".")] for n in range(1, len(parts))}
    return tuple(sorted(names | parents))


def _called_in(tree: ast.Module) -> Iterator[str]:
    return (name for line in tree.body if not isinstance(line, Definition) for name in imported_by_name(line, ""))


def _base(node: ast.ImportFrom, package: str) -> str | None:
    try:
        return resolve_name("." * node.level + (node.module or ""), package or None)
    except (ImportError, ValueError):
        return None


def sources_of(module: ModuleType, name: str, seen: set[tuple[str, str]] | None = None) -> Iterator[Any]:
    """What a module's name was assigned: statements, with functions and classes that they name."""
    seen = set() if seen is None else seen
    tree = tree_of(module)
    if (module.__name__, name) in seen or not isinstance(tree, ast.Module) or is_own(module):
        return
    seen.add((module.__name__, name))
    for line in _bindings(tree).get(name, ()):
        if isinstance(line, ast.ImportFrom):
            other = sys.modules.get(_base(line, str(module.__package__ or "")) or "")
            names = (alias.name for alias in line.names if (alias.asname or alias.name) == name)
            if other is not None and is_project(other):
                yield from (part for one in names for part in sources_of(other, one, seen))
        else:
            yield line
            for holder, attribute, value in named_in(line, module):
                if isinstance(value, FunctionType | type):
                    yield value
                else:
                    yield from sources_of(holder, attribute, seen)


def named_in(line: ast.AST, module: ModuleType) -> Iterator[tuple[ModuleType, str, Any]]:
    """The names of a module that a statement reads: in which module each is, its name there and what it stands for."""
    for text in dotted_names(line):
        holder, (name, *rest) = module, text.split(".")
        if name not in vars(holder):
            continue
        while rest and isinstance(inner := vars(holder)[name], ModuleType) and is_project(inner):
            if rest[0] not in vars(inner):
                break
            holder, name, rest = inner, rest[0], rest[1:]
        yield holder, name, vars(holder)[name]


@functools.cache
def _bindings(tree: ast.Module) -> dict[str, list[ast.stmt]]:
    """The statements at the top of a module, and in its blocks, that give a name its value."""
    found: dict[str, list[ast.stmt]] = {}
    waiting: list[ast.stmt] = list(reversed(tree.body))
    while waiting:
        line = waiting.pop()
        if isinstance(line, Definition):
            continue
        if isinstance(line, ast.ImportFrom):
            names = {alias.asname or alias.name for alias in line.names}
        elif isinstance(line, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For | ast.With):
            read = (one for one in ast.walk(line) if isinstance(one, ast.Name))
            names = {one.id for one in read if isinstance(one.ctx, ast.Store)}
        else:
            names = set()
            waiting += [one for one in reversed(list(ast.iter_child_nodes(line))) if isinstance(one, ast.stmt)]
        for name in names:
            found.setdefault(name, []).append(line)
    return found
