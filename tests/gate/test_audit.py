"""What a block reads is heard, however it opens its files."""

from __future__ import annotations

import importlib.metadata
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import xgboost

from pytest_nbaprops.leaks.audit import watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

READERS: dict[str, Callable[[Path], Any]] = {
    "pandas-parquet": lambda folder: pd.read_parquet(folder / "t.parquet"),
    "pandas-feather": lambda folder: pd.read_feather(folder / "t.feather"),
    "pyarrow": lambda folder: pq.read_table(str(folder / "t.parquet")),
    "a-folder": lambda folder: pq.read_table(str(folder / "parts")),
    "xgboost-load": lambda folder: xgboost.XGBRegressor().load_model(folder / "m.json"),
    "xgboost-booster": lambda folder: xgboost.Booster(model_file=str(folder / "m.json")),
    "a-thread": lambda folder: list(ThreadPoolExecutor(1).map(pd.read_csv, [folder / "t.csv"])),
    "parquet-in-a-thread": lambda folder: list(ThreadPoolExecutor(1).map(pd.read_parquet, [folder / "t.parquet"])),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("read")
    table = pd.DataFrame({"A": [1.0, 2.0, 3.0], "B": [1.0, 0.0, 1.0]})
    (folder / "parts").mkdir()
    table.to_csv(folder / "t.csv")
    table.to_feather(folder / "t.feather")
    table.to_parquet(folder / "t.parquet")
    table.to_parquet(folder / "parts" / "t.parquet")
    xgboost.XGBRegressor(n_estimators=1).fit(table[["A"]], table["B"]).save_model(folder / "m.json")
    return folder


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_compiled_readers_and_threads_are_heard(folder: Path, read: Callable[[Path], Any]) -> None:
    """A reader that opens its file without telling Python is known by the path that it is handed."""
    found: list[str] = []
    with watched(found, clock=True):
        read(folder)
    assert any(str(folder) in text for text in found)


def test_asking_for_versions_reads_nothing(folder: Path) -> None:
    """Looking through `sys.path` for installed packages is no reading of data."""
    found: list[str] = []
    sys.path.insert(0, str(folder))
    try:
        with watched(found, clock=True):
            list(importlib.metadata.distributions())
    finally:
        sys.path.remove(str(folder))
    assert found == []


def test_what_the_block_writes_it_may_read(tmp_path: Path) -> None:
    """A file of the block's own making tells it nothing."""
    found: list[str] = []
    with watched(found, clock=True):
        pd.DataFrame({"A": [1]}).to_csv(tmp_path / "own.csv")
        pd.read_csv(tmp_path / "own.csv")
    assert found == []


def test_threads_are_as_before_afterwards() -> None:
    """Watching leaves nothing behind."""
    before = threading.Thread.start, threading.getprofile(), sys.getprofile()
    with watched([], clock=True):
        pass
    assert (threading.Thread.start, threading.getprofile(), sys.getprofile()) == before


def test_data_of_an_installed_package_counts_where_it_is_the_project(tmp_path: Path) -> None:
    """The package that defines a group is project code wherever it lies."""
    here = str(tmp_path)
    (tmp_path / "t.csv").write_text("A\n1\n", encoding="utf-8")
    found: list[str] = []
    with watched(found, project=(here,)):
        pd.read_csv(tmp_path / "t.csv")
    assert found == [f"open {str(tmp_path / 't.csv')!r}"]
