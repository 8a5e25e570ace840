"""`nbaprops compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_nbaprops.commands.output import Cell, Report, Table, format_option, show
from pytest_nbaprops.commands.project import find_project, lookup_in, model_option, open_store, tracking_option

if TYPE_CHECKING:
    from pytest_nbaprops.runs.compare import Comparison, LineageDifference

_SHORT = 12
_COLUMNS_SHOWN = 8


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN [RUN...]")
@click.option("--metrics", metavar="NAMES", help="Metrics to show, with commas [default: mae,r2,rmse,within_5_pct].")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Also write one self-contained page.")
@format_option
@model_option
@tracking_option
def compare(  # noqa: PLR0913 - its options
    *,
    runs: tuple[str, ...],
    metrics: str | None,
    html: Path | None,
    style: str,
    model: str | None,
    tracking_uri: str | None,
) -> None:
    """Compare runs: metrics with the best marked, parameters and features that differ, paired MAE difference.

    A RUN is any unique beginning of its id, its name, champion, latest, v<version> or @<alias>. Differences are
    against the first.

    Example: nbaprops compare champion latest --html comparison.html
    """
    if len(runs) < 2:  # noqa: PLR2004 - a comparison
        raise click.UsageError("compare needs two runs or more, such as: nbaprops compare champion latest")
    if html is not None and not html.absolute().parent.is_dir():
        raise click.UsageError(f"--html {html}: the folder {html.parent} does not exist; make it first")
    from pytest_nbaprops.runs.compare import compare as compare_stored  # noqa: PLC0415 - MLflow takes 1.5 s

    project = find_project(Path.cwd())
    lookup = lookup_in(project, open_store(project, tracking_uri), model)
    names = [name.strip() for name in metrics.split(",") if name.strip()] if metrics else None
    comparison = compare_stored(lookup, runs, names)
    if html is not None:
        from pytest_nbaprops.commands.compare_page import write_page  # noqa: PLC0415 - Jinja2 only where it is used

        write_page(html, comparison, lookup.store, tables=tables(comparison), notes=remarks(comparison, None))
    show(Report(tables=tables(comparison), notes=remarks(comparison, html), document=comparison.to_dict()), style)


def tables(comparison: Comparison) -> list[Table]:
    """The runs, and below what differs."""
    parts = [_runs(comparison), _paired(comparison)]
    if comparison.params:
        parts.append(_params(comparison))
    if comparison.lineage:
        parts.append(_lineage(comparison))
    return parts


def remarks(comparison: Comparison, html: Path | None) -> list[str]:
    """What must be said below."""
    star = ["* the best value"] if any(comparison.best(metric) for metric in comparison.metrics) else []
    written = [f"{html}: written"] if html is not None else []
    return [*star, *comparison.unfair, *written]


def _runs(comparison: Comparison) -> Table:
    metrics = list(comparison.metrics)
    columns = ["run", "name", *metrics, "features", "dataset", "commit", "verdict"]
    rows: list[list[Cell]] = [
        [
            run.label,
            run.name,
            *(run.metrics.get(metric) for metric in metrics),
            run.features,
            (run.digest or "")[:_SHORT] or None,
            short_commit(run.commit),
            run.verdict,
        ]
        for run in comparison.runs
    ]
    best = frozenset((row, 2 + at) for at, metric in enumerate(metrics) for row in comparison.best(metric))
    return Table(columns=columns, rows=rows, best=best, folding=("name",))


def short_commit(commit: str | None) -> str | None:
    """The first characters; that files differed stays visible."""
    if commit is None:
        return None
    return commit[:_SHORT] + ("-dirty" if commit.endswith("-dirty") else "")


def _paired(comparison: Comparison) -> Table:
    rows: list[list[Cell]] = [
        [f"{pair.run} - {pair.against}", pair.difference, pair.low, pair.high, pair.rows, pair.dates, pair.reason or ""]
        for pair in comparison.paired
    ]
    columns = ["runs", "difference", "low", "high", "player-games", "dates", "note"]
    texts = dict.fromkeys(("difference", "low", "high"), "+.4f")
    title = "Paired MAE difference with its 95% interval"
    return Table(title=title, columns=columns, rows=rows, texts=texts, folding=("runs", "note"))


def _params(comparison: Comparison) -> Table:
    columns = ["parameter", *(run.label for run in comparison.runs)]
    rows: list[list[Cell]] = [[name, *values] for name, values in comparison.params.items()]
    return Table(title="Parameters that differ", columns=columns, rows=rows, folding=columns)


def _lineage(comparison: Comparison) -> Table:
    rows = [row for difference in comparison.lineage for row in _lineage_rows(difference)]
    columns = ["runs", "what", "names"]
    return Table(title="Features that differ", columns=columns, rows=rows, folding=("runs", "names"))


def _lineage_rows(difference: LineageDifference) -> list[list[Cell]]:
    named = {f"groups {kind}": names for kind, names in difference.groups.items()}
    named |= {"columns added": difference.columns_added, "columns removed": difference.columns_removed}
    runs = f"{difference.run} - {difference.against}"
    return [[runs, what, _listed(names)] for what, names in named.items() if names]


def _listed(names: object) -> str:
    entries = list(map(str, names)) if isinstance(names, list | tuple) else []
    more = f" and {len(entries) - _COLUMNS_SHOWN} more" if len(entries) > _COLUMNS_SHOWN else ""
    return ", ".join(entries[:_COLUMNS_SHOWN]) + more
