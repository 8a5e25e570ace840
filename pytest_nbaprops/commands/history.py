"""`nbaprops history`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_nbaprops.commands.common import (
    Cell,
    Report,
    Table,
    find_project,
    format_option,
    model_option,
    open_store,
    registered_name,
    show,
    tracking_option,
)
from pytest_nbaprops.commands.compare import short_commit

if TYPE_CHECKING:
    from pytest_nbaprops.registry.history import Tenure
    from pytest_nbaprops.registry.registry import ModelRegistry

_REASON_SHOWN = 60
_JOURNAL = ".nbaprops-journal"


@click.command()
@click.option("--alias", metavar="NAME", help="Only this alias [default: all].")
@format_option
@model_option
@tracking_option
def history(alias: str | None, style: str, model: str | None, tracking_uri: str | None) -> None:
    """Show who was in production when, with verdict, metrics, reason and commit, the newest first.

    Rebuilt from the tags of the registered versions alone.

    Example: nbaprops history --alias production
    """
    from pytest_nbaprops.registry.registry import ModelRegistry as Registry  # noqa: PLC0415 - MLflow takes 1.5 s

    project = find_project(Path.cwd())
    registry = Registry(store=open_store(project, tracking_uri))
    name = registered_name(project, registry.store, model)
    tenures = registry.history(name, alias)
    notes = [] if tenures else [_nothing(registry, name, alias)]
    columns = ["version", "alias", "from", "until", "by", "verdict", "mae", "r2", "reason", "commit"]
    rows = [_row(tenure, style) for tenure in tenures]
    table = Table(columns=columns, rows=rows, title=name, folding=("reason",))
    show(Report(tables=[table], notes=notes, document=[tenure.to_dict() for tenure in tenures]), style)


def _nothing(registry: ModelRegistry, name: str, alias: str | None) -> str:
    """Why there is no history, with the names that have one."""
    known = sorted({tenure.alias for tenure in registry.history(name)}) if alias else []
    if known:
        return f"the alias {alias} of {name} was never set; aliases: {', '.join(known)}"
    with registry.store.calling("list the registered models") as client:
        models = sorted(str(model.name) for model in client.search_registered_models())
    others = [model for model in models if not model.endswith(_JOURNAL)]
    if name in models:
        return f"no alias of {name} was ever set: nothing was promoted yet"
    return f"there is no registered model {name}, so no alias of it was ever set; models: {', '.join(others) or 'none'}"


def _row(tenure: Tenure, style: str) -> list[Cell]:
    return [
        f"v{tenure.version}",
        tenure.alias,
        _moment(tenure.since) or "unknown",
        "now" if tenure.current else _moment(tenure.until) or "unknown",
        "forced" if tenure.forced else tenure.kind,
        tenure.verdict,
        tenure.metrics.get("mae"),
        tenure.metrics.get("r2"),
        (tenure.reason if style == "csv" else _shortened(tenure.reason)) or None,
        short_commit(tenure.commit),
    ]


def _moment(stamp: str | None) -> str | None:
    """To the minute, UTC."""
    return stamp[:16].replace("T", " ") if stamp else None


def _shortened(reason: str) -> str:
    """To read in a table; --format json and csv give all of it."""
    return reason if len(reason) <= _REASON_SHOWN else reason[: _REASON_SHOWN - 1] + "…"
