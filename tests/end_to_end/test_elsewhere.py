"""Servers that only compiled drivers ask, and files that only workers read: whoever needs them is not known."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.end_to_end.conftest import CONFTEST, Train

KERNEL_REFUSES = "import sys; from pytest_nbaprops.leaks.sealed import reach_no_server; sys.exit(not reach_no_server())"
DRIVER = """
import ctypes, socket, struct

def ask(port):
    \"\"\"What a driver in C does: no audit event.\"\"\"
    with socket.socket() as client:
        address = struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, socket.inet_aton("127.0.0.1"))
        if ctypes.CDLL(None).connect(client.fileno(), address, len(address)):
            raise RuntimeError("connection to server failed: Permission denied")
    return 0.5
"""
GROUPS = """
import pandas as pd
from joblib import Parallel, delayed
from pytest_nbaprops import feature_group
from driver import ask

def usual(games, name):
    return games.groupby("PLAYER_ID")["PTS"].transform(lambda values: values.shift(1).rolling(3).mean()).to_frame(name)

@feature_group(tier="core", known_at="morning", version="1")
def warehouse(games):
    return usual(games, "warehouse") + ask({port})

@feature_group(tier="core", known_at="morning", version="1")
def lately(games):
    return usual(games, "lately")

@feature_group(tier="core", known_at="morning", version="1")
def workers(games):
    (table,) = Parallel(n_jobs=2, backend="loky")([delayed(pd.read_csv)("{file}")])
    return usual(games, "workers") + table["PTS"].mean()

@feature_group(tier="core", known_at="morning", version="1", sources={{"lines": "lines.csv"}})
def closing(games, lines):
    lines["GAME_DATE"] = pd.to_datetime(lines["GAME_DATE"])
    found = games.merge(lines, on=["PLAYER_ID", "GAME_DATE"], how="left", validate="many_to_one")
    return found[["LINE", "OVER"]].assign(NOTHING=float("nan"))

def pytest_nbaprops_feature_groups(config):
    return [warehouse, lately, workers, closing]
"""
TESTS = """
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from driver import ask

@pytest.mark.walk_forward(features="lately")
def test_driver(fold):
    fold.record(fold.test.X["lately"].fillna(10.0) + 7.0 + ask({port}))

@pytest.mark.walk_forward(features="warehouse")
def test_group(fold):
    fold.record(fold.test.X["warehouse"].fillna(10.0) + 7.0)

@pytest.mark.walk_forward(features="workers")
def test_workers(fold):
    fold.record(fold.test.X["workers"].fillna(20.0) - 3.0)

@pytest.mark.walk_forward(features="closing")
def test_lines(fold):
    fold.record(fold.test.X["LINE"].fillna(20.0) + fold.test.X["OVER"].fillna(0.0))

@pytest.mark.walk_forward(features="lately")
def test_games_alone(fold):
    fold.record(fold.test.X["lately"].fillna(10.0) + 7.0)

@pytest.mark.walk_forward(features="lately")
def test_cache_of_joblib(fold):
    model = make_pipeline(SimpleImputer(), StandardScaler(), Ridge(), memory="cache")
    fold.record(model.fit(fold.train.X, fold.train.y).predict(fold.test.X))
"""

AT_IMPORT = """
import pytest
from driver import ask

LEVEL = ask({port})

@pytest.mark.walk_forward(features="lately")
def test_at_import(fold):
    fold.record(fold.test.X["lately"].fillna(10.0) + LEVEL)
"""


@pytest.fixture
def port() -> Iterator[int]:
    """A server's, which takes connections and says nothing."""
    if subprocess.run([sys.executable, "-c", KERNEL_REFUSES], check=False).returncode:
        pytest.skip("this kernel cannot keep a process from servers")
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield server.getsockname()[1]


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file outside of the project, which nobody wrote in this session."""
    file = tmp_path_factory.mktemp("elsewhere") / "levels.csv"
    file.write_text("PTS\n10\n12\n")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    return file


def test_who_needs_what_lies_elsewhere_is_not_known(
    project: pytest.Pytester, train: Train, port: int, league: Path, elsewhere: Path
) -> None:
    """A group by its answer, a test by what it does without the server; who asks for nothing is left alone."""
    games = pd.read_csv(league, parse_dates=["GAME_DATE"])
    result, day_before = games[["PTS", "REB", "AST"]].sum(axis=1), games["GAME_DATE"] - pd.Timedelta(days=1)
    lines = games[["PLAYER_ID", "GAME_DATE"]].assign(AS_OF=day_before, LINE=result.mean(), OVER=result > result.mean())
    lines.to_csv(project.path / "lines.csv", index=False)
    (project.path / "driver.py").write_text(DRIVER)
    (project.path / "conftest.py").write_text(CONFTEST + GROUPS.format(port=port, file=elsewhere))
    (project.path / "test_mine.py").write_text(TESTS.format(port=port))
    (project.path / "test_first.py").write_text(AT_IMPORT.format(port=port))
    session = train("--nbaprops-test=last 4 dates", process=True)
    found = {candidate["name"]: candidate["reasons"] for candidate in session.decision["candidates"]}
    assert any("asks a server" in reason for reason in found["test_group"])
    for name in ("driver", "at_import"):
        assert any("no server is reached there" in reason for reason in found[f"test_{name}"])
    assert any(f"nbaprops_sources = {elsewhere}" in reason for reason in found["test_workers"])
    assert any("OVER: alone it explains" in reason for reason in found["test_lines"])  # whatever its date says
    assert "closing: the column NOTHING is empty" in session.decision["warnings"]
    for honest in ("test_games_alone", "test_cache_of_joblib"):
        assert not any("declare" in reason or "server" in reason for reason in found[honest])
    verdicts = {candidate["name"]: candidate["verdict"] for candidate in session.decision["candidates"]}
    assert {verdicts[f"test_{name}"] for name in ("group", "driver", "at_import", "workers", "lines")} == {
        "INCONCLUSIVE"
    }
    assert {verdicts["test_games_alone"], verdicts["test_cache_of_joblib"]} == {"PASSED", "PROMOTE"}


WRITES = """
import json
import os
from pathlib import Path
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

HERE = Path(__file__).parent

def test_writes(fold):
    model = fold.fit(make_pipeline(SimpleImputer(), Ridge()))
    result = fold.record(model.predict(fold.test.X), model=model)
    (HERE / "out").mkdir(exist_ok=True)
    table = fold.test.keys.assign(predicted=model.predict(fold.test.X))
    table.to_csv(HERE / "out" / f"{fold.date}.csv", index=False)
    table.to_parquet(HERE / "out" / f"{fold.date}.parquet")
    with open(HERE / "log.txt", "a") as log:
        log.write(f"{fold.date} {result.mae}\\n")
    half = HERE / "half"
    half.write_text(json.dumps({"mae": result.mae}))
    os.replace(half, HERE / "last.json")
"""
"""Writes what it predicts in the ways that people do."""


def test_what_is_written_in_a_rehearsal_is_put_back(project: pytest.Pytester, train: Train) -> None:
    """Tables, logs and what replaces a file at once hold what the session predicted, not a world that never was."""
    (project.path / "log.txt").write_text("from before\n")
    (project.path / "test_mine.py").write_text(WRITES)
    session = train("--nbaprops-test=last 3 dates", "-p", "no:randomly")
    assert session.decision["leak_guard"]["folds_run_again"]["test_writes"] >= 3
    predicted = pd.read_parquet(project.path / "nbaprops-report" / "predictions.parquet")
    days = sorted(predicted["GAME_DATE"].dt.strftime("%Y-%m-%d").unique())
    assert sorted(path.name for path in (project.path / "out").iterdir()) == sorted(
        f"{day}.{end}" for day in days for end in ("csv", "parquet")
    )
    for day in days:
        ours = predicted.loc[predicted["GAME_DATE"] == day, "predicted"].to_numpy()
        for table in (
            pd.read_csv(project.path / f"out/{day}.csv"),
            pd.read_parquet(project.path / f"out/{day}.parquet"),
        ):
            np.testing.assert_allclose(table["predicted"], ours)
    before, *lines = (project.path / "log.txt").read_text().splitlines()
    assert before == "from before"
    assert [line.split()[0] for line in lines] == days
    assert json.loads((project.path / "last.json").read_text())["mae"] == float(lines[-1].split()[1])
    assert not (project.path / "half").exists()
