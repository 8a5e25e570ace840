"""`nbaprops reproduce`."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pytest_nbaprops.commands.output import Report, Table, format_option, show
from pytest_nbaprops.commands.project import find_project, lookup_in, model_option, open_store, tracking_option

if TYPE_CHECKING:
    from pytest_nbaprops.runs.reproduce import Reproduction

SHOWN_FOLDS: Final = 5


@click.command()
@click.argument("run")
@click.option("--data", metavar="PATH", help="Where the run's data is now; it may have grown [default: where it was].")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Rootdir of the project [default: the folder of its ini file, else the working directory].",
)
@model_option
@tracking_option
@format_option
@click.pass_context
def reproduce(  # noqa: PLR0913 - a parameter for each option
    ctx: click.Context,
    *,
    run: str,
    data: str | None,
    root: Path | None,
    model: str | None,
    tracking_uri: str | None,
    style: str,
) -> None:
    """Run a stored run again and compare it fold by fold.

    RUN is a unique beginning of a run id, a run's name, champion, latest, v3 or @staging. Says what of everything
    that was recorded (data, features, recipe, versions, machine, checkout) differs now. Exit code 0: identical, or
    equal within 1e-6; 1: different, or not to be repeated.

    Example: nbaprops reproduce 3f2a91 --data data/game_logs
    """
    from pytest_nbaprops.runs.recorded import read_run  # noqa: PLC0415
    from pytest_nbaprops.runs.reproduce import DIFFERENT  # noqa: PLC0415 - MLflow and pandas take 2 s
    from pytest_nbaprops.runs.reproduce import reproduce as again  # noqa: PLC0415

    project = find_project((root or Path()).resolve())
    store = open_store(project, tracking_uri)
    (found,) = lookup_in(project, store, model).runs([run])
    recorded = read_run(store, found.info.run_id, found.info.run_name)
    result = again(
        recorded, data=data, root=root.resolve() if root else project.root, tell=partial(click.echo, err=True)
    )
    show(report_of(result), style)
    ctx.exit(int(result.outcome == DIFFERENT))


def report_of(result: Reproduction) -> Report:
    """Checks, the first folds that differ, and the answer."""
    checks = Table(
        columns=("what", "recorded", "now", "outcome"),
        rows=[(check.what, check.recorded, check.now, check.outcome) for check in (*result.checks, *result.metrics)],
    )
    apart = [fold for fold in result.folds if fold.outcome != "identical"][:SHOWN_FOLDS]
    rows = [(fold.date, fold.rows, fold.difference, fold.outcome) for fold in apart]
    columns = ("fold", "player-games", "largest difference", "outcome")
    folds = Table(columns=columns, rows=rows, texts={"largest difference": ".3g"})
    document = {
        "run_id": result.run.run_id,
        "run_name": result.run.run_name,
        "outcome": result.outcome,
        "first_different": result.first.date if result.first else None,
        "likely_cause": result.cause if result.first else None,
        "checks": [asdict(check) for check in result.checks],
        "metrics": [asdict(check) for check in result.metrics],
        "folds": [asdict(fold) for fold in result.folds],
    }
    return Report(tables=[checks, folds] if apart else [checks], document=document, notes=[verdict(result)])


def verdict(result: Reproduction) -> str:
    """The answer in one line."""
    whole, rows = len(result.folds), sum(fold.rows for fold in result.folds)
    first = result.first
    if first is None:
        apart = f", largest difference {result.largest:.2g}" if result.largest else ""
        moved = [check.what for check in result.metrics if check.differs]
        but = f"; other than then: {', '.join(moved)}; likely cause: {result.cause}" if moved else ""
        return f"{result.run.run_name}: {result.outcome} ({whole} folds, {rows:,} predictions{apart}){but}"
    count = sum(fold.outcome == first.outcome for fold in result.folds)
    how = " (no predictions of the same player-games)" if first.difference is None else ""
    return (
        f"{result.run.run_name}: different from fold {first.date} on{how}, {count} of {whole} folds; "
        f"likely cause: {result.cause}"
    )
