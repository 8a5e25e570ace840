"""What must run, told by those who collect to the one who decides: the full plan, before anything is deselected."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_nbaprops.walkforward.candidate import CandidateSpec
from pytest_nbaprops.walkforward.plan import Fold

PLANS = "plans"


@dataclass(frozen=True, kw_only=True)
class PlannedCandidate:
    """A candidate's folds and their node ids, side by side."""

    spec: CandidateSpec
    identity: str
    folds: tuple[Fold, ...]
    nodeids: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "spec": self.spec.to_dict(),
            "identity": self.identity,
            "folds": [fold.to_dict() for fold in self.folds],
            "nodeids": list(self.nodeids),
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> PlannedCandidate:
        return cls(
            spec=CandidateSpec.from_dict(plain["spec"]),
            identity=plain["identity"],
            folds=tuple(Fold.from_dict(fold) for fold in plain["folds"]),
            nodeids=tuple(plain["nodeids"]),
        )


def write_plan(folder: Path, worker: str, candidates: Sequence[PlannedCandidate], problems: Sequence[str]) -> None:
    """Write one process's view; the controller reads it from `folder`."""
    (folder / PLANS).mkdir(exist_ok=True)
    content = {"candidates": [candidate.to_dict() for candidate in candidates], "problems": list(problems)}
    temporary = folder / PLANS / f".{worker}-{os.getpid()}"
    temporary.write_text(json.dumps(content))
    temporary.replace(folder / PLANS / f"{worker}.json")


def read_plans(folder: Path) -> tuple[tuple[PlannedCandidate, ...], tuple[str, ...]]:
    """Candidates (in the order of collection) and problems of every process that has collected so far."""
    candidates: dict[str, PlannedCandidate] = {}
    problems: dict[str, None] = {}
    for path in sorted((folder / PLANS).glob("*.json")):
        content = json.loads(path.read_text())
        problems.update(dict.fromkeys(content["problems"]))
        for plain in content["candidates"]:
            candidates.setdefault(plain["spec"]["name"], PlannedCandidate.from_dict(plain))
    return tuple(candidates.values()), tuple(problems)
