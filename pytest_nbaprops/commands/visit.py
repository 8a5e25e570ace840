"""The project as a training session would see it: ini file, conftests and hooks, without starting a session."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import click
import pytest

from pytest_nbaprops.errors import NBAPropsError, SettingsError
from pytest_nbaprops.settings import Settings, read_settings

T = TypeVar("T")
PLUGIN = "nbaprops"


def visit(arguments: Sequence[str], work: Callable[[pytest.Config, Settings], T]) -> T:
    """What `work` gives for the project of the working directory; `arguments` are pytest's, like --nbaprops-data=PATH.

    pytest reads ini file, command line and initial conftests as for any session; nothing is collected or run, and
    `pytest_configure` of a conftest is not called. What conftests print goes to stderr.

    Raises:
        SettingsError: the project's settings or conftests cannot be used.
        NBAPropsError: whatever `work` raises.
        SystemExit: rows that it read cannot be used, which is told, a line each.
    """
    from pytest_nbaprops.data.problems import RowsError  # noqa: PLC0415 - pandas only where it is needed

    visitor = _Visitor(work)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        # Captured text would be written to where stdout was before it was redirected.
        pytest.main(["--capture=no", *arguments], plugins=[visitor])
    if isinstance(visitor.error, RowsError):
        for problem in visitor.error.problems:
            click.echo(f"Error: {problem}", err=True)
        raise SystemExit(1)
    if visitor.error is not None:
        raise visitor.error
    if not visitor.answers:
        lines = [line.strip() for line in printed.getvalue().splitlines() if line.strip()]
        errors = [line.removeprefix("E ").strip() for line in lines if line.startswith(("E ", "ERROR"))]
        reason = (errors or lines or ["no reason given"])[-1]
        raise SettingsError(f"pytest cannot start here: {reason}; see pytest --collect-only")
    sys.stderr.write(printed.getvalue())
    return visitor.answers[0]


class _Visitor(Generic[T]):
    """Does the work in place of a session, once pytest has read everything."""

    def __init__(self, work: Callable[[pytest.Config, Settings], T]) -> None:
        self.work = work
        self.answers: list[T] = []
        self.error: NBAPropsError | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Any:
        try:
            if not config.pluginmanager.has_plugin(PLUGIN):
                raise SettingsError("the project switches the plugin nbaprops off (-p no:nbaprops); switch it on again")
            self.answers.append(self.work(config, read_settings(config)))
        except pytest.UsageError as error:
            self.error = SettingsError(str(error))
        except NBAPropsError as error:
            self.error = error
        return pytest.ExitCode.OK
