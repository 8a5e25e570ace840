"""Journal, versions, runs and aliases say the same, or it is said where they do not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.registry import recovery
from pytest_nbaprops.registry.promoting import PromotionRequest, check_and_promote
from pytest_nbaprops.registry.record import VersionRecord
from pytest_nbaprops.registry.verify import end_runs_of_versions, verify
from pytest_nbaprops.serving.loader import ProductionModelLoader
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.artifacts import DECISION
from pytest_nbaprops.tracking.ownership import Owner

if TYPE_CHECKING:
    from xgboost import XGBRegressor

    from pytest_nbaprops.registry.registry import ModelRegistry
    from pytest_nbaprops.tracking.connection import Store
    from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker


class Killed(BaseException):
    """The session is no more."""


@pytest.fixture
def promoted(registry: ModelRegistry, tracker: StandardNBAPropsTracker, booster: XGBRegressor) -> str:
    """A session's run, whose version was promoted just before the session was killed; its id."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    owner = replace(Owner.myself(), pid=process.pid)
    run_id = tracker.start_run("left", owner.to_tag())
    tracker.log_validation_metrics({"mae": 5.9})
    tracker.flush()
    uri = tracker.log_model(booster, "xgboost", content="c1")
    record = VersionRecord(verdict="PROMOTE", metrics={"mae": 5.9, "r2": None}, criteria=[{"expression": "mae <= 6"}])
    version = registry.register_model(uri, "League", alias="staging", version_tags=record.to_tags())
    registry.promote_model("League", version, "staging")
    return run_id


def differing(store: Store) -> list[str]:
    return [f"{finding.what}: {finding.said}" for finding in verify(store, "League") if not finding.agrees]


def test_the_next_session_ends_the_run_of_a_promoted_version(store: Store, promoted: str, tmp_path: Path) -> None:
    """With the version's verdict and what the version tells of the decision; then all places agree."""
    (before,) = differing(store)
    assert "still RUNNING" in before
    assert len(end_runs_of_versions(store, "League")) == 1
    with store.calling("look") as client:
        run = client.get_run(promoted)
        decision = client.download_artifacts(promoted, DECISION, str(tmp_path))
    assert (run.info.status, run.data.tags[tags.VERDICT]) == ("FINISHED", "PROMOTE")
    document = json.loads(Path(decision).read_text(encoding="utf-8"))
    assert document["candidates"][0]["metrics"] == {"mae": 5.9}
    assert document["candidates"][0]["model_version"] == "1"
    assert differing(store) == []
    assert end_runs_of_versions(store, "League") == []


def test_a_run_that_ended_as_an_error_after_the_promotion_says_what_its_version_says(
    store: Store, tracker: StandardNBAPropsTracker, promoted: str
) -> None:
    """The disk was full for the report: the session ended its run as FAILED, and its version is promoted."""
    tracker.abandon({tags.VERDICT: "ERROR"})
    (before,) = differing(store)
    assert before.endswith("says ERROR (the next session mends it)")
    (said,) = end_runs_of_versions(store, "League")
    assert said == f"the run {promoted[:8]} of v1 was ended as ERROR: ended as PROMOTE"
    with store.calling("look") as client:
        run = client.get_run(promoted)
    assert (run.info.status, run.data.tags[tags.VERDICT]) == ("FINISHED", "PROMOTE")
    assert differing(store) == []
    assert end_runs_of_versions(store, "League") == []


def test_a_living_sessions_run_is_left_alone(store: Store, promoted: str) -> None:
    """It is about to say its verdict itself."""
    with store.calling("live") as client:
        for key, value in Owner.myself().to_tag().items():
            client.set_tag(promoted, key, value)
    assert end_runs_of_versions(store, "League") == []
    assert differing(store) == []


def test_a_run_of_another_verdict_is_found(store: Store, promoted: str) -> None:
    """The version says PROMOTE, its run REJECT."""
    end_runs_of_versions(store, "League")
    with store.calling("forge") as client:
        client.set_tag(promoted, tags.VERDICT, "REJECT")
    assert "says REJECT" in differing(store)[0]


def test_an_alias_that_was_moved_by_hand_is_found(
    store: Store, promoted: str, registry: ModelRegistry, tracker: StandardNBAPropsTracker, booster: XGBRegressor
) -> None:
    """The journal and the versions' own tags say otherwise."""
    assert promoted
    end_runs_of_versions(store, "League")
    tracker.end_run()
    tracker.start_run("second")
    registry.register_model(tracker.log_model(booster, "xgboost", content="c2"), "League")
    tracker.end_run()
    with store.calling("move") as client:
        client.set_registered_model_alias("League", "staging", "2")
    (said,) = differing(store)
    assert said.startswith("alias staging of League: v2 has it; the journal's last entry gave it to v1")


def test_an_entry_that_was_never_set_is_found_and_finished(
    store: Store, registry: ModelRegistry, promoted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before it set the alias; the next session does."""
    assert promoted
    end_runs_of_versions(store, "League")

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(recovery, "set_alias", killed)
        with pytest.raises(Killed):
            registry.promote_model("League", 1, "production")
    assert any("gives it to v1 and was not set" in line for line in differing(store))
    registry.recover("League")
    assert differing(store) == []


def test_a_record_comes_back_from_its_tags() -> None:
    """And what cannot be read is not said."""
    record = VersionRecord(
        identity="i", spec={"name": "a"}, target="PTS", data_digests={"2024-01-01": "x"}, metrics={"mae": 1.5}
    )
    assert VersionRecord.from_tags(record.to_tags()) == record
    broken = {"spec": "{", "lineage": "[]", "tested": '"x"', "metrics": "[1]", "criteria": "{}", "data_digests": "1"}
    assert VersionRecord.from_tags(broken) == VersionRecord()


def test_a_model_whose_files_are_gone_is_found(store: Store, promoted: str) -> None:
    """Whoever serves the alias would have none."""
    assert promoted
    end_runs_of_versions(store, "League")
    with store.calling("look") as client:
        source = client.get_model_version_download_uri("League", "1")
    shutil.rmtree(source.removeprefix("file://"))
    assert "model of v1 (staging)" in differing(store)[0]


def test_a_model_whose_files_were_changed_is_nobodys(store: Store, promoted: str, registry: ModelRegistry) -> None:
    """Cut short or another one: nobody promotes it, goes back to it, takes it for the same or serves it."""
    end_runs_of_versions(store, "League")
    assert differing(store) == []
    with store.calling("look") as client:
        source = client.get_model_version_download_uri("League", "1")
    file = Path(source.removeprefix("file://")) / "model.ubj"
    file.write_bytes(file.read_bytes()[:-100])
    damaged = r"League v1 has other files at file:.* than were stored: put it back there"
    assert "has other files" in differing(store)[0]
    request = PromotionRequest(name="League", version="1", alias="production", criteria=("mae <= 9",), force=True)
    with pytest.raises(TrackingError, match=damaged):
        check_and_promote(registry, replace(request, reason="why not"))
    with pytest.raises(TrackingError, match=damaged):
        registry.register_model(promoted, "League", content="c1")
    with pytest.raises(TrackingError, match="are not those that were stored; put them back, or roll back"):
        ProductionModelLoader("League", "staging", store=store)
