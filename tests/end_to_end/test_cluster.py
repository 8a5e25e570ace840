"""Fits on a real Dask cluster: a scheduler and two workers, a store behind a URL, and what becomes of them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pytest_nbaprops.errors import SettingsError, StoreError
from tests.end_to_end.conftest import Train

pytest.importorskip("distributed")
from distributed import Client

from pytest_nbaprops.walkforward.cluster import DaskExecutor


@dataclass(frozen=True)
class Cluster:
    address: str
    scheduler: subprocess.Popen[bytes]
    workers: subprocess.Popen[bytes]


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Two workers of one thread each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    package = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": package, "OMP_NUM_THREADS": "1"}
    python = [sys.executable, "-m"]
    commands = [
        [*python, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"],
        [*python, "distributed.cli.dask_worker", address, "--nworkers=2", "--nthreads=1", "--no-dashboard"],
    ]
    with (folder / "log").open("wb") as log:
        started = [
            subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) for command in commands
        ]
        try:
            _wait_for_nannies(address)
            yield Cluster(address, *started)
        finally:
            for process in reversed(started):  # a worker whose scheduler is gone takes its time to see it
                process.kill()
                process.wait()


def _wait_for_nannies(address: str) -> None:
    """A worker that dies while its nanny is still starting takes the other one along."""
    with Client(address, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        while set(client.run(_status, nanny=True).values()) != {"running"}:
            time.sleep(0.1)


def _status(dask_worker: Any) -> str:
    return str(dask_worker.status.name)


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for each test, which may take it down."""
    with running(tmp_path_factory.mktemp("dask")) as started:
        yield started


def test_fits_of_the_cluster_are_the_same_bits(
    train: Train, project: pytest.Pytester, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Data and models go through a store behind a URL; another folder with that store has nothing left to fit."""
    here = train()
    shutil.rmtree(project.path / ".nbaprops")
    url = f"file://{tmp_path_factory.mktemp('bucket')}/folds"
    there = train(f"--nbaprops-dask={cluster.address}", f"--nbaprops-store={url}")
    assert there.code == here.code, there.output
    assert "is made here" not in there.output
    pd.testing.assert_frame_equal(there.predictions, here.predictions, check_exact=True)
    shutil.rmtree(project.path / ".nbaprops")
    again = train(f"--nbaprops-store={url}")
    assert again.candidate["folds"]["cached"] == 24
    pd.testing.assert_frame_equal(again.predictions, here.predictions, check_exact=True)


def test_a_fit_that_kills_its_worker_is_given_back_at_once(cluster: Cluster) -> None:
    """So are those that waited behind it; nobody waits for ever, and the worker's place is filled."""
    executor = DaskExecutor(cluster.address)
    try:
        deadly, others = executor.submit(os._exit, 1), [executor.submit(os.getpid) for _ in range(4)]
        with pytest.raises(Exception, match=r"exceeded|attempted|died|Killed"):
            deadly.result(timeout=60)
        assert not wait(others, timeout=60).not_done
        assert executor.submit(os.getpid).result(timeout=60)
    finally:
        executor.shutdown()


def test_a_cluster_without_a_worker_is_not_waited_for(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever became of them: the scheduler alone would keep the fits for ever."""
    monkeypatch.setattr("pytest_nbaprops.walkforward.cluster.LONELY", 1.0)
    monkeypatch.setattr("pytest_nbaprops.walkforward.cluster.LOOK_EVERY", 0.2)
    cluster.workers.kill()
    cluster.workers.wait()
    executor = DaskExecutor(cluster.address)
    try:
        with pytest.raises(StoreError, match="no worker"):
            executor.submit(os.getpid).result(timeout=60)
    finally:
        executor.shutdown()


KILLS_THE_SCHEDULER = """
import os, signal
import pytest

@pytest.mark.walk_forward(recipe="quick")
def test_it(fold):
    if fold.number == 8:
        os.kill({pid}, signal.SIGKILL)
    fold.evaluate()
"""


def test_a_scheduler_that_goes_away_leaves_the_rest_to_this_machine(
    train: Train, project: pytest.Pytester, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No hang, nothing lost: said, and made here."""
    monkeypatch.setattr(DaskExecutor, "patience", 3)
    project.makepyfile(KILLS_THE_SCHEDULER.format(pid=cluster.scheduler.pid))
    started = time.monotonic()
    session = train(f"--nbaprops-dask={cluster.address}")
    assert session.code == 0, session.output
    assert session.candidate["folds"]["executed"] == 24
    assert time.monotonic() - started < 120
    with pytest.raises(SettingsError, match="no scheduler answers"):
        DaskExecutor(cluster.address)


def test_workers_of_xdist_and_a_cluster_are_too_many(project: pytest.Pytester) -> None:
    """Which of them should fit?"""
    result = project.runpytest_inprocess("--nbaprops-train", "-n", "2", "--nbaprops-dask=tcp://127.0.0.1:1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--nbaprops-dask: the cluster makes the fits, so leave out -n*"])


def test_a_folder_with_other_things_is_no_store(project: pytest.Pytester) -> None:
    """It would be cleaned up, and kept out of version control."""
    result = project.runpytest_inprocess("--nbaprops-train", "--nbaprops-store=.")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--nbaprops-store: *holds other things*"])
    assert not (project.path / ".gitignore").exists()
