"""`nbaprops cache size` and `nbaprops cache clean`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pytest_nbaprops.walkforward.store import FoldStore

STORE_FOLDER = ".nbaprops"


@click.group()
def cache() -> None:
    """Look after the fold store (.nbaprops) of a project.

    Example: nbaprops cache size
    """


def _root_option(command: click.decorators.FC) -> click.decorators.FC:
    kind = click.Path(exists=True, file_okay=False, path_type=Path)
    text = "Rootdir of the project (where .nbaprops is)."
    return click.option("--root", type=kind, default=Path(), help=text)(command)


@cache.command("size")
@_root_option
def cache_size(root: Path) -> None:
    """Show how much the store holds.

    Example: nbaprops cache size
    """
    store = _store(root)
    counts = store.counts()
    click.echo(
        f"{store.folder}: {counts['folds']} folds, {counts['models']} models, "
        f"{counts['tables']} tables, {store.size() / 1e6:.1f} MB"
    )


@cache.command("clean")
@_root_option
@click.option("--keep-mb", type=click.IntRange(min=0), default=0, help="Keep the most recently used ones up to this.")
def cache_clean(root: Path, keep_mb: int) -> None:
    """Remove stored folds and models; the next session computes them again.

    Example: nbaprops cache clean --keep-mb 500
    """
    store = _store(root)
    click.echo(f"{store.folder}: removed {store.evict(keep_mb * 1_000_000)} entries")


def _store(root: Path) -> FoldStore:
    from pytest_nbaprops.walkforward.store import FoldStore  # noqa: PLC0415 - pandas only where it is needed

    folder = root.resolve() / STORE_FOLDER
    if not folder.is_dir():
        raise click.ClickException(f"{folder} does not exist: no session ran here; name the rootdir with --root")
    return FoldStore(folder)
