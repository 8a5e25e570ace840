"""What importing the project's modules does beside defining names: registering, patching, setting options.

Code reaches what comes of it by no name: an accessor of pandas, a class in a registry, an attribute set afterwards. So
the statements that do it belong to all code of the modules that import them, and so do conftests, which pytest imports.
"""

from __future__ import annotations

import ast
import functools
import sys
from abc import ABCMeta
from collections.abc import Iterable, Iterator, Mapping
from enum import EnumMeta
from importlib.util import resolve_name
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from pytest_nbaprops.code.conftests import LOADED
from pytest_nbaprops.code.owners import OWN_PACKAGE, is_own, is_project
from pytest_nbaprops.code.syntax import dotted, dotted_names, tree_of

# Their decorators hand a function over, or wrap it, where only its own name leads to it.
PURE = {OWN_PACKAGE, "pytest", "_pytest", "pluggy", "click", "numba", "joblib", "attr", "attrs", "pydantic"}
ORDINARY = (type, ABCMeta, EnumMeta)
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
    """The statements at the top of a module that do more than to define names in it."""
    tree = tree_of(module)
    lines = _lines(tree) if isinstance(tree, ast.Module) else ()
    scope = vars(module)
    return [line for line in lines if not isinstance(line, Definition) or _registers(line, scope)]


@functools.cache
def _lines(tree: ast.Module) -> tuple[ast.stmt, ...]:
    return tuple(_acting(tree.body))


def _acting(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that may act; of definitions it depends on what decorates them."""
    for line in body:
        if isinstance(line, Definition):
            yield line
        elif isinstance(line, ast.If | ast.Try):
            if isinstance(line, ast.If) and "__name__" in {one.id for one in _names_in(line.test)}:
                continue  # where it is run as a script
            parts = [line.body, line.orelse, *([line.finalbody] if isinstance(line, ast.Try) else [])]
            handlers = [handler.body for handler in getattr(line, "handlers", ())]
            yield from _acting(one for part in (*parts, *handlers) for one in part)
        elif _acts(line):
            yield line


def _acts(line: ast.stmt) -> bool:
    if isinstance(line, ast.Expr):
        return not isinstance(line.value, ast.Constant)
    if isinstance(line, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = line.targets if isinstance(line, ast.Assign) else [line.target]
        names = (one for target in targets for one in getattr(target, "elts", [target]))
        return not all(isinstance(one, ast.Name | ast.Starred) and getattr(one, "id", "") != "_" for one in names)
    if isinstance(line, ast.For | ast.AsyncFor | ast.While | ast.With | ast.AsyncWith):
        return any(True for _ in _acting(line.body)) or isinstance(line, ast.With)
    return isinstance(line, ast.Delete)


def _names_in(tree: ast.AST) -> Iterator[ast.Name]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Name))


def _registers(line: Definition, scope: Mapping[str, Any]) -> bool:
    """Whether its decorators, or what it inherits from, may make something else of it than its name."""
    kind = scope.get(line.name)
    if isinstance(line, ast.ClassDef) and isinstance(kind, type):
        told = (one for one in kind.__mro__[1:] if is_project(one) and "__init_subclass__" in vars(one))
        if any(True for _ in told) or (type(kind) not in ORDINARY and is_project(type(kind))):
            return True
    return any(not _is_pure(decorator, scope) for decorator in line.decorator_list)


def _is_pure(decorator: ast.expr, scope: Mapping[str, Any]) -> bool:
    name = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
    first, *rest = (name or "").split(".")
    found = scope.get(first)
    for attribute in rest:
        found = getattr(found, attribute, None)
    module = getattr(found, "__module__", None) or type(found).__module__
    package = str(module).partition(".")[0]
    return found is not None and (package in PURE or package in sys.stdlib_module_names)


def _imports(module: ModuleType) -> Iterator[ModuleType]:
    """The modules that a module's own import statements have loaded."""
    tree = tree_of(module)
    for name in _imported_names(tree, str(module.__package__ or "")) if isinstance(tree, ast.Module) else ():
        found = sys.modules.get(name)
        if isinstance(found, ModuleType):
            yield found


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
        elif not isinstance(node, Definition | ast.Lambda):  # what a function imports is looked at where it counts
            waiting += ast.iter_child_nodes(node)
    parents = {".".join(parts[:n]) for name in names for parts in [name.split(".")] for n in range(1, len(parts))}
    return tuple(sorted(names | parents))


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
            names = {one.id for one in _names_in(line) if isinstance(one.ctx, ast.Store)}
        else:
            names = set()
            waiting += [one for one in reversed(list(ast.iter_child_nodes(line))) if isinstance(one, ast.stmt)]
        for name in names:
            found.setdefault(name, []).append(line)
    return found
