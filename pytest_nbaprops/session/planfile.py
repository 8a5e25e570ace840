"""What must run, told by those who collect to the one who decides: the full plan, before anything is deselected."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from pytest_nbaprops.session.context import Context
from pytest_nbaprops.walkforward.candidate import Candidate, CandidateSpec
from pytest_nbaprops.walkforward.plan import Fold

PLANS = "plans"


def write_plan(folder: Path, worker: str, candidates: Sequence[Candidate], problems: Sequence[str]) -> None:
    """Write one process's view; the controller reads it from `folder`."""
    plans = [
        {
            "spec": candidate.spec.to_dict(),
            "folds": [state.fold.to_dict() for state in candidate.folds],
            "nodeids": [state.nodeid for state in candidate.folds],
        }
        for candidate in candidates
    ]
    (folder / PLANS).mkdir(exist_ok=True)
    temporary = folder / PLANS / f".{worker}-{os.getpid()}"
    temporary.write_text(json.dumps({"candidates": plans, "problems": list(problems)}), encoding="utf-8")
    temporary.replace(folder / PLANS / f"{worker}.json")


def read_plans(context: Context) -> tuple[list[Candidate], list[str]]:
    """Candidates (in the order of collection) and problems of every process that has collected so far."""
    candidates: dict[str, Candidate] = {}
    problems: dict[str, None] = {}
    for path in sorted((context.folder / PLANS).glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        problems.update(dict.fromkeys(content["problems"]))
        for plain in content["candidates"]:
            spec = CandidateSpec.from_dict(plain["spec"])
            if spec.name not in candidates:
                folds = [Fold.from_dict(fold) for fold in plain["folds"]]
                candidate = context.candidate(spec)
                candidates[spec.name] = candidate.planned(folds, context.dataset.digest, plain["nodeids"])
    return list(candidates.values()), list(problems)
