from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from pytest_nbaprops.errors import ChampionMovedError, SettingsError, TrackingError
from pytest_nbaprops.gate.verdict import Champion
from pytest_nbaprops.registry.moves import Promotion
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.registry.versions import alias_name
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.artifacts import PREDICTIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from xgboost import XGBRegressor

    from pytest_nbaprops.tracking.connection import Store
    from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker

    Register = Callable[..., str]


@pytest.fixture
def log(tracker: StandardNBAPropsTracker, booster: XGBRegressor, predictions: pd.DataFrame) -> Callable[[str], str]:
    """Logs a run with a model of the content given and gives the model's URI."""

    def one(content: str) -> str:
        with tracker:
            tracker.start_run(content)
            tracker.log_validation_metrics({"mae": 5.9})
            tracker.log_predictions(predictions)
            return tracker.log_model(booster, "xgboost", content=content)

    return one


def version_tags(store: Store, version: str) -> dict[str, str]:
    with store.calling("look") as client:
        return dict(client.get_model_version("League", version).tags)


def events(store: Store, version: str) -> dict[str, Any]:
    found = version_tags(store, version)
    return {key: json.loads(value) for key, value in found.items() if key.startswith(tags.EVENT_PREFIX)}


def test_a_content_is_registered_once(registry: ModelRegistry, log: Callable[[str], str]) -> None:
    """The same content is the same version, another content the next one."""
    first = log("c1")
    assert registry.register_model(first, "League") == "1"
    assert registry.register_model(first, "League") == "1"
    assert registry.register_model(log("c2"), "League") == "2"
    assert registry.find_version("League", "c2") == "2"
    assert registry.find_version("League", "c3") is None
    assert registry.find_version("Nobody", "c1") is None


def test_a_run_can_stand_for_its_model(
    registry: ModelRegistry, log: Callable[[str], str], tracker: StandardNBAPropsTracker
) -> None:
    """register_model takes the id of the run that logged the model; a run without one is refused."""
    log("c1")
    run_id = tracker.start_run("bare")
    tracker.end_run()
    with tracker.store.calling("look") as client:
        (run,) = client.search_runs([tracker.experiment_id], "attributes.run_name = 'c1'")
    assert registry.register_model(run.info.run_id, "League") == "1"
    with pytest.raises(TrackingError, match="no stored model: call log_model first"):
        registry.register_model(run_id, "League")


def test_a_version_has_its_tags_from_the_start(
    registry: ModelRegistry, store: Store, log: Callable[[str], str]
) -> None:
    """Content, run and what else is given are written together with the version."""
    version = registry.register_model(log("c1"), "League", version_tags={"verdict": "PROMOTE"}, alias="staging")
    found = version_tags(store, version)
    assert found[tags.CONTENT] == "c1"
    assert found[tags.INTENT] == "staging"
    assert found["verdict"] == "PROMOTE"
    assert len(found[tags.RUN]) == 32


def test_no_version_at_all_is_no_champion(registry: ModelRegistry, store: Store) -> None:
    """Neither an unknown model nor one without versions has a champion."""
    assert registry.champion("League", "production") is None
    assert registry.aliases("League") == {}
    with store.calling("prepare") as client:
        client.create_registered_model("League")
    assert registry.champion("League", "production") is None


def test_versions_without_the_alias_are_an_unknown_champion(registry: ModelRegistry, log: Callable[[str], str]) -> None:
    """Where there are versions but no alias, there is a reason instead of a champion."""
    registry.register_model(log("c1"), "League")
    answer = registry.champion("League", "Production")
    assert answer is not None
    assert not answer.is_known
    assert answer.unavailable == "League has 1 version(s), but none has the alias 'production'"


def test_a_promotion_leaves_champion_and_story(
    registry: ModelRegistry, store: Store, log: Callable[[str], str]
) -> None:
    """The alias is on the version, whose tags say from whom, why, when and that it is done."""
    for content in ("c1", "c2"):
        version = registry.register_model(log(content), "League", alias="staging")
        done = registry.promote_model(
            "League", version, "Staging", reason=f"for {content}", details={"verdict": "PROMOTE"}
        )
    assert done == Promotion(name="League", alias="staging", version="2", previous_version="1", changed=True)
    champion = registry.champion("League", "staging")
    assert champion is not None
    assert champion.is_known
    assert (champion.label, champion.content) == ("v2", "c2")
    assert tags.INTENT not in champion.tags
    ((key, event),) = events(store, "2").items()
    assert key.startswith("nbaprops.event.staging.20")
    assert datetime.fromisoformat(event.pop("at")).tzinfo is UTC
    assert json.loads(event.pop("metrics")) == {"mae": 5.9}
    assert event.pop("run_id") == champion.run_id
    assert event == {
        "event": "promote", "state": "done", "alias": "staging", "previous_version": "1", "reason": "for c2",
        "verdict": "PROMOTE",
    }  # fmt: skip
    (first,) = events(store, "1").values()
    assert first["previous_version"] is None


def test_who_has_the_alias_already_is_not_promoted_again(
    registry: ModelRegistry, store: Store, log: Callable[[str], str]
) -> None:
    """A second promotion to the same alias writes nothing."""
    version = registry.register_model(log("c1"), "League")
    registry.promote_model("League", version, "staging")
    before = version_tags(store, version)
    again = registry.promote_model("League", int(version), "staging", reason="again")
    assert again == Promotion(name="League", alias="staging", version="1", previous_version="1", changed=False)
    assert version_tags(store, version) == before


def test_each_promotion_is_an_event_of_its_own(
    registry: ModelRegistry, store: Store, log: Callable[[str], str]
) -> None:
    """A version that comes back, or goes to another alias, keeps its older events."""
    one, two = (registry.register_model(log(content), "League") for content in ("c1", "c2"))
    for version in (one, two, one):
        registry.promote_model("League", version, "staging")
    registry.promote_model("League", one, "production")
    assert sorted(event["alias"] for event in events(store, one).values()) == ["production", "staging", "staging"]
    assert registry.aliases("League") == {"production": "1", "staging": "1"}


def test_another_champion_than_expected_stops_the_promotion(
    registry: ModelRegistry, store: Store, log: Callable[[str], str]
) -> None:
    """Where the alias moved since the comparison, nothing is written."""
    one, two = (registry.register_model(log(content), "League") for content in ("c1", "c2"))
    registry.promote_model("League", one, "staging", expected_version=None)
    with pytest.raises(ChampionMovedError, match="none expected, now v1 has it"):
        registry.promote_model("League", two, "staging", expected_version=None)
    with pytest.raises(ChampionMovedError, match="v7 expected, now v1 has it"):
        registry.promote_model("League", two, "staging", expected_version="7")
    assert events(store, two) == {}
    assert registry.promote_model("League", two, "staging", expected_version="1").changed


@pytest.mark.parametrize(
    "call", ["create_model_version", "set_model_version_tag", "set_registered_model_alias", "delete_model_version_tag"]
)
def test_a_promotion_that_broke_off_is_finished_by_the_next(
    registry: ModelRegistry, store: Store, log: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Whichever call is the last, the alias is nowhere or on the version, and the next try completes it."""
    uri = log("c1")

    def promote() -> None:
        version = registry.register_model(uri, "League", alias="staging")
        registry.promote_model("League", version, "staging", reason="because")

    class Crash(BaseException):
        pass

    def crash(*_: Any, **__: Any) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(store.client, call, crash)
        with pytest.raises(Crash):
            promote()
    champion = registry.champion("League", "staging")
    assert champion is None or champion.is_known
    promote()
    champion = registry.champion("League", "staging")
    assert champion is not None
    assert champion.is_known
    assert champion.version == "1"
    assert tags.INTENT not in champion.tags
    assert [event["state"] for event in events(store, "1").values()][-1] == "done"


def test_an_integrity_error_is_tried_once_more(
    registry: ModelRegistry, store: Store, log: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two first writers of an alias collide in the database: the second try goes through, a third is not made."""
    version = registry.register_model(log("c1"), "League")
    original, calls = store.client.set_registered_model_alias, []

    def collide(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 1:
            raise MlflowException("(sqlite3.IntegrityError) UNIQUE constraint failed")
        original(*arguments)

    monkeypatch.setattr(store.client, "set_registered_model_alias", collide)
    assert registry.promote_model("League", version, "staging").changed
    assert len(calls) == 2


def test_an_alias_that_does_not_stay_is_an_error(
    registry: ModelRegistry, store: Store, log: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the alias is set it is read again."""
    version = registry.register_model(log("c1"), "League")
    monkeypatch.setattr(store.client, "set_registered_model_alias", lambda *_: None)
    with pytest.raises(TrackingError, match="another session moved the alias"):
        registry.promote_model("League", version, "staging")


def test_an_unknown_version_is_named_with_those_there_are(registry: ModelRegistry, log: Callable[[str], str]) -> None:
    """The error lists the versions."""
    registry.register_model(log("c1"), "League")
    with pytest.raises(TrackingError, match="League has no version 9; there are: v1"):
        registry.promote_model("League", 9, "staging")
    with pytest.raises(TrackingError, match="there is no version of Nobody; registered models: League"):
        registry.promote_model("Nobody", 1, "staging")


@pytest.mark.parametrize("alias", ["latest", "Latest", "v3", "V10", "7", "", "a b", "-x", "a/b"])
def test_reserved_and_impossible_aliases_are_refused(alias: str) -> None:
    """MLflow's own names and what is no name are refused before anything is called."""
    with pytest.raises(TrackingError, match="can't be an alias"):
        alias_name(alias)


def test_stages_mean_aliases() -> None:
    """The names of MLflow's old stages are the aliases in lower case."""
    assert [alias_name(stage) for stage in ("Staging", "Production", "Archived")] == [
        "staging", "production", "archived",
    ]  # fmt: skip


def test_a_store_that_is_lost_in_a_promotion_may_still_finish_it(
    registry: ModelRegistry, log: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said that the change may have been entered; a store that was lost before says nothing of the kind."""
    registry.register_model(log("c1"), "League")

    def gone(*_: object) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(registry.store.client, "set_registered_model_alias", gone)
    with pytest.raises(TrackingError, match=r"may have been entered already, and the next change .* finishes it"):
        registry.promote_model("League", 1, "staging")
    with pytest.raises(TrackingError, match="stopped answering") as caught:
        registry.promote_model("League", 1, "staging")
    assert "entered" not in str(caught.value)


def test_the_champions_predictions_come_back(
    registry: ModelRegistry, log: Callable[[str], str], predictions: pd.DataFrame
) -> None:
    """The frame is the one that its run has logged."""
    version = registry.register_model(log("c1"), "League")
    registry.promote_model("League", version, "staging")
    champion = registry.champion("League", "staging")
    assert champion is not None
    assert champion.is_known
    pd.testing.assert_frame_equal(registry.load_predictions(champion), predictions)


def test_predictions_that_were_changed_later_are_refused(
    registry: ModelRegistry, log: Callable[[str], str], predictions: pd.DataFrame, tmp_path: Path
) -> None:
    """Who forges a column makes the champion, or the reference beside it, as bad as he likes."""
    version = registry.register_model(log("c1"), "League")
    registry.promote_model("League", version, "staging")
    champion = registry.champion("League", "staging")
    assert champion is not None
    assert champion.run_id is not None
    predictions.assign(predicted=0.0).to_parquet(tmp_path / PREDICTIONS, index=False)
    registry.store.client.log_artifact(champion.run_id, str(tmp_path / PREDICTIONS))
    with pytest.raises(TrackingError, match="was changed after the run had stored it"):
        registry.load_predictions(champion)


def test_lost_predictions_are_a_reason(
    registry: ModelRegistry, tracker: StandardNBAPropsTracker, booster: XGBRegressor
) -> None:
    """A champion whose run kept no predictions, or that has no run, is told in one line, and the store lives on."""
    tracker.start_run("bare")
    version = registry.register_model(tracker.log_model(booster, "xgboost"), "League")
    registry.promote_model("League", version, "staging")
    champion = registry.champion("League", "staging")
    assert champion is not None
    assert champion.is_known
    with pytest.raises(TrackingError, match="read the predictions of League v1"):
        registry.load_predictions(champion)
    orphan = Champion(name="League", alias="a", version="1")
    with pytest.raises(TrackingError, match="names no run"):
        registry.load_predictions(orphan)
    assert registry.store.lost is None


def test_a_version_is_evaluated_by_its_runs_metrics(
    registry: ModelRegistry, tracker: StandardNBAPropsTracker, booster: XGBRegressor
) -> None:
    """Every criterion has its result, and all of them have to pass; its run kept no predictions."""
    with tracker:
        tracker.start_run("c1")
        tracker.log_validation_metrics({"mae": 5.9})
        version = registry.register_model(tracker.log_model(booster, "xgboost"), "League")
    good = registry.evaluate_for_production("League", version, ["mae <= 6.2"])
    assert good["passed"] is True
    assert (good["model_name"], good["version"]) == ("League", "1")
    bad = registry.evaluate_for_production("League", version, {"mae": 6.2, "r2": 0.5})
    assert [result["passed"] for result in bad["criteria"]] == [True, False]
    assert bad["passed"] is False


def test_without_criteria_nothing_passes(registry: ModelRegistry, log: Callable[[str], str]) -> None:
    """No criteria are no reason to promote, unreadable ones are an error."""
    version = registry.register_model(log("c1"), "League")
    assert registry.evaluate_for_production("League", version, [])["passed"] is False
    with pytest.raises(SettingsError, match="--nbaprops-criterion"):
        registry.evaluate_for_production("League", version, ["mae is fine"])
