"""Ways to fool the gate that end in its pure part; those that need a session are tried in tests/end_to_end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.gate import evaluate
from pytest_nbaprops.gate.decision import decide
from pytest_nbaprops.gate.verdict import Outcome, Verdict
from tests.gate.evidence import champion, evidence, folds, judged, season

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_nbaprops.gate.verdict import CandidateDecision


def put(column: str, value: object, *, rows: slice = slice(3, 4)) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def changed(frame: pd.DataFrame) -> pd.DataFrame:
        values = frame[column].astype("object")
        values.iloc[rows] = value
        return frame.assign(**{column: values})

    return changed


def assert_undecided(decision: CandidateDecision, why: str) -> None:
    session = decide([decision], enforce=True)
    assert (session.verdict, session.exit_code, session.winner) == (Verdict.INCONCLUSIVE, 10, None)
    assert why in session.reasons[0]
    assert not any(result.outcome is Outcome.PASSED for result in decision.criteria)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (put("predicted", np.nan), "1 player-game of the predictions with predicted missing or not finite"),
        (put("predicted", np.inf), "predicted missing or not finite"),
        (put("predicted", -np.inf), "predicted missing or not finite"),
        (put("predicted", None), "predicted missing or not finite"),
        (put("predicted", "many"), "cannot be read"),
        (put("predicted", 3j), "cannot be read"),
        (put("actual", np.nan), "actual missing or not finite"),
        (put("actual", 3.25), "outcomes are not the planned rows: 1 player-game differ"),
        (put("PLAYER_ID", None), "without a key"),
        (put("PLAYER_ID", 999), "1 planned player-game of 720 without a prediction: 2024-01-01"),
        (put("PLAYER_ID", 4), "one player-game twice"),
        (put("GAME_DATE", "soon"), "cannot be read"),
        (lambda f: pd.concat([f, f.iloc[[7]]]), "one player-game twice"),
        (lambda f: pd.concat([f, f.iloc[[7]].assign(predicted=0.0)]), "one player-game twice"),
        (lambda f: pd.concat([f, f.iloc[[7]].assign(PLAYER_ID=77)]), "1 prediction of player-games not planned"),
        (lambda f: f.drop(index=5), "1 planned player-game of 720 without a prediction"),
        (lambda f: f[f["minutes"] >= 24], "planned player-games of 720 without a prediction"),
        (lambda f: f.iloc[:0], "there are no predictions"),
        (lambda f: f.drop(columns="predicted"), "lack predicted"),
        (lambda f: pd.concat([f, f[["predicted"]]], axis=1), "a column twice"),
    ],
)
def test_only_the_planned_rows_are_judged(change: Callable[[pd.DataFrame], pd.DataFrame], why: str) -> None:
    """Rows that are not exactly the planned ones, once each and finite, are inconclusive whatever they score."""
    assert_undecided(judged(evidence(change(season())), "mae <= 100", "mae < baseline"), why)


def test_the_order_of_rows_says_nothing() -> None:
    """Shuffled predictions are judged to the last bit like sorted ones."""
    frame = season()
    shuffled = frame.sample(frac=1.0, random_state=4)
    first, second = (judged(evidence(f), "mae < baseline").criteria for f in (frame, shuffled))
    assert first == second


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"folds": folds(missing=1)}, "23 of 24 folds were evaluated"),
        ({"folds": folds(160, missing=159)}, "1 of 160 folds were evaluated"),
        ({"folds": folds(0)}, "no fold was planned"),
        ({"folds": folds(24, cached=-1, missing=1)}, "23 of 24 folds were evaluated"),
        ({"problems": ("2024-01-05 was skipped",)}, "2024-01-05 was skipped"),
        ({"predictions": None}, "there are no predictions"),
        ({"expected_rows": None}, "which player-games were planned is not known"),
        ({"own_metrics": {"roi": float("inf")}}, "roi is inf"),
        ({"own_metrics": {"roi": float("nan")}}, "roi is nan"),
        ({"own_metrics": {"roi": "much"}}, "roi is nan"),
        ({"own_metrics": {"roi": 10**400}}, "roi is nan"),
    ],
)
def test_anything_missing_or_unknown_is_inconclusive(changes: dict[str, Any], why: str) -> None:
    """Folds that did not run and metrics that are not numbers never promote."""
    decision = judged(evidence(**changes), "mae < baseline")
    session = decide([decision], enforce=True)
    assert (session.verdict, session.winner) == (Verdict.INCONCLUSIVE, None)
    assert why in session.reasons[0]


@pytest.mark.parametrize(
    ("criteria", "why"),
    [
        ((), "there are no criteria"),
        (("mae < champion",), "no criterion applies: mae < champion: NBAPropsModel has no version yet"),
        (("mea <= 100",), "no metric mea (did you mean mae?)"),
        (("roi > 0",), "roi needs player-prop lines"),
        (("mae < market",), "there is no market to compare with"),
        (("mae[line > 3] <= 100",), "no column line to slice by"),
        (("mae[minutes > 99] <= 100",), "0 player-games, fewer than 100"),
        (("own > champion - 1",), "one number for the whole test"),
        (("own[home] > 0",), "one number for the whole test"),
        (("own.low > 0",), "one number for the whole test"),
    ],
)
def test_a_criterion_that_cannot_be_judged_never_passes(criteria: tuple[str, ...], why: str) -> None:
    """Unknown metrics, columns and references are inconclusive, and name what is known."""
    against = champion() if criteria == ("own > champion - 1",) else None
    assert_undecided(judged(evidence(own_metrics={"own": 1.0}), *criteria, against=against), why)


def test_contradicting_criteria_reject() -> None:
    """Two criteria of which one must fail are a rejection."""
    assert judged(evidence(), "mae < 5", "mae > 6").verdict is Verdict.REJECT


@pytest.mark.parametrize("huge", [1e160, 1e308])
def test_huge_predictions_are_no_numbers_to_decide_on(huge: float) -> None:
    """Squares that overflow are unknown metrics, not passes, and numpy's warnings stay inside."""
    for criterion in ("mae >= 0", "rmse > 1", "r2 < 1", "mae < baseline"):
        decision = judged(evidence(put("predicted", huge)(season())), criterion)
        assert decision.verdict is not Verdict.PROMOTE


def test_minus_zero_is_zero() -> None:
    """A metric of -0.0 is an ordinary number."""
    assert judged(evidence(own_metrics={"roi": -0.0}), "roi >= 0").verdict is Verdict.PROMOTE


def test_a_users_metric_never_stands_in_for_ours() -> None:
    """A hook that reports its own mae does not change the mae that is judged."""
    decision = judged(evidence(own_metrics={"mae": 0.0}), "mae <= 1")
    assert decision.verdict is Verdict.REJECT
    assert decision.metrics["mae"] > 3


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"predictions": None, "unavailable": "the alias production was deleted"}, "alias production was deleted"),
        ({"predictions": None}, "the champion NBAPropsModel v3 has no stored predictions"),
        ({"frame": season().iloc[30:]}, "no prediction for 30 of 720 player-games"),
        ({"frame": season(players=31)}, "predicted 24 player-games of these dates that are not in this data"),
        ({"frame": season().assign(PLAYER_ID=lambda f: f["PLAYER_ID"] + 1)}, "no prediction for 24 of 720"),
        ({"frame": put("actual", 3.25)(season())}, "outcomes are not those the champion NBAPropsModel v3 was scored"),
        ({"frame": put("predicted", np.nan)(season())}, "predicted missing or not finite"),
        ({"frame": pd.concat([season(), season()])}, "one player-game twice"),
    ],
)
def test_a_champion_that_cannot_be_compared_is_inconclusive(changes: dict[str, Any], why: str) -> None:
    """Never two different sets of rows or versions of the data, and never a champion taken for absent."""
    assert_undecided(judged(evidence(), "mae <= champion + 100", against=champion(**changes)), why)


def test_more_rows_of_our_dates_are_another_version_of_the_data() -> None:
    """A champion that predicted player-games of these dates which are not in the data is not comparable."""
    theirs = season(error=5.0)
    more = pd.concat([theirs, theirs.iloc[[0]].assign(PLAYER_ID=77)])
    decision = judged(evidence(), "mae <= champion + 100", against=champion(more))
    assert_undecided(decision, "1 player-games of these dates that are not in this data")


def test_a_champion_tested_on_more_dates_is_cut_to_ours() -> None:
    """Other dates of the champion's test are left out of the comparison."""
    longer = pd.concat([season(error=5.0), season(dates=30).query("GAME_DATE > '2024-01-24'")])
    assert judged(evidence(), "mae < champion", against=champion(longer)).verdict is Verdict.PROMOTE


def test_an_unknown_champion_is_not_an_absent_one() -> None:
    """Without a reason for its absence the champion's criteria are inconclusive, not "not applicable"."""
    assert_undecided(judged(evidence(), "mae < champion", champion_reason=None), "whether there is a champion")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_baseline_with_holes_is_not_compared(bad: float) -> None:
    """A player-game without a baseline makes the comparison inconclusive instead of smaller."""
    assert_undecided(judged(evidence(put("baseline", bad)(season())), "mae < baseline"), "baseline is missing")


def test_whatever_is_raised_while_judging_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in judging a criterion never passes it and never escapes."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr(evaluate, "paired_interval", broken)
    assert_undecided(judged(evidence(), "mae < baseline"), "could not be judged: ZeroDivisionError: by zero")
