"""Runs side by side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.runs.best import Question, best_runs
from pytest_nbaprops.runs.compare import compare_runs
from pytest_nbaprops.runs.lookup import Lookup
from tests.league import Logged, log, outcomes

if TYPE_CHECKING:
    from xgboost import XGBRegressor

    from pytest_nbaprops.registry.registry import ModelRegistry
    from pytest_nbaprops.tracking.connection import Store


@pytest.fixture
def two(store: Store) -> list[str]:
    """Ids of a worse and a better run on the same player-games."""
    worse = log(store, Logged(name="worse", spread=8, params={"depth": 3, "seed": 42}))
    better = log(store, Logged(name="better", spread=5, params={"depth": 4, "seed": 42}, columns=("mean_10", "usage")))
    return [worse, better]


def test_a_comparison_tells_metrics_best_and_what_differs(store: Store, two: list[str]) -> None:
    """The better run has the best MAE; of the parameters only those that differ are told, and the new column."""
    found = compare_runs(["worse", two[1][:12]], store=store)
    assert [run.run_id for run in found.runs] == two
    assert found.best("mae") == {1}
    assert found.params == {"depth": ["3", "4"], "n_features": ["1", "2"]}
    (lineage,) = found.lineage
    assert (list(lineage.columns_added), list(lineage.columns_removed)) == (["usage"], [])
    assert not found.unfair
    assert list(found.to_frame()["features"]) == [1, 2]
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_paired_difference_has_its_interval(store: Store, two: list[str]) -> None:
    """Candidate minus the first, from the same rows: the mean absolute errors' difference, below zero altogether."""
    found = compare_runs(two, store=store)
    (pair,) = found.paired
    assert pair.difference is not None
    assert pair.difference == pytest.approx(found.runs[1].metrics["mae"] - found.runs[0].metrics["mae"])
    assert pair.low is not None
    assert pair.high is not None
    assert pair.low < pair.difference < pair.high < 0
    assert (pair.rows, pair.dates, pair.reason) == (600, 30, None)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (Logged(name="other", keep=False), "kept no predictions"),
        (Logged(name="other", rows=outcomes(first="2025-01-02")), "no player-game in common"),
        (Logged(name="other", rows=outcomes().assign(actual=1.0)), "outcomes of the same player-games differ"),
    ],
)
def test_without_the_same_rows_there_is_a_reason(store: Store, two: list[str], other: Logged, reason: str) -> None:
    """No interval is made up from player-games of one run, or from other outcomes."""
    (pair,) = compare_runs([two[0], log(store, other)], store=store).paired
    assert pair.difference is None
    assert pair.reason is not None
    assert reason in pair.reason


def test_after_a_day_of_games_the_shared_ones_are_compared(store: Store, two: list[str]) -> None:
    """The champion of yesterday against today's run: the difference is that of the same player-games, and says so."""
    later = log(store, Logged(name="later", spread=1, rows=outcomes(dates=25)))
    found = compare_runs([two[0], later], store=store)
    (pair,) = found.paired
    assert (pair.rows, pair.dates) == (500, 25)
    assert pair.reason == "only the player-games that both predicted: 500 of 500 and of 600"
    assert pair.difference is not None
    assert pair.difference < 0
    assert any("not the same player-games" in reason for reason in found.unfair)


def test_few_dates_are_no_interval(store: Store) -> None:
    """Fewer than 20 dates: the gate's own reason."""
    runs = [log(store, Logged(name=name, rows=outcomes(dates=5))) for name in ("one", "other")]
    (pair,) = compare_runs(runs, store=store).paired
    assert pair.reason is not None
    assert "5 game dates, an interval needs 20" in pair.reason


def test_other_data_is_not_fair(store: Store, two: list[str]) -> None:
    """It is said when data or test window differ, or are not known."""
    other = log(store, Logged(name="other", digest="e" * 64, params={"first_test_date": "2023-01-01"}))
    said = compare_runs([two[0], other], store=store).unfair
    assert [reason.split(" differ in ")[1] for reason in said] == ["data (2 different)", "test window (2 different)"]
    unsaid = log(store, Logged(name="unsaid", digest=None))
    (doubt,) = compare_runs([two[0], unsaid], store=store).unfair
    assert "not every run says its data" in doubt


def test_a_partial_run_is_no_fair_comparison(store: Store, two: list[str]) -> None:
    """Fewer predictions on the same data and window: it is said, and nothing is called the best."""
    partial = log(store, Logged(name="partial", spread=1, rows=outcomes(dates=5), keep=False))
    found = compare_runs([two[0], partial], store=store)
    assert list(found.unfair) == ["not a fair comparison: the runs differ in number of predictions (2 different)"]
    assert not found.best("mae")
    assert found.to_dict()["runs"][1]["n_predictions"] == 100


def test_other_player_games_are_no_fair_comparison(store: Store, two: list[str]) -> None:
    """As many predictions, but of other games: the kept rows tell."""
    other = log(store, Logged(name="other", rows=outcomes(first="2024-01-02")))
    found = compare_runs([two[0], other], store=store)
    assert "not a fair comparison: not the same player-games" in found.unfair[0]
    assert not found.best("mae")


def test_predictions_that_are_not_the_runs_own_are_no_fair_comparison(store: Store, two: list[str]) -> None:
    """What a run has logged and what it has kept say different things of who is better."""
    with store.calling("change") as client:
        client.log_metric(two[0], "mae", 3.5)
    found = compare_runs(two, store=store)
    assert found.best("mae") == frozenset()
    assert "logged mae 3.5000, and the predictions that it kept have " in found.unfair[0]


def test_a_run_that_did_not_finish_is_named(store: Store, two: list[str]) -> None:
    """Its status is told with the comparison."""
    with store.calling("end") as client:
        client.set_terminated(two[1], status="FAILED")
    found = compare_runs(two, store=store)
    assert list(found.unfair) == [f"not surely a fair comparison: {two[1][:8]} is FAILED"]
    assert list(found.to_frame()["status"]) == ["FINISHED", "FAILED"]


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (["worse"], "needs two runs or more"),
        (["worse", "worse"], "'worse' and 'worse' are the same run"),
        (["worse", "nobody"], "there is no run 'nobody' .*named by the beginning of its id.*the newest runs: "),
        (
            ["worse", "champion"],
            "there is no champion: no version of NBAPropsModel has the alias production or staging",
        ),
        (["worse", "@staging"], "no version of NBAPropsModel has the alias 'staging'; aliases: none"),
        (["worse", "v3"], "there is no version of NBAPropsModel; registered models: none"),
        (["worse", "0" * 32], "there is no run '0000"),
    ],
)
def test_what_means_no_run_is_one_line(store: Store, two: list[str], runs: list[str], message: str) -> None:
    """Each names the way out."""
    assert two
    with pytest.raises(TrackingError, match=message) as caught:
        compare_runs(runs, store=store)
    assert "\n" not in str(caught.value)


def test_a_deleted_run_is_told_alike_by_every_name(
    store: Store, registry: ModelRegistry, booster: XGBRegressor
) -> None:
    """By id, prefix, name, version and alias: that it was deleted, and how it comes back."""
    gone = log(store, Logged(name="gone", model=booster, register="League", keep=False))
    log(store, Logged(name="there", keep=False))
    registry.promote_model("League", 1, "production")
    with store.calling("delete") as client:
        client.delete_run(gone)
    lookup = Lookup(store=store, model_name="League")
    for reference in (gone, gone[:20], "gone", "v1", "@production", "champion"):
        with pytest.raises(TrackingError, match=rf"the run {gone[:8]} \(gone\) was deleted .*restore --run-id {gone}"):
            lookup.runs([reference])


def test_an_unknown_metric_names_those_there_are(store: Store, two: list[str]) -> None:
    """The line lists the metrics of the runs."""
    with pytest.raises(TrackingError, match="has the metric 'maee'; there are: bias, mae"):
        compare_runs(two, metrics=["maee"], store=store)


def test_an_ambiguous_name_names_the_candidates(store: Store, two: list[str]) -> None:
    """Two runs of a name: their ids, so that one can be chosen."""
    again = log(store, Logged(name="worse"))
    with pytest.raises(TrackingError, match="'worse' means several runs") as caught:
        compare_runs(["worse", "better"], store=store)
    assert two[0][:8] in str(caught.value)
    assert again[:8] in str(caught.value)


def test_an_ambiguous_prefix_names_the_candidates(store: Store) -> None:
    """17 runs share a first character somewhere: which is told, and a longer beginning is enough."""
    runs = [log(store, Logged(name=f"run{number}", rows=outcomes(dates=1), keep=False)) for number in range(17)]
    first = next(run[0] for run in runs if sum(other[0] == run[0] for other in runs) > 1)
    shared = [run for run in runs if run[0] == first]
    with pytest.raises(TrackingError, match="means several runs") as caught:
        Lookup(store=store, model_name="League").runs([first])
    assert shared[0][:8] in str(caught.value) or len(shared) > 5
    assert [run.info.run_id for run in Lookup(store=store, model_name="League").runs([runs[0][:20]])] == [runs[0]]


def test_runs_have_other_names(store: Store, registry: ModelRegistry, booster: XGBRegressor) -> None:
    """champion, @alias, v<number> and latest mean runs too; champion is production's, else staging's."""
    runs = [log(store, Logged(name=f"c{number}", model=booster, register="League", keep=False)) for number in (1, 2)]
    latest = log(store, Logged(name="newest", keep=False))
    registry.promote_model("League", 1, "staging")
    lookup = Lookup(store=store, model_name="League")
    found = [run.info.run_id for run in lookup.runs(["champion", "@Staging", "v2", "latest"])]
    assert found == [runs[0], runs[0], runs[1], latest]
    registry.promote_model("League", 2, "production")
    assert lookup.runs(["champion"])[0].info.run_id == runs[1]


def test_the_best_are_those_on_the_same_data(store: Store, two: list[str]) -> None:
    """Runs on other data than the newest one's are left out, unless asked for, and then it is not fair."""
    log(store, Logged(name="elsewhere", spread=1, digest="e" * 64))
    log(store, Logged(name="newest", spread=7))
    lookup = Lookup(store=store, model_name="League")
    ranking = best_runs(lookup, Question())
    assert [run.name for run in ranking.runs] == ["better", "newest", "worse"]
    assert "only runs on the data dddddddddddd" in ranking.notes[0]
    whole = best_runs(lookup, Question(any_data=True, limit=2))
    assert [run.name for run in whole.runs] == ["elsewhere", "better"]
    assert "not a fair comparison: the runs differ in data" in whole.notes[0]
    assert [run.name for run in best_runs(lookup, Question(metric="r2", limit=1)).runs] == ["better"]
    assert [run.run_id for run in best_runs(lookup, Question(where="params.depth = '3'")).runs] == [two[0]]


def test_of_many_runs_the_best_are_found_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more runs than are looked at first, the answer is the same."""
    monkeypatch.setattr("pytest_nbaprops.runs.best._SAMPLE", 3)
    for spread in (2, 9, 3, 8, 4, 7):
        log(store, Logged(name=f"s{spread}", spread=spread, keep=False, rows=outcomes(dates=2)))
    lookup = Lookup(store=store, model_name="League")
    assert [run.name for run in best_runs(lookup, Question(limit=2)).runs] == ["s2", "s3"]
    assert [run.name for run in best_runs(lookup, Question(metric="r2", limit=2)).runs] == ["s2", "s3"]


@pytest.mark.parametrize("sample", [2, 200])
def test_runs_that_may_be_partial_come_last(
    store: Store, two: list[str], monkeypatch: pytest.MonkeyPatch, sample: int
) -> None:
    """A good value of fewer rows, of a session that failed or of one that could not decide is not the best."""
    monkeypatch.setattr("pytest_nbaprops.runs.best._SAMPLE", sample)
    log(store, Logged(name="partial", spread=1, rows=outcomes(dates=5), keep=False))
    log(store, Logged(name="undecided", spread=2, tags={"verdict": "INCONCLUSIVE"}, keep=False))
    failed = log(store, Logged(name="failed", spread=3, keep=False))
    for spread in (8, 9):
        log(store, Logged(name=f"newer{spread}", spread=spread, keep=False))
    with store.calling("end") as client:
        client.set_terminated(failed, status="FAILED")
    ranking = best_runs(Lookup(store=store, model_name="League"), Question())
    names = [run.name for run in ranking.runs]
    assert names[0] == "better"
    assert names[-3:] == ["partial", "undecided", "failed"]
    (said,) = [note for note in ranking.notes if note.startswith("listed last")]
    assert said.split(": ")[1] == ", ".join(
        f"{run.label} ({why})"
        for run, why in zip(ranking.runs[-3:], ["100 of 600 predictions", "INCONCLUSIVE", "FAILED"], strict=True)
    )
    assert two[1] == ranking.runs[0].run_id


def test_an_infinite_metric_is_none(store: Store, two: list[str]) -> None:
    """What MLflow stores for infinity and NaN, by whatever script, is no value to be the best."""
    for name, value in (("mae", float("-inf")), ("r2", float("inf")), ("rmse", float("nan"))):
        with store.calling("log") as client:
            client.log_metric(two[0], name, value)
    found = compare_runs(two, store=store)
    assert not {"mae", "r2", "rmse"} & found.runs[0].metrics.keys()
    assert not found.best("mae")
    ranking = best_runs(Lookup(store=store, model_name="League"), Question())
    assert [run.run_id for run in ranking.runs] == [two[1]]


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Question(metric="maee"), r"can't be ranked by 'maee' \(did you mean mae"),
        (Question(where="nonsense"), "could not find the runs with the best mae"),
        (Question(where="params.depth = '99'"), "no run in .* has the metric 'mae' where params.depth"),
    ],
)
def test_a_question_without_answer_is_one_line(store: Store, two: list[str], question: Question, message: str) -> None:
    """An unknown metric, a condition that cannot be read, and one that nothing meets."""
    assert two
    with pytest.raises(TrackingError, match=message) as caught:
        best_runs(Lookup(store=store, model_name="League"), question)
    assert "\n" not in str(caught.value)


def test_an_unknown_experiment_names_those_there_are(store: Store, two: list[str]) -> None:
    """The line lists them."""
    assert two
    with pytest.raises(TrackingError, match=r"no experiment 'Nope' in .*; there are: Default, League/Phase1"):
        best_runs(Lookup(store=store, model_name="League", experiment="Nope"), Question())
