"""Promoting by hand: versions are only compared where they were judged on the same data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.registry.promoting import PromotionRequest, PromotionResult, check_and_promote
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.registry.versions import criteria_of_champion
from pytest_nbaprops.tracking import tags
from tests.league import Logged, log, outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from xgboost import XGBRegressor

    from pytest_nbaprops.tracking.connection import Store

ON_BOTH = {"2024-01-01": "a", "2024-01-02": "b"}


def version(
    store: Store, name: str, told: Mapping[str, str], *, digest: str | None = None, rows: pd.DataFrame | None = None
) -> None:
    """Another version; the second one is far better."""
    run_id = log(store, Logged(name=name, spread=2.0 if name == "good" else 8.0, digest=digest, rows=rows))
    with store.calling("register") as client:
        if name == "old":
            client.create_registered_model("League")
        client.create_model_version("League", model_in(store).as_uri(), tags={tags.RUN: run_id, **told})


def model_in(store: Store) -> Path:
    """The folder of what is a model by its name."""
    folder = Path(store.uri.removeprefix("sqlite:///")).parent / "model"
    folder.mkdir(exist_ok=True)
    (folder / "MLmodel").touch()
    return folder


def promoted(registry: ModelRegistry, *criteria: str) -> PromotionResult:
    registry.promote_model("League", 1, "production")
    return check_and_promote(
        registry, PromotionRequest(name="League", version="2", alias="production", criteria=criteria)
    )


def digests(**changed: str) -> dict[str, str]:
    return {"data_digests": json.dumps({**ON_BOTH, **changed})}


def test_a_version_whose_model_is_lost_is_not_promoted(registry: ModelRegistry, store: Store) -> None:
    """However good it was: whoever serves the alias would have none."""
    version(store, "old", {})
    version(store, "good", {})
    shutil.rmtree(model_in(store))
    with pytest.raises(
        TrackingError, match=r"League v2 has lost its model, which is not at file:.*: put it back there"
    ):
        promoted(registry, "mae <= 9")
    assert registry.aliases("League") == {"production": "1"}


def test_what_its_own_session_rejected_needs_force(registry: ModelRegistry, store: Store) -> None:
    """A leak is in no metric: whoever registers such a run by hand is told."""
    version(store, "old", {})
    version(store, "good", {})
    with store.calling("reject") as client:
        run_id = client.get_model_version("League", "2").tags[tags.RUN]
        client.set_tag(run_id, tags.VERDICT, "REJECT")
    done = promoted(registry, "mae <= 9")
    assert (done.holds, done.criteria[0]["reason"]) == (
        False,
        "its own session said REJECT: see the run's decision.json",
    )


def test_no_rollback_to_a_lost_model(registry: ModelRegistry, store: Store) -> None:
    """Whoever rolls back has enough to do."""
    version(store, "old", {})
    version(store, "good", {})
    assert promoted(registry, "mae <= 9").holds
    shutil.rmtree(model_in(store))
    with pytest.raises(TrackingError, match="League v1 has lost its model"):
        registry.rollback_model("League", "production", "it fades")
    assert registry.aliases("League") == {"production": "2"}


@pytest.mark.parametrize(
    ("old", "good"),
    [
        (digests(), digests(**{"2024-01-03": "c"}) | {"dataset_digest": "grown"}),
        ({"dataset_digest": "d"}, {"dataset_digest": "d"}),
        ({}, {"dataset_digest": "d"}),
        ({"data_digests": "no json"}, {}),
    ],
    ids=["of each shared date", "of all data", "unknown", "unreadable"],
)
def test_the_same_data_is_compared(
    registry: ModelRegistry, store: Store, old: dict[str, str], good: dict[str, str]
) -> None:
    """Also data that has only grown since, and data that is not known but has the same outcomes."""
    version(store, "old", old)
    version(store, "good", good)
    assert promoted(registry, "mae < champion").holds


@pytest.mark.parametrize(
    ("old", "good", "reason"),
    [
        (digests(), digests(**{"2024-01-02": "x"}), "v1 was judged on other data than v2, from 2024-01-02 on"),
        ({"dataset_digest": "d"}, {"dataset_digest": "e"}, "v1 was judged on other data than v2 (d, not e)"),
    ],
    ids=["from a date on", "as a whole"],
)
def test_other_data_is_inconclusive(
    registry: ModelRegistry, store: Store, old: dict[str, str], good: dict[str, str], reason: str
) -> None:
    """However good the version is; the reason says what differs, and what can be done."""
    version(store, "old", old)
    version(store, "good", good)
    answer = promoted(registry, "mae < champion", "mae <= 10")
    assert not answer.holds
    assert [row["outcome"] for row in answer.criteria] == ["inconclusive", "passed"]
    assert answer.criteria[0]["reason"].startswith(reason)
    assert answer.criteria[0]["reason"].endswith("walk both forward again in a session on one version of the data")


def test_the_runs_digests_count_where_the_versions_have_none(registry: ModelRegistry, store: Store) -> None:
    """A plain script logs its data with the run."""
    version(store, "old", {}, digest="d" * 64)
    version(store, "good", {}, digest="e" * 64)
    assert promoted(registry, "mae < champion").criteria[0]["outcome"] == "inconclusive"


def test_unknown_data_with_other_outcomes_is_inconclusive(registry: ModelRegistry, store: Store) -> None:
    """The outcomes of every player-game are compared."""
    rows = outcomes()
    version(store, "old", {})
    version(store, "good", {}, rows=rows.assign(actual=rows["actual"].where(rows.index > 0, 0.0)))
    (row,) = promoted(registry, "mae < champion").criteria
    assert row["outcome"] == "inconclusive"
    assert "outcomes are not those" in row["reason"]


def test_no_criteria_promote_nothing(registry: ModelRegistry, store: Store) -> None:
    """And it is said that none were asked for."""
    version(store, "old", {})
    version(store, "good", {})
    answer = promoted(registry)
    assert (answer.holds, "no criteria are asked for" in answer.said) == (False, True)


def test_force_promotes_no_lost_model(registry: ModelRegistry, store: Store) -> None:
    """A version whose model's files are gone gets no alias, whoever insists."""
    version(store, "old", {})
    shutil.rmtree(model_in(store))
    request = PromotionRequest(
        name="League", version="1", alias="staging", criteria=["mae <= 1"], force=True, reason="must"
    )
    with pytest.raises(TrackingError, match="v1"):
        check_and_promote(registry, request)
    assert registry.aliases("League") == {}


def test_force_promotes_a_model_that_is_there(registry: ModelRegistry, store: Store, booster: XGBRegressor) -> None:
    """Criteria that fail are overruled."""
    log(store, Logged(name="bad", model=booster, register="League", keep=False))
    request = PromotionRequest(
        name="League", version="1", alias="staging", criteria=["mae <= 1"], force=True, reason="must"
    )
    assert check_and_promote(registry, request).forced


def test_a_champion_is_remembered_by_the_criteria_of_its_last_promotion(registry: ModelRegistry, store: Store) -> None:
    """Not by those that it was registered with."""
    version(store, "old", {})
    version(store, "good", {"criteria": json.dumps([{"expression": "mae <= 50"}])})
    assert promoted(registry, "mae <= 10").holds
    champion = registry.champion("League", "production")
    assert champion is not None
    assert champion.is_known
    assert criteria_of_champion(champion) == ("mae <= 10",)
    registry.promote_model("League", 1, "production")
    before = registry.champion("League", "production")
    assert before is not None
    assert before.is_known
    assert criteria_of_champion(before) is None
    registry.promote_model("League", 2, "staging")
    staging = registry.champion("League", "staging")
    assert staging is not None
    assert staging.is_known
    assert criteria_of_champion(staging) == ("mae <= 50",)
