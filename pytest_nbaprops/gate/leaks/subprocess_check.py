"""The same groups in new Python processes with other hash seeds: fresh modules, no state, nothing read yet.

A group is sent as its compiled code, its defaults and what it closes over; the modules it is written in are imported
anew from their files. What cannot be sent that way (open handles, compiled callables) is not asked.
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

from pytest_nbaprops.features.code import is_project
from pytest_nbaprops.gate.leaks.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from pytest_nbaprops.features.group import FeatureGroup

OWN_PACKAGE = __name__.partition(".")[0]
PATIENCE = 120.0
FIRST_SEED, MORE_SEEDS = 1, range(2, 8)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the other process is asked: answer `groups` (name, packed function, tables) for `games`."""

    files: dict[str, str]
    path: list[str]
    groups: list[tuple[str, bytes, dict[str, pd.DataFrame]]]
    games: pd.DataFrame


class Elsewhere:
    """Asks while this process goes on; groups of this package are left out, its own tests ask about them."""

    def __init__(self, groups: Sequence[tuple[FeatureGroup, dict[str, pd.DataFrame]]], games: pd.DataFrame) -> None:
        self.packed: list[tuple[str, bytes, dict[str, pd.DataFrame]]] = []
        self.games = games
        self._first: _Process | None = None
        self._answers: dict[str, Answer] | None = None
        for group, tables in groups:
            code = None if _is_own(group.function) else packed(group.function)
            if code is not None:
                self.packed.append((group.name, code, tables))

    def __enter__(self) -> Self:
        if self.packed:
            self._first = _Process(self._order(self.packed), seed=FIRST_SEED)
        return self

    def __exit__(self, *_: object) -> None:
        if self._first is not None:
            self._first.close()

    def answer(self, name: str) -> Answer | None:
        """The group's answer to the games; None where it could not be asked."""
        if self._answers is None:
            self._answers = self._first.answers() if self._first else {}
        return self._answers.get(name)

    def more_answers(self, name: str, *, hashes: bool) -> Iterator[Answer]:
        """The group's answers from yet other processes: one, or several where its answer may turn on the hash seed.

        A set of two has the same order under every second seed, so one more process would tell little.
        """
        order = self._order([one for one in self.packed if one[0] == name])
        processes = [_Process(order, seed=seed) for seed in (MORE_SEEDS if hashes else MORE_SEEDS[:1])]
        try:
            yield from (answer for one in processes if (answer := one.answers().get(name)) is not None)
        finally:
            for one in processes:
                one.close()

    def _order(self, groups: list[tuple[str, bytes, dict[str, pd.DataFrame]]]) -> Order:
        return Order(files=_project_files(), path=list(sys.path), groups=groups, games=self.games)


class _Process:
    def __init__(self, order: Order, *, seed: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nbaprops-")
        self._answer = Path(self._folder.name, "answer")
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
                "pytest_nbaprops.gate.leaks.subprocess_main",
                str(question),
                str(self._answer),
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def answers(self) -> dict[str, Answer]:
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
        own = name.partition(".")[0] in (OWN_PACKAGE, "__main__", "__mp_main__")
        if isinstance(file, str) and file.endswith(".py") and not own and _is_module_of_project(module):
            files[name] = file
    return files


def _is_module_of_project(module: Any) -> bool:
    try:
        return is_project(module)
    except Exception:  # noqa: BLE001 - lazy modules may raise anything when looked at
        return False


def as_plain(answer: Answer, reads: list[str]) -> dict[str, Any]:
    """An answer as what pickles anywhere."""
    return {
        "numbers": np.asarray(answer.numbers),
        "columns": answer.columns,
        "precision": answer.precision,
        "problem": answer.problem,
        "rows": answer.rows,
        "reads": tuple(reads),
    }
