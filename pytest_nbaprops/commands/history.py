"""`nbaprops history`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_nbaprops.commands.compare import short_commit
from pytest_nbaprops.commands.output import Cell, Report, Table, format_option, show
from pytest_nbaprops.commands.project import find_project, model_option, open_store, registered_name, tracking_option

if TYPE_CHECKING:
    from pytest_nbaprops.registry.history import Tenure
    from pytest_nbaprops.registry.registry import ModelRegistry

_REASON_SHOWN = 60


@click.command()
@click.option("--alias", metavar="NAME", help="Only this alias [default: all].")
@click.option("--verify", "recount", is_flag=True, help="Recount journal, versions, runs and aliases.")
@format_option
@model_option
@tracking_option
@click.pass_context
def history(  # noqa: PLR0913 - its options
    ctx: click.Context, *, alias: str | None, recount: bool, style: str, model: str | None, tracking_uri: str | None
) -> None:
    """Show who was in production when, with verdict, metrics, reason and commit, the newest first.

    Rebuilt from the tags of the registered versions alone. With --verify, journal, versions, runs and aliases are
    counted against each other instead: exit code 1 where they say different things.

    Example: nbaprops history --alias production
    """
    if recount and alias is not None:
        raise click.UsageError("--alias has no effect with --verify, which looks at all of them; leave it out")
    from pytest_nbaprops.registry.registry import ModelRegistry as Registry  # noqa: PLC0415 - MLflow takes 1.5 s

    project = find_project(Path.cwd())
    registry = Registry(store=open_store(project, tracking_uri))
    name = registered_name(project, registry.store, model)
    if recount:
        ctx.exit(_recount(registry, name, style))
    tenures = registry.history(name, alias)
    notes = _deleted(registry, name, alias) if tenures else [_nothing(registry, name, alias)]
    columns = ["version", "alias", "from", "until", "by", "verdict", "mae", "r2", "reason", "commit"]
    rows = [_row(tenure, style) for tenure in tenures]
    table = Table(columns=columns, rows=rows, title=name, folding=("reason",))
    show(Report(tables=[table], notes=notes, document=[tenure.to_dict() for tenure in tenures]), style)


def _recount(registry: ModelRegistry, name: str, style: str) -> int:
    """Show what was looked at; the exit code."""
    from pytest_nbaprops.registry.verify import verify  # noqa: PLC0415 - MLflow takes 1.5 s

    findings = verify(registry.store, name)
    apart = sum(not finding.agrees for finding in findings)
    rows: list[list[Cell]] = [[one.what, "agrees" if one.agrees else "DIFFERS", one.said] for one in findings]
    table = Table(columns=["what", "outcome", "said"], rows=rows, title=name, folding=("said",))
    if not findings:
        note = _nothing(registry, name, None)
    elif apart:
        note = f"{apart} of {len(findings)} differ; an enforcing session mends what was killed; put lost models back"
    else:
        note = f"journal, versions, runs and aliases of {name} agree ({len(findings)} looked at)"
    show(Report(tables=[table], notes=[note], document=[vars(finding) for finding in findings]), style)
    return int(apart > 0 or not findings)


def _deleted(registry: ModelRegistry, name: str, alias: str | None) -> list[str]:
    """A line for each alias whose last version was deleted: its story went with it, only the journal knows."""
    from pytest_nbaprops.registry.journal import counting_entries  # noqa: PLC0415 - MLflow takes 1.5 s
    from pytest_nbaprops.tracking.search import versions  # noqa: PLC0415 - as above

    with registry.store.calling(f"read the journal of {name}") as client:
        there = {str(version.version) for version in versions(client, name)}
        last = {entry.change.alias: entry for entry in counting_entries(client, name)}
    return [
        f"v{entry.change.version}, which got {entry.change.alias} at {_moment(entry.change.at)}, was deleted, and its"
        f" story with it (entry {entry.number} of the journal)"
        for name_of_alias, entry in sorted(last.items())
        if entry.change.version not in there and alias in (None, name_of_alias)
    ]


def _nothing(registry: ModelRegistry, name: str, alias: str | None) -> str:
    """Why there is no history, with the names that have one."""
    from pytest_nbaprops.registry.versions import model_names  # noqa: PLC0415 - MLflow takes 1.5 s

    known = sorted({tenure.alias for tenure in registry.history(name)}) if alias else []
    if known:
        return f"the alias {alias} of {name} was never set; aliases: {', '.join(known)}"
    with registry.store.calling("list the registered models") as client:
        models = model_names(client)
    if name in models and (gone := _deleted(registry, name, None)):
        return f"no alias of {name} is set now: {gone[-1]}"
    if name in models:
        return f"no alias of {name} was ever set: nothing was promoted yet"
    return f"there is no registered model {name}, so no alias of it was ever set; models: {', '.join(models) or 'none'}"


def _row(tenure: Tenure, style: str) -> list[Cell]:
    reason = tenure.reason
    if style != "csv" and len(reason) > _REASON_SHOWN:  # to read in a table: csv and json give all of it
        reason = reason[: _REASON_SHOWN - 1] + "…"
    return [
        f"v{tenure.version}",
        tenure.alias,
        _moment(tenure.since) or "unknown",
        "now" if tenure.current else _moment(tenure.until) or "unknown",
        "forced" if tenure.forced else tenure.kind,
        tenure.verdict,
        tenure.metrics.get("mae"),
        tenure.metrics.get("r2"),
        reason or None,
        short_commit(tenure.commit),
    ]


def _moment(stamp: str | None) -> str | None:
    """To the minute, UTC."""
    return stamp[:16].replace("T", " ") if stamp else None
