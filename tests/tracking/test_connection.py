from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING

import pytest

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.tracking.connection import Store, connect, limits, within
from pytest_nbaprops.tracking.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def black_hole() -> Iterator[str]:
    """The address of a socket that takes connections and never says a word."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(50)
        yield f"127.0.0.1:{hole.getsockname()[1]}"


def refusal(uri: str, **options: float) -> str:
    with pytest.raises(TrackingError) as caught:
        connect(uri, **options)  # type: ignore[arg-type]
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_server_that_never_answers_is_given_up_within_ten_seconds(black_hole: str) -> None:
    """A black hole is said to be one in less than ten seconds, with the way out and without the password."""
    start = time.monotonic()
    text = refusal(f"http://bob:hunter2@{black_hole}", timeout=1.0)
    assert time.monotonic() - start < 10
    assert "does not answer in time" in text
    assert "hunter2" not in text
    assert "--nbaprops-tracking-uri" in text


def test_a_server_that_is_not_there_is_refused() -> None:
    """A closed port is said to be one."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert "nothing answers at this address" in refusal(f"http://127.0.0.1:{port}")


def test_a_probe_that_hangs_is_left_behind() -> None:
    """Work without any timeout of its own does not hold up the caller."""
    never = threading.Event()
    with pytest.raises(TrackingError, match=r"no answer within 0\.1 seconds"):
        within(0.1, never.wait, uri="http://bob:hunter2@host", what="an answer")
    never.set()


def test_waiting_is_shown_as_waiting_for_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is being created slowly says so now and then, and a limit names what was waited for."""
    monkeypatch.setattr("pytest_nbaprops.tracking.connection._TELL_SECONDS", 0.05)
    lines: list[str] = []
    done = threading.Event()
    threading.Timer(0.4, done.set).start()
    assert within(5, done.wait, uri="sqlite:///x.db", what="the store x.db to be made", tell=lines.append)
    assert lines
    assert lines[0].startswith("waiting for the store x.db to be made (")
    never = threading.Event()
    with pytest.raises(TrackingError, match="waiting for the store y"):
        within(-0.9, never.wait, uri="sqlite:///y", what="the store y to be opened")
    never.set()


@pytest.mark.parametrize("uri", ["./mlruns", "mlruns", "file:///tmp/mlruns", ""])
def test_the_file_store_is_refused(uri: str) -> None:
    """A folder is no tracking store, and sqlite is recommended."""
    assert "sqlite:///mlflow.db" in refusal(uri)


@pytest.mark.parametrize(
    "uri", ["http://user:hunter2@[::bad/x", "http://user:hunter2\u2100@h", "sqlite:user:hunter2@h", "user:hunter2@h:9"]
)
def test_an_address_that_can_not_be_read_is_one_line(uri: str) -> None:
    """What no parser takes is refused, without its password."""
    said = refusal(uri)
    assert "sqlite:///mlflow.db" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("uri", ["./mlflow.db", "mlflow.db"])
def test_a_database_file_is_told_its_uri(uri: str) -> None:
    """A path is answered with how it is written."""
    assert refusal(uri).endswith("is a path: write sqlite:///mlflow.db")


def test_an_unknown_kind_of_store_is_refused() -> None:
    """An unknown scheme is answered with those there are."""
    assert "postgresql://" in refusal("ftp://host/x")


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(uri: str) -> None:
    """A database that keeps nothing is no store."""
    assert "keeps nothing" in refusal(uri)


@pytest.mark.parametrize("uri", ["postgresql+psycopg2://bob:hunter2@127.0.0.1:9/x", "mysql+nodriver://bob:hunter2@h/x"])
def test_a_database_that_can_not_be_reached_is_refused(uri: str) -> None:
    """With or without its driver, a database server that is not there ends in one line without the password."""
    assert "hunter2" not in refusal(uri, timeout=1.0)


def test_the_store_is_found_where_the_environment_says(
    uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without an address MLFLOW_TRACKING_URI counts, and without that the file in the working directory."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert connect().uri == uri
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path)
    assert connect().uri == f"sqlite:///{tmp_path / 'mlflow.db'}"


def test_a_relative_file_starts_at_the_root(uri: str, tmp_path: Path) -> None:
    """A relative sqlite path does not depend on the working directory when a root is given."""
    assert connect("sqlite:///mlflow.db", root=tmp_path).uri == uri


def test_the_registry_is_the_same_store(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLFLOW_REGISTRY_URI does not send versions elsewhere."""
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://127.0.0.1:9")
    with connect(uri).calling("search") as client:
        assert client.search_registered_models() == []


def test_failures_name_what_was_tried(store: Store) -> None:
    """What MLflow refuses comes out as one line that says what was wanted; the store lives on."""
    with (
        pytest.raises(TrackingError, match="could not read the run in the tracking store sqlite") as caught,
        store.calling("read the run") as client,
    ):
        client.get_run("no-such-run")
    assert "no-such-run" in str(caught.value)
    assert store.lost is None


def test_our_own_errors_pass_unchanged(store: Store) -> None:
    """A TrackingError raised inside is not wrapped again."""
    with pytest.raises(TrackingError, match=r"^mine$"), store.calling("do"):
        raise TrackingError("mine")


def test_after_the_store_is_lost_nothing_is_tried(store: Store) -> None:
    """Once it stopped answering, the next call fails at once."""
    with pytest.raises(TrackingError, match="one"), store.calling("one"):
        raise ConnectionError("gone")
    with pytest.raises(TrackingError, match=r"could not two: .*stopped answering \(gone\)"), store.calling("two"):
        pytest.fail("tried")


def test_the_environment_is_put_back() -> None:
    """The limits are there inside only, and what the user set himself stays."""
    before = dict(os.environ)
    with limits(3, retries=0):
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"
    assert dict(os.environ) == before


def test_the_users_patience_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timeout from the environment is kept."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    with limits(3):
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"


def test_quiet_swallows_warnings_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    """Inside neither warnings nor log lines get out, after it both do."""
    with quiet():
        warnings.warn("not heard", stacklevel=1)
        logging.getLogger("lib").warning("not heard")
    logging.getLogger("lib").warning("heard")
    assert caplog.messages == ["heard"]


@pytest.mark.parametrize("module", ["tracking.tracker", "registry.registry"])
def test_the_import_is_silent_and_telemetry_off(module: str) -> None:
    """With every warning an error, the room can be imported, prints nothing and has MLflow's telemetry off."""
    code = (
        f"import os, pytest_nbaprops.{module}, mlflow.telemetry.client as t;"
        "assert os.environ['MLFLOW_DISABLE_TELEMETRY'] == 'true'; assert t.get_telemetry_client() is None"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As from a terminal: a shell's background jobs ignore Ctrl-C."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_waits_for_the_end_of_a_call(uri: str) -> None:
    """In the midst of a transaction it would leave the database locked; a second one comes through at once."""
    store, said = connect(uri), []

    def interrupted(times: int) -> None:
        with store.calling("write") as client:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            said.append(client.create_experiment(f"League/{times}"))

    for times in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            interrupted(times)
    assert len(said) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
