"""Two promotions at once against the same champion, over a real server."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from pytest_nbaprops.registry.journal import journal_name
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.tracking.connection import connect
from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker
from tests import mlflow_server
from tests.conftest import LogModel
from tests.registry import racers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xgboost import XGBRegressor

# 200 take minutes; CI's main branch runs them all.
RACES = int(os.environ.get("NBAPROPS_RACES", "12"))


def raced(uri: str) -> dict[int, list[racers.Race]]:
    """Both promoters' answers for every race."""
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(2, timeout=60), context.Queue()
    processes = [
        context.Process(target=racers.run, args=(uri, offset, RACES, start, results), daemon=True) for offset in (1, 2)
    ]
    for process in processes:
        process.start()
    by_number: dict[int, list[racers.Race]] = defaultdict(list)
    for _ in range(2 * RACES):
        answer = results.get(timeout=120)
        assert isinstance(answer, racers.Race), answer
        by_number[answer.number].append(answer)
    for process in processes:
        process.join(timeout=60)
    return by_number


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a place: it is the order of writes that counts here, not that they last."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def test_of_two_promotions_at_once_exactly_one_goes_through(
    migrated: Path, folder: Path, booster: XGBRegressor, predictions: pd.DataFrame
) -> None:
    """Every time one wins, the other hears that the champion moved, and the next champion is the winner's version."""
    with mlflow_server.running(shutil.copyfile(migrated, folder / "mlflow.db"), folder) as running:
        store = connect(running.uri)
        registry = ModelRegistry(store=store)
        log = LogModel(StandardNBAPropsTracker("League", store=store), booster, predictions)
        for content in ("c1", "c2", "c3"):
            registry.register_model(log(content), "League")
        registry.promote_model("League", 1, "production")
        races = raced(running.uri)
        assert {tuple(sorted(race.won for race in races[number])) for number in range(RACES)} == {(False, True)}
        winners = [race.wanted for number in range(RACES) for race in races[number] if race.won]
        champions = [races[number][0].champion for number in range(RACES)]
        assert [races[number][1].champion for number in range(RACES)] == champions
        assert champions == ["1", *winners[:-1]]
        assert registry.aliases("League") == {"production": winners[-1]}
        assert [tenure.version for tenure in registry.history("League")] == [*winners[::-1], "1"]
        with store.calling("look") as client:
            assert {model.name for model in client.search_registered_models()} == {"League", journal_name("League")}
            assert {version.version for version in client.search_model_versions("name = 'League'")} == {"1", "2", "3"}
