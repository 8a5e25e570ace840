"""`nbaprops import`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pytest_nbaprops.commands.output import Report, Table, format_option, show
from pytest_nbaprops.commands.project import Project, find_project, tracking_option

if TYPE_CHECKING:
    import pandas as pd

    from pytest_nbaprops.importing.source import Source
    from pytest_nbaprops.importing.summary import Summary
    from pytest_nbaprops.tracking.connection import Store

_ALIKE_SHOWN: Final = 20


@click.command("import")
@click.argument("source")
@click.option("--experiment", metavar="PATTERN", help='Only experiments of this name, such as "NBA_Props*".')
@click.option("--dry-run", is_flag=True, help="Say what would be imported and repaired; write nothing.")
@click.option(
    "--data",
    metavar="PATH",
    help="Game logs that tell which player-game a row of predictions means [default: nbaprops_data of the ini file].",
)
@format_option
@tracking_option
def import_(  # noqa: PLR0913 - its options
    *, source: str, experiment: str | None, dry_run: bool, data: str | None, style: str, tracking_uri: str | None
) -> None:
    """Bring runs and models of an mlruns folder, an mlflow.db or a tracking server into the project's store.

    Nothing of SOURCE is changed. What was imported before is left alone, so that it can be repeated.

    Example: nbaprops import ../old-project/mlruns --dry-run
    """
    from pytest_nbaprops.importing.importer import Importer  # noqa: PLC0415 - MLflow takes 1.5 s
    from pytest_nbaprops.importing.opening import open_source  # noqa: PLC0415
    from pytest_nbaprops.importing.predictions import GamesIndex  # noqa: PLC0415
    from pytest_nbaprops.importing.registering import import_models  # noqa: PLC0415
    from pytest_nbaprops.redaction import redact  # noqa: PLC0415

    project = find_project(Path.cwd())
    target = project.tracking_uri(tracking_uri)
    games = GamesIndex(partial(_games, project, data)) if data or project.text("data") else None
    opened = open_source(source)
    try:
        store = _target(target, opened, dry_run=dry_run)
        with _progress() as progress:
            importer = Importer(
                opened, store, redact(target), pattern=experiment, dry_run=dry_run, games=games, progress=progress
            )
            importer.import_runs()
            import_models(importer)
    finally:
        opened.close()
    show(_report(importer.summary), style)


def _games(project: Project, data: str | None) -> pd.DataFrame:
    from pytest_nbaprops.data.load import load_games  # noqa: PLC0415 - pandas takes 0.5 s
    from pytest_nbaprops.settings import column_map  # noqa: PLC0415

    path = data or str(project.root / (project.text("data") or ""))
    return load_games(path, column_map=column_map(project.lines("columns")))


def _target(uri: str, source: Source, *, dry_run: bool) -> Store | None:
    """The store to write to, made where there is none; None for a dry run before there is one."""
    from pytest_nbaprops.tracking.connection import connect  # noqa: PLC0415 - MLflow takes 1.5 s
    from pytest_nbaprops.tracking.database import sqlite_path  # noqa: PLC0415

    is_file = uri.startswith("sqlite")
    if source.place == (str(sqlite_path(uri).resolve()) if is_file else uri):
        raise click.ClickException(f"{source.place} is the project's own store: name another one with --tracking-uri")
    if is_file and dry_run and not (sqlite_path(uri).exists() and sqlite_path(uri).stat().st_size):
        return None
    store = connect(uri, create=not dry_run, tell=lambda line: click.echo(line, err=True))
    if not dry_run:
        store.check_writable()
    return store


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing in a pipe."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda done, total: None  # noqa: ARG005 - the bar's signature
        return
    from rich.console import Console  # noqa: PLC0415 - only on a terminal
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("runs", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _report(summary: Summary) -> Report:
    from pytest_nbaprops.importing.summary import grouped  # noqa: PLC0415

    verb = "would be imported" if summary.dry_run else "imported"
    counts = Table(
        columns=["what", verb, "already there", "left out"],
        rows=summary.rows(),
        title=f"{summary.source} -> {summary.target}",
    )
    findings = Table(
        columns=["where", "found", "outcome", "done"],
        rows=grouped(summary.ordered(), _ALIKE_SHOWN),
        title="repaired, left out, worth knowing",
        folding=("where", "found", "done"),
    )
    notes = ["dry run: nothing was written"] if summary.dry_run else []
    return Report(tables=[counts, *([findings] if findings.rows else [])], document=summary.to_dict(), notes=notes)
