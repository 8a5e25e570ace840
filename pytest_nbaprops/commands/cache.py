"""`nbaprops cache size` and `nbaprops cache clean`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pytest_nbaprops.walkforward.store import FoldStore


@click.group()
def cache() -> None:
    """Look after the fold store (.nbaprops) of a project.

    Example: nbaprops cache size
    """


def _place_options(command: click.decorators.FC) -> click.decorators.FC:
    kind = click.Path(exists=True, file_okay=False, path_type=Path)
    root = click.option("--root", type=kind, default=Path(), help="Rootdir of the project (where .nbaprops is).")
    store = click.option("--store", type=kind, help="The store itself, where nbaprops_store names another folder.")
    return root(store(command))


@cache.command("size")
@_place_options
def cache_size(root: Path, store: Path | None) -> None:
    """Show how much the store holds.

    Example: nbaprops cache size
    """
    found = _store(root, store)
    counts = found.counts()
    click.echo(
        f"{found.folder}: {counts['folds']} folds, {counts['models']} models, "
        f"{counts['tables']} tables, {found.size() / 1e6:.1f} MB"
    )


@cache.command("clean")
@_place_options
@click.option("--keep-mb", type=click.IntRange(min=0), default=0, help="Keep the most recently used ones up to this.")
def cache_clean(root: Path, store: Path | None, keep_mb: int) -> None:
    """Remove stored folds and models; the next session computes them again.

    Example: nbaprops cache clean --keep-mb 500
    """
    found = _store(root, store)
    click.echo(f"{found.folder}: removed {found.evict(keep_mb * 1_000_000)} entries")


def _store(root: Path, store: Path | None) -> FoldStore:
    from pytest_nbaprops.walkforward.store import STORE_FOLDER, FoldStore  # noqa: PLC0415 - pandas only where needed

    folder = store.resolve() if store is not None else root.resolve() / STORE_FOLDER
    if not folder.is_dir():
        raise click.ClickException(
            f"{folder} does not exist: no session ran here; name the rootdir with --root, or the store with --store"
        )
    return FoldStore(folder)
