"""The project around a command: its ini file and, from it, store, model and experiment, as the plugin sees them."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import iniconfig  # pytest's own reader of ini files, so that both read the same

from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.rootdir import INI_TABLES, anchored_sqlite, sqlite_in
from pytest_nbaprops.settings import SAMPLE_SUFFIX

if TYPE_CHECKING:
    from pytest_nbaprops.runs.lookup import Lookup
    from pytest_nbaprops.tracking.connection import Store

_ALWAYS: Final = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")
DEFAULT_MODEL: Final = "NBAPropsModel"


@dataclass(frozen=True, kw_only=True)
class Project:
    """The folder of the ini file (else the working directory) and the `nbaprops_*` values in it."""

    root: Path
    ini: Mapping[str, Any]

    def text(self, name: str) -> str | None:
        """The value of `nbaprops_<name>`, None where the file does not set it."""
        value = self.ini.get(f"nbaprops_{name}")
        return str(value).strip() or None if value is not None else None

    def sets(self, name: str) -> bool:
        """Whether the file sets `nbaprops_<name>`, perhaps to nothing."""
        return f"nbaprops_{name}" in self.ini

    @property
    def champion_alias(self) -> str | None:
        """The alias in `nbaprops_champion`; None where it is not set, or names a run or a champion snapshot's path."""
        from pytest_nbaprops.registry.versions import is_alias  # noqa: PLC0415 - pandas takes 0.5 s

        text = self.text("champion")
        return text if text is not None and is_alias(text) and not (self.root / text).exists() else None

    def lines(self, name: str) -> tuple[str, ...]:
        value = self.ini.get(f"nbaprops_{name}")
        found = value if isinstance(value, list) else str(value or "").splitlines()
        return tuple(text for line in found if (text := str(line).strip()))

    def tracking_uri(self, given: str | None) -> str:
        """Command line, ini file, MLFLOW_TRACKING_URI, else `mlflow.db` in the root; sqlite paths made absolute."""
        if given:
            return anchored_sqlite(given, Path.cwd())
        if in_file := self.text("tracking_uri"):
            return anchored_sqlite(in_file, self.root)
        if in_environment := os.environ.get("MLFLOW_TRACKING_URI", "").strip():
            return anchored_sqlite(in_environment, Path.cwd())
        return sqlite_in(self.root, "mlflow.db")


def find_project(start: Path) -> Project:
    """The project that pytest would find from this folder."""
    for folder in (start, *start.parents):
        for name in INI_TABLES:
            path = folder / name
            try:
                values = pytest_table(path)[1] if path.is_file() else None
            except ValueError as error:
                raise SettingsError(f"{error}; mend the file") from None
            if values is not None:
                return Project(root=folder, ini=values)
    return Project(root=start, ini={})


def pytest_table(path: Path) -> tuple[str, Mapping[str, Any] | None]:
    """Name and content of the table that pytest reads in the file; None where the file is not pytest's.

    Raises:
        ValueError: the file cannot be read; the line says why.
    """
    table = INI_TABLES[path.name]
    found: Any
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text) if path.suffix == ".toml" else iniconfig.IniConfig(path, text).sections
    except (tomllib.TOMLDecodeError, iniconfig.ParseError, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    for part in table.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):  # pytest takes some for the project's settings without their table all the same
        return table, {} if path.name in _ALWAYS else None
    older = found.get("ini_options")
    return (f"{table}.ini_options", older) if isinstance(older, Mapping) else (table, dict(found))


def tracking_option(command: click.decorators.FC) -> click.decorators.FC:
    """`--tracking-uri`."""
    text = "MLflow store [default: the ini file's, MLFLOW_TRACKING_URI, else sqlite:///mlflow.db in the rootdir]."
    return click.option("--tracking-uri", metavar="URI", help=text)(command)


def model_option(command: click.decorators.FC) -> click.decorators.FC:
    """`--model`."""
    text = f"Registered model [default: nbaprops_model_name of the ini file, else {DEFAULT_MODEL}]."
    return click.option("--model", metavar="NAME", help=text)(command)


def open_store(project: Project, tracking_uri: str | None) -> Store:
    """The tracking store; a sqlite file that is not there is not made."""
    from pytest_nbaprops.tracking.connection import connect  # noqa: PLC0415 - MLflow takes 1.5 s
    from pytest_nbaprops.tracking.database import sqlite_path  # noqa: PLC0415

    uri = project.tracking_uri(tracking_uri)
    if uri.startswith("sqlite") and not (path := sqlite_path(uri)).exists():
        raise SettingsError(
            f"there is no tracking store {path}: run pytest --nbaprops-train first, or name the store with"
            " --tracking-uri URI (or MLFLOW_TRACKING_URI, or nbaprops_tracking_uri in the ini file)"
        )
    return connect(uri, create=False, tell=lambda line: click.echo(line, err=True))


def registered_name(project: Project, store: Store, given: str | None) -> str:
    """The registered model meant: the one given, else the project's, else its sample-league twin if only that exists.

    Sessions on the sample league add `-sample` to the name, so an unset name means whichever of the two is there.
    """
    from pytest_nbaprops.tracking.search import found  # noqa: PLC0415 - MLflow takes 1.5 s

    if given:
        return given
    name = project.text("model_name") or DEFAULT_MODEL
    twin = name + SAMPLE_SUFFIX
    with store.calling("look for the registered model") as client:
        there = {asked: found(client.get_registered_model, asked) is not None for asked in (name, twin)}
    return twin if there[twin] and not there[name] else name


def lookup_in(project: Project, store: Store, model: str | None, experiment: str | None = None) -> Lookup:
    """Where run references are looked up: `champion` is the version that the plugin would compare with."""
    from pytest_nbaprops.runs.lookup import Lookup  # noqa: PLC0415

    return Lookup(
        store=store,
        model_name=registered_name(project, store, model),
        champion_alias=project.champion_alias,
        experiment=experiment,
    )
