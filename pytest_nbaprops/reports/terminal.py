"""What a training session shows in the terminal. Nothing of it is printed unless training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_nbaprops.gate.effect import effect_text
from pytest_nbaprops.reports.summary import guard_line, headline, interval, lineage_text, number

if TYPE_CHECKING:
    import pandas as pd

    from pytest_nbaprops.session.context import Context
    from pytest_nbaprops.session.evidence import Evidence
    from pytest_nbaprops.walkforward.candidate import FoldState

COLOURS = {"PROMOTE": "green", "REJECT": "red", "INCONCLUSIVE": "yellow", "ERROR": "red"}


def header(context: Context) -> list[str]:
    """Two lines on data and mode."""
    settings, dates = context.settings, context.dataset.game_dates
    games = f"{len(context.dataset.games):,} player-games, {dates[0].day} to {dates[-1].day}"
    simulated = "SIMULATED sample league, not the NBA: " if context.simulated else ""
    return [
        f"nbaprops: {simulated}{games}, data {context.dataset.digest.full[:12]}",
        f"nbaprops: target {settings.target}, test {settings.test}, promotion {settings.promote}",
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


def plan_line(context: Context, evidence: Evidence) -> str:
    """`160 folds, 23 fits, 137 from the store` for --collect-only."""
    folds = fits = stored = 0
    store = context.resources.store
    for candidate in evidence.candidates:
        selected = [state for state in candidate.folds if state.collected]
        to_fit = [s for s in selected if not (s.key and context.settings.use_cache and store.has_fold(s.key))]
        folds, stored = folds + len(selected), stored + len(selected) - len(to_fit)
        fits += len({state.fold.fitted_at for state in to_fit})
    return f"{folds} folds, {fits} fits, {stored} from the store"


def summary(
    reporter: pytest.TerminalReporter, document: Mapping[str, Any], highlights: Mapping[str, pd.DataFrame]
) -> None:
    """The decision table, the worst dates and misses, and the verdict last; under -q the verdict only."""
    reporter.section("nbaprops", sep="=", bold=True)
    if reporter.verbosity >= 0:
        if document["candidates"]:
            _decision_table(reporter, document["candidates"])
        _features(reporter, document)
        _worst(reporter, highlights)
    if reporter.verbosity >= 0 and document["leak_guard"]:
        reporter.write_line(f"leak guard: {guard_line(document['leak_guard'])}")
    for warning in document["warnings"]:
        reporter.write_line(f"warning: {warning}", yellow=True)
    if document["simulated"]:
        reporter.write_line("simulated sample league: the figures say nothing about the NBA", yellow=True)
    for reason in document["reasons"]:
        reporter.write_line(f"  {reason}")
    colour = {COLOURS[document["verdict"]]: True}
    title = headline(document) if document["promote_mode"] != "off" else "promotion off"
    reporter.write_line(f"{title}  (report: {document['settings']['report']})", bold=True, **colour)


def _decision_table(reporter: pytest.TerminalReporter, candidates: Sequence[Mapping[str, Any]]) -> None:
    rows = [("candidate", "criterion", "value", "95% interval", "threshold", "outcome")]
    for candidate in candidates:
        for row in candidate["criteria"]:
            outcome = row["outcome"].replace("_", " ")
            rows.append(
                (
                    candidate["name"],
                    row["expression"],
                    number(row["value"]),
                    interval(row),
                    number(row["threshold"]),
                    outcome,
                )
            )
    _table(reporter, rows)
    for candidate in candidates:
        folds, metrics = candidate["folds"], candidate["metrics"]
        shown = ", ".join(f"{name} {number(metrics.get(name))}" for name in ("mae", "rmse", "r2", "bias"))
        counts = ", ".join(f"{folds[kind]} {kind}" for kind in ("planned", "executed", "cached", "failed", "missing"))
        standing = f"{candidate['reasons'][0]}; " if candidate["verdict"] == "PASSED" else ""
        reporter.write_line(f"{candidate['name']}: {standing}{shown}; folds {counts}")


def _features(reporter: pytest.TerminalReporter, document: Mapping[str, Any]) -> None:
    """What changed in the features since the champion, and what each group brings."""
    for candidate in document["candidates"]:
        if document["champion"] and (text := lineage_text(candidate)):
            reporter.write_line(f"{candidate['name']}: {text}")
    rows = [
        (candidate["name"], effect["group"], effect["change"], effect_text(effect))
        for candidate in document["candidates"]
        for effect in candidate["attribution"]
    ]
    if rows:
        reporter.write_line("")
        _table(reporter, [("attribution", "group", "", "change of MAE that it brings, below 0 helps"), *rows])


def _worst(reporter: pytest.TerminalReporter, highlights: Mapping[str, pd.DataFrame]) -> None:
    if not highlights:
        return
    dates = [
        (str(row.candidate), f"{row.GAME_DATE:%Y-%m-%d}", f"{row.mae:.2f}", f"{row.bias:+.2f}", str(row.n))
        for row in highlights["dates"].itertuples()
    ]
    _table(reporter, [("worst dates", "date", "mae", "bias", "n"), *dates])
    misses = [
        (
            str(row.candidate),
            f"{row.GAME_DATE:%Y-%m-%d}",
            str(row.PLAYER_NAME),
            f"{row.actual:.0f}",
            f"{row.predicted:.1f}",
            f"{row.error:+.1f}",
        )
        for row in highlights["misses"].itertuples()
    ]
    _table(reporter, [("worst misses", "date", "player", "actual", "predicted", "error"), *misses])


def _table(reporter: pytest.TerminalReporter, rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for index, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        reporter.write_line(line, bold=index == 0)
    reporter.write_line("")
