from __future__ import annotations

import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.entities import ViewType
from xgboost import XGBRegressor

from pytest_nbaprops.importing.importer import Importer
from pytest_nbaprops.importing.opening import open_source
from pytest_nbaprops.importing.predictions import GamesIndex
from pytest_nbaprops.importing.registering import import_models
from pytest_nbaprops.importing.summary import Summary
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.connection import Store, connect
from tests.importing import old_store
from tests.importing.old_store import START, run_id, write

MODEL = "NBAPropsModel"


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A damaged file store, what it was before, and the store that it was imported into, twice."""

    root: Path
    before: Mapping[str, tuple[str, int, int]]
    store: Store
    planned: Summary
    first: Summary
    second: Summary

    def id(self, number: int) -> str:
        return new_id(self.store, number)

    def run(self, number: int) -> Any:
        with self.store.calling("read a run") as client:
            return client.get_run(self.id(number))

    def files(self, number: int) -> list[str]:
        """Paths of all artifacts."""
        with self.store.calling("list the files", artifacts=True) as client:
            if not client.list_artifacts(self.id(number)):
                return []
            folder = Path(client.download_artifacts(self.id(number), ""))
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    def said(self, where: str) -> str:
        """All that the table says of a place."""
        return "\n".join(f"{one.outcome}: {one.what}: {one.done}" for one in self.first.ordered() if where in one.where)


def new_id(store: Store, number: int) -> str:
    """Id here of the run that had the number's id there."""
    with store.calling("find a run") as client:
        ids = [one.experiment_id for one in client.search_experiments(ViewType.ALL)]
        condition = f"tags.`{tags.IMPORTED_RUN}` = '{run_id(number)}'"
        (run,) = client.search_runs(ids, condition, ViewType.ALL)
    return str(run.info.run_id)


def games() -> pd.DataFrame:
    days = pd.date_range("2023-01-10", periods=30)
    rows = [
        (day, f"00223{number:05}", player, name, "ATL")
        for number, day in enumerate(days)
        for player, name in ((1, "Luka Dončić"), (2, "Jaime Jaquez Jr."), (3, "Old Man"))
    ]
    return pd.DataFrame(rows, columns=["GAME_DATE", "GAME_ID", "PLAYER_ID", "PLAYER_NAME", "TEAM_ABBREVIATION"])


def bring(source: Path | str, store: Store | None, *, pattern: str | None = None, dry_run: bool = False) -> Summary:
    opened = open_source(str(source))
    try:
        importer = Importer(opened, store, "here", pattern=pattern, dry_run=dry_run, games=GamesIndex(games))
        importer.import_runs()
        import_models(importer)
    finally:
        opened.close()
    return importer.summary


def line(step: int, value: object) -> str:
    return f"{START + step * 1000} {value} {step}\n"


def damaged_store(root: Path) -> None:
    """Each damage of the issue once."""
    phase = old_store.experiment(root, "123", "NBA_Props_Model/Phase1_Features")
    old_store.experiment(root, "0", "Default")
    one = old_store.run(
        phase,
        1,
        "20230102_phase1_rolling_walk-forward_v3",
        metrics={"MAE": line(0, 5.1), "fold/mae": "".join(line(step, 5 + step) for step in range(5))},
        params={"model": "XGBRegressor", "six": "y" * 6000, "long": "x" * 7000},
        tags={"mlflow.note.content": "Grüße"},
    )
    rows = "".join(f"{name},{day:%Y-%m-%d},{20 + i},{19 + i}\n" for i, day in enumerate(
        pd.date_range("2023-01-10", periods=30)) for name in ("Luka Doncic", "Jaime Jaquez"))  # fmt: skip
    write(one / "artifacts/out/predictions.csv", f"Player_Name,GAME_DATE,Actual,Predicted\n{rows}")
    two = old_store.run(
        phase,
        2,
        "bad lines",
        metrics={
            "val_mae": line(2, 6.0) + line(1, 6.1) + line(1, 6.1) + f"{START} 5.",
            "rmse": line(0, "nan") + line(1, "inf"),
            "empty": "",
        },
    )
    shutil.rmtree(two / "params")
    (old_store.run(phase, 3, "no meta", metrics={"test_mae": line(0, 4.9)}) / "meta.yaml").unlink()
    old_store.run(phase, 4, "running", status=1, end_time=None, metrics={"mae": line(0, 4.8)})
    far = f"file:///C:/Users/J%C3%B6rg%20K/mlruns/123/{run_id(5)}/artifacts"
    five = old_store.run(phase, 5, "windows", artifact_uri=far, metrics={"mae": line(0, 4.7)})
    write(five / "artifacts/ünï cödé/a b.txt", "hi")
    old = old_store.run(phase, 6, "old version")
    old_store.meta(old, run_uuid=run_id(6), name="old version", status="FINISHED", start_time=START, end_time=START)
    linked = old_store.run(phase, 7, "links")
    outside = write(root.parent / "secret.txt", "secret")
    (linked / "artifacts/secret").symlink_to(outside)
    (linked / "params/leak").symlink_to(outside)
    old_store.run(phase, 8, "deleted", lifecycle_stage="deleted")
    trash = old_store.experiment(root, ".trash/777", "Gone", lifecycle_stage="deleted")
    old_store.run(trash, 9, "in the trash", metrics={"mae": line(0, 3)})
    old_store.run(root / "555", 10, "orphan")
    named = root.parent / "elsewhere"
    write(named / "private.txt", "private")
    thief = old_store.run(phase, 11, "thief", artifact_uri=named.as_uri())
    shutil.rmtree(thief / "artifacts")
    half = old_store.run(phase, 12, "half a meta")
    write(half / "meta.yaml", f"run_id: {run_id(12)}\nstatus: 3\nstart_time: {START}\ntags: [unclosed\n  x: : y")
    _models(root, one, two)


def _models(root: Path, one: Path, two: Path) -> None:
    features = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    model = XGBRegressor(n_estimators=2, n_jobs=1).fit(features, features["a"])
    (one / "artifacts/model").mkdir()
    model.save_model(one / "artifacts/model/model.ubj")
    (two / "artifacts/model").mkdir(parents=True)
    # Loading it would end the test.
    (two / "artifacts/model/model.pkl").write_bytes(pickle.dumps(_Bomb()))
    place = "file:///home/other/mlruns/123/{}/artifacts/model"
    old_store.version(root, MODEL, 1, stage="Archived", source=place.format(one.name), run=one.name)
    old_store.version(root, MODEL, 2, stage="Production", source=place.format(one.name), run=one.name)
    old_store.version(root, MODEL, 3, stage="Staging", source=place.format(two.name), run=two.name)
    gone = run_id(99)
    old_store.version(root, MODEL, 4, stage="None", source=f"file:///C:/mlruns/9/{gone}/artifacts/model", run=gone)
    write(root / "models" / MODEL / "aliases" / "Champion", "2")


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('unpickled')",))


@pytest.fixture(scope="package")
def brought(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Imported:
    folder = tmp_path_factory.mktemp("import")
    root = folder / "old" / "mlruns"
    damaged_store(root)
    before = old_store.fingerprint(root)
    planned = bring(root, None, dry_run=True)
    assert not (folder / "mlflow.db").exists()
    store = connect(f"sqlite:///{shutil.copyfile(migrated, folder / 'mlflow.db')}")
    first, second = bring(root, store), bring(root, store)
    return Imported(root=root, before=before, store=store, planned=planned, first=first, second=second)
