"""The xdist worker's role: read what the controller prepared, collect and run folds. Imports no MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_nbaprops.errors import NBAPropsError
from pytest_nbaprops.processes import thread_share
from pytest_nbaprops.session.collection import FoldCollector
from pytest_nbaprops.session.context import Context, read_context
from pytest_nbaprops.session.evidence import write_plan
from pytest_nbaprops.session.fixtures import asks_for_fold, collector_key

WORKER_INPUT = "nbaprops"
COLLECTOR_NAME = "nbaprops-collector"


class Worker:
    """An xdist worker: reads what the controller prepared, collects and runs folds."""

    def __init__(self, config: pytest.Config, worker_input: Mapping[str, Any], *, pasted: tuple[str, ...]) -> None:
        self.config, self.pasted = config, pasted
        self.folder = Path(worker_input[WORKER_INPUT])
        self.name = str(worker_input["workerid"])
        self.threads = thread_share(1)  # xdist tells this process in the environment how many there are

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        try:
            context = read_context(self.config, self.folder, threads=self.threads)
            register_collector(self.config, context, pasted=self.pasted, worker=self.name)
        except NBAPropsError as error:
            write_plan(self.folder, self.name, [], [str(error)])  # the controller says it

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if not config.pluginmanager.has_plugin(COLLECTOR_NAME):
            items[:] = [item for item in items if not asks_for_fold(item)]


def register_collector(
    config: pytest.Config, context: Context, *, pasted: tuple[str, ...], worker: str | None, rehearses: bool = False
) -> FoldCollector:
    files = [getattr(plugin, "__file__", None) for plugin in config.pluginmanager.get_plugins()]
    in_time = [file for file in files if file is not None]
    collector = FoldCollector(context, pasted=pasted, worker=worker, in_time=in_time, rehearses=rehearses)
    config.stash[collector_key] = collector
    config.pluginmanager.register(collector, COLLECTOR_NAME)
    return collector
