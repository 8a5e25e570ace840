"""`nbaprops promote`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_nbaprops.commands.output import Cell, Report, Table, format_option, show
from pytest_nbaprops.commands.project import find_project, model_option, open_store, registered_name, tracking_option
from pytest_nbaprops.errors import NBAPropsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_nbaprops.commands.project import Project
    from pytest_nbaprops.registry.promoting import PromotionResult
    from pytest_nbaprops.registry.registry import ModelRegistry


@click.command()
@click.argument("version")
@click.option("--alias", metavar="NAME", default="production", show_default=True, help="Alias it is to get.")
@click.option("--criteria", metavar="EXPR", multiple=True, help="Criterion; repeatable [default: the ini file's].")
@click.option("--force", is_flag=True, help="Promote although criteria do not hold; needs --reason, is recorded.")
@click.option("--reason", metavar="TEXT", help="Why; kept in the history.")
@format_option
@model_option
@tracking_option
def promote(  # noqa: PLR0913 - its options
    *,
    version: str,
    alias: str,
    criteria: tuple[str, ...],
    force: bool,
    reason: str | None,
    style: str,
    model: str | None,
    tracking_uri: str | None,
) -> None:
    """Check a version (3, v3, or an alias such as staging) against criteria and give it an alias.

    The criteria are checked again from what the version's own run has kept.

    Example: nbaprops promote staging --alias production --criteria "mae <= 6.2"
    """
    if force and not (reason or "").strip():
        raise click.UsageError("--force needs --reason TEXT: it overrules the criteria, and the history says why")
    from pytest_nbaprops.gate.criteria import DEFAULT_CRITERIA  # noqa: PLC0415 - pandas only where it is needed
    from pytest_nbaprops.registry.promoting import PromotionRequest, check_and_promote  # noqa: PLC0415 - MLflow takes 1.5 s
    from pytest_nbaprops.registry.registry import ModelRegistry  # noqa: PLC0415

    _check_use(alias, criteria)
    project = find_project(Path.cwd())
    registry = ModelRegistry(store=open_store(project, tracking_uri))
    name = registered_name(project, registry.store, model)
    request = PromotionRequest(
        name=name,
        version=version,
        alias=alias,
        # An empty list in the ini file stays empty, as in a session: nothing asked is nothing passed.
        criteria=criteria or (project.lines("criterion") if project.sets("criterion") else DEFAULT_CRITERIA),
        champion_alias=_champion_alias(project, registry, name),
        force=force,
        reason=(reason or "").strip() or None,
    )
    done = check_and_promote(registry, request)
    _show(done, style)
    if not done.holds:
        raise click.exceptions.Exit(1)


def _show(done: PromotionResult, style: str) -> None:
    """Each criterion with what came of it, or the one line where none was judged."""
    if not done.criteria and style not in {"csv", "json"}:
        click.echo(done.said)
        return
    columns = ["expression", "value", "threshold", "outcome", "reason"]
    rows: list[list[Cell]] = [[row[column] for column in columns] for row in done.criteria]
    table = Table(columns=["criterion", *columns[1:]], rows=rows, folding=("criterion", "reason"))
    show(Report(tables=[table], notes=[done.said], document=done.to_dict()), style)


def _check_use(alias: str, criteria: Sequence[str]) -> None:
    """What is wrong with the command line alone is wrong use."""
    from pytest_nbaprops.gate.criteria import asked_criteria  # noqa: PLC0415 - pandas only where it is needed
    from pytest_nbaprops.registry.versions import alias_name  # noqa: PLC0415 - MLflow takes 1.5 s

    try:
        alias_name(alias)
        asked_criteria(criteria, option="--criteria")
    except NBAPropsError as error:
        raise click.UsageError(str(error)) from None


def _champion_alias(project: Project, registry: ModelRegistry, model: str) -> str | None:
    """The ini file's champion if it is an alias: a version is compared with what the registry holds."""
    from pytest_nbaprops.runs.lookup import Lookup  # noqa: PLC0415 - MLflow takes 1.5 s

    alias, text = project.champion_alias, project.text("champion")
    lookup = Lookup(store=registry.store, model_name=model)
    if text is None or (alias is not None and (alias in registry.aliases(model) or lookup.called(alias) is None)):
        return alias
    said = f"nbaprops_champion = {text} is a run or a champion snapshot, not an alias: compared with the registry's"
    click.echo(f"{said} champion", err=True)
    return None
