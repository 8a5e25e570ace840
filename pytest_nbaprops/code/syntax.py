"""Where functions and classes are written: their syntax trees, without what does not count."""

from __future__ import annotations

import ast
import functools
import importlib
import linecache
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any


def tree_of(obj: Any) -> ast.AST | None:
    """The syntax tree of a function, class or module; None where its source cannot be told."""
    name = _file_name(obj)
    file = _source_file(name, _stamp(name))
    if file is None:
        return None
    if isinstance(obj, FunctionType):
        return file.functions.get((obj.__code__.co_firstlineno, obj.__name__))
    return file.tree if isinstance(obj, ModuleType) else file.classes.get(obj.__qualname__)


def tree_of_file(path: Path) -> ast.Module | None:
    """The syntax tree of a file; None where it holds no Python."""
    file = _source_file(str(path), _stamp(str(path)))
    return None if file is None else file.tree


def _stamp(name: str) -> tuple[int, int] | None:
    try:
        status = os.stat(name)  # noqa: PTH116 - thousands of times in a session
    except OSError:
        return None  # a cell of a notebook
    return status.st_mtime_ns, status.st_size


@functools.cache
def _source_file(name: str, stamp: tuple[int, int] | None) -> SourceFile | None:  # noqa: ARG001 - part of the key
    """Every version of a file is read and parsed once in a process."""
    linecache.checkcache(name)
    return _parsed("".join(linecache.getlines(name)))


class SourceFile:
    """One file: its tree, functions by first line (of decorators) and name, classes by qualified name."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.functions: dict[tuple[int, str], ast.AST | None] = {}
        self.classes: dict[str, ast.AST] = {}
        self._collect(tree, "")

    def _collect(self, node: ast.AST, inside: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([child.lineno, *(one.lineno for one in child.decorator_list)])
                self.functions[first, child.name] = child
                self._collect(child, f"{inside}{child.name}.<locals>.")
            elif isinstance(child, ast.ClassDef):
                self.classes[f"{inside}{child.name}"] = child
                self._collect(child, f"{inside}{child.name}.")
            else:
                if isinstance(child, ast.Lambda):
                    place = (child.lineno, "<lambda>")
                    # Two lambdas on a line cannot be told apart: their instructions have to speak for them.
                    self.functions[place] = None if place in self.functions else child
                self._collect(child, inside)


@functools.cache
def dotted_names(tree: ast.AST) -> tuple[str, ...]:
    """The dotted names in a tree, each once, sorted: `a`, `b.c.d`, but not the `b` of `b.c.d`."""
    return tuple(sorted(set(_dotted_names(tree))))


def _dotted_names(tree: ast.AST) -> Iterator[str]:
    """Every name in the tree with the attributes that follow it: `a`, `b.c.d`, but not the `b` of `b.c.d`."""
    if (name := dotted(tree)) is not None:
        yield name
        return
    for child in ast.iter_child_nodes(tree):
        yield from _dotted_names(child)


def dotted(node: ast.AST) -> str | None:
    """A name with the attributes that follow it; None for what is no such name."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(attributes)]) if isinstance(node, ast.Name) else None


def local_imports(tree: ast.AST, package: str) -> Iterator[tuple[str, Any]]:
    """Names that a function imports in its own body, with what they stand for; what cannot be imported is left out."""
    for node in _import_statements(tree):
        if isinstance(node, ast.ImportFrom):
            module = _imported("." * node.level + (node.module or ""), package)
            for alias in node.names:
                if hasattr(module, alias.name):
                    yield alias.asname or alias.name, getattr(module, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                yield alias.asname or first, _imported(alias.name if alias.asname else first, package)


def imported_by_name(tree: ast.AST, package: str) -> dict[str, ModuleType | None]:
    """What a function's code imports by a call (`import_module("boards")`, `sys.modules["boards"]`), by its name.

    None, with the name "", where the name is made as it runs.
    """
    found: dict[str, ModuleType | None] = {}
    for name in _called_imports(tree):
        module = _imported(name, package) if name else None
        if module is not None or not name:
            found[name] = module
    return found


@functools.cache
def _called_imports(tree: ast.AST) -> tuple[str, ...]:
    names: set[str] = set()
    for node in ast.walk(tree):
        argument: ast.expr | None = None
        if isinstance(node, ast.Call) and (dotted(node.func) or "").split(".")[-1] in {"import_module", "__import__"}:
            argument = (*node.args, *(one.value for one in node.keywords), ast.Constant(""))[0]
        elif isinstance(node, ast.Subscript) and dotted(node.value) == "sys.modules":
            argument = node.slice
        if argument is not None:
            names.add(argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else "")
    return tuple(sorted(names))


@functools.cache
def _import_statements(tree: ast.AST) -> tuple[ast.Import | ast.ImportFrom, ...]:
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))


def _imported(name: str, package: str) -> ModuleType | None:
    # The function itself imports it when it is called, so nothing is run that would not be.
    try:
        return importlib.import_module(name, package or None)
    except Exception:  # noqa: BLE001 - whatever a module raises, calling the function will tell
        return None


def _file_name(obj: Any) -> str:
    if isinstance(obj, FunctionType):
        return obj.__code__.co_filename
    module = obj if isinstance(obj, ModuleType) else sys.modules.get(obj.__module__)
    return str(getattr(module, "__file__", None) or "")


def _parsed(text: str) -> SourceFile | None:
    try:
        return SourceFile(_bare(ast.parse(text))) if text else None
    except (SyntaxError, ValueError):  # no Python source: a compiled module, a template
        return None


def _bare(tree: ast.Module) -> ast.Module:
    """Drop docstrings and the annotations of functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            node.body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return tree
