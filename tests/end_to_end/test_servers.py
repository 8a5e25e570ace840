"""Servers that only compiled drivers ask, of which Python hears nothing: whoever needs them is not known."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

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

def pytest_nbaprops_feature_groups(config):
    return [warehouse, lately]
"""
TESTS = """
import pytest
from driver import ask

@pytest.mark.walk_forward(features="lately")
def test_driver(fold):
    fold.record(fold.test.X["lately"].fillna(10.0) + 7.0 + ask({port}))

@pytest.mark.walk_forward(features="warehouse")
def test_group(fold):
    fold.record(fold.test.X["warehouse"].fillna(10.0) + 7.0)

@pytest.mark.walk_forward(features="lately")
def test_games_alone(fold):
    fold.record(fold.test.X["lately"].fillna(10.0) + 7.0)
"""


@pytest.fixture
def port() -> Iterator[int]:
    """A server's, which takes connections and says nothing."""
    if subprocess.run([sys.executable, "-c", KERNEL_REFUSES], check=False).returncode:
        pytest.skip("this kernel cannot keep a process from servers")
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield server.getsockname()[1]


def test_who_asks_a_server_is_not_known(project: pytest.Pytester, train: Train, port: int) -> None:
    """A group by its answer, a test by what it does without the server; who asks none is left alone."""
    (project.path / "driver.py").write_text(DRIVER)
    (project.path / "conftest.py").write_text(CONFTEST + GROUPS.format(port=port))
    (project.path / "test_mine.py").write_text(TESTS.format(port=port))
    session = train("--nbaprops-test=last 4 dates", process=True)
    found = {candidate["name"]: candidate["reasons"] for candidate in session.decision["candidates"]}
    assert any("asks a server" in reason for reason in found["test_group"])
    assert any("no server is reached there" in reason for reason in found["test_driver"])
    assert not any("server" in reason for reason in found["test_games_alone"])
    verdicts = {candidate["name"]: candidate["verdict"] for candidate in session.decision["candidates"]}
    assert verdicts["test_group"] == verdicts["test_driver"] == "INCONCLUSIVE"
