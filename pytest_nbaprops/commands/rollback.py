"""`nbaprops rollback`."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_nbaprops.commands.project import find_project, model_option, open_store, registered_name, tracking_option


@click.command()
@click.option("--alias", metavar="NAME", default="production", show_default=True, help="Alias to roll back.")
@click.option("--reason", metavar="TEXT", required=True, help="Why; kept in the history.")
@model_option
@tracking_option
def rollback(alias: str, reason: str, model: str | None, tracking_uri: str | None) -> None:
    """Give an alias back to the version that had it before; a second time goes two back.

    Example: nbaprops rollback --alias production --reason "drifts since the trade deadline"
    """
    if not reason.strip():
        raise click.UsageError("--reason is empty: say why, the history keeps it")
    from pytest_nbaprops.registry.registry import ModelRegistry  # noqa: PLC0415 - MLflow takes 1.5 s

    project = find_project(Path.cwd())
    registry = ModelRegistry(store=open_store(project, tracking_uri))
    name = registered_name(project, registry.store, model)
    done = registry.rollback_model(name, alias, reason.strip())
    click.echo(f"{done.alias} of {name}: back from v{done.previous_version} to v{done.version}")
