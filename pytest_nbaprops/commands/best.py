"""`nbaprops best`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_nbaprops.commands.output import Cell, Report, Table, format_option, show
from pytest_nbaprops.commands.project import find_project, lookup_in, open_store, tracking_option

if TYPE_CHECKING:
    from pytest_nbaprops.runs.best import Ranking

_SHORT = 12


@click.command()
@click.option("--metric", default="mae", show_default=True, help="What to rank by.")
@click.option("--experiment", metavar="NAME", help="Only this MLflow experiment [default: all].")
@click.option("--where", metavar="FILTER", help="MLflow condition, such as \"params.recipe = 'two_stage'\".")
@click.option("--any-data", is_flag=True, help="Also runs on other data and test windows; says that it is not fair.")
@click.option("--limit", type=click.IntRange(1, 200), default=10, show_default=True, help="How many.")
@format_option
@tracking_option
def best(  # noqa: PLR0913 - its options
    *,
    metric: str,
    experiment: str | None,
    where: str | None,
    any_data: bool,
    limit: int,
    style: str,
    tracking_uri: str | None,
) -> None:
    """List the best runs, only among those on the data and test window of the newest one.

    Example: nbaprops best --where "params.recipe = 'two_stage'"
    """
    from pytest_nbaprops.runs.best import Question, best_runs  # noqa: PLC0415 - MLflow takes 1.5 s

    project = find_project(Path.cwd())
    lookup = lookup_in(project, open_store(project, tracking_uri), None, experiment)
    ranking = best_runs(lookup, Question(metric=metric, where=where, any_data=any_data, limit=limit))
    runs = [
        {
            **{name: getattr(run, name) for name in ("run_id", "name", "started", "verdict")},
            "candidate": run.params.get("candidate"),
            "metrics": dict(run.metrics),
            "dataset_digest": run.digest,
            "test_window": run.window,
        }
        for run in ranking.runs
    ]
    document = {"metric": metric, "runs": runs, "notes": list(ranking.notes)}
    show(Report(tables=[_table(ranking)], notes=ranking.notes, document=document), style)


def _table(ranking: Ranking) -> Table:
    shown = list(dict.fromkeys((ranking.metric, "mae", "r2", "rmse", "n_predictions")))
    columns = ["run", "name", "candidate", "started", *shown, "dataset", "test", "verdict"]
    rows: list[list[Cell]] = [
        [
            run.label,
            run.name,
            run.params.get("candidate"),
            run.started,
            *(_number(name, run.metrics.get(name)) for name in shown),
            (run.digest or "")[:_SHORT] or None,
            run.window,
            run.verdict,
        ]
        for run in ranking.runs
    ]
    return Table(columns=columns, rows=rows, folding=("name", "test"))


def _number(name: str, value: float | None) -> Cell:
    """Counts without decimals."""
    return int(value) if value is not None and name == "n_predictions" else value
