"""The same groups in new Python processes with other hash seeds: fresh modules, no state, nothing read yet.

The modules that a group is written in are imported anew from their files, and the group is taken from there by its
name. One that is not found is sent as its compiled code, its defaults and what it closes over; what cannot be sent that
way either (open handles, compiled callables), and what a notebook defines, is not asked.
"""

from __future__ import annotations

import io
import marshal
import os
import pickle
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pytest_nbaprops.code.reached import is_project
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.leaks.answers import Answer
from pytest_nbaprops.leaks.callers import folders_of, package_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pandas as pd

OWN_PACKAGE = __name__.partition(".")[0]
# Modules that another process has no file of.
NOTEBOOKS = ("__main__", "__mp_main__")
HOOK = "pytest_nbaprops_feature_groups"
PATIENCE = 120.0
FIRST_SEED, MORE_SEEDS = 1, range(2, 8)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One group to ask: `modules` it may be found in, else its packed `code`; `folders` of the package it is from."""

    name: str
    identity: tuple[str, str]
    modules: tuple[str, ...]
    code: bytes | None
    tables: dict[str, pd.DataFrame]
    hashes: bool
    package: str | None
    folders: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the other process is asked: answer `groups` for `games`, with the project's modules from `files`.

    `listens` says whether it shall hear what is read, which makes it slower.
    """

    listens: bool
    files: dict[str, str]
    path: list[str]
    groups: list[Asked]
    games: pd.DataFrame


class Elsewhere:
    """Asks while this process goes on; groups of this package are left out, its own tests ask about them."""

    def __init__(
        self, groups: Sequence[tuple[FeatureGroup, dict[str, pd.DataFrame], bool]], games: pd.DataFrame
    ) -> None:
        self.games = games
        self._first: _Process | None = None
        self._more: dict[str, list[_Process]] = {}
        self.files = _project_files()
        homes = _homes(self.files)
        self.asked = [
            _asked(group, tables, homes, hashes=hashes)
            for group, tables, hashes in groups
            if not _is_own(group.function) and identity(group.function)[0] not in NOTEBOOKS
        ]

    def __enter__(self) -> Self:
        if self.asked:
            self._first = _Process(self._order(self.asked, listens=True), seed=FIRST_SEED)
        return self

    def __exit__(self, *_: object) -> None:
        for process in ([self._first] if self._first else []) + [one for some in self._more.values() for one in some]:
            process.close()

    def answer(self, name: str) -> Answer | None:
        """The group's answer to the games; None where it could not be asked."""
        return self._first.answers().get(name) if self._first else None

    def more_answers(self, name: str, *, hashes: bool) -> Iterator[Answer]:
        """The group's answers from yet other processes: one, or several where its answer may turn on the hash seed.

        A set of two has the same order under every second seed, so one more process would tell little. All groups
        that hash share these processes.
        """
        key = "" if hashes else name
        if key not in self._more:
            order = self._order(
                [one for one in self.asked if one.name == name or (hashes and one.hashes)], listens=False
            )
            self._more[key] = [_Process(order, seed=seed) for seed in (MORE_SEEDS if hashes else MORE_SEEDS[:1])]
        yield from (answer for one in self._more[key] if (answer := one.answers().get(name)) is not None)

    def _order(self, groups: list[Asked], *, listens: bool) -> Order:
        return Order(listens=listens, files=self.files, path=list(sys.path), groups=groups, games=self.games)


class _Process:
    def __init__(self, order: Order, *, seed: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nbaprops-")
        self._answer = Path(self._folder.name, "answer")
        self._answers: dict[str, Answer] | None = None
        question = Path(self._folder.name, "question")
        question.write_bytes(pickle.dumps(order))
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        # What measures this process must not measure that one.
        environment = {name: value for name, value in environment.items() if not name.startswith("COV_CORE")}
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and our own module
            [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "pytest_nbaprops.leaks.subprocess_main",
                str(question),
                str(self._answer),
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def answers(self) -> dict[str, Answer]:
        if self._answers is None:
            self._answers = self._read()
        return self._answers

    def _read(self) -> dict[str, Answer]:
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return {}
        with suppress(OSError, EOFError, pickle.UnpicklingError):
            plain = pickle.loads(self._answer.read_bytes())  # noqa: S301 - written by our own process just now
            return {name: Answer(**one) for name, one in plain.items()}
        return {}

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


def _asked(group: FeatureGroup, tables: dict[str, pd.DataFrame], homes: dict[int, str], *, hashes: bool) -> Asked:
    function = group.function
    # Where the group itself is kept, else where its function is from, else whoever hands out groups.
    modules = [homes.get(id(group)), identity(function)[0], homes.get(0)]
    return Asked(
        name=group.name,
        identity=identity(function),
        modules=tuple(dict.fromkeys(filter(None, modules))),
        code=packed(function),
        tables=tables,
        hashes=hashes,
        package=package_of(function),
        folders=folders_of(function),
    )


def _homes(files: Mapping[str, str]) -> dict[int, str]:
    """The modules that groups are kept in, by the groups' ids; under 0 the module whose hook makes groups."""
    found: dict[int, str] = {}
    for name in files:
        scope = vars(sys.modules[name])
        found |= {id(group): name for group in groups_in(scope.values()) if id(group) not in found}
        if callable(scope.get(HOOK)):
            found.setdefault(0, name)
    return found


def groups_in(values: Iterable[Any], depth: int = 2) -> Iterator[FeatureGroup]:
    """The feature groups among values, and in containers among them."""
    for value in values:
        if isinstance(value, FeatureGroup):
            yield value
        elif depth and isinstance(value, list | tuple | dict):
            yield from groups_in(value.values() if isinstance(value, dict) else value, depth - 1)


def identity(function: Any) -> tuple[str, str]:
    """Module and qualified name of a function, or of the class of another callable."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return str(named.__module__), str(named.__qualname__)


def packed(function: object) -> bytes | None:
    """The function as bytes that another process can run against fresh modules; None where that cannot be."""
    target = io.BytesIO()
    try:
        _Packer(target, protocol=pickle.HIGHEST_PROTOCOL).dump(function)
    except Exception:  # noqa: BLE001 - objects may refuse in any way they like
        return None
    return target.getvalue()


class _Packer(pickle.Pickler):
    """Functions of the project go as code, with their module to be imported anew."""

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, FunctionType) or not is_project(obj) or _is_own(obj):
            return NotImplemented
        cells = tuple(cell.cell_contents for cell in obj.__closure__ or ())
        parts = (obj.__defaults__, obj.__kwdefaults__, cells, obj.__dict__)
        return unpacked, (obj.__module__, marshal.dumps(obj.__code__), obj.__name__, *parts)


def unpacked(  # noqa: PLR0913, PLR0917 - what a function is made of
    module: str,
    code: bytes,
    name: str,
    defaults: Any,
    keyword_defaults: Any,
    cells: tuple[Any, ...],
    attributes: dict[str, Any],
) -> Callable[..., Any]:
    """The function in this process; its globals are those of the module imported here."""
    __import__(module)
    compiled: CodeType = marshal.loads(code)  # noqa: S302 - packed by the process that started this one
    function = FunctionType(compiled, vars(sys.modules[module]), name, defaults, tuple(_cell(value) for value in cells))
    function.__kwdefaults__ = keyword_defaults
    function.__dict__.update(attributes)
    return function


def _cell(value: object) -> Any:
    return (lambda: value).__closure__[0]  # type: ignore[index]


def _is_own(function: object) -> bool:
    return str(getattr(function, "__module__", "")).partition(".")[0] == OWN_PACKAGE


def _project_files() -> dict[str, str]:
    """Where the project's modules were read from, under the names they have here."""
    files = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        own = name.partition(".")[0] in (OWN_PACKAGE, *NOTEBOOKS)
        if isinstance(file, str) and file.endswith(".py") and not own and is_module_of_project(module):
            files[name] = file
    return files


def is_module_of_project(module: Any) -> bool:
    """Whether a module is the project's own."""
    try:
        return is_project(module)
    except Exception:  # noqa: BLE001 - lazy modules may raise anything when looked at
        return False


def as_plain(answer: Answer, reads: Sequence[str], data: Sequence[str] = ()) -> dict[str, Any]:
    """An answer as what pickles anywhere."""
    return {
        "numbers": np.asarray(answer.numbers),
        "columns": answer.columns,
        "precision": answer.precision,
        "problem": answer.problem,
        "rows": answer.rows,
        "reads": tuple(reads),
        "data": tuple(data),
    }
