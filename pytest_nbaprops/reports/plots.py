"""Plots as geometry: what is where in the picture. The template draws them as SVG that needs no style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from pytest_nbaprops.metrics.point import Floats

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 10, 30
# Okabe & Ito's blue, vermilion and green: told apart with fewer colours, and seen on white and on black.
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#a8618f")
DASHES: Final = ("", "7 3", "2 3", "9 3 2 3")


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One picture.

    Attributes:
        lines: label, colour, dash, width, faint, and pieces: polylines, broken where a value is unknown.
        ranges: a point x, y with its range from top to bottom, in the picture's coordinates.
        x_ticks, y_ticks: (position, text).
    """

    title: str
    description: str
    lines: Sequence[Mapping[str, Any]] = ()
    ranges: Sequence[Mapping[str, float]] = ()
    x_ticks: Sequence[tuple[float, str]] = ()
    y_ticks: Sequence[tuple[float, str]] = ()
    zero: float | None = None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


@dataclass(frozen=True, kw_only=True)
class Series:
    """A line to draw; `faint` for what is only a background to another one."""

    label: str
    values: Any  # anything that NumPy takes for one dimension of numbers
    colour: int
    faint: bool = False


def over_time(
    title: str, description: str, labels: Sequence[str], series: Sequence[Series], *, with_zero: bool = False
) -> Plot | None:
    """Lines over game dates; None where nothing is known."""
    known = [one for one in series if np.isfinite(np.asarray(one.values, dtype="float64")).any()]
    if not known or not labels:
        return None
    heights = np.concatenate([np.asarray(one.values, dtype="float64") for one in known])
    scale = Scale.of(heights, with_zero=with_zero)
    xs = LEFT + (WIDTH - RIGHT - LEFT) * np.arange(len(labels)) / max(1, len(labels) - 1)
    lines = [
        {
            "label": one.label,
            "colour": COLOURS[one.colour],
            "dash": "" if one.faint else DASHES[one.colour],
            "width": 1 if one.faint else 2,
            "pieces": _pieces(xs, scale.place(np.asarray(one.values, dtype="float64"))),
            "faint": one.faint,
        }
        for one in known
    ]
    return Plot(
        title=title,
        description=description,
        lines=lines,
        x_ticks=[(_at(xs[at]), labels[at]) for at in spread(len(labels))],
        y_ticks=scale.ticks(),
        zero=_at(float(scale.place(0.0))) if scale.low < 0 < scale.high else None,
    )


def with_ranges(title: str, description: str, points: Sequence[tuple[float, float, float, float]]) -> Plot | None:
    """Points (x, y, low, high) with their ranges over a numeric axis; None where there are none."""
    values = np.asarray(points, dtype="float64").reshape(-1, 4)
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        return None
    across = Scale.of(values[:, 0], low_end=LEFT + 10, high_end=WIDTH - RIGHT - 10)
    scale = Scale.of(values[:, 1:].ravel(), with_zero=True)
    xs, ys = across.place(values[:, 0]), scale.place(values[:, 1])
    tops, bottoms = scale.place(values[:, 3]), scale.place(values[:, 2])
    places = zip(*(map(_at, ends) for ends in (xs, ys, tops, bottoms)), strict=True)
    return Plot(
        title=title,
        description=description,
        ranges=[{"x": x, "y": y, "top": top, "bottom": bottom} for x, y, top, bottom in places],
        x_ticks=across.ticks(),
        y_ticks=scale.ticks(),
        zero=_at(float(scale.place(0.0))),
    )


@dataclass(frozen=True, kw_only=True)
class Scale:
    """From values to the picture: `low` lies at `low_end`, `high` at `high_end`; `step` between the ticks."""

    low: float
    high: float
    step: float
    low_end: float = field(default=HEIGHT - BOTTOM)
    high_end: float = field(default=TOP)

    @classmethod
    def of(
        cls, values: Floats, *, with_zero: bool = False, low_end: float = HEIGHT - BOTTOM, high_end: float = TOP
    ) -> Scale:
        """Ends on round numbers around all finite values."""
        finite = values[np.isfinite(values)]
        low, high = float(finite.min()), float(finite.max())
        if with_zero:
            low, high = min(low, 0.0), max(high, 0.0)
        if not high > low:
            low, high = low - 1, high + 1
        # 1, 2 or 5 times a power of ten, at least a fifth of the range.
        rough = (high - low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(times * power for times in (1.0, 2.0, 5.0, 10.0) if times * power >= rough * (1 - 1e-9))
        return cls(
            low=math.floor(low / step) * step,
            high=math.ceil(high / step) * step,
            step=step,
            low_end=low_end,
            high_end=high_end,
        )

    def place(self, values: Floats | float) -> Floats:
        share = (np.asarray(values, dtype="float64") - self.low) / (self.high - self.low)
        return np.asarray(self.low_end + share * (self.high_end - self.low_end))

    def ticks(self) -> list[tuple[float, str]]:
        count = round((self.high - self.low) / self.step)
        digits = max(0, -math.floor(math.log10(self.step))) if self.step < 1 else 0
        marks = [self.low + self.step * at for at in range(count + 1)]
        return [(_at(float(self.place(mark))), f"{mark + 0.0:,.{digits}f}") for mark in marks]


def _pieces(xs: Floats, ys: Floats) -> list[str]:
    known = np.isfinite(ys)
    ends = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    return [
        " ".join(f"{_at(x):g},{_at(y):g}" for x, y in zip(xs[start:end], ys[start:end], strict=True))
        for start, end in zip(ends[::2], ends[1::2], strict=True)
    ]


def _at(value: float) -> float:
    return round(float(value), 1)


def spread(count: int) -> list[int]:
    """First, last and up to three between."""
    return sorted({round(step * (count - 1) / 4) for step in range(5)})


Bar = dict[str, float | None]


def bars(rows: Sequence[tuple[float | None, float | None, float | None, float]]) -> list[Bar | None]:
    """A bar for each (difference, low, high, margin), all of a table on one scale; None where there is no interval.

    It has the places of zero, point, low, high and the limit that is allowed, in a cell of 200 by 18.
    """
    values = [value for row in rows if None not in row for value in (*row, 0.0) if value is not None]
    least, most = min(values, default=0.0), max(values, default=0.0)
    room = (most - least) * 0.04 or 1.0

    def place(value: float) -> float:
        return _at(200 * (value - least + room) / (most - least + 2 * room))

    def bar(
        point: float | None, low: float | None, high: float | None, margin: float
    ) -> dict[str, float | None] | None:
        if point is None or low is None or high is None:
            return None
        ends = {"zero": place(0.0), "point": place(point), "low": place(low), "high": place(high)}
        return {**ends, "limit": place(margin) if margin else None}

    return [bar(*row) for row in rows]
