"""Two promoters that race for one alias over a server: run by test_races.py as processes of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_nbaprops.errors import ChampionMovedError
from pytest_nbaprops.registry.registry import ModelRegistry

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier


@dataclass(frozen=True, kw_only=True)
class Race:
    """How one promoter fared: against whom it was compared, what it wanted to promote, and who won by its answer."""

    number: int
    champion: str
    wanted: str
    won: bool


def run(uri: str, offset: int, races: int, start: Barrier, results: Queue[Race | str]) -> None:
    """Promote `offset` versions further than the champion, again and again, both promoters at the same time."""
    try:
        registry = ModelRegistry(uri)
        for number in range(races):
            results.put(_race(registry, number, offset, start))
    except BaseException as error:
        results.put(f"{type(error).__name__}: {error}")
        start.abort()
        raise


def _race(registry: ModelRegistry, number: int, offset: int, start: Barrier) -> Race:
    start.wait()
    champion = registry.champion("League", "production")
    assert champion is not None
    assert champion.is_known
    assert champion.version is not None
    wanted = str((int(champion.version) - 1 + offset) % 3 + 1)
    start.wait()
    try:
        registry.promote_model("League", wanted, "production", expected_version=champion.version)
    except ChampionMovedError:
        return Race(number=number, champion=champion.version, wanted=wanted, won=False)
    return Race(number=number, champion=champion.version, wanted=wanted, won=True)
