"""What the other process runs: groups called for the first time, watched, in modules that were just imported."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_nbaprops.gate.leaks.answers import Answer
from pytest_nbaprops.gate.leaks.audit import watched
from pytest_nbaprops.gate.leaks.subprocess_check import Order, as_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    import pandas as pd


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


def main(question: str, answer: str) -> None:
    """Read the order in file `question` and write the answers to file `answer`."""
    order: Order = pickle.loads(Path(question).read_bytes())  # noqa: S301 - written by the process that started this
    sys.path[:] = order.path
    sys.meta_path.insert(0, SameFiles(order.files))
    answers = {}
    for name, code, tables in order.groups:
        one = _answer(code, order.games, tables)
        if one is not None:
            answers[name] = one
    Path(answer).write_bytes(pickle.dumps(answers))


def _answer(code: bytes, games: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> dict[str, Any] | None:
    try:
        function = pickle.loads(code)  # noqa: S301 - as above
    except Exception:  # noqa: BLE001 - a module that cannot be imported here cannot be asked
        return None
    reads: list[str] = []
    try:
        with watched(reads, clock=True):
            raw = function(games.copy(deep=True), **tables)
    except Exception as problem:  # noqa: BLE001 - a user's code may raise anything
        return as_plain(Answer.failed(f"{type(problem).__name__}: {problem}"), reads)
    return as_plain(Answer.of(raw, games), reads)


if __name__ == "__main__":
    main(*sys.argv[1:])
