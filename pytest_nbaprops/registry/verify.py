"""Journal, versions, runs and aliases counted against each other, and the runs of killed sessions ended.

A session registers, moves the alias and ends its run in this order: killed in between, the version says what was
decided and its run does not; cut off by a full disk, its run says ERROR. The next session makes the run say it, too.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.gate.verdict import Verdict
from pytest_nbaprops.registry import journal
from pytest_nbaprops.registry.events import INTENDED, events_of, happened
from pytest_nbaprops.registry.moves import RUN
from pytest_nbaprops.registry.record import VersionRecord
from pytest_nbaprops.registry.versions import holders, run_of
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.artifacts import DECISION
from pytest_nbaprops.tracking.connection import Store
from pytest_nbaprops.tracking.ownership import owners
from pytest_nbaprops.tracking.registering import fault_of_model
from pytest_nbaprops.tracking.search import every, experiments, found, versions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

ERROR: Final = Verdict.ERROR.value
_UNFINISHED: Final = (
    "attributes.status = 'RUNNING'",
    f"attributes.status = 'FAILED' and tags.{tags.VERDICT} = '{ERROR}'",
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at: `agrees` is False where two places say different things."""

    what: str
    agrees: bool
    said: str


# killed between the registry and the run


def end_runs_of_versions(store: Store, name: str) -> list[str]:
    """End the runs of promoted versions that their session left RUNNING or ended as ERROR after it; a line for each."""
    said = []
    with store.calling(f"look for runs that were left by promotions of {name}") as client:
        ids = [str(one.experiment_id) for one in experiments(client)]
        runs = [run for which in _UNFINISHED for run in every(client.search_runs, ids, which, max_results=1000)]
        left = {str(run.info.run_id): run for run in runs if _is_left(run)}
        known = versions(client, name) if left else []
    for version in known:
        record = VersionRecord.from_tags(version.tags)
        for run_id in sorted(deciding_runs(version) & left.keys()):
            if tags.INTENT not in version.tags and record.verdict is not None:
                run = left[run_id]
                _end(store, run, version, record)
                was = "left RUNNING" if run.info.status == "RUNNING" else f"ended as {ERROR}"
                said.append(f"the run {run_id[:8]} of v{version.version} was {was}: ended as {record.verdict}")
    return said


def _is_left(run: Run) -> bool:
    """Whether a session's run has not its version's verdict, and none of its sessions lives to say it.

    It was killed, or could not go on (a full disk, say) and ended its run as ERROR, after the promotion. A script's
    run names no session, and is its own.
    """
    claims = owners(run.data.tags)
    if run.info.status != "RUNNING":
        return bool(claims) and run.data.tags.get(tags.VERDICT) == ERROR
    return bool(claims) and not any(claim.lives for claim in claims)


def deciding_runs(version: ModelVersion) -> set[str]:
    """The runs whose sessions promoted the version; where its events tell none, the one that registered it.

    An earlier session may have registered it that ended as ERROR before the alias moved: its run stays that.
    """
    kept = {event.details.get(RUN) for event in events_of(version) if event.state != INTENDED}
    return {run_id for run_id in kept if run_id} or set(filter(None, [run_of(version)]))


def _end(store: Store, run: Run, version: ModelVersion, record: VersionRecord) -> None:
    """Verdict and decision.json as the version tells them, then the status: killed here, the next one does it again."""
    run_id = run.info.run_id
    candidate = {
        "name": (record.spec or {}).get("name", run.info.run_name),
        "run_id": run_id,
        "verdict": record.verdict,
        "metrics": dict(record.metrics),
        "criteria": list(record.criteria or ()),
        "model_version": str(version.version),
    }
    decision = {
        "schema_version": 1,
        "verdict": record.verdict,
        "promoted": True,
        "reasons": ["the session ended early, after the promotion: told by the version's tags"],
        "candidates": [candidate],
    }
    with store.calling(f"end the run {run_id} of {version.name} v{version.version}", artifacts=True) as client:
        client.set_tag(run_id, tags.VERDICT, str(record.verdict))
        if DECISION not in {file.path for file in client.list_artifacts(run_id)}:
            with tempfile.TemporaryDirectory(prefix="nbaprops-") as folder:
                path = Path(folder) / DECISION
                path.write_text(json.dumps(decision, indent=2) + "\n", encoding="utf-8")
                client.log_artifact(run_id, str(path))
        client.set_terminated(run_id, "FINISHED")


# the recount


def verify(store: Store, name: str) -> list[Finding]:
    """Every alias, version, journal entry and deciding run of the model, and whether they say the same."""
    with store.calling(f"recount the registry of {name}") as client:
        known = sorted(versions(client, name), key=lambda version: int(version.version))
        holding = holders(client, name)
        entries = journal.counting_entries(client, name)
        findings = [
            *_aliases(name, known, holding, entries),
            *(finding for version in known for finding in _version(client, version, holding)),
        ]
    return [*findings, *(_model(store, name, holding[alias], alias) for alias in sorted(holding))]


def _aliases(
    name: str, known: Sequence[ModelVersion], holding: Mapping[str, str], entries: Sequence[journal.Entry]
) -> Iterator[Finding]:
    numbers = {str(version.version) for version in known}
    last = {entry.change.alias: entry for entry in entries}
    events = {event.alias for version in known for event in events_of(version)}
    for alias in sorted({*holding, *last, *events}):
        holder = holding.get(alias)
        entry, story = last.get(alias), happened(known, alias, holder)
        now = f"v{holder} has it" if holder else "no version has it"
        problems = []
        if entry is not None and not entry.is_applied and holder != entry.change.version:
            problems.append(f"the journal's entry {entry.number} gives it to v{entry.change.version} and was not set")
        elif entry is not None and holder != entry.change.version:
            gone = "" if entry.change.version in numbers else ", which was deleted"
            problems.append(f"the journal's last entry gave it to v{entry.change.version}{gone}")
        elif entry is not None and not entry.is_applied:
            problems.append(f"the journal's entry {entry.number} is not marked as applied")
        if story and story[-1].version != holder and story[-1].version in numbers:
            problems.append(f"the versions' own tags gave it to v{story[-1].version} last")
        if holder is not None and not story and entry is None:
            problems.append("neither the journal nor a version says how it got there (set by hand)")
        what = f"alias {alias} of {name}"
        yield Finding(what=what, agrees=not problems, said="; ".join([now, *problems]))


def _version(client: MlflowClient, version: ModelVersion, holding: Mapping[str, str]) -> Iterator[Finding]:
    what, number = f"version v{version.version}", str(version.version)
    record, problems = VersionRecord.from_tags(version.tags), []
    if tags.INTENT in version.tags and number in holding.values():
        problems.append("it has an alias, and its promotion is not marked as complete")
    if version.status != "READY":
        problems.append(f"it is {version.status}")
    problems += [
        f"its change of {event.alias} at {event.at[:16]} was intended and never done"
        for event in events_of(version)
        if event.state == INTENDED and tags.INTENT not in version.tags
    ]
    notes = (
        ["registered, not promoted: its session was killed, or came too late"] if tags.INTENT in version.tags else []
    )
    for run_id in sorted(deciding_runs(version)):
        run = found(client.get_run, run_id)
        if run is None or run.info.lifecycle_stage == "deleted":
            notes.append(f"its run {run_id[:8]} was deleted")
        elif (apart := _apart(run, version, record)) is not None:
            problems.append(apart)
    said = "; ".join([*problems, *notes]) or f"as its run {(run_of(version) or 'none')[:8]} says"
    yield Finding(what=what, agrees=not problems, said=said)


def _apart(run: Run, version: ModelVersion, record: VersionRecord) -> str | None:
    """What the run says otherwise; a session or script that lives may not have said it yet."""
    label, verdict, is_left = f"its run {run.info.run_id[:8]}", run.data.tags.get(tags.VERDICT), _is_left(run)
    if tags.INTENT in version.tags or record.verdict is None:
        return None
    if run.info.status == "RUNNING":
        why = "is still RUNNING, though its session lives no more (the next session ends it)"
        return f"{label} {why}" if is_left else None
    if verdict == record.verdict:
        return None
    mended = " (the next session mends it)" if is_left else ""
    return f"it says {record.verdict}, {label} says {verdict or 'nothing'}{mended}"


def _model(store: Store, name: str, number: str, alias: str) -> Finding:
    what = f"model of v{number} ({alias})"
    try:
        fault = fault_of_model(store, name, number)
    except TrackingError as error:
        if store.lost is not None:
            raise
        return Finding(what=what, agrees=False, said=str(error))
    return Finding(what=what, agrees=fault is None, said=fault or "its files are there, as they were stored")
