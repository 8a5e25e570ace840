"""A plugin of its own (`-p pytest_nbaprops.runs.replay`): a recorded session again, for one candidate.

It leaves no trace, and only `nbaprops reproduce` loads it. What of the recorded command line cannot load code is parsed
as it was; then the recorded settings take the place of whatever command line, marker or ini file say now, and what
would write into the project is switched off.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from pytest_nbaprops.data.kinds import GAMES_OPTION, parse_kinds
from pytest_nbaprops.options import OPTIONS

REQUEST: Final = "NBAPROPS_REPLAY"
NAME: Final = "nbaprops-replay"
BUILT_IN: Final = "nbaprops::"
REPORT, TRACKING, STORE = "report", "mlflow.db", "store"

# pytest's, xdist's and well-known plugins' options that select tests, stop early, distribute or write files.
NEUTRAL: Final[Mapping[str, Any]] = {
    "keyword": "", "markexpr": "", "deselect": None, "maxfail": 0, "usepdb": False, "trace": False,
    "collectonly": False, "stepwise": False, "continue_on_collection_errors": True, "numprocesses": None, "tx": [],
    "dist": "no", "distload": False, "looponfail": False, "xmlpath": None, "htmlpath": None, "report_log": None,
    "pastebin": None,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to run again, written for the subprocess.

    Attributes:
        folder: where report, tracking store and fold store of the repetition go.
        threads: of the recorded session's processes.
        nodeids: the folds to run.
        options: values of the plugin's options by destination; all others are back at their defaults.
        digest: of the recorded data, for games that a hook loads (`DatasetDigest.to_dict`).
    """

    folder: str
    threads: int
    nodeids: tuple[str, ...]
    options: Mapping[str, Any]
    digest: Mapping[str, Any]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Request:
        plain = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**plain, "nodeids": tuple(plain["nodeids"])})


def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Take the request in before anything counts the cores."""
    request = Request.read(Path(os.environ[REQUEST]))
    # As many cores as the recorded process had threads, so that this one counts the same number.
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):  # some containers forbid it: then the table shows another number
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: request.threads])
    else:  # by the share of a worker among others
        os.environ["PYTEST_XDIST_WORKER_COUNT"] = str(max(1, (os.cpu_count() or 1) // request.threads))
    early_config.pluginmanager.register(Replay(request), NAME)


class Replay:
    """Puts the recorded settings in place, keeps the project's files alone and selects the candidate's folds."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.folder = Path(request.folder)
        self.wanted = frozenset(request.nodeids)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, Any, Any]:
        """Before any plugin is configured."""
        for name, value in {**NEUTRAL, **self._options()}.items():
            if hasattr(config.option, name):
                setattr(config.option, name, value)
        config.option.basetemp = str(self.folder / "basetemp")
        for name in ("stepwise", "cacheprovider"):  # what the user's --lf and --sw go by stays as it is
            if config.pluginmanager.has_plugin(name):
                config.pluginmanager.unregister(name=name)
        return (yield)

    def _options(self) -> dict[str, Any]:
        defaults = {option.dest: False if option.flag else None for option in OPTIONS}
        ours = {
            "nbaprops_train": True,
            "nbaprops_no_cache": True,
            "nbaprops_promote": "off",
            "nbaprops_store": str(self.folder / STORE),  # nothing of the user's is read, mixed or evicted
            "nbaprops_leak_dates": "1",  # the leak guard had its look when the run was made
            "nbaprops_report": str(self.folder / REPORT),
            "nbaprops_tracking_uri": f"sqlite:///{self.folder / TRACKING}",
        }
        return {**defaults, **self.request.options, **ours}

    @pytest.hookimpl(wrapper=True, optionalhook=True)
    def pytest_nbaprops_load_games(self, config: pytest.Config) -> Generator[None, Any, Any]:
        """Games of a hook, cut to the recorded ones."""
        games = yield
        if games is None:
            return None
        from pytest_nbaprops.runs.games import HOOK, recorded_games  # noqa: PLC0415 - heavy: only where it is needed

        target, kinds = self.request.options["nbaprops_target"], parse_kinds(config.getini(GAMES_OPTION))
        return recorded_games(games, self.request.digest, source=HOOK, target=target, kinds=kinds)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Leave other candidates out before they are looked up; where none is wanted the built-in suite steps in."""
        items[:] = [item for item in items if item.nodeid in self.wanted]
        if not self.request.nodeids[0].startswith(BUILT_IN):
            self._require(items)
        yield
        items[:] = [item for item in items if item.nodeid in self.wanted]
        self._require(items)

    def _require(self, items: list[pytest.Item]) -> None:
        if not items:
            raise pytest.UsageError(f"not found: {self.request.nodeids[0]}, a fold of the recorded candidate")
