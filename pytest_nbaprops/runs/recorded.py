"""A run that is to be repeated, as the store has it, and what of how it came about differs in another run."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd

from pytest_nbaprops.data.digest import DatasetDigest
from pytest_nbaprops.errors import NBAPropsError
from pytest_nbaprops.tracking import provenance
from pytest_nbaprops.tracking.artifacts import PREDICTIONS, read_predictions
from pytest_nbaprops.tracking.connection import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient

SAME, DIFFERS, NOT_REPEATED = "same", "differs", "not repeated"
SHORT: Final = 12
_SAME: Final = 1e-9
TOLD_SETTINGS: Final = ("known_columns", "known_gaps", "known_good", "sources")
"""What an ini file says besides what is repeated."""
OPTIONS_VARIABLE: Final = "PYTEST_ADDOPTS"
"""Repeated as arguments, as far as they are."""


class ReproduceError(NBAPropsError):
    """A run that cannot be repeated."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A run of the store: what it recorded, its predictions, and its metrics over all folds."""

    run_id: str
    run_name: str
    document: Mapping[str, Any]
    predictions: pd.DataFrame
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def candidate(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document["candidate"]
        return found

    @property
    def digest(self) -> DatasetDigest:
        return DatasetDigest.from_dict(self.document["dataset"]["digest"])

    @property
    def settings(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document["settings"]
        return found


def read_run(store: Store, run_id: str, run_name: str) -> Recorded:
    """What a run kept of how it came about.

    Raises:
        ReproduceError: it kept no predictions or no provenance.
    """
    document = json.loads(_artifact(store, run_id, run_name, provenance.PROVENANCE))
    if document.get("schema_version") != provenance.SCHEMA_VERSION:
        raise ReproduceError(
            f"the run {run_name} ({run_id}) was recorded by another version of pytest-nbaprops (schema "
            f"{document.get('schema_version')}, here {provenance.SCHEMA_VERSION}); repeat it with pytest-nbaprops "
            f"{document.get('libraries', {}).get('pytest-nbaprops', 'of that time')}"
        )
    with store.calling(f"read {PREDICTIONS} of the run {run_id}", artifacts=True) as client:
        _expect(client, run_id, run_name, PREDICTIONS)
        predictions = read_predictions(client, run_id)
        metrics = dict(client.get_run(run_id).data.metrics)
    return Recorded(run_id=run_id, run_name=run_name, document=document, predictions=predictions, metrics=metrics)


def _artifact(store: Store, run_id: str, run_name: str, name: str) -> bytes:
    with (
        tempfile.TemporaryDirectory() as folder,
        store.calling(f"read {name} of the run {run_id}", artifacts=True) as client,
    ):
        _expect(client, run_id, run_name, name)
        return Path(client.download_artifacts(run_id, name, folder)).read_bytes()


def _expect(client: MlflowClient, run_id: str, run_name: str, name: str) -> None:
    if name not in {entry.path for entry in client.list_artifacts(run_id)}:
        raise ReproduceError(
            f"the run {run_name} ({run_id}) has no {name}: only runs that pytest --nbaprops-train made, and that "
            "predicted at least one fold, can be repeated"
        )


# then and now


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


def _compared(kind: _Kind, recorded: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Check]:
    before, after = kind.read(recorded), kind.read(now)
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
    told = {}
    for group in document["lineage"]["groups"]:
        columns = _counted(len(group["columns"]), "column")
        sources = [f"{name} {digest[:SHORT]}" for name, digest in sorted(group["sources"].items())]
        parts = [f"version {group['version']}", f"code {group['code'][:SHORT]}", columns, *sources]
        told[group["name"]] = ", ".join(parts)
    return told


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


def _files(document: Mapping[str, Any]) -> dict[str, str]:
    return {name: digest[:SHORT] for name, digest in document["lineage"].get("files", {}).items()}


def _settings(document: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(document.get("settings", {}).get(name)) for name in TOLD_SETTINGS}


def _git(document: Mapping[str, Any]) -> dict[str, str]:
    git = document["git"]
    diff = git["diff"] or ("not kept" if git["dirty"] else None)
    return {"commit": (git["commit"] or "none")[:SHORT], "uncommitted changes": diff[:SHORT] if diff else "none"}


class _Kind(NamedTuple):
    """One kind of thing: its name in the table, how a record tells it by name, and how a cause reads."""

    what: str
    read: Callable[[Mapping[str, Any]], Mapping[str, str]]
    cause: str


_KINDS: Final = (
    _Kind("feature group", _groups, "code or sources of the feature group {name}"),
    _Kind("declared file", _files, "the declared file {name}"),
    _Kind("recipe", _recipe, "the recipe's {name}: {before} -> {after}"),
    _Kind("test function", _test, "the {name} of the test function"),
    _Kind("setting", _settings, "the setting nbaprops_{name}: {before} -> {after}"),
    _Kind("seed", lambda run: {"seed": _text(run["seed"])}, "the seed: {before} -> {after}"),
    _Kind("library", lambda run: dict(run["libraries"]), "library version of {name}: {before} -> {after}"),
    _Kind("plugin code", lambda run: {"code": run["plugin_code"][:SHORT]}, "the code of pytest-nbaprops itself"),
    _Kind("threads", lambda run: {"threads": _text(run["threads"])}, "the number of threads: {before} -> {after}"),
    _Kind("platform", lambda run: dict(run["platform"]), "the machine ({name}): {before} -> {after}"),
    _Kind("git", _git, "the checkout ({name}): {before} -> {after}"),
)


def metric_checks(recorded: Mapping[str, float], now: Mapping[str, float]) -> list[Check]:
    """Metrics over all folds, then and now, of those that both have: predictions do not tell what a test logs."""
    both = {name: (recorded[name], now[name]) for name in recorded if name in now}
    moved = {name: pair for name, pair in both.items() if not math.isclose(*pair, rel_tol=_SAME, abs_tol=_SAME)}
    text = f"{len(both) - len(moved)} of {len(both)} the same"
    return [
        Check(what="metrics", recorded=text, now=text, outcome=SAME, cause=""),
        *(
            Check(what=f"metric {name}", recorded=f"{old:.6g}", now=f"{new:.6g}", outcome=DIFFERS, cause="")
            for name, (old, new) in moved.items()
        ),
    ]


def variable_checks(recorded: Mapping[str, str], now: Mapping[str, str]) -> list[Check]:
    """Environment variables then and now; those that decide are set as recorded when a run is repeated."""
    names = sorted(name for name in {*recorded, *now} if recorded.get(name) != now.get(name))
    if not names:
        text = _counted(len(recorded), "variable")
        return [Check(what="environment", recorded=text, now=text, outcome=SAME, cause="")]
    found = []
    for name in names:
        outcome = DIFFERS
        if is_given_again(name) or name == OPTIONS_VARIABLE:
            outcome = "as recorded"
        elif name.startswith("MLFLOW_"):  # where a run is logged moves no result
            outcome = "other store"
        old, new = recorded.get(name, "not set"), now.get(name, "not set")
        cause = f"the environment variable {name}"
        found.append(Check(what=f"environment: {name}", recorded=old, now=new, outcome=outcome, cause=cause))
    return found


def is_given_again(name: str) -> bool:
    """Whether a repetition sets this variable as recorded.

    Where MLflow is and who we are there stays as it is now, and so do pytest's plugins: a record must not load code.
    """
    return name in provenance.VARIABLES and name not in (OPTIONS_VARIABLE, "PYTEST_PLUGINS")


def argument_checks(left_out: Sequence[str]) -> list[Check]:
    """Recorded arguments that a repetition does without: they may have decided something."""
    same = {"recorded": "given", "now": NOT_REPEATED, "outcome": NOT_REPEATED}
    return [
        Check(what=f"argument {text}", cause=f"the argument {text}, which is not repeated", **same) for text in left_out
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
