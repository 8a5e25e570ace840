"""Criteria on chances and money: the same rules as for MAE, and plain words where it is not known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from pytest_nbaprops.gate.criteria import parse_criteria
from pytest_nbaprops.gate.decision import judge, judge_all
from pytest_nbaprops.gate.verdict import CandidateDecision, CandidateEvidence, CriterionResult, Outcome, Verdict
from pytest_nbaprops.market.judge import judge as judge_market
from pytest_nbaprops.market.judge import with_lines
from pytest_nbaprops.market.settings import MarketSettings
from tests.gate.evidence import folds
from tests.market.frames import market_of, season

KEYS = ["GAME_DATE", "GAME_ID", "PLAYER_ID"]


@cache
def evidence(knows: float, dates: int = 80) -> CandidateEvidence:
    """A candidate that knows a share of what the line misses."""
    predictions, matched = season(dates=dates, knows=knows)
    market = market_of(matched, MarketSettings(known_good=True))  # nobody knows a half of what real lines miss
    frame = with_lines(predictions.assign(baseline=predictions["predicted"] + 1), market)
    return CandidateEvidence(
        name="advanced",
        folds=folds(),
        predictions=frame,
        expected_rows=predictions[[*KEYS, "actual"]],
        registrable=True,
        market=judge_market(predictions, market),
    )


def decided(knows: float, *criteria: str, dates: int = 80, **changes: Any) -> CandidateDecision:
    return judge(replace(evidence(knows, dates), **changes), parse_criteria(criteria), None, seed=42)


def result(knows: float, criterion: str, **options: Any) -> CriterionResult:
    (only,) = decided(knows, criterion, **options).criteria
    return only


GOOD = (
    "mae[line] < market", "brier[line] <= market", "roi.low > 0", "n_bets >= 200", "coverage80 >= 0.7",
    "beyond_line.low > 0", "blend < market", "win_rate > 0.5", "profit > 0", "drawdown <= 50", "log_loss < market",
    "crps < market",
)  # fmt: skip


def test_a_model_that_knows_more_than_the_line_passes() -> None:
    """Every criterion of the README, and its metrics are in the decision."""
    found = decided(1.0, *GOOD)
    assert [(row.expression, row.outcome.value) for row in found.criteria] == [(text, "passed") for text in GOOD]
    assert found.verdict is Verdict.PROMOTE
    assert found.metrics["roi"] == evidence(1.0).market.metrics["roi"]  # type: ignore[union-attr]


@pytest.mark.parametrize("criterion", ["mae[line] < market", "roi.low > 0", "blend < market", "brier < market"])
def test_a_model_that_knows_nothing_is_rejected(criterion: str) -> None:
    """By each of the criteria alone."""
    found = decided(0.0, criterion)
    assert (found.verdict, found.criteria[0].outcome) == (Verdict.REJECT, Outcome.FAILED)


def test_too_few_bets_are_said_beside_the_criterion() -> None:
    """In plain words, with the number that it would take; a failed criterion all the same."""
    row = result(0.02, "roi.low > 0")
    assert row.outcome is Outcome.FAILED
    assert "bets are too few to know: to show an ROI of" in row.reason


@pytest.mark.parametrize("criterion", ["market_mae <= 100", "market_brier <= 1"])
def test_how_good_the_market_is_speaks_for_no_candidate(criterion: str) -> None:
    """It is the same number whoever predicts."""
    found = decided(0.0, criterion)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "says nothing of how good it is" in found.reasons[0]


def test_comparisons_are_paired_on_the_same_rows() -> None:
    """The value is the model's, the threshold the market's, on the rows where both are known."""
    report = evidence(0.5).market
    assert report is not None
    row = result(0.5, "brier <= market")
    assert row.value == pytest.approx(report.metrics["brier"])
    assert row.threshold == pytest.approx(report.metrics["market_brier"])
    assert row.ci_high is not None
    assert row.threshold is not None
    assert (row.outcome is Outcome.PASSED) == (row.ci_high <= row.threshold)


def test_slices_read_what_is_known_before_the_game() -> None:
    """Also of lines: a market line is; what became of a bet is not."""
    assert result(1.0, "roi[market >= 25] > 0").outcome is Outcome.PASSED
    assert result(1.0, "mae[market >= 25 and line] < market").outcome is Outcome.PASSED
    row = result(1.0, "roi[won > 0] > 0")
    assert row.outcome is Outcome.INCONCLUSIVE
    assert "no column won" in row.reason


@pytest.mark.parametrize(
    ("criterion", "reason"),
    [
        ("clv >= 0", "clv is not known: it takes --nbaprops-snapshot=first"),
        ("roi > champion", "whether there is a champion is not known"),
        ("roi > market", "roi cannot be compared with market"),
        ("n_bets.low > 10", "n_bets is counted, not estimated"),
        ("drawdown.high < 10", "it has no interval"),
    ],
)
def test_what_cannot_be_judged_is_inconclusive(criterion: str, reason: str) -> None:
    """With the reason."""
    row = result(1.0, criterion)
    assert row.outcome is Outcome.INCONCLUSIVE
    assert reason in row.reason


def test_without_odds_nothing_passes() -> None:
    """The way out is named; a metric of the user's own by that name counts where there are no odds."""
    row = result(1.0, "roi >= 0", market=None)
    assert (row.outcome, row.reason) == (Outcome.INCONCLUSIVE, "roi needs player-prop lines: give --nbaprops-odds")
    assert result(1.0, "roi >= 0", market=None, own_metrics={"roi": 0.5}).outcome is Outcome.PASSED


def test_fewer_than_twenty_dates_are_no_interval() -> None:
    """Inconclusive, as everywhere; the point estimate may still be asked for."""
    short = evidence(1.0, 30)
    assert short.market is not None
    bet_dates = short.market.scope("roi")["GAME_DATE"].nunique()
    assert bet_dates < 20
    assert result(1.0, "roi.low > 0", dates=30).outcome is Outcome.INCONCLUSIVE
    assert result(1.0, "roi > 0", dates=30).outcome is Outcome.PASSED


def test_dates_with_lines_are_not_all_dates() -> None:
    """Of eighty tested ones only these can be compared with the market."""
    full = evidence(1.0, 80)
    assert full.predictions is not None
    days = sorted(full.predictions["GAME_DATE"].unique())
    lines = full.predictions["market"].where(full.predictions["GAME_DATE"].isin(days[:15]))
    row = result(1.0, "mae < market", predictions=full.predictions.assign(market=lines))
    assert row.outcome is Outcome.INCONCLUSIVE
    assert "15 of the 80 tested dates have a line, an interval needs 20" in row.reason


def test_several_candidates_widen_the_intervals() -> None:
    """Holm's correction holds for money, too."""
    criteria = parse_criteria(["roi.low > 0"])
    alone = judge_all([(evidence(0.0), criteria)], None, seed=42)[0].criteria[0]
    several = judge_all([(evidence(0.0), criteria), (replace(evidence(0.0), name="b"), criteria)], None, seed=42)
    wider = several[0].criteria[0]
    assert wider.value == alone.value
    assert wider.ci_high is not None
    assert alone.ci_high is not None
    assert wider.ci_high > alone.ci_high
