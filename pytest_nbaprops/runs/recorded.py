"""What a run records of how it came about, and what of it differs in another run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_nbaprops.redaction import redact, redacted
from pytest_nbaprops.reports.decision_file import DECISION
from pytest_nbaprops.session.context import Context, thread_share
from pytest_nbaprops.session.planfile import PLANS
from pytest_nbaprops.tracking import provenance

if TYPE_CHECKING:
    from pytest_nbaprops.walkforward.candidate import Candidate

SAME, DIFFERS, NOT_REPEATED = "same", "differs", "not repeated"
SHORT: Final = 12
OPTIONS_VARIABLE: Final = "PYTEST_ADDOPTS"
"""Repeated as arguments, as far as they are."""


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
            "spec": state.spec.to_dict(),
            "target": state.target,
            "columns": list(state.columns),
            "recipe": state.recipe.identity() if state.recipe else None,
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


@dataclass(frozen=True, kw_only=True)
class Check:
    """One recorded thing against the same thing now; `cause` completes "likely cause: …" where they differ."""

    what: str
    recorded: str
    now: str
    outcome: str
    cause: str

    @property
    def differs(self) -> bool:
        return self.outcome in (DIFFERS, NOT_REPEATED)


def checks(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[Check]:
    """Each recorded thing against now, in the order in which they are likely to move a result.

    What is the same is one row for each kind of thing; what differs is a row for each thing.
    """
    return [check for kind in _KINDS for check in _compared(kind, recorded, now)]


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """One kind of thing: its name in the table, its facts by name, a text for all of them, and how a cause reads."""

    what: str
    facts: str
    cause: str


_KINDS: Final = (
    _Kind(what="feature group", facts="groups", cause="code or sources of the feature group {name}"),
    _Kind(what="recipe", facts="recipe", cause="the recipe's {name}: {before} -> {after}"),
    _Kind(what="test function", facts="test", cause="the {name} of the test function"),
    _Kind(what="seed", facts="seed", cause="the seed: {before} -> {after}"),
    _Kind(what="library", facts="libraries", cause="library version of {name}: {before} -> {after}"),
    _Kind(what="plugin code", facts="plugin", cause="the code of pytest-nbaprops itself"),
    _Kind(what="threads", facts="threads", cause="the number of threads: {before} -> {after}"),
    _Kind(what="platform", facts="platform", cause="the machine ({name}): {before} -> {after}"),
    _Kind(what="git", facts="git", cause="the checkout ({name}): {before} -> {after}"),
)


def _compared(kind: _Kind, recorded: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Check]:
    before, after = _FACTS[kind.facts](recorded), _FACTS[kind.facts](now)
    names = list(dict.fromkeys([*before, *after]))
    moved = [name for name in names if before.get(name) != after.get(name)]
    same = [name for name in names if name not in moved]
    if same:
        text = before[same[0]] if len(names) == 1 else f"{len(same)} of {len(names)} the same"
        yield Check(what=kind.what, recorded=text, now=text, outcome=SAME, cause="")
    for name in moved:
        old, new = before.get(name, "none"), after.get(name, "none")
        cause = kind.cause.format(name=name, before=old, after=new)
        what = kind.what if len(names) == 1 else f"{kind.what}: {name}"
        yield Check(what=what, recorded=old, now=new, outcome=DIFFERS, cause=cause)


def _groups(document: Mapping[str, Any]) -> dict[str, str]:
    return {group["name"]: _group(group) for group in document["lineage"]["groups"]}


def _group(group: Mapping[str, Any]) -> str:
    parts = [f"version {group['version']}", f"code {group['code'][:SHORT]}", _counted(len(group["columns"]), "column")]
    return ", ".join([*parts, *(f"{name} {digest[:SHORT]}" for name, digest in sorted(group["sources"].items()))])


def _recipe(document: Mapping[str, Any]) -> dict[str, str]:
    recipe = document["candidate"]["recipe"]
    if recipe is None:
        return {}
    named = {"class": recipe["import_path"], "code": recipe["code_digest"][:SHORT]}
    return named | {f"parameter {name}": _text(value) for name, value in recipe["parameters"].items()}


def _test(document: Mapping[str, Any]) -> dict[str, str]:
    code, estimator = document["candidate"]["spec"]["code"], document["candidate"]["estimator"]
    found = {"code": code[:SHORT] if code else "built-in suite"}
    return found | ({"estimator": estimator[:SHORT]} if estimator else {})


def _git(document: Mapping[str, Any]) -> dict[str, str]:
    git = document["git"]
    diff = git["diff"] or ("not kept" if git["dirty"] else None)
    return {"commit": (git["commit"] or "none")[:SHORT], "uncommitted changes": diff[:SHORT] if diff else "none"}


_FACTS: Final = {
    "groups": _groups,
    "recipe": _recipe,
    "test": _test,
    "seed": lambda document: {"seed": _text(document["seed"])},
    "libraries": lambda document: dict(document["libraries"]),
    "plugin": lambda document: {"code": document["plugin_code"][:SHORT]},
    "threads": lambda document: {"threads": _text(document["threads"])},
    "platform": lambda document: dict(document["platform"]),
    "git": _git,
}


def variable_checks(recorded: Mapping[str, str], now: Mapping[str, str]) -> list[Check]:
    """Environment variables then and now; those that decide are set as recorded when a run is repeated."""
    names = sorted(name for name in {*recorded, *now} if recorded.get(name) != now.get(name))
    if not names:
        text = _counted(len(recorded), "variable")
        return [Check(what="environment", recorded=text, now=text, outcome=SAME, cause="")]
    return [
        Check(
            what=f"environment: {name}",
            recorded=recorded.get(name, "not set"),
            now=now.get(name, "not set"),
            outcome=_variable_outcome(name),
            cause=f"the environment variable {name}",
        )
        for name in names
    ]


def _variable_outcome(name: str) -> str:
    if is_given_again(name) or name == OPTIONS_VARIABLE:
        return "as recorded"
    return "other store" if name.startswith("MLFLOW_") else DIFFERS  # where a run is logged moves no result


def is_given_again(name: str) -> bool:
    """Whether a repetition sets this variable as recorded.

    Where MLflow is and who we are there stays as it is now, and so do pytest's plugins: a record must not load code.
    """
    return name in provenance.VARIABLES and name not in (OPTIONS_VARIABLE, "PYTEST_PLUGINS")


def argument_checks(left_out: Sequence[str]) -> list[Check]:
    """Recorded arguments that a repetition does without: they may have decided something."""
    return [
        Check(
            what=f"argument {text}",
            recorded="given",
            now=NOT_REPEATED,
            outcome=NOT_REPEATED,
            cause=f"the argument {text}, which is not repeated",
        )
        for text in left_out
    ]


def likely_cause(found: Sequence[Check]) -> str:
    """What differs, in words; the first three, the likeliest first."""
    causes = [check.cause for check in found if check.differs]
    more = f" and {len(causes) - 3} more (see the table)" if len(causes) > 3 else ""  # noqa: PLR2004 - one readable line
    return "; ".join(causes[:3]) + more if causes else "unknown: everything that was recorded is the same"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
