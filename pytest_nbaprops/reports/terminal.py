"""What a training session shows in the terminal. Nothing of it is printed unless training."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_nbaprops.gate.effect import effect_text
from pytest_nbaprops.gate.verdict import PASSED
from pytest_nbaprops.reports import wording
from pytest_nbaprops.reports.steps import next_steps
from pytest_nbaprops.reports.text import end_of, plain
from pytest_nbaprops.reports.wording import number
from pytest_nbaprops.tracking.artifacts import REPORT

if TYPE_CHECKING:
    import pandas as pd

    from pytest_nbaprops.walkforward.candidate import Candidate, FoldState
    from pytest_nbaprops.walkforward.dataset import Dataset

WIDTH: Final = 80
NAME, SHORT, SPARK = 28, 16, 54
"""Columns of a name, of a candidate's name beside others, and of the line over time."""
BLOCKS: Final = "▁▂▃▄▅▆▇█"
COLOURS = {"PROMOTE": "green", "REJECT": "red", "INCONCLUSIVE": "yellow", "ERROR": "red"}


def say(config: pytest.Config, doing: str) -> None:
    """One line on what is being done, before pytest has anything to show; nothing under -q or --collect-only."""
    remark(config, f"{doing} ...")


def remark(config: pytest.Config, text: str) -> None:
    """One line before the first fold; nothing under -q or --collect-only."""
    if not config.option.collectonly:
        tell(config, f"nbaprops: {text}")


def tell(config: pytest.Config, text: str) -> None:
    """Say what takes its time; the end of a line of dots comes first."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.verbosity >= 0:
        reporter.ensure_newline()
        reporter.write_line(text)


def header(dataset: Dataset, *, target: str, test: str, promote: str, simulated: bool) -> list[str]:
    """Two lines on data and mode."""
    dates = dataset.game_dates
    games = f"{len(dataset.games):,} player-games, {dates[0].day} to {dates[-1].day}"
    warning = "SIMULATED sample league, not the NBA: " if simulated else ""
    return [
        f"nbaprops: {warning}{games}, data {dataset.digest.full[:12]}",
        f"nbaprops: target {target}, test {test}, promotion {promote}",
    ]


def fold_status(report: object, state: FoldState | None) -> tuple[str, str, Any] | None:
    """`PASSED (2024-01-05 mae 5.81, n 214)` for a fold under -v; pytest asks about collection reports, too."""
    if not isinstance(report, pytest.TestReport) or state is None or state.result is None:
        return None
    if report.when != "call" or not report.passed or hasattr(report, "wasxfail"):
        return None
    metrics = state.result.metrics
    source = ", stored" if state.result.cached else ""
    said = f"{state.fold.id} mae {number(metrics['mae'])}, n {metrics['n_predictions']:.0f}{source}"
    return "passed", ".", (f"PASSED ({said})", {"green": True})


def plan_line(candidates: Iterable[Candidate], is_stored: Callable[[str], bool]) -> str:
    """`160 folds, 23 fits, 137 from the store` for --collect-only."""
    folds = fits = stored = 0
    for candidate in candidates:
        selected = [state for state in candidate.folds if state.collected]
        to_fit = [state for state in selected if not (state.key and is_stored(state.key))]
        folds, stored = folds + len(selected), stored + len(selected) - len(to_fit)
        fits += len({state.fold.fitted_at for state in to_fit})
    return f"{folds} folds, {fits} fits, {stored} from the store"


def shard_line(shard: tuple[int, int], candidates: Iterable[Candidate]) -> str:
    """`share 2 of 5: 32 folds of 5 fits are in the fold store; nothing was decided`."""
    kept = [(candidate, state) for candidate in candidates for state, _ in candidate.evaluated]
    fits = len({(candidate.name, state.fold.fitted_at) for candidate, state in kept})
    folds = f"{len(kept)} fold{'s' * (len(kept) != 1)} of {fits} fit{'s' * (fits != 1)}"
    return f"nbaprops: share {shard[0]} of {shard[1]}: {folds} in the fold store; nothing was decided"


def summary(
    reporter: pytest.TerminalReporter, document: Mapping[str, Any], highlights: Mapping[str, pd.DataFrame]
) -> None:
    """The decision in 80 columns, the verdict and the next step last; under -q the verdict only."""
    title = wording.headline(document) if document["promote_mode"] != "off" else "promotion off"
    bold = {"bold": True, COLOURS[document["verdict"]]: True}
    if reporter.verbosity < 0:
        reporter.write_line(plain(title) + (" [simulated league]" if document["simulated"] else ""), **bold)
        return
    reporter.section("nbaprops", sep="=", bold=True)
    for candidate in document["candidates"]:
        _candidate(reporter, document, candidate, highlights)
    _features(reporter, document)
    _worst(reporter, highlights, several=len(document["candidates"]) > 1)
    if document["leak_guard"]:
        _line(reporter, f"leak guard: {wording.guard_line(document['leak_guard'])}")
    for warning in document["warnings"]:
        _line(reporter, f"warning: {warning}", markup={"yellow": True})
    if document["simulated"]:
        _line(reporter, "simulated sample league: the figures say nothing about the NBA", markup={"yellow": True})
    if document["verdict"] != "PROMOTE" and not wording.is_part(document):
        for reason in document["reasons"]:
            _line(reporter, f"because {reason}")
    reporter.write_line("")
    _line(reporter, title, markup=bold)
    _outlook(reporter, document)


def _outlook(reporter: pytest.TerminalReporter, document: Mapping[str, Any]) -> None:
    """Words on how sure it is, what to do next, and where it is all told."""
    leader = wording.leading(document)
    if leader is not None and document["promote_mode"] != "off" and (said := wording.by_how_much(document, leader)):
        _line(reporter, said)
    for step in next_steps(document)[:1]:
        _line(reporter, f"next: {step.text}{':' if step.command else ''}")
        if step.command:
            reporter.write_line(f"  {step.command}")  # not wrapped: it is there to be pasted
    for candidate in document["candidates"]:
        if candidate.get("run_url"):
            reporter.write_line(f"run: {candidate['run_url']}")
    report = Path(document["settings"]["report"]) / REPORT
    near = report.is_relative_to(Path.cwd())
    reporter.write_line(f"report: {report.relative_to(Path.cwd()) if near else report}")


def _candidate(
    reporter: pytest.TerminalReporter,
    document: Mapping[str, Any],
    candidate: Mapping[str, Any],
    highlights: Mapping[str, pd.DataFrame],
) -> None:
    """Each criterion with value, reference and the difference that decides; then the metrics over the dates."""
    name = end_of(candidate["name"], NAME)
    if candidate["criteria"] and not wording.is_part(document):
        rows = [*map(wording.compared, candidate["criteria"])]
        title = f"difference [{wording.level_of(rows)} interval]"
        reporter.write_line(f"{name:<{NAME}}  {'value':>7}  {'reference':>9}  {title}", bold=True)
        for row in rows:
            _criterion(reporter, row)
    folds, metrics = candidate["folds"], candidate["metrics"]
    counts = ", ".join(f"{folds[kind]} {kind}" for kind in ("executed", "cached", "failed", "missing") if folds[kind])
    shown = ", ".join(f"{kind} {number(metrics.get(kind))}" for kind in ("mae", "rmse", "r2", "bias"))
    _line(reporter, f"{candidate['name']}: {shown}")
    if candidate["verdict"] == PASSED:
        _line(reporter, candidate["reasons"][0])
    _line(reporter, f"{folds['planned']} folds planned: {counts or 'none ran'}")
    for line in (candidate.get("market") or {}).get("said") or ():
        _line(reporter, f"market: {line}")
    if (dates := highlights.get("all_dates")) is not None:
        own = dates[dates["candidate"] == candidate["name"]]
        if line := spark_line(own["mae"].to_list(), [f"{day:%Y-%m-%d}" for day in own["GAME_DATE"]]):
            reporter.write_line(line)
    reporter.write_line("")


def _criterion(reporter: pytest.TerminalReporter, row: wording.Compared) -> None:
    numbers = f"{number(row.value, row.digits):>7}  {number(row.reference_value, row.digits):>9}  "
    numbers += f"{number(row.difference, row.digits, '+')} {wording.interval(row.low, row.high, row.digits)}"
    expression = plain(row.expression, WIDTH)
    if row.value is not None and len(expression) > NAME:
        reporter.write_line(expression)
        expression = ""
    reporter.write_line(f"{expression:<{NAME}}  {numbers}".rstrip() if row.value is not None else expression)
    outcome = row.outcome.replace("_", " ")
    said = f": {row.said}" if row.said != outcome else f": {row.reason}" if row.value is None else ""
    colour = {"passed": {"green": True}, "failed": {"red": True}, "inconclusive": {"yellow": True}}
    _line(reporter, f"{outcome}{said}", indent="    ", markup=colour.get(row.outcome, {}))


def spark_line(values: Sequence[float], dates: Sequence[str]) -> str:
    """MAE over time as block characters, neighbouring dates averaged so that the line fits; empty below two dates."""
    try:
        BLOCKS.encode(getattr(sys.__stdout__, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ""
    if len(values) < 2:  # noqa: PLR2004 - one is no line
        return ""
    size = -(-len(values) // SPARK)
    means = [fmean(values[at : at + size]) for at in range(0, len(values), size)]
    known = [mean for mean in means if math.isfinite(mean)]
    if not known:
        return ""
    low, high = min(known), max(known)
    steps = [(len(BLOCKS) - 1) * (mean - low) / (high - low) if high > low else 0.0 * mean for mean in means]
    drawn = "".join(BLOCKS[round(step)] if math.isfinite(step) else "?" for step in steps)
    return f"mae {drawn} {low:.2f} to {high:.2f}\n    {dates[0]} to {dates[-1]}" + (
        f", each block {size} dates" if size > 1 else ""
    )


def _features(reporter: pytest.TerminalReporter, document: Mapping[str, Any]) -> None:
    """What changed in features and parameters since the champion, and what each group brings."""
    for candidate in document["candidates"] if document["champion"] else ():
        name, lineage = candidate["name"], candidate["lineage"]
        kinds = [f"{kind} {', '.join(lineage[kind])}" for kind in ("added", "removed", "changed") if lineage[kind]]
        if kinds:
            version = lineage["feature_version"]
            _line(reporter, f"{name}: features {version} against the champion's: {'; '.join(kinds)}")
        if moved := lineage.get("parameters"):
            texts = [f"{parameter} {before} -> {after}" for parameter, (before, after) in moved.items()]
            _line(reporter, f"{name}: {'; '.join(texts)}")
    rows = [
        (end_of(candidate["name"], SHORT), plain(effect["group"], NAME), effect["change"], effect_text(effect))
        for candidate in document["candidates"]
        for effect in candidate.get("attribution") or ()
    ]
    if rows:
        reporter.write_line("")
        _table(reporter, [("attribution", "group", "", "change of MAE, below 0 helps"), *rows])


def _worst(reporter: pytest.TerminalReporter, highlights: Mapping[str, pd.DataFrame], *, several: bool) -> None:
    def whose(row: Any) -> str:
        return end_of(row.candidate, SHORT) if several else ""

    if not highlights:
        return
    dates = [
        (f"{row.GAME_DATE:%Y-%m-%d}", f"{row.mae:.2f}", f"{row.bias:+.2f}", str(row.n), whose(row))
        for row in highlights["dates"].itertuples()
    ]
    _table(reporter, [("worst dates", "mae", "bias", "n", ""), *dates])
    misses = [
        (
            f"{row.GAME_DATE:%Y-%m-%d}",
            plain(row.PLAYER_NAME, NAME),
            f"{row.actual:.0f}",
            f"{row.predicted:.1f}",
            f"{row.error:+.1f}",
            whose(row),
        )
        for row in highlights["misses"].itertuples()
    ]
    _table(reporter, [("worst misses", "player", "actual", "predicted", "error", ""), *misses])


def _line(
    reporter: pytest.TerminalReporter, text: str, *, indent: str = "", markup: Mapping[str, bool] | None = None
) -> None:
    """Text in lines of at most 80 columns."""
    later = f"{indent}  "
    for line in textwrap.wrap(
        plain(text), WIDTH, initial_indent=indent, subsequent_indent=later, break_on_hyphens=False
    ):
        reporter.write_line(line, **(markup or {}))


def _table(reporter: pytest.TerminalReporter, rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for index, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        reporter.write_line(line, bold=index == 0)
    reporter.write_line("")
