"""What a store of old experiments holds, whatever kind of store it is, and what was found to be wrong with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from pytest_nbaprops.redaction import redact

REPAIRED: Final = "repaired"
LEFT_OUT: Final = "left out"
NOTED: Final = "noted"
"""Nothing is lost, but somebody should know."""

DEFAULT_EXPERIMENT: Final = "Default"
KILLED: Final = "KILLED"
_STATUSES: Final = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": KILLED}
_LATEST: Final = 10**13
_LIVE: Final = timedelta(days=1)
_SHOWN: Final = 120
_INFINITE: Final = 1.79e308


class Point(NamedTuple):
    """One value of a metric; the time in milliseconds from 1970."""

    timestamp: int
    value: float
    step: int


def read_value(value: float) -> float:
    """The value of a metric; MLflow's databases hold infinity as the largest float."""
    return math.copysign(math.inf, value) if abs(value) > _INFINITE else value


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that was not as it should be: where, what, and what was done about it."""

    where: str
    what: str
    outcome: str
    done: str


@dataclass
class Findings:
    found: list[Finding] = field(default_factory=list)

    def repaired(self, where: str, what: str, done: str) -> None:
        self.found.append(Finding(where=where, what=what, outcome=REPAIRED, done=done))

    def left_out(self, where: str, what: str, why: str) -> None:
        self.found.append(Finding(where=where, what=what, outcome=LEFT_OUT, done=why))

    def noted(self, where: str, what: str, done: str) -> None:
        self.found.append(Finding(where=where, what=what, outcome=NOTED, done=done))


@dataclass(frozen=True, kw_only=True)
class SourceExperiment:
    """An experiment; `key` is its id in the source."""

    key: str
    name: str
    deleted: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class SourceRun:
    """A run, read and already repaired as far as its reader could.

    Attributes:
        run_id: its id in the source.
        status: FINISHED, FAILED, KILLED or RUNNING.
        files: folder with its artifacts, None where it has none that can be read.
        models: further folders of model files, by the path that they get among the artifacts.
    """

    run_id: str
    experiment: str
    name: str
    status: str
    start_time: int | None
    end_time: int | None
    user: str = ""
    deleted: bool = False
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[Point]] = field(default_factory=dict)
    files: Path | None = None
    models: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SourceVersion:
    """A version of a registered model; `files` is its folder, None where it cannot be read."""

    number: int
    stage: str = "None"
    run_id: str | None = None
    source: str = ""
    description: str = ""
    created: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Path | None = None


@dataclass(frozen=True, kw_only=True)
class SourceModel:
    """A registered model with its versions, the oldest first; `aliases` are alias to version number."""

    name: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    versions: Sequence[SourceVersion] = ()


class Source(Protocol):
    """A store that is read and never changed. `place` is how it is called, without passwords."""

    place: str
    findings: Findings

    def experiments(self) -> list[SourceExperiment]:
        """All, deleted ones included."""

    def run_ids(self, experiment: SourceExperiment) -> list[str]:
        """Ids of the experiment's runs, deleted ones included, in a fixed order."""

    def run(self, experiment: SourceExperiment, run_id: str) -> SourceRun | None:
        """The run; None where nothing of it can be read, which is then among the findings."""

    def models(self) -> Iterator[SourceModel]:
        """The registered models."""

    def release(self, run: SourceRun) -> None:
        """The run's files are no longer needed."""

    def close(self) -> None:
        """Give back what was opened."""


def ending(
    findings: Findings, where: str, said: str, start: int | None, metrics: Mapping[str, Sequence[Point]]
) -> tuple[str, int] | None:
    """How a run ended as far as it is known, and when something was last heard of it, in milliseconds.

    None for one that seems to run at this moment. `said` is its status in the store, a name or MLflow's number, `start`
    is in milliseconds, and each of the metrics is in the order of its steps.
    """
    last = max([start or 0, *(points[-1].timestamp for points in metrics.values() if points)])
    status = _STATUSES.get(said, said)
    if status in ("FINISHED", "FAILED", KILLED):
        return status, last
    if status not in ("RUNNING", "SCHEDULED"):
        findings.repaired(where, f"the status {said[:20] or 'missing'!r}", "KILLED: its end is not known")
        return KILLED, last
    heard = datetime.fromtimestamp(min(last, _LATEST) / 1000, UTC)
    if datetime.now(UTC) - heard < _LIVE:
        findings.left_out(where, "a run that may be running now", "import again when it has ended")
        return None
    findings.repaired(where, f"{status} since {heard:%Y-%m-%d}", "KILLED: it never ended")
    return KILLED, last


def shown(uri: str) -> str:
    """A place as the findings tell it: short, no password."""
    text = redact(uri)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
