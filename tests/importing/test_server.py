"""A real tracking server, as source and as target."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_nbaprops.importing.registering import STAND_INS
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.connection import connect
from tests.importing.conftest import MODEL, Imported, bring, new_id
from tests.mlflow_server import running

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_into_a_server_and_out_of_it(brought: Imported, migrated: Path, tmp_path: Path) -> None:
    """Nothing is lost on the way: runs, histories, files, stages; a second import adds nothing to either."""
    with running(shutil.copyfile(migrated, tmp_path / "mlflow.db"), tmp_path) as server:
        served = connect(server.uri, timeout=30)
        first = bring(brought.root, served)
        assert first.imported["runs"] == 12
        assert bring(brought.root, served).imported.total() == 0
        assert ModelRegistry(store=served).aliases(MODEL) == ModelRegistry(store=brought.store).aliases(MODEL)
        with served.calling("read", artifacts=True) as client:
            run_id = new_id(served, 5)
            assert [entry.path for entry in client.list_artifacts(run_id)] == ["ünï cödé"]
            assert len(client.get_metric_history(new_id(served, 1), "fold/mae")) == 5
        back = connect(f"sqlite:///{shutil.copyfile(migrated, tmp_path / 'back.db')}")
        summary = bring(server.uri, back)
        assert not summary.left_out, summary.findings
        # The run that stands in for one that is gone is a run of the server.
        assert summary.imported["runs"] == 13
        assert ModelRegistry(store=back).aliases(MODEL) == ModelRegistry(store=served).aliases(MODEL)
        assert bring(server.uri, back).imported.total() == 0
        with back.calling("read", artifacts=True) as client:
            assert client.get_experiment_by_name(STAND_INS) is not None
            ids = [one.experiment_id for one in client.search_experiments()]
            (run,) = client.search_runs(ids, f"tags.`{tags.IMPORTED_RUN}` = '{run_id}'")
            assert [entry.path for entry in client.list_artifacts(run.info.run_id)] == ["ünï cödé"]
