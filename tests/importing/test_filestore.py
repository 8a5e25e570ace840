"""A whole file store with every damage once, imported twice."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.importing import registering
from pytest_nbaprops.importing.importer import Importer
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.runs.best import Question, best_runs
from pytest_nbaprops.runs.compare import compare_runs
from pytest_nbaprops.runs.lookup import Lookup
from pytest_nbaprops.serving.loader import ProductionModelLoader
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.connection import Store, connect
from tests.importing import old_store
from tests.importing.conftest import MODEL, Imported, bring, line, new_id
from tests.importing.old_store import run_id


def test_everything_that_can_arrives(brought: Imported) -> None:
    """12 runs, 4 versions, 4 aliases; nothing is left out as a whole."""
    counts = brought.first.imported
    assert (counts["runs"], counts["versions"], counts["aliases"]) == (12, 4, 4)
    assert not brought.first.left_out.total()


def test_a_dry_run_says_the_same(brought: Imported) -> None:
    """Counts and findings, before there is any store."""
    assert brought.planned.imported == brought.first.imported
    assert brought.planned.ordered() == brought.first.ordered()


def test_a_second_import_adds_nothing(brought: Imported) -> None:
    """Everything is there already."""
    assert not +brought.second.imported
    assert brought.second.present["runs"] == 12
    assert brought.second.present["aliases"] == 4


def test_the_source_stays_as_it_was(brought: Imported) -> None:
    """Content, modes and times of every file."""
    assert old_store.fingerprint(brought.root) == brought.before


def test_a_run_is_recognised(brought: Imported) -> None:
    """Name, phase, model and validation type, the standard metric, and where it came from."""
    run = brought.run(1)
    kept = run.data.tags
    assert run.info.run_name == "2023-01-02_p1_rolling_walkforward_v3"
    assert (kept["phase"], kept["model_type"], kept["validation_type"]) == ("p1", "xgboost", "walk_forward")
    assert (run.data.metrics["mae"], run.data.metrics["MAE"]) == (5.1, 5.1)
    assert kept[tags.IMPORTED_RUN] == run_id(1)
    assert kept[tags.IMPORTED_FROM] == str(brought.root)
    assert kept[tags.IMPORTED_NAME] == "20230102_phase1_rolling_walk-forward_v3"
    assert kept["mlflow.note.content"] == "Grüße"
    assert (run.info.start_time, run.info.user_id) == (old_store.START + 1000, "ann")


def test_histories_are_whole(brought: Imported) -> None:
    """Every step with its time, also of a metric in folders; unsorted, repeated and half lines are mended."""
    with brought.store.calling("read") as client:
        nested = client.get_metric_history(brought.id(1), "fold/mae")
        mended = client.get_metric_history(brought.id(2), "val_mae")
    assert [(m.step, m.value, m.timestamp) for m in nested][4] == (4, 9.0, old_store.START + 4000)
    assert [(m.step, m.value) for m in mended] == [(1, 6.1), (2, 6.0)]
    assert "1 line half-written" in brought.said("val_mae")
    assert "1 line repeated" in brought.said("val_mae")
    assert "out of order" in brought.said("val_mae")


def test_nan_and_infinity_never_pass_for_numbers(brought: Imported) -> None:
    """Both are NaN, and a tag names them."""
    run = brought.run(2)
    assert math.isnan(run.data.metrics["rmse"])
    assert run.data.tags[tags.NOT_FINITE] == "rmse (2)"


def test_long_params_are_kept_whole_in_a_file(brought: Imported) -> None:
    """6,000 characters fit; of 7,000 the beginning does."""
    run = brought.run(1)
    assert run.data.params["six"] == "y" * 6000
    assert len(run.data.params["long"]) == 6000
    with brought.store.calling("read", artifacts=True) as client:
        path = client.download_artifacts(brought.id(1), "imported_long_values.json")
    assert json.loads(Path(path).read_text(encoding="utf-8"))["params"]["long"] == "x" * 7000


@pytest.mark.parametrize(
    ("number", "where", "said"),
    [
        (2, run_id(2), "no folder params"),
        (3, run_id(3), "a run without meta.yaml"),
        (4, run_id(4), "RUNNING since 2023-01-02: KILLED"),
        (5, run_id(5), "J%C3%B6rg%20K"),
        (10, "555", "an experiment without meta.yaml"),
        (12, run_id(12), "not whole YAML"),
    ],
)
def test_damages_are_repaired_and_listed(brought: Imported, number: int, where: str, said: str) -> None:
    """The run is there, the table says what was done."""
    assert brought.run(number).info.status in ("FINISHED", "KILLED")
    assert said in brought.said(where)


def test_files_with_any_name_arrive(brought: Imported) -> None:
    """Blanks and letters of all kinds."""
    assert brought.files(5) == ["ünï cödé/a b.txt"]


def test_nothing_outside_of_the_store_is_read(brought: Imported) -> None:
    """Neither through links nor by an artifact_uri that names somebody's folder; both are listed."""
    assert brought.files(7) == []
    assert "leak" not in brought.run(7).data.params
    assert brought.said("artifacts/secret") == "left out: a link that leads out of the folder: not followed"
    assert brought.files(11) == []
    assert "not a place to read from" in brought.said(run_id(11))


def test_deleted_runs_and_experiments_arrive_deleted(brought: Imported) -> None:
    """They can be restored, and are not in anybody's way."""
    with brought.store.calling("read") as client:
        assert client.get_run(brought.id(8)).info.lifecycle_stage == "deleted"
        assert client.get_run(brought.id(9)).info.lifecycle_stage == "deleted"
        assert client.get_experiment_by_name("Gone").lifecycle_stage == "deleted"


def test_stages_become_aliases_that_can_be_rolled_back(brought: Imported, tmp_path: Path) -> None:
    """Production and Staging in lower case; the archived version before is the one to go back to."""
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes((brought.root.parents[1] / "mlflow.db").read_bytes())
    registry = ModelRegistry(store=connect(f"sqlite:///{folder / 'mlflow.db'}"))
    assert registry.aliases(MODEL) == {"production": "2", "staging": "3", "champion": "2", "archived": "1"}
    assert registry.rollback_model(MODEL, "production", "worse").version == "1"
    registry.promote_model(MODEL, 4, "staging", reason="new")
    assert registry.rollback_model(MODEL, "staging", "worse").version == "3"


def test_xgboost_files_can_be_served_and_pickles_cannot(brought: Imported) -> None:
    """And no pickle was loaded: it would have ended the process."""
    served = ProductionModelLoader(MODEL, "production", store=brought.store)
    assert served.predict(pd.DataFrame({"b": [0.0], "a": [1.0]})).shape == (1,)
    with brought.store.calling("read") as client:
        pickled, gone = client.get_model_version(MODEL, "3"), client.get_model_version(MODEL, "4")
    assert pickled.tags[tags.SERVABLE].startswith("false: model.pkl is a pickle")
    assert gone.tags[tags.SERVABLE] == "false: its files are gone"
    assert (gone.description, gone.tags[tags.IMPORTED_STAGE]) == ("version 4", "None")
    with pytest.raises(TrackingError):
        ProductionModelLoader(MODEL, "staging", store=brought.store)


def test_rows_of_names_become_predictions(brought: Imported) -> None:
    """With ids, each player-game once, so that runs are compared on the same rows."""
    assert "predictions.parquet" in brought.files(1)
    with brought.store.calling("read", artifacts=True) as client:
        frame = pd.read_parquet(client.download_artifacts(brought.id(1), "predictions.parquet"))
    assert list(frame.columns) == ["candidate", "fold", "GAME_DATE", "GAME_ID", "PLAYER_ID", "actual", "predicted"]
    assert len(frame) == 60
    assert set(frame["PLAYER_ID"]) == {1, 2}
    assert frame["GAME_ID"].iloc[0] == "0022300000"


def test_the_old_id_still_names_the_run(brought: Imported) -> None:
    """Whole, or its beginning, as notes and notebooks have it."""
    lookup = Lookup(store=brought.store, model_name=MODEL)
    for reference in (run_id(1), run_id(1)[:31]):
        assert [run.info.run_id for run in lookup.runs([reference])] == [brought.id(1)]
    called = lookup.called("20230102_phase1_rolling_walk-forward_v3")  # as the old project did
    assert called is not None
    assert called.info.run_id == brought.id(1)


def test_imported_runs_are_ranked_and_compared(brought: Imported) -> None:
    """By the one name that their metrics have now."""
    ranking = best_runs(Lookup(store=brought.store, model_name=MODEL), Question(any_data=True))
    assert [run.metrics["mae"] for run in ranking.runs] == [4.7, 5.1, 6.0, 4.8, 4.9]
    comparison = compare_runs([brought.id(1), brought.id(5)], store=brought.store)
    assert comparison.best("mae") == {1}


def test_an_interrupted_import_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    """Killed before the files are copied: the next one copies them, and no run is there twice."""
    root = tmp_path / "mlruns"
    folder = old_store.experiment(root, "1", "Old")
    for number in (1, 2, 3):
        place = old_store.run(folder, number, f"run {number}", metrics={"mae": line(0, number)})
        old_store.write(place / "artifacts/a.txt", str(number))
    upload, calls = Importer._upload, list[str]()  # noqa: SLF001 - the moment to be killed in

    def killed(self: Importer, prepared: object, identity: str) -> None:
        calls.append(identity)
        if len(calls) == 2:
            raise KeyboardInterrupt
        upload(self, prepared, identity)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Importer, "_upload", killed)
        with pytest.raises(KeyboardInterrupt):
            bring(root, store)
    assert bring(root, store).imported["runs"] == 3
    again = bring(root, store)
    assert (again.imported["runs"], again.present["runs"]) == (0, 3)
    with store.calling("read", artifacts=True) as client:
        ids = [new_id(store, number) for number in (1, 2, 3)]
        found = [Path(client.download_artifacts(one, "a.txt")).read_text(encoding="utf-8") for one in ids]
    assert found == ["1", "2", "3"]


def test_a_pattern_chooses_experiments_and_their_models(brought: Imported, store: Store) -> None:
    """Models whose runs are elsewhere stay there; a pattern that means nothing is one line."""
    summary = bring(brought.root, store, pattern="default")
    assert (summary.imported["runs"], summary.imported["models"]) == (0, 0)
    with pytest.raises(TrackingError, match=r"no experiment of .* is called 'nothing'; there: Default, Gone"):
        bring(brought.root, store, pattern="nothing")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("1/datasets", "left out: 1 datasets: only runs and models are imported"),
        ("M/version-new", "left out: a folder with nothing of a version: not a version"),
        ("model M alias latest", "'latest' can't be an alias"),
        ("model M alias xxx", "left out: 250 characters: an alias has at most 100"),
        ("model M alias gone", "it names v9: there is none"),
        ("model M v1", "it names no run"),
    ],
)
def test_nothing_is_lost_silently(tmp_path: Path, where: str, said: str) -> None:
    """What no store could take is in the table."""
    root = tmp_path / "mlruns"
    experiment = old_store.experiment(root, "1", "Old")
    old_store.write(experiment / "datasets" / "d" / "meta.yaml", "name: games")
    model = old_store.version(root, "M", 1, stage="Weird", source="''", run=None)
    old_store.write(model / "version-new" / "meta.yaml", "version: new")
    for alias, number in (("latest", 1), ("x" * 250, 1), ("gone", 9)):
        old_store.write(model / "aliases" / alias, str(number))
    found = bring(root, None, dry_run=True).ordered()
    assert said in "\n".join(f"{one.outcome}: {one.what}: {one.done}" for one in found if where in one.where)


def test_what_fails_of_one_model_leaves_the_others(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that cannot be registered and an alias that cannot be set are in the table, as left out."""
    root = tmp_path / "mlruns"
    for name in ("A", "B"):
        old_store.version(root, name, 1, stage="Production", source="''", run=None)
    register = registering._Model._register  # noqa: SLF001 - what fails

    def registered(self: registering._Model, *args: object) -> str:
        if self.name == "A":
            raise RuntimeError("strange file")
        return register(self, *args)  # type: ignore[arg-type]

    def promoted(self: ModelRegistry, *args: object, **more: object) -> object:
        del self, args, more
        raise TrackingError("no such key")

    with monkeypatch.context() as patch:
        patch.setattr(registering._Model, "_register", registered)  # noqa: SLF001
        patch.setattr(ModelRegistry, "promote_model", promoted)
        summary = bring(root, store)
    assert (summary.imported["versions"], summary.left_out["versions"], summary.left_out["aliases"]) == (1, 1, 1)
    assert [one.done for one in summary.ordered()[:2]] == ["RuntimeError: strange file", "no such key"]
    again = bring(root, store)
    assert (again.imported["versions"], again.present["versions"], again.imported["aliases"]) == (1, 1, 2)


def test_an_alias_that_is_held_here_stays(brought: Imported, tmp_path: Path, store: Store) -> None:
    """What was imported never takes the place of this project's own champion."""
    with store.calling("register") as client:
        client.create_registered_model(MODEL)
        client.create_model_version(MODEL, (tmp_path / "own").as_uri())
        client.set_registered_model_alias(MODEL, "production", "1")
    summary = bring(brought.root, store)
    assert summary.left_out["aliases"] == 1
    assert ModelRegistry(store=store).aliases(MODEL)["production"] == "1"
    assert any("v1 has it here, and keeps it" in finding.done for finding in summary.findings)
