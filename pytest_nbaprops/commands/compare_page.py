"""The comparison as one self-contained HTML page, with the MAE of each date drawn as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pytest_nbaprops.reports.decision_file import write_text
from pytest_nbaprops.runs.storedrun import mae_by_date

if TYPE_CHECKING:
    from pytest_nbaprops.commands.output import Table
    from pytest_nbaprops.runs.compare import Comparison
    from pytest_nbaprops.tracking.connection import Store

_TEMPLATES: Final = Path(__file__).parent / "templates"
# Okabe & Ito's colours, which people who see fewer colours can tell apart; dashes tell the lines apart without any.
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_DASHES: Final = ("", "6 3", "2 3", "8 3 2 3")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 960, 320, 48, 32, 12
_TICKS: Final = 5


@dataclass(frozen=True, kw_only=True)
class Line:
    """One run's MAE by date, in the picture's coordinates."""

    label: str
    colour: str
    dash: str
    points: str


@dataclass(frozen=True, kw_only=True)
class Plot:
    """All runs in one picture: `x_ticks` and `y_ticks` are (position, text)."""

    width: int
    height: int
    left: int
    bottom: int
    lines: Sequence[Line]
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]


def write_page(
    path: Path, comparison: Comparison, store: Store, *, tables: Sequence[Table], notes: Sequence[str]
) -> None:
    """Write the page whole or not at all, with the tables and notes that the terminal shows.

    Raises:
        SettingsError: The folder cannot be written.
    """
    series = {f"{run.label} {run.name}": mae_by_date(store, run) for run in comparison.runs}
    # Run names and parameters come from a store that others write: everything is escaped.
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("compare.html").render(
        tables=tables,
        notes=notes,
        plot=plot(series),
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )
    write_text(path, page, option="--html")


def plot(series: Mapping[str, Mapping[str, float]]) -> Plot | None:
    """The lines of all runs over the dates of any of them; None where no run has kept any."""
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
        Line(
            label=label,
            colour=_COLOURS[at % len(_COLOURS)],
            dash=_DASHES[at % len(_DASHES)],
            points=" ".join(f"{position[day]:.1f},{height(values[day]):.1f}" for day in sorted(values)),
        )
        for at, (label, values) in enumerate(known.items())
    ]
    marks = [low + (high - low) * step / (_TICKS - 1) for step in range(_TICKS)]
    return Plot(
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        bottom=_HEIGHT - _BOTTOM,
        lines=lines,
        x_ticks=[(round(position[day], 1), day) for day in _spread(dates)],
        y_ticks=[(round(height(value), 1), f"{value:.2f}") for value in marks],
    )


def _spread(dates: Sequence[str]) -> list[str]:
    """First, last and three between."""
    places = sorted({round(step * (len(dates) - 1) / (_TICKS - 1)) for step in range(_TICKS)})
    return [dates[place] for place in places]
