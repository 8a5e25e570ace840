from __future__ import annotations

import json

import pandas as pd
import pytest

from pytest_nbaprops.gate.criteria import DEFAULT_CRITERIA, parse_criteria
from pytest_nbaprops.gate.decision import decide, judge_all
from pytest_nbaprops.gate.verdict import Outcome, Verdict
from tests.gate.evidence import champion, evidence, folds, judged, season

PROMOTE, REJECT, INCONCLUSIVE = Verdict.PROMOTE, Verdict.REJECT, Verdict.INCONCLUSIVE


def test_exit_codes_are_the_contracts() -> None:
    """PROMOTE, REJECT, INCONCLUSIVE and ERROR end with 0, 1, 10 and 11."""
    assert [verdict.exit_code for verdict in Verdict] == [0, 1, 10, 11]


def test_a_better_model_is_promoted() -> None:
    """Better than the baseline and no worse than the champion: PROMOTE, with every criterion passed."""
    decision = judged(evidence(), *DEFAULT_CRITERIA, against=champion())
    assert decision.verdict is PROMOTE
    assert [result.outcome for result in decision.criteria] == [Outcome.PASSED] * 2


def test_a_worse_model_is_rejected() -> None:
    """Worse than the champion beyond the margin: REJECT, naming the criterion."""
    decision = judged(evidence(), *DEFAULT_CRITERIA, against=champion(season(error=3.5)))
    assert decision.verdict is REJECT
    assert decision.reasons[0].startswith("mae <= champion + 0.02: mae is ")


def test_equal_is_not_better_but_no_worse() -> None:
    """The champion's own predictions are not superior to it, and not inferior either."""
    against = champion(season())
    assert judged(evidence(), "mae < champion", against=against).verdict is REJECT
    assert judged(evidence(), "mae <= champion", against=against).verdict is PROMOTE


def test_rounding_is_no_improvement() -> None:
    """Errors that are smaller by the last bits only are not significantly smaller."""
    frame = season()
    against = champion(frame)
    frame["predicted"] += 1e-12 * (frame["actual"] - frame["predicted"])
    assert judged(evidence(frame), "mae < champion", against=against).verdict is REJECT


@pytest.mark.parametrize(("error", "verdict"), [(4.5, PROMOTE), (5.5, REJECT)])
def test_more_is_better_for_some_metrics(error: float, verdict: Verdict) -> None:
    """`within_5_pct > champion` wants the lower end of the difference above 0."""
    assert judged(evidence(season(error=error)), "within_5_pct > champion", against=champion()).verdict is verdict


def test_a_row_reads_on_one_scale() -> None:
    """Value, interval and threshold of a reference criterion are all on the metric's own scale."""
    (result,) = judged(evidence(), "mae <= champion + 0.5", against=champion()).criteria
    shown = [result.ci_low, result.value, result.ci_high, result.threshold]
    assert shown == pytest.approx([4.0, 4.0, 4.0, 5.5], abs=0.1)
    assert shown == sorted(shown, key=lambda number: number or 0.0)


def test_numbers_need_no_interval() -> None:
    """Against a number the point estimate decides, on five dates as well."""
    few = season(dates=5)
    decision = judged(evidence(few, expected_rows=few, folds=folds(5)), "mae <= 4.5")
    assert decision.verdict is PROMOTE
    assert decision.criteria[0].ci_low is None


def test_what_only_counts_speaks_for_nobody() -> None:
    """As many predictions as anybody's are no reason to serve a model."""
    rows = season(dates=25)
    of_all = evidence(rows, expected_rows=rows, folds=folds(25))
    decision = judged(of_all, "n_predictions >= 1")
    assert decision.verdict is INCONCLUSIVE
    assert "says nothing of how good it is" in decision.reasons[0]
    assert judged(of_all, "n_predictions >= 1", "mae <= 50").verdict is PROMOTE


@pytest.mark.parametrize("criterion", ["mae < baseline", "mae.high < 6"])
def test_an_interval_needs_twenty_dates(criterion: str) -> None:
    """References and ends of intervals are inconclusive on five dates."""
    few = season(dates=5)
    decision = judged(evidence(few, expected_rows=few, folds=folds(5)), criterion)
    assert decision.verdict is INCONCLUSIVE
    assert "5 game dates, an interval needs 20" in decision.reasons[0]


def test_an_interval_end_decides_where_it_is_named() -> None:
    """`.high` is above the point estimate and below it goes no threshold."""
    decision = judged(evidence(), "mae <= 4.3")
    value, high = decision.criteria[0].value, decision.criteria[0].ci_high
    assert value is not None
    assert high is not None
    between = (value + high) / 2
    assert judged(evidence(), f"mae <= {between}").verdict is PROMOTE
    assert judged(evidence(), f"mae.high <= {between}").verdict is REJECT


def test_slices_are_judged_on_their_rows() -> None:
    """A slice of bad predictions fails though the whole is good."""
    frame = season()
    frame.loc[frame["minutes"] >= 24, "predicted"] += 30
    assert judged(evidence(frame), "mae[minutes < 24] <= 4.5").verdict is PROMOTE
    assert judged(evidence(frame), "mae[minutes>=24] <= 7.5").verdict is REJECT


def test_the_market_is_compared_where_there_is_a_line() -> None:
    """Rows without a line do not count against the market, too few of them are inconclusive."""
    frame = season()
    frame["market"] = frame["baseline"].where(frame["PLAYER_ID"] < 10)
    assert judged(evidence(frame), "mae < market").verdict is PROMOTE
    frame["market"] = frame["baseline"].where(frame["PLAYER_ID"] < 1)
    assert judged(evidence(frame), "mae < market").verdict is INCONCLUSIVE


def test_no_champion_yet_is_not_applicable() -> None:
    """The first version is promoted on its other criteria, the champion's show as not applicable with the reason."""
    decision = judged(evidence(), *DEFAULT_CRITERIA)
    assert decision.verdict is PROMOTE
    assert decision.criteria[1].outcome is Outcome.NOT_APPLICABLE
    assert "no version yet" in decision.criteria[1].reason


def test_a_leak_beats_everything() -> None:
    """A leak is REJECT however good or incomplete the rest is, and named."""
    leak = {"group": "usage", "columns": ["x"], "kind": "future rows", "example": "..."}
    for counts in (folds(), folds(missing=3)):
        decision = judged(evidence(leaks=(leak,), folds=counts), "mae < baseline")
        assert decision.verdict is REJECT
        assert decision.reasons[0].startswith("leak in usage: future rows (x: ...); it hangs on which games come later")


def test_a_failed_fold_test_is_a_rejection() -> None:
    """A failed fold rejects, named or only counted, before anything that is missing."""
    named = evidence(failures=("test_x[2024-01-05] failed",), folds=folds(failed=1, missing=2))
    assert judged(named, "mae < baseline").verdict is REJECT
    assert judged(evidence(folds=folds(failed=1)), "mae < baseline").reasons[0] == "1 of 24 fold tests failed"


def test_failed_beats_inconclusive_on_complete_folds_only() -> None:
    """A failed criterion decides over an unknown one, unless folds are missing."""
    criteria = ("mae <= 1", "roi >= 0")
    assert judged(evidence(), *criteria).verdict is REJECT
    assert judged(evidence(folds=folds(missing=1)), *criteria).verdict is INCONCLUSIVE


def test_identical_to_the_champion_is_already_there() -> None:
    """The champion again: PROMOTE, already v4, and its own comparison skipped."""
    candidate = evidence(identical_to="v4", registrable=False)
    decision = judged(candidate, "mae < baseline", "mae < champion", against=champion(season()))
    assert (decision.verdict, decision.reasons) == (PROMOTE, ("already v4",))
    assert decision.criteria[1].outcome is Outcome.SKIPPED
    assert decide([decision], enforce=True).winner == "advanced"


@pytest.mark.parametrize("criterion", ["mae <= 1", "roi > 0"])
def test_identical_is_not_a_pass_for_the_rest(criterion: str) -> None:
    """A criterion that does not ask for the champion is judged all the same."""
    candidate = evidence(identical_to="v4")
    assert judged(candidate, "mae < champion", criterion, against=champion(season())).verdict is not PROMOTE


def test_the_lowest_mae_of_those_that_pass_wins() -> None:
    """One winner; the other that passed says so and is not promoted, the one that failed is rejected."""
    good = judged(evidence(), "mae < baseline")
    better = judged(evidence(season(error=3.0), name="ridge"), "mae < baseline")
    best_but_failed = judged(evidence(season(error=1.0), name="cheat"), "mae < 0.1")
    session = decide([good, better, best_but_failed], enforce=True)
    assert (session.verdict, session.winner, session.exit_code) == (PROMOTE, "ridge", 0)
    assert [candidate.standing for candidate in session.candidates] == ["PASSED", "PROMOTE", "REJECT"]
    assert session.candidates[0].criteria[0].outcome is Outcome.PASSED
    assert session.candidates[0].criteria[0].reason.startswith("passed, not chosen (higher MAE); ")
    assert session.candidates[0].reasons[0].startswith("passed, not chosen (higher MAE): 3.9868, ridge has 2.9868")
    assert session.candidates[2].criteria[0].outcome is Outcome.SKIPPED
    assert "ridge is chosen" in session.candidates[2].criteria[0].reason
    assert session.remarks == ()


def test_candidates_are_compared_on_the_same_player_games() -> None:
    """Two dates more, and easy ones, make no winner; what was left out is said."""
    frame = season(26, error=4.1)
    easy = frame["GAME_DATE"] > "2024-01-24"
    frame.loc[easy, "predicted"] = frame.loc[easy, "actual"] + 0.01
    more = judged(evidence(frame, expected_rows=frame, folds=folds(26), name="more"), "mae < baseline")
    fewer = judged(evidence(season(26).query("GAME_DATE <= '2024-01-24'"), expected_rows=season(26).query(
        "GAME_DATE <= '2024-01-24'"), name="fewer"), "mae < baseline")  # fmt: skip
    assert more.metrics["mae"] < fewer.metrics["mae"]
    session = decide([more, fewer], enforce=True)
    assert session.winner == "fewer"
    (remark,) = session.remarks
    assert "on the 720 player-games of 24 dates that all of them predicted" in remark
    assert "left out: more 60 player-games of 2024-01-25, 2024-01-26" in remark


def test_nothing_in_common_is_no_comparison() -> None:
    """Two that pass on different dates: INCONCLUSIVE, since which is better is not known."""
    late = season().assign(GAME_DATE=lambda frame: frame["GAME_DATE"] + pd.Timedelta(days=90))
    other = judged(evidence(late, expected_rows=late, name="late"), "mae < baseline")
    session = decide([judged(evidence(), "mae < baseline"), other], enforce=True)
    assert (session.verdict, session.winner) == (INCONCLUSIVE, None)
    assert "have no player-game in common" in session.reasons[0]
    assert [candidate.standing for candidate in session.candidates] == ["PASSED", "PASSED"]


def test_a_few_nights_in_common_choose_nobody() -> None:
    """Whoever picks the one night that he is best on would win on it; the same window for all is no such choice."""
    one = season().query("GAME_DATE <= '2024-01-01'").assign(predicted=lambda frame: frame["actual"] + 0.01)
    lucky = judged(evidence(one, expected_rows=one, folds=folds(1), name="lucky"), "mae <= 50")
    session = decide([judged(evidence(), "mae < baseline"), lucky], enforce=True)
    assert (session.verdict, session.winner) == (INCONCLUSIVE, None)
    assert "their test windows have 1 of the dates in common, and to choose takes 20" in session.reasons[0]
    few = season(5)
    same = [judged(evidence(few, expected_rows=few, folds=folds(5), name=name), "mae <= 50") for name in "ab"]
    assert decide(same, enforce=True).winner == "a"


def test_without_a_winner_the_worst_counts() -> None:
    """An undecided candidate leaves the session undecided, in any order."""
    rejected = judged(evidence(), "mae < 1")
    unknown = judged(evidence(name="ridge"), "roi > 1")
    for order in ([rejected, unknown], [unknown, rejected]):
        session = decide(order, enforce=False)
        assert (session.verdict, session.winner) == (INCONCLUSIVE, None)
        assert session.reasons[0].startswith("ridge: roi > 1: roi needs player-prop lines")


def test_nothing_to_register_is_inconclusive_under_enforce() -> None:
    """A candidate that only recorded predictions can be judged, not promoted; another can win instead."""
    only_recorded = judged(evidence(registrable=False, unregistrable_reason="only predictions"), "mae < baseline")
    dry_run = decide([only_recorded], enforce=False)
    assert dry_run.verdict is PROMOTE
    assert dry_run.remarks == ("advanced would not be promoted under enforce: nothing to register: only predictions",)
    session = decide([only_recorded], enforce=True)
    assert (session.verdict, session.winner) == (INCONCLUSIVE, None)
    assert session.reasons[0] == "nothing to register: only predictions"
    worse = judged(evidence(season(error=5.0), name="ridge"), "mae < baseline")
    assert decide([only_recorded, worse], enforce=True).winner == "ridge"
    dry_run = decide([only_recorded, worse], enforce=False)
    assert dry_run.winner == "ridge"
    better = (
        "advanced passes with a lower MAE (3.9868, ridge has 4.9868), and has nothing to register: only predictions"
    )
    assert dry_run.remarks == decide([only_recorded, worse], enforce=True).remarks == (better,)
    enforced = decide([only_recorded, worse], enforce=True).candidates[0]
    assert enforced.standing == "PASSED"
    assert enforced.not_chosen == "passed, not chosen (nothing to register)"
    assert dry_run.candidates[0].not_chosen == "passed, not chosen (nothing to register)"


def test_no_candidate_is_no_promotion() -> None:
    """An empty session is inconclusive."""
    assert decide([], enforce=True).verdict is INCONCLUSIVE


def test_an_error_replaces_promote_or_what_was_not_logged() -> None:
    """ERROR never hides a verdict that was logged, except PROMOTE."""
    promoted = decide([judged(evidence(), "mae < baseline")], enforce=True)
    rejected = decide([judged(evidence(), "mae < 1")], enforce=True)
    assert promoted.errored("registry gone").exit_code == 11
    assert promoted.errored("registry gone").winner is None
    assert [c.standing for c in promoted.errored("registry gone").candidates] == ["ERROR"]
    assert [c.standing for c in promoted.errored("run not ended", promoted=True).candidates] == ["PROMOTE"]
    assert rejected.errored("registry gone").verdict is REJECT
    assert rejected.errored("store gone", logged=False).verdict is Verdict.ERROR


def test_decision_is_exact_builtins() -> None:
    """What decision.json gets is plain JSON, with null for what is no number."""
    decision = decide([judged(evidence(own_metrics={"roi": float("nan")}), "mae <= 5", "roi > 0")], enforce=False)
    candidate = json.loads(json.dumps(decision.candidates[0].to_dict(), allow_nan=False))
    assert candidate == decision.candidates[0].to_dict()
    assert candidate["metrics"]["roi"] is None
    assert list(candidate["criteria"][0]) == [
        "expression",
        "metric",
        "slice",
        "value",
        "ci_low",
        "ci_high",
        "threshold",
        "outcome",
        "reason",
        "ci_level",
    ]


def test_several_candidates_need_more_evidence_each() -> None:
    """With several candidates every interval is wider, by Holm's rule, and says so."""
    criteria = parse_criteria(["mae < baseline"])
    cases = [(evidence(season(error=6.0, seed=0), name=f"c{i}"), criteria) for i in range(4)]
    decisions = judge_all(cases, None, seed=1, champion_reason="none yet")
    alone = judged(evidence(season(error=6.0)), "mae < baseline").criteria[0]
    together = decisions[0].criteria[0]
    assert together.ci_high is not None
    assert alone.ci_high is not None
    assert together.ci_high > alone.ci_high
    assert "98.75% interval" in together.reason
    assert "Holm-corrected: 5% / 4" in together.reason


def test_holm_steps_down() -> None:
    """What is beyond doubt does not count against the next candidate."""
    criteria = parse_criteria(["mae < baseline"])
    clear = [(evidence(season(error=2.0), name=f"clear{i}"), criteria) for i in range(3)]
    decisions = judge_all([*clear, (evidence(season(error=6.0), name="close"), criteria)], None, seed=1)
    assert [d.verdict for d in decisions] == [PROMOTE] * 3 + [REJECT]
    assert "95% interval" in decisions[3].criteria[0].reason


def test_plain_thresholds_are_not_corrected() -> None:
    """Candidates judged by numbers alone share no error rate."""
    cases = [(evidence(name=name), parse_criteria(["mae <= 5"])) for name in ("a", "b")]
    assert "Holm" not in judge_all(cases, None, seed=1)[0].criteria[0].reason
