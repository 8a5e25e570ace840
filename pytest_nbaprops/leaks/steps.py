"""What a module runs when it is imported, statement by statement: the names each one fills and those it uses."""

from __future__ import annotations

import ast
import builtins
import functools
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# What these make of literals is said by the code, however many numbers it is.
PURE = {
    "numpy", "pandas", "math", "itertools", "functools", "operator", "collections", "datetime", "string", "re",
    "fractions", "decimal", "statistics", "enum", "dataclasses", "types", "typing", "__future__", "calendar", "copy",
}  # fmt: skip
IMPURE = re.compile(
    r"_*(read|load|open|scan|fetch|get_data|from_?file|from_?csv|genfrom|mem_?map|memmap|random|default_rng|now|today"
    r"|utcnow|frombuffer|fromstring|eval|exec|globals|vars|locals|input|compile|__)"
)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One statement of a module; `own` are names that only exist inside of it, `imported` is (module, name, level)."""

    lines: range
    fills: frozenset[str]
    uses: frozenset[str]
    asks: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    defines: bool = False
    imported: tuple[tuple[str, str, str | None, int], ...] = ()


@functools.lru_cache(maxsize=128)
def steps_of(file: str) -> tuple[Step, ...]:
    """The steps of a source file in their order; none where it cannot be read."""
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return ()
    return tuple(_steps(tree.body))


def _steps(body: Sequence[ast.AST]) -> Iterator[Step]:
    for node in body:
        if isinstance(node, ast.For | ast.AsyncFor):
            yield _step(node, [node.iter], [node.target])
        elif isinstance(node, ast.With | ast.AsyncWith):
            targets = [item.optional_vars for item in node.items if item.optional_vars is not None]
            yield _step(node, [item.context_expr for item in node.items], targets)
        elif isinstance(node, ast.stmt) and not hasattr(node, "body"):
            yield _step(node, [node], [])
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield _definition(node)
            continue
        for part in ("body", "orelse", "handlers", "finalbody", "cases"):
            yield from _steps(getattr(node, part, None) or ())


def _step(node: Any, parts: Sequence[ast.AST], targets: Sequence[ast.AST]) -> Step:
    inside = [one for part in parts for one in ast.walk(part)]
    filled = {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
    inner = _inner(inside)
    last = node.end_lineno if parts[0] is node else max(part.end_lineno or node.lineno for part in parts)  # type: ignore[attr-defined]
    imported = tuple(_imports(node))
    return Step(
        lines=range(node.lineno, last + 1),
        fills=frozenset(filled | (_filled(node, inside) - inner) | {name for name, *_ in imported}),
        uses=_loaded(inside) - inner,
        asks=_asked(inside),
        own=frozenset(filled | _stored(inside)),
        imported=imported,
    )


def _definition(node: Any) -> Step:
    inside = list(ast.walk(node))
    first = min((one.lineno for one in node.decorator_list), default=node.lineno)
    own = _inner(inside) | (_stored(inside) - _declared(inside))
    return Step(
        lines=range(first, node.end_lineno + 1),
        fills=frozenset({node.name}),
        uses=_loaded(inside) - own,
        asks=_asked(inside),
        own=frozenset(own),
        defines=True,
    )


def _inner(nodes: Sequence[ast.AST]) -> set[str]:
    """Arguments and the variables of comprehensions, which no other statement sees."""
    targets = [part for one in nodes if isinstance(one, ast.comprehension) for part in ast.walk(one.target)]
    return {one.arg for one in nodes if isinstance(one, ast.arg)} | _stored(targets)


def _declared(nodes: Sequence[ast.AST]) -> set[str]:
    return {name for one in nodes if isinstance(one, ast.Global) for name in one.names}


def _loaded(nodes: Sequence[ast.AST]) -> frozenset[str]:
    return frozenset(one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load))


def _stored(nodes: Sequence[ast.AST]) -> set[str]:
    return {one.id for one in nodes if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)}


def _asked(nodes: Sequence[ast.AST]) -> frozenset[str]:
    return frozenset(one.attr for one in nodes if isinstance(one, ast.Attribute))


def _filled(node: Any, inside: Sequence[ast.AST]) -> set[str]:
    """Names a simple statement assigns to, and roots of what it assigns into or calls a method of."""
    roots = {
        name
        for one in inside
        if isinstance(one, ast.Attribute | ast.Subscript) and not isinstance(one.ctx, ast.Load)
        for name in _root(one)
    }
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        handed = [*node.value.args, *(one.value for one in node.value.keywords)]
        roots |= {one.id for one in handed if isinstance(one, ast.Name)} | set(_root(node.value.func))
    return roots | (_stored(inside) if isinstance(node, ast.stmt) and not hasattr(node, "body") else set())


def _root(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
        if isinstance(node, ast.Name):
            yield node.id


def _imports(node: Any) -> Iterator[tuple[str, str, str | None, int]]:
    """(name here, module, name there, level) of an import statement."""
    if isinstance(node, ast.Import):
        for one in node.names:
            yield one.asname or one.name.partition(".")[0], one.name, None, 0
    elif isinstance(node, ast.ImportFrom):
        for one in node.names:
            yield one.asname or one.name, node.module or "", one.name, node.level


def module_named(scope: Mapping[str, Any], name: str, level: int) -> Any:
    """The loaded module that an import statement in `scope` means."""
    package = str(scope.get("__package__") or "").split(".")
    base = package[: len(package) - level + 1] if level else []
    return sys.modules.get(".".join([*base, *filter(None, [name])]))


def is_from_literals(scope: Mapping[str, Any], name: str, seen: frozenset[tuple[str, str]] = frozenset()) -> bool:
    """Whether a module's global follows from what its source says, by functions that look at nothing else."""
    file = str(scope.get("__file__"))
    filling = [step for step in steps_of(file) if name in step.fills]
    if (file, name) in seen:
        return True
    return bool(filling) and all(_is_pure(step, scope, name, seen | {(file, name)}) for step in filling)


def _is_pure(step: Step, scope: Mapping[str, Any], name: str, seen: frozenset[tuple[str, str]]) -> bool:
    if step.imported:
        return all(_is_pure_import(one, scope, seen) for one in step.imported if one[0] == name)
    if any(map(IMPURE.match, step.asks)):
        return False
    outside = step.uses - step.own - {name}
    return all(_is_builtin(one, scope) or is_from_literals(scope, one, seen) for one in outside)


def _is_pure_import(
    imported: tuple[str, str, str | None, int], scope: Mapping[str, Any], seen: frozenset[tuple[str, str]]
) -> bool:
    _, module, there, level = imported
    if not level and module.partition(".")[0] in PURE:
        return IMPURE.match(there or "") is None
    found = module_named(scope, module, level)
    return found is not None and there is not None and is_from_literals(vars(found), there, seen)


def _is_builtin(name: str, scope: Mapping[str, Any]) -> bool:
    return name not in scope and hasattr(builtins, name) and not IMPURE.match(name)
