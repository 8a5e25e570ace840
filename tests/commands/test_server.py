"""compare, promote and rollback against a real `mlflow server`, and one that forbids."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from xgboost import XGBRegressor

from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.tracking.connection import connect
from tests import mlflow_server
from tests.league import Logged, log

if TYPE_CHECKING:
    from tests.commands.conftest import Run


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with two versions, v1 in production."""
    folder = tmp_path_factory.mktemp("server")
    connect(f"sqlite:///{folder / 'mlflow.db'}")
    with mlflow_server.running(folder / "mlflow.db", folder) as running:
        store = connect(running.uri)
        features = pd.DataFrame(np.random.default_rng(7).normal(size=(50, 2)), columns=["mean_10", "rest"])
        model = XGBRegressor(n_estimators=3, n_jobs=1).fit(features, features["rest"])
        for name, spread in (("old", 8.0), ("good", 4.0)):
            log(store, Logged(name=name, spread=spread, model=model, register="NBAPropsModel"))
        ModelRegistry(store=store).promote_model("NBAPropsModel", 1, "production")
        yield running.uri


def test_the_verbs_over_http(run: Run, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compared, promoted against the champion's predictions, told, rolled back; the password is nowhere."""
    monkeypatch.chdir(tmp_path)
    address = uri.replace("://", "://bob:hunter2@")
    where = ("--tracking-uri", address)
    said = run("compare", "champion", "good", *where)
    said += run("best", *where)
    said += run("promote", "2", *where)
    assert "NBAPropsModel v2 is production now, v1 was" in said
    said += run("history", *where)
    said += run("rollback", "--reason", "back", *where)
    assert "back from v2 to v1" in said
    said += run("rollback", "--reason", "back", *where, code=1)
    said += run("compare", "nobody", "good", *where, code=1)
    assert "bob:***@" in said
    assert "hunter2" not in said


class _Forbidden(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(403)
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: object) -> None:
        """Quiet."""


def test_a_server_that_forbids_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP 403: the credentials, and where they are taken from."""
    monkeypatch.chdir(tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Forbidden) as forbidding:
        thread = threading.Thread(target=forbidding.serve_forever, daemon=True)
        thread.start()
        address = f"http://bob:hunter2@127.0.0.1:{forbidding.server_address[1]}"
        said = run("history", "--tracking-uri", address, code=1)
        forbidding.shutdown()
        thread.join()
    assert "it refuses the credentials (MLFLOW_TRACKING_USERNAME" in said
    assert "hunter2" not in said
