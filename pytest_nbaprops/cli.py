"""The `nbaprops` command: a group whose commands are imported when they are called, so that `--help` is quick."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from keyword import iskeyword
from typing import Any, Final

import click

from pytest_nbaprops.errors import NBAPropsError
from pytest_nbaprops.redaction import redact

VERBS: Final = {
    "compare": "Compare runs: metrics, parameters, features, paired MAE difference.",
    "best": "List the best runs on the same data and test window.",
    "history": "Show who was in production when, and why.",
    "promote": "Check a version against criteria and give it an alias.",
    "rollback": "Put the version before back under an alias.",
    "predict": "Predict the players of games to come with a promoted model.",
    "reproduce": "Run a stored run again and compare.",
    "check": "Say what a session would say about game logs, or about a file of lines.",
    "import": "Bring runs and models of an older MLflow store along.",
    "sample": "Write game logs of a simulated league.",
    "init": "Write a starter project.",
    "cache": "Look after the fold store (.nbaprops) of a project.",
}

# The library names the plugin's options; this command has its own for the same things.
_SPELLED: Final = {
    "--nbaprops-tracking-uri": "--tracking-uri",
    "--nbaprops-criterion": "--criteria",
    "--nbaprops-alias": "--alias",
    "--nbaprops-experiment": "--experiment",
    "--nbaprops-model-name": "--model",
    "--nbaprops-odds": "--odds",
}


class LazyCommands(click.Group):
    """Imports a command when it is called; project errors end in one line and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in VERBS:
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command = getattr(import_module(f"pytest_nbaprops.commands.{name}"), name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        # A terminal's encoding may lack letters that names have: they are escaped there, not an error.
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        with _one_line():  # --help is printed while arguments are read
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> object:
        with _one_line():
            answer = super().invoke(ctx)
            sys.stdout.flush()  # a full disk shows here, not when Python ends
        return answer


@contextmanager
def _one_line() -> Iterator[None]:
    """Turns what a user or the system can cause into click's one line and exit code 1."""
    try:
        yield
    except NBAPropsError as error:
        raise click.ClickException(spelled(redact(str(error)))) from None
    except BrokenPipeError:  # click ends quietly: whoever read has read enough
        raise
    except (OSError, UnicodeError) as error:
        said = " ".join(str(error).split())
        if isinstance(error, OSError) and error.strerror is not None:
            said = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
        raise click.ClickException(redact(said)) from None


def spelled(text: str) -> str:
    """The message with the names that this command's options have."""
    return re.sub(r"--nbaprops-[a-z-]+", lambda match: _SPELLED.get(match[0], match[0]), " ".join(text.split()))


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytest-nbaprops", prog_name="nbaprops")
def main() -> None:
    """Companion of `pytest --nbaprops-train`: after the verdict, compare, promote, roll back and predict.

    Example: nbaprops compare champion latest
    """
