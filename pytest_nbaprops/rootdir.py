"""Where a session's project is: its rootdir and ini file, and what lies there."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import json
import os
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.options import OPTIONS

REPORT: Final = "nbaprops-report"
LOOKING: Final = frozenset(("-h", "--help", "-V", "--version", "--co", "--collect-only", "--collectonly"))
# In the order in which pytest looks, with the table that makes a file pytest's.
INI_TABLES: Final[Mapping[str, str]] = {
    "pytest.toml": "pytest",
    ".pytest.toml": "pytest",
    "pytest.ini": "pytest",
    ".pytest.ini": "pytest",
    "pyproject.toml": "tool.pytest",
    "tox.ini": "pytest",
    "setup.cfg": "tool:pytest",
}


def project_root(config: pytest.Config) -> Path:
    """The rootdir, or the working directory where pytest took it from an option's value.

    pytest decides on rootdir and ini file before it knows our options: it takes PATH in `--nbaprops-data PATH` for a
    test path, and where that lies outside of the project, for the rootdir.

    Raises:
        SettingsError: an ini file with our settings was passed over that way.
    """
    here = config.invocation_params.dir
    if config.option.rootdir or config.option.inifilename:
        return config.rootpath
    if config.inipath is not None:
        asked = [here, *(here / text.partition("::")[0] for text in config.args)]
        if any(path.resolve().is_relative_to(config.inipath.parent.resolve()) for path in asked):
            return config.rootpath
    for passed_over in (folder / name for folder in (here, *here.parents) for name in INI_TABLES):
        if passed_over.is_file() and "nbaprops_" in passed_over.read_text(encoding="utf-8", errors="replace"):
            words = pairwise(map(str, config.invocation_params.args))
            spaced = [
                f"{one}=PATH" for one, value in words if one.startswith("--nbaprops-") and (here / value).exists()
            ]
            written = " and ".join(spaced) or "--nbaprops-data=PATH"
            raise SettingsError(
                f"pytest did not read {passed_over}: it took the value of an option for a test path; "
                f"write {written} with an equals sign, or add -c {passed_over}"
            )
    return here


def refuse_unknown_keys(config: pytest.Config) -> None:
    """A key that nobody declared is a typo; pytest only warns of it, and the default would count.

    Raises:
        SettingsError: there is one in the ini file or after -o.
    """
    text = config.inipath.read_text(encoding="utf-8", errors="replace") if config.inipath is not None else ""
    keys = re.findall(r"^[ \t]*[\"']?(nbaprops_\w+)[\"']?[ \t]*[=:]", text, re.MULTILINE)
    given = [
        name for word in config.option.override_ini or () if (name := word.partition("=")[0]).startswith("nbaprops_")
    ]
    for key, where in [*((key, config.inipath) for key in keys), *((key, "-o") for key in given)]:
        try:
            config.getini(key)
        except ValueError:
            raise SettingsError(f"{key} in {where}: {_no_key(key)}") from None
        except (TypeError, pytest.UsageError):
            continue  # a value of another type: said where it is read


def _no_key(key: str) -> str:
    known = {option.name.replace("-", "_"): option for option in OPTIONS}
    name = key.removeprefix("nbaprops_")
    if name in known:
        return f"is for the command line only; take it out and write {known[name].flag_name} there"
    keys = [own for own, option in known.items() if not option.cli_only]
    close = difflib.get_close_matches(name, keys, n=1)
    hint = f"did you mean nbaprops_{close[0]}?" if close else f"use one of nbaprops_{', nbaprops_'.join(keys)}"
    return f"there is no such key; {hint}"


def forget_decision(config: pytest.Config) -> None:
    """Take an older decision out of the report folder: a session that fails to start must not leave its verdict."""
    given = config.known_args_namespace.nbaprops_report
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        here = config.invocation_params.dir
        root = config.rootpath if config.known_args_namespace.rootdir else here
        base = here if given else config.inipath.parent if config.inipath is not None else root
        _forget(base / Path(str(given or config.getini("nbaprops_report") or REPORT)).expanduser())


def forget_decision_of(arguments: Sequence[str]) -> None:
    """The same by the command line alone: one that cannot be read ends the session before pytest asks anybody.

    Nothing where an ini file may name another folder.
    """
    if not LOOKING.isdisjoint(arguments):
        return
    reader = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    reader.add_argument("--nbaprops-report", nargs="?")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        given, here = reader.parse_known_args(arguments)[0].nbaprops_report, Path.cwd()
        inis = (folder / name for folder in (here, *here.parents) for name in INI_TABLES)
        said = (path.read_text(encoding="utf-8", errors="replace") for path in inis if path.is_file())
        elsewhere = [
            os.environ.get("PYTEST_ADDOPTS", ""),
            *(word for word in arguments if word.startswith(("-c", "-o"))),
        ]
        if given or not (any(elsewhere) or any("nbaprops_report" in text for text in said)):
            _forget(Path(given or REPORT).expanduser())


def _forget(report: Path) -> None:
    # INCONCLUSIVE is what a session says until it has ended: xdist's workers find that of their own.
    if json.loads((report / "decision.json").read_text(encoding="utf-8"))["verdict"] != "INCONCLUSIVE":
        for name in ("decision.json", "summary.md", "report.html"):
            (report / name).unlink(missing_ok=True)


def anchored_sqlite(uri: str, base: Path) -> str:
    """The URI with the path of a relative sqlite file made absolute."""
    prefix = "sqlite:///"
    if not uri.startswith(prefix) or uri.startswith(prefix + "/"):
        return uri
    return sqlite_in(base, uri.removeprefix(prefix))


def sqlite_in(folder: Path, name: str) -> str:
    """The URI of a sqlite file, whatever the folder is called."""
    path = Path(os.path.normpath(folder / name))
    if set("%#?").isdisjoint(str(folder)):
        return f"sqlite:///{path}"
    from pytest_nbaprops.tracking.database import sqlite_uri  # noqa: PLC0415 - SQLAlchemy knows, and is heavy

    return sqlite_uri(path)
