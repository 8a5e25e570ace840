"""What a candidate's run records of how it came about, for whoever wants to repeat it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_nbaprops.redaction import redact, redacted
from pytest_nbaprops.session.context import Context, thread_share
from pytest_nbaprops.session.planfile import PLANS
from pytest_nbaprops.tracking import provenance
from pytest_nbaprops.tracking.artifacts import DECISION

if TYPE_CHECKING:
    from pytest_nbaprops.walkforward.candidate import Candidate


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is only known when the session starts: where it was called from, and the state of the code."""

    root: Path
    directory: str
    checkout: provenance.Checkout

    @classmethod
    def now(cls, root: Path) -> Surroundings:
        return cls(root=root, directory=os.path.relpath(Path.cwd(), root), checkout=provenance.checkout(root))


def write_record(folder: Path, context: Context, state: Candidate, surroundings: Surroundings) -> None:
    """Write provenance.json and, where the checkout is dirty, uncommitted.diff."""
    document = record(context, state, surroundings)
    text = json.dumps(document, indent=1, default=str) + "\n"
    (folder / provenance.PROVENANCE).write_text(text, encoding="utf-8")
    if surroundings.checkout.diff:
        (folder / provenance.DIFF).write_text(surroundings.checkout.diff, encoding="utf-8")


def record(context: Context, state: Candidate, surroundings: Surroundings) -> dict[str, Any]:
    """All that decides a candidate's result, as exact builtins."""
    workers = len(list((context.folder / PLANS).glob("gw*.json")))  # each xdist worker leaves its plan
    return {
        "schema_version": provenance.SCHEMA_VERSION,
        "candidate": {
            "name": state.name,
            "identity": state.identity,
            "spec": redacted(state.spec.to_dict()),
            "target": state.target,
            "columns": list(state.columns),
            "recipe": redacted(state.recipe.identity()) if state.recipe else None,
            "estimator": state.estimator()[0],
            "nodeids": [fold.nodeid for fold, _ in state.evaluated],
            "folds_from_store": sum(result.cached for _, result in state.evaluated),
        },
        "lineage": state.lineage.to_dict(),
        "dataset": {
            "source": redact(context.source),
            "simulated": context.simulated,
            "digest": context.dataset.digest.to_dict(),
        },
        "seed": state.spec.seed,
        "workers": workers,
        "threads": thread_share(max(1, workers)) if workers else context.threads,
        "libraries": provenance.versions(),
        "plugin_code": provenance.plugin_code(),
        "platform": provenance.machine(),
        "git": surroundings.checkout.to_dict(),
        "command": _command(Path(context.settings.report)),
        "directory": surroundings.directory,
        "settings": redacted(context.settings.to_dict()),
        "environment": provenance.environment(os.environ),
    }


def _command(report: Path) -> list[str]:
    """The session's command line, as decision.json has it since the start."""
    try:
        command = json.loads((report / DECISION).read_text(encoding="utf-8"))["command"]
    except (OSError, ValueError, KeyError):
        return []
    return provenance.command_line(command)
