from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.runs import artifact_location, ensure_experiment, find_running, next_version_number
from pytest_nbaprops.tracking.search import quoted

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_nbaprops.tracking.connection import Store


def run(store: Store, experiment: str, name: str, status: str = "RUNNING", **values: str) -> str:
    with store.calling("prepare") as client:
        run_id = str(client.create_run(experiment, run_name=name, tags=values).info.run_id)
        client.update_run(run_id, status=status)
    return run_id


def test_an_experiment_is_made_once(store: Store, tmp_path: Path) -> None:
    """The second call finds what the first made, with the artifacts beside the database."""
    first = ensure_experiment(store, "NBA/Phase 1")
    assert ensure_experiment(store, "NBA/Phase 1") == first
    with store.calling("look") as client:
        assert client.get_experiment(first).artifact_location == (tmp_path / "mlartifacts/NBA_Phase_1").as_uri()


def test_a_deleted_experiment_is_said_to_be_deleted(store: Store) -> None:
    """MLflow would answer with a riddle: we name the way to restore it."""
    experiment = ensure_experiment(store, "gone")
    with store.calling("delete") as client:
        client.delete_experiment(experiment)
    with pytest.raises(TrackingError, match=r"'gone' was deleted .*restore"):
        ensure_experiment(store, "gone")


def test_an_artifact_folder_that_can_not_be_made_is_refused(store: Store, tmp_path: Path) -> None:
    """A file in the way of the artifact folder is found out at the start."""
    (tmp_path / "file").touch()
    with pytest.raises(TrackingError, match=r"artifact folder .* can't be written"):
        ensure_experiment(store, "A", tmp_path / "file")


def test_a_name_can_not_leave_the_artifact_folder(tmp_path: Path) -> None:
    """Dots and slashes of an experiment's name stay inside the root."""
    assert artifact_location("sqlite:///x", "../../etc", tmp_path) == (tmp_path / "_.._etc").as_uri()
    assert artifact_location("sqlite:///x", "..", tmp_path) == (tmp_path / "experiment").as_uri()


def test_a_run_left_running_is_found_by_its_candidate(store: Store) -> None:
    """Only RUNNING runs of the same candidate in the same experiment."""
    ours, other = ensure_experiment(store, "a"), ensure_experiment(store, "b")
    run(store, ours, "done", "FINISHED", **{tags.CANDIDATE: "it's"})
    run(store, ours, "else", **{tags.CANDIDATE: "else"})
    run(store, other, "elsewhere", **{tags.CANDIDATE: "it's"})
    assert find_running(store, ours, "it's") == []
    killed = run(store, ours, "killed", **{tags.CANDIDATE: "it's"})
    assert [found.info.run_id for found in find_running(store, ours, "it's")] == [killed]


def test_runs_of_one_name_are_numbered_on(store: Store) -> None:
    """The next number is one more than the highest, whatever is deleted, missing or only similar."""
    experiment = ensure_experiment(store, "a")
    template = "2024-01-05_p1_all_walkforward_v{n}"
    assert next_version_number(store, experiment, template) == 1
    for name in (
        "2024-01-05_p1_all_walkforward_v2",
        "2024-01-05_p1_all_walkforward_v10",
        "2024-01-05_p1_all_walkforward_v11x",
    ):
        run(store, experiment, name)
    run(store, experiment, "2024-01-05xp1_all_walkforward_v99")
    deleted = run(store, experiment, "2024-01-05_p1_all_walkforward_v12")
    with store.calling("delete") as client:
        client.delete_run(deleted)
    assert next_version_number(store, experiment, template) == 13
    assert next_version_number(store, experiment, "fixed") == 1


def test_quotes_are_chosen_by_the_text() -> None:
    """MLflow's filters know no escapes, so the other quote is taken."""
    assert quoted("a") == "'a'"
    assert quoted("it's") == '"it\'s"'
    with pytest.raises(TrackingError, match="both kinds of quotes"):
        quoted("""'"'""")
