"""What must hold right after a fault, and after the next session."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from pytest_nbaprops.registry.verify import verify
from pytest_nbaprops.tracking.connection import connect
from tests.faults.project import ALIAS, FOLDS, MODEL, Project, Story
from tests.faults.session import Session

HARMS = ("fold lost", "run doubled", "left RUNNING", "wrong alias", "verdict", "not mended")
REFUSED = 4  # pytest's own, with one line
SECONDS_TO_END = 20.0
WARNINGS = re.compile(
    r"^=+ warnings summary =+$.*?^-- Docs: |PytestUnraisableExceptionWarning: .*?^  warnings\.warn\(.*?$",
    re.MULTILINE | re.DOTALL,
)
"""A Ctrl-C that falls into a finalizer is a warning there, with its traceback: Python goes on."""


@dataclass(frozen=True, kw_only=True)
class Harm:
    """Something that must not happen."""

    kind: str
    said: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.said}"


@dataclass(frozen=True, kw_only=True)
class Registry:
    """What the store says, read without the package."""

    runs: Sequence[Run]
    versions: Sequence[ModelVersion]
    holder: str | None

    @classmethod
    def of(cls, project: Project) -> Registry:
        client = project.client(f"sqlite:///{project.folder / 'mlflow.db'}" if "sqlite" in project.uri else None)
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        versions = list(client.search_model_versions(f"name = '{MODEL}'"))
        aliases = client.get_registered_model(MODEL).aliases if versions else {}
        holder = aliases.get(ALIAS)
        return cls(
            runs=list(client.search_runs(experiments)), versions=versions, holder=str(holder) if holder else None
        )


def right_after(
    project: Project, story: Story, session: Session, older: dict[str, Any], *, at_once: int = 1
) -> Iterator[Harm]:
    """No verdict that was not reached, no alias on what is not complete, no success that is not one.

    A session that is refused with exit code 4 may be unable to take the `older` decision away: a read-only disk.
    """
    now, decision = Registry.of(project), project.decision
    if session.code == REFUSED and decision == older:
        return
    before = "1" if story.champion else None
    if now.holder not in (before, story.holder):
        yield Harm(kind="wrong alias", said=f"v{now.holder} has it")
    if decision.get("promoted") and now.holder != story.holder:
        yield Harm(kind="verdict", said=f"decision.json says that it was promoted, and v{now.holder} has the alias")
    good = {None, "INCONCLUSIVE", "ERROR", "PROMOTE" if story.code == 0 else "REJECT"}
    if decision.get("verdict") not in good:
        yield Harm(kind="verdict", said=f"decision.json says {decision['verdict']}")
    if session.code == 0 and (decision.get("verdict") != "PROMOTE" or now.holder != story.holder):
        yield Harm(kind="verdict", said=f"exit code 0, {decision.get('verdict')}, v{now.holder}")
    whole = [run for run in now.runs if run.data.tags.get("verdict") == "PROMOTE"]
    if len(whole) > int(now.holder or 0) + at_once - 1:
        yield Harm(kind="verdict", said=f"{len(whole)} runs say PROMOTE, and v{now.holder} has the alias")
    output = WARNINGS.sub("", session.output)
    if "INTERNALERROR" in output or "Traceback (most recent call last)" in output:
        yield Harm(kind="verdict", said=f"a traceback: {_trace(output)}")


def after_the_next(
    project: Project, story: Story, sessions: Sequence[Session], *, kept: int, expected: bytes, at_once: int = 1
) -> Iterator[Harm]:
    """All that the fault left is mended by the last session.

    `kept`: folds that were whole in the store before it; `at_once`: sessions that may all have come to the verdict.
    """
    session, decision = sessions[-1], project.decision
    if session.code != story.code:
        yield Harm(kind="not mended", said=f"the next session ends with {session.code}: {_last(session.output)}")
        return
    yield from _folds(decision, kept)
    if (project.folder / "nbaprops-report" / "predictions.parquet").read_bytes() != expected:
        yield Harm(kind="verdict", said="other predictions than without the fault")
    now = Registry.of(project)
    if now.holder != story.holder or len(now.versions) != story.versions:
        yield Harm(kind="wrong alias", said=f"v{now.holder} of {len(now.versions)} versions has it")
    yield from _runs(now, story, len(sessions), at_once)
    yield from _left(project, sessions)
    for finding in verify(connect(project.uri), MODEL):
        if not finding.agrees:
            yield Harm(kind="not mended", said=f"{finding.what}: {finding.said}")


def _folds(decision: dict[str, object], kept: int) -> Iterator[Harm]:
    (candidate,) = decision["candidates"]  # type: ignore[misc]
    folds = candidate["folds"]  # type: ignore[has-type]
    if folds["executed"] + folds["cached"] != FOLDS:
        yield Harm(kind="fold lost", said=f"{folds}")
    if folds["cached"] < kept:
        yield Harm(kind="fold lost", said=f"{kept} folds were kept, {folds['cached']} of them used")


def _runs(now: Registry, story: Story, sessions: int, at_once: int) -> Iterator[Harm]:
    said = [(run.info.status, run.data.tags.get("verdict")) for run in now.runs]
    for status, verdict in said:
        if status == "RUNNING":
            yield Harm(kind="left RUNNING", said=f"{said}")
        elif verdict is None or (verdict == "PROMOTE" and status != "FINISHED"):
            yield Harm(kind="not mended", said=f"a run without its verdict: {said}")
    whole = [verdict for _, verdict in said if verdict == "PROMOTE"]
    if (
        not story.versions <= len(whole) < story.versions + at_once
        or len(said) > story.champion + sessions + at_once - 1
    ):
        yield Harm(kind="run doubled", said=f"{said} for {story.versions} versions")


def _left(project: Project, sessions: Sequence[Session]) -> Iterator[Harm]:
    end = time.monotonic() + SECONDS_TO_END
    while (alive := [pid for session in sessions for pid in session.processes()]) and time.monotonic() < end:
        time.sleep(0.1)
    if alive:
        yield Harm(kind="not mended", said=f"processes are left: {alive}")
    places = (project.folder / ".nbaprops", project.folder / "nbaprops-report")
    litter = [path for place in places for path in place.rglob("*") if _is_litter(path)]
    if litter:
        yield Harm(kind="not mended", said=f"{litter[0].relative_to(project.folder)} is left ({len(litter)} in all)")


def _is_litter(path: Path) -> bool:
    return path.name.startswith(".tmp-") or path.parent.name == "sessions"


def _trace(output: str) -> str:
    lines = [line for line in output.splitlines() if line.startswith("INTERNALERROR>")]
    return (lines or output.strip().splitlines() or ["nothing"])[-1]


def _last(output: str) -> str:
    lines = [line for line in output.strip().splitlines() if line.strip()]
    said = [line for line in lines if line.startswith(("ERROR", "INCONCLUSIVE", "REJECT", "INTERNALERROR"))]
    return " / ".join((said or lines)[:3])
