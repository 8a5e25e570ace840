"""report.html: the decision as one page without scripts, for whoever has to answer for it."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from pytest_nbaprops.leaks.leak import is_proven, leak_text
from pytest_nbaprops.reports import plots, wording
from pytest_nbaprops.reports.decision_file import write_text
from pytest_nbaprops.reports.figures import MOST_POINTS, ROLLING, CandidateFigures, candidate_figures
from pytest_nbaprops.reports.steps import next_steps, reproduce
from pytest_nbaprops.reports.text import plain
from pytest_nbaprops.tracking.artifacts import REPORT

TEMPLATES: Final = Path(__file__).parent / "templates"
MOST_CANDIDATES: Final = 4
"""So many are shown with their plots; the others with their criteria."""
MOST_FEATURES: Final = 15
SIGNS: Final = {"PROMOTE": "✔", "REJECT": "✘", "INCONCLUSIVE": "?", "ERROR": "!"}
MODES: Final = {
    "dry-run": "dry run: nothing is registered",
    "enforce": "enforce: a version is registered and the alias moved",
    "off": "off: nothing is decided",
}


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What the page shows beside decision.json.

    Attributes:
        predictions: as in predictions.parquet, perhaps with `market`; None where there are none.
        champion: the champion's keys and predicted.
        games: keys, PLAYER_NAME, MIN, and the columns that slices are made of (`minutes`, `home`, `rest`).
        importance: of each candidate, by feature.
        environment: versions and machine, by name.
        places: file and line of feature groups and candidates' tests, by name, for annotations.
    """

    predictions: pd.DataFrame | None = None
    champion: pd.DataFrame | None = None
    games: pd.DataFrame | None = None
    importance: Mapping[str, pd.Series[float]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    known: dict[tuple[str, int], CandidateFigures | None] = field(default_factory=dict, repr=False, compare=False)
    """Figures made so far: a page is written more than once."""


def page(document: Mapping[str, Any], tables: Tables) -> str:
    """The whole page. Pure: the same arguments make the same bytes."""
    leader = wording.leading(document)
    ordered = sorted(document["candidates"], key=lambda c: c is not leader)
    points = _points(len(ordered))
    shown = [
        _shown(document, candidate, tables, number=number, points=points) for number, candidate in enumerate(ordered, 1)
    ]
    text: str = _template().render(
        document=document,
        headline=wording.headline(document),
        sign=SIGNS.get(document["verdict"], ""),
        champion=wording.champion_label(document),
        steps=next_steps(document),
        shown=shown,
        leader=shown[0] if shown else None,
        mode=MODES.get(document["promote_mode"], document["promote_mode"]),
        guard=document.get("leak_guard"),
        guard_line=wording.guard_line,
        environment=tables.environment,
        rolling=ROLLING,
        settings={name: value for name, value in document["settings"].items() if value not in (None, [], {}, "")},
    )
    return text


def write_page(folder: Path, document: Mapping[str, Any], tables: Tables) -> None:
    """Write report.html whole.

    The page is for people: a decision that cannot be drawn stays decided, and decision.json says it all.
    """
    try:
        text = page(document, tables)
    except Exception as error:  # noqa: BLE001 - predictions of a user's test may be anything
        said = f"The page could not be made ({type(error).__name__}: {error})"
        said = plain(f"{said}; decision.json beside it holds the decision.")
        head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>nbaprops</title>'
        text = f"{head}<h1>{escape(plain(document['verdict']))}</h1><p>{escape(said)}</p></html>\n"
    write_text(folder / REPORT, text)


@cache
def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Every text that is put out, without unseen characters and not endless; numbers and markup as they are.
        finalize=lambda value: plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters |= {
        "fixed": lambda value, digits=2: wording.DASH if pd.isna(value) else f"{value:,.{digits}f}",
        "signed": lambda value, digits=2: wording.DASH if pd.isna(value) else f"{value:+,.{digits}f}",
        "day": "{:%Y-%m-%d}".format,
        "share": lambda value: wording.DASH if pd.isna(value) else f"{value:.1%}",
        "count": lambda value: wording.DASH if pd.isna(value) else f"{value:,.0f}",
        "short": plain,
        "interval": wording.interval,
        "quoted": lambda words: shlex.join(map(str, words)),
        "records": lambda frame: frame.to_dict("records"),
        "metric": wording.metric_name,
    }
    return environment.get_template("report.html")


def _shown(
    document: Mapping[str, Any], candidate: Mapping[str, Any], tables: Tables, *, number: int, points: int
) -> dict[str, Any]:
    rows = [wording.compared(row) for row in candidate["criteria"]]
    intervals = plots.bars([(row.difference, row.low, row.high, row.margin) for row in rows])
    effects = candidate.get("attribution") or []
    effect_bars = plots.bars([(effect["difference"], effect["low"], effect["high"], 0.0) for effect in effects])
    figures = _figures(candidate["name"], tables, points) if number <= MOST_CANDIDATES else None
    market = candidate.get("market") or {}
    curve = market.get("curve") or []
    step = max(1, -(-len(curve) // min(points, 60)))
    return {
        "candidate": candidate,
        "anchor": f"candidate-{number}",
        "target": candidate.get("target") or document["settings"].get("target") or "the target",
        "said": wording.by_how_much(document, candidate),
        "rows": list(zip(rows, intervals, strict=True)),
        "level": wording.level_of(rows),
        "main": wording.main_comparison(candidate),
        "leaks": [(leak_text(leak), is_proven(leak)) for leak in candidate["leaks"]],
        "proven": any(map(is_proven, candidate["leaks"])),
        "parameters": candidate["lineage"].get("parameters") or {},
        "sources": candidate["lineage"].get("sources") or {},
        "attribution": list(zip(effects, effect_bars, strict=True)),
        "importance": _importance(tables.importance.get(candidate["name"])),
        "reproduce": reproduce(document, candidate),
        "figures": figures,
        "market": market.get("metrics") or {},
        # As many rows in the curve's table as its plot has points at most, the last one among them.
        "curve": [*curve[: max(0, len(curve) - 1) : step], *curve[-1:]],
        **(_plots(figures, wording.champion_label(document)) if figures is not None else {}),
        **_betting(curve, points),
    }


def draw_ahead(tables: Tables) -> None:
    """Make what the page needs of these tables, whatever the decision: half a second that may pass beside a fit."""
    _template()
    names = [*tables.importance]
    with contextlib.suppress(Exception):  # `write_page` says what is wrong
        for name in names if len(names) <= MOST_CANDIDATES else ():  # else the best ones are shown
            _figures(name, tables, _points(len(names)))


def _points(candidates: int) -> int:
    """Points of each plot: a page of many candidates has no more of them."""
    return max(24, MOST_POINTS // max(1, min(candidates, MOST_CANDIDATES)))


def _figures(name: str, tables: Tables, points: int) -> CandidateFigures | None:
    champion = tables.champion
    if tables.predictions is None:
        return None
    if (name, points) not in tables.known:
        own = tables.predictions[tables.predictions["candidate"] == name]
        if champion is not None and "candidate" in champion:  # it is told apart which stand against which candidate
            champion = champion[champion["candidate"] == name]
        made = None if own.empty else candidate_figures(own, champion, tables.games, points=points)
        tables.known[name, points] = made
    return tables.known[name, points]


def _importance(values: pd.Series[float] | None) -> list[tuple[str, float, float]]:
    """Feature, importance and its share of the largest."""
    if values is None or values.empty or not values.max() > 0:
        return []
    first = values.sort_values(ascending=False).head(MOST_FEATURES)
    return [(str(name), float(value), float(value / first.iloc[0])) for name, value in first.items()]


def _plots(figures: CandidateFigures, champion: str) -> dict[str, plots.Plot | None]:
    dates = figures.dates
    labels = [f"{day:%Y-%m-%d}" for day in dates["first"]]
    each = "each game date" if figures.bin_dates == 1 else f"each {figures.bin_dates} game dates"
    series = [
        plots.Series(label=f"candidate, {each}", values=dates["mae"], colour=0, faint=True),
        plots.Series(label=f"candidate, mean of {min(ROLLING, len(dates))} dates", values=dates["rolling"], colour=0),
        plots.Series(label="baseline (last-10 mean)", values=_smooth(dates["baseline"], dates["n"]), colour=1),
        plots.Series(label=f"champion {champion}", values=_smooth(dates["champion"], dates["n"]), colour=2),
    ]
    gap = [plots.Series(label="errors less the champion's, added up", values=dates["gap"], colour=0)]
    bins = figures.residuals
    points = list(zip(bins["predicted"], bins["bias"], bins["p10"], bins["p90"], strict=True))
    return {
        "mae": plots.over_time(
            "MAE by game date", "The lower the better. Baseline and champion are rolling means, too.", labels, series
        ),
        "gap": plots.over_time(
            "Difference to the champion, added up over the dates",
            "Where the line falls, the candidate misses by less than the champion.",
            labels,
            gap,
            with_zero=True,
        ),
        "residuals": plots.with_ranges(
            "Error by predicted value",
            "Mean error (predicted minus actual) of each tenth of the predictions; the bars hold 80% of the errors.",
            points,
        ),
    }


def _smooth(values: pd.Series[float], weights: pd.Series[float]) -> pd.Series[float]:
    """The same rolling mean as the candidate's, so that the lines can be compared."""
    few = min(5, len(values))
    known = weights.where(values.notna())
    sums = (values * weights).rolling(ROLLING, min_periods=few).sum()
    return sums / known.rolling(ROLLING, min_periods=few).sum()


def _betting(curve: Sequence[Mapping[str, Any]], points: int) -> dict[str, plots.Plot | None]:
    """The profit of the bets beside the controls', and how far it was below its best so far."""
    frame = pd.DataFrame(list(curve))
    if frame.empty or not {"date", "profit"} <= set(frame.columns):
        return {"betting": None, "drawdown": None}
    profit = pd.to_numeric(frame["profit"], errors="coerce")
    below = profit - np.maximum(profit.cummax(), 0.0)
    at = [*range(0, len(frame) - 1, -(-len(frame) // points)), len(frame) - 1]
    labels = [str(frame["date"].iloc[place]) for place in at]
    controls = (("blind_over", "always over"), ("blind_under", "always under"), ("coin", "a coin"))
    series = [plots.Series(label="the model's bets", values=profit.iloc[at].to_numpy(), colour=0)]
    series += [
        plots.Series(label=label, values=pd.to_numeric(frame[name], errors="coerce").iloc[at].to_numpy(), colour=number)
        for number, (name, label) in enumerate(controls, 1)
        if name in frame
    ]
    drawdown = [plots.Series(label="below the best so far", values=below.iloc[at].to_numpy(), colour=0)]
    units = "In units of one stake."
    return {
        "betting": plots.over_time("Profit of the bets, added up", units, labels, series, with_zero=True),
        "drawdown": plots.over_time("Drawdown", units, labels, drawdown, with_zero=True),
    }
