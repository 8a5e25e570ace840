"""`nbaprops compare`: in the terminal, and as one self-contained HTML page with the MAE of each date drawn as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pytest_nbaprops.commands.output import Cell, Report, Table, format_option, show
from pytest_nbaprops.commands.project import find_project, lookup_in, model_option, open_store, tracking_option

if TYPE_CHECKING:
    from pytest_nbaprops.runs.compare import Comparison
    from pytest_nbaprops.tracking.connection import Store

PAGES: Final = (".html", ".htm")
_SHORT = 12
_COLUMNS_SHOWN = 8
_TEMPLATES: Final = Path(__file__).parent / "templates"
# Okabe & Ito's colours, which people who see fewer colours can tell apart; dashes tell the lines apart without any.
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_DASHES: Final = ("", "6 3", "2 3", "8 3 2 3")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 960, 320, 48, 32, 12
_TICKS: Final = 5


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
    if html is not None and html.suffix.lower() not in PAGES and (html.is_file() or not html.exists()):
        raise click.UsageError(f"--html {html}: a page is a file that ends in .html; name one")
    if html is not None and not html.absolute().parent.is_dir():
        raise click.UsageError(f"--html {html}: the folder {html.parent} does not exist; make it first")
    from pytest_nbaprops.runs.compare import compare as compare_stored  # noqa: PLC0415 - MLflow takes 1.5 s

    project = find_project(Path.cwd())
    lookup = lookup_in(project, open_store(project, tracking_uri), model)
    names = [name.strip() for name in metrics.split(",") if name.strip()] if metrics else None
    comparison = compare_stored(lookup, runs, names)
    tables = _tables(comparison)
    star = ["* the best value"] if any(comparison.best(metric) for metric in comparison.metrics) else []
    notes = [*star, *comparison.unfair]
    if html is not None:
        _write_page(html, comparison, lookup.store, tables=tables, notes=notes)
        notes = [*notes, f"{html}: written"]
    show(Report(tables=tables, notes=notes, document=comparison.to_dict()), style)


def _tables(comparison: Comparison) -> list[Table]:
    """The runs, and below what differs."""
    parts = [_runs(comparison), _paired(comparison)]
    if comparison.params:
        columns = ["parameter", *(run.label for run in comparison.runs)]
        values: list[list[Cell]] = [[name, *values] for name, values in comparison.params.items()]
        parts.append(Table(title="Parameters that differ", columns=columns, rows=values, folding=columns))
    if comparison.lineage:
        parts.append(_lineage(comparison))
    return parts


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


def _lineage(comparison: Comparison) -> Table:
    rows: list[list[Cell]] = []
    for difference in comparison.lineage:
        named = {f"groups {kind}": names for kind, names in difference.groups.items()}
        named |= {"columns added": difference.columns_added, "columns removed": difference.columns_removed}
        for what, names in named.items():
            if names:
                more = f" and {len(names) - _COLUMNS_SHOWN} more" if len(names) > _COLUMNS_SHOWN else ""
                listed = ", ".join(map(str, names[:_COLUMNS_SHOWN])) + more
                rows.append([f"{difference.run} - {difference.against}", what, listed])
    columns = ["runs", "what", "names"]
    return Table(title="Features that differ", columns=columns, rows=rows, folding=("runs", "names"))


def _write_page(
    path: Path, comparison: Comparison, store: Store, *, tables: Sequence[Table], notes: Sequence[str]
) -> None:
    """Write the page whole or not at all, with the tables and notes that the terminal shows."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - only where it is used

    from pytest_nbaprops.reports.decision_file import write_text  # noqa: PLC0415
    from pytest_nbaprops.runs.storedrun import mae_by_date  # noqa: PLC0415

    series = {f"{run.label} {run.name}": mae_by_date(store, run) for run in comparison.runs}
    # Run names and parameters come from a store that others write: everything is escaped.
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("compare.html").render(
        tables=tables, notes=notes, plot=_plot(series), made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    )
    write_text(path, page, option="--html")


def _plot(series: Mapping[str, Mapping[str, float]]) -> dict[str, Any] | None:
    """All runs in one picture, over the dates of any of them; None where no run has kept any."""
    from pytest_nbaprops.reports.plots import spread  # noqa: PLC0415 - NumPy only where it is used

    finite = {
        label: {day: mae for day, mae in values.items() if math.isfinite(mae)} for label, values in series.items()
    }
    known = {label: values for label, values in finite.items() if values}
    if not known:
        return None
    dates = sorted({day for values in known.values() for day in values})
    heights = [value for values in known.values() for value in values.values()]
    low, high = min(heights), max(heights)
    low, high = (low, high) if high > low else (low - 1, high + 1)
    position = {day: _LEFT + (_WIDTH - _LEFT - 8) * at / max(1, len(dates) - 1) for at, day in enumerate(dates)}

    def height(value: float) -> float:
        return _TOP + (_HEIGHT - _BOTTOM - _TOP) * (high - value) / (high - low)

    lines = [
        {
            "label": label,
            "colour": _COLOURS[at % len(_COLOURS)],
            "dash": _DASHES[at % len(_DASHES)],
            "points": " ".join(f"{position[day]:.1f},{height(values[day]):.1f}" for day in sorted(values)),
        }
        for at, (label, values) in enumerate(known.items())
    ]
    marks = [low + (high - low) * step / (_TICKS - 1) for step in range(_TICKS)]
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "left": _LEFT,
        "bottom": _HEIGHT - _BOTTOM,
        "lines": lines,
        "x_ticks": [(round(position[dates[at]], 1), dates[at]) for at in spread(len(dates))],
        "y_ticks": [(round(height(value), 1), f"{value:.2f}") for value in marks],
    }
