"""The house: a lower room never imports a higher one, and only tracking opens a connection to MLflow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pytest_nbaprops"
ROOMS = (
    "metrics", "data", "code", "features", "recipes", "walkforward", "leaks", "gate", "market", "tracking", "registry",
    "reports", "runs", "serving", "importing", "session", "commands",
)  # fmt: skip


def imported(path: Path) -> Iterator[str]:
    """Modules that the file imports, wherever in it, and names imported from them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def run_time_imports(node: ast.AST) -> Iterator[str]:
    """Modules that are imported when the code runs, not only where types are checked."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None:
        yield node.module
    for child in ast.iter_child_nodes(node):
        yield from run_time_imports(child)


def modules(room: str) -> list[Path]:
    return sorted((PACKAGE / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_knows_only_those_below(room: str) -> None:
    """Not even for annotations, or in a function; but that the gate asks a report on bets, which is made above it."""
    above = tuple(f"pytest_nbaprops.{other}." for other in ROOMS[ROOMS.index(room) + 1 :])
    wrong = {
        (str(path.relative_to(PACKAGE)), name)
        for path in modules(room)
        for name in imported(path)
        if f"{name}.".startswith(above)
    }
    names = ("pytest_nbaprops.market.report", "pytest_nbaprops.market.report.MarketReport")
    asks = {(f"gate/{file}.py", name) for file in ("evaluate", "verdict") for name in names}
    assert wrong == (asks if room == "gate" else set())


def test_the_gate_needs_no_market_when_it_runs() -> None:
    for path in modules("gate"):
        names = [*run_time_imports(ast.parse(path.read_text(encoding="utf-8")))]
        assert not [name for name in names if name.startswith("pytest_nbaprops.market")]


def test_every_room_has_its_place() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ROOMS)


def test_only_tracking_opens_a_connection_to_mlflow() -> None:
    """Everybody else is handed a store."""
    opened = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "MlflowClient"
    }
    assert opened == {"tracking/connection.py"}


def test_only_tracking_imports_mlflow() -> None:
    """Everybody else names its types at most, which costs nothing when the code runs."""
    importing = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        if "mlflow"
        in {name.partition(".")[0] for name in run_time_imports(ast.parse(path.read_text(encoding="utf-8")))}
    }
    assert importing == {"tracking"}


@pytest.mark.parametrize("name", ["nbaprops.", "data_digests", "trained_through", "champion_version"])
def test_tags_are_named_in_one_place(name: str) -> None:
    """A tag's name is a literal in `tracking/tags.py` and `registry/record.py` alone, as far as these rooms go."""
    homes = {PACKAGE / "tracking" / "tags.py", PACKAGE / "registry" / "record.py"}
    literal = [
        str(path.relative_to(PACKAGE))
        for room in ("tracking", "registry", "runs", "serving")
        for path in modules(room)
        if path not in homes
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and is_tag(node.value, name)
    ]
    assert literal == ["serving/loader.py"] * (name == "trained_through")  # the key of get_model_info


def is_tag(text: str, name: str) -> bool:
    return text.startswith(name) if name.endswith(".") else text == name
