"""pytest's front door: options, markers and the switch. Imports nothing heavier than pytest."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

import pytest

from pytest_nbaprops import hookspecs, options
from pytest_nbaprops.autologging import autologging_off
from pytest_nbaprops.code.conftests import note_conftest
from pytest_nbaprops.processes import REHEARSAL, lasting, thread_share
from pytest_nbaprops.session.fixtures import (
    asks_for_fold,
    fold,
    forget_on_demand,
    nbaprops_features,
    nbaprops_games,
    variables_key,
)

__all__ = ["fold", "nbaprops_features", "nbaprops_games"]

SESSION_NAME = "nbaprops-session"
waiting_key = pytest.StashKey[int]()
SUITE_PREFIX = "nbaprops::"
MARKERS = (
    f"{options.MARKER_SIGNATURE}: configure the walk-forward validation of a test that asks for the fold fixture",
    "promotion(*criteria): criteria that decide the promotion of a walk-forward test's model",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)
    if "--nbaprops-train" in sys.argv and REHEARSAL not in os.environ:
        from pytest_nbaprops.rootdir import forget_decision_of  # noqa: PLC0415 - only when training

        forget_decision_of(sys.argv[1:])


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


def pytest_plugin_registered(plugin: object) -> None:
    note_conftest(plugin)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before a conftest is imported no older verdict stays; a process of the leak guard's has none of its own."""
    known = early_config.known_args_namespace
    if os.environ.pop(REHEARSAL, None) is not None:
        return
    if known.nbaprops_train and "OMP_WAIT_POLICY" not in os.environ:
        # Read by the first library that brings OpenMP: threads that wait for one another soon sleep, and leave their
        # cores; not at once, or many short loops (scikit-learn's boosting) take three times as long.
        os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "1000")}
    early_config.stash[variables_key] = dict(os.environ)  # without those that the project is about to set
    if known.nbaprops_train and not known.collectonly and not (known.help or known.version):
        from pytest_nbaprops.rootdir import forget_decision  # noqa: PLC0415 - only when training

        forget_decision(early_config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers; under --nbaprops-train register the session's role in this process."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if not config.getoption("nbaprops_train") or config.option.help or config.option.version:
        return
    with lasting():
        role = _role(config, _take_pasted_ids(config))
    config.pluginmanager.register(role, SESSION_NAME)
    stack = ExitStack()
    config.add_cleanup(stack.close)
    stack.enter_context(autologging_off())


def _role(config: pytest.Config, pasted: tuple[str, ...]) -> Any:
    from pytest_nbaprops.settings import read_settings  # noqa: PLC0415 - only when training

    if "pytest_nbaprops.session.child" in sys.modules:
        from pytest_nbaprops.session.child import order_key  # noqa: PLC0415 - only in the leak guard's own

        if (order := config.stash.get(order_key, None)) is not None:
            # A process of the leak guard's asks feature groups, or runs a few folds again.
            from pytest_nbaprops.session.rehearsal import Rehearsal  # noqa: PLC0415 - either of them
            from pytest_nbaprops.session.sandbox import Sandbox  # noqa: PLC0415

            return Sandbox(config, order) if order.told["nodeids"] is None else Rehearsal(config, order, pasted)
    worker_input = getattr(config, "workerinput", None)
    if worker_input is not None:
        from pytest_nbaprops.session.worker import Worker  # noqa: PLC0415

        return Worker(config, worker_input, pasted=pasted)
    settings = read_settings(config)
    from pytest_nbaprops.session.tables import begin_tables  # noqa: PLC0415 - as below, but not half as heavy

    begin_tables(config, settings, threads=thread_share(1))
    from pytest_nbaprops.session.controller import Controller  # noqa: PLC0415 - heavy: only once the settings are valid

    return Controller(config, settings, pasted=pasted)


def _take_pasted_ids(config: pytest.Config) -> tuple[str, ...]:
    """Ids of the built-in suite name no file: they are taken out of the arguments and selected by us."""
    pasted = tuple(arg for arg in config.args if arg.startswith(SUITE_PREFIX))
    if pasted:
        config.args = [arg for arg in config.args if arg not in pasted]
    return pasted


def pytest_unconfigure(config: pytest.Config) -> None:
    """Games that a fixture read in an ordinary session go with it."""
    forget_on_demand(config)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, int | pytest.ExitCode | None, Any]:
    """The last word on the exit code is the session's; a conftest's sessionfinish can change what pytest knows."""
    try:
        code = yield
    except pytest.UsageError as error:
        final = _final_code(config, pytest.ExitCode.USAGE_ERROR)
        if final == pytest.ExitCode.USAGE_ERROR:
            raise
        print(f"ERROR: {error}", file=sys.stderr)  # noqa: T201 - what pytest does with a usage error
        return final
    except SystemExit as exit_:
        # What the interpreter would make of it.
        return _final_code(config, exit_.code if isinstance(exit_.code, int) else 0 if exit_.code is None else 1)
    return code if code is None else _final_code(config, int(code))


def _final_code(config: pytest.Config, code: int) -> int:
    session: Any = config.pluginmanager.get_plugin(SESSION_NAME)
    return session.final_code(code) if hasattr(session, "final_code") else code


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --nbaprops-train walk-forward tests are deselected."""
    if config.getoption("nbaprops_train"):
        return
    folds = [item for item in items if asks_for_fold(item)]
    if folds:
        config.stash[waiting_key] = len(folds)
        config.hook.pytest_deselected(items=folds)
        items[:] = [item for item in items if not asks_for_fold(item)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Where nothing but walk-forward tests was there, say how they are run."""
    waiting = config.stash.get(waiting_key, 0)
    if waiting and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        tests = "test was" if waiting == 1 else "tests were"
        terminalreporter.write_line(f"nbaprops: {waiting} walk-forward {tests} left out; run: pytest --nbaprops-train")
