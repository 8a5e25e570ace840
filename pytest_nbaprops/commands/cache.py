"""`nbaprops cache size` and `nbaprops cache clean`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_nbaprops.commands.project import find_project

if TYPE_CHECKING:
    from pytest_nbaprops.walkforward.store import FoldStore


@click.group()
def cache() -> None:
    """Look after the fold store (.nbaprops) of a project.

    Example: nbaprops cache size
    """


def _place_options(command: click.decorators.FC) -> click.decorators.FC:
    kind = click.Path(exists=True, file_okay=False, path_type=Path)
    root = click.option("--root", type=kind, help="Rootdir of the project (where .nbaprops is) [default: found].")
    store = click.option("--store", type=kind, help="The store itself, where nbaprops_store names another folder.")
    return root(store(command))


@cache.command("size")
@_place_options
def cache_size(root: Path | None, store: Path | None) -> None:
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
def cache_clean(root: Path | None, store: Path | None, keep_mb: int) -> None:
    """Remove stored folds and models; the next session computes them again.

    Example: nbaprops cache clean --keep-mb 500
    """
    found = _store(root, store)
    click.echo(f"{found.folder}: removed {found.evict(keep_mb * 1_000_000)} entries")


def _store(root: Path | None, store: Path | None) -> FoldStore:
    from pytest_nbaprops.walkforward.remote import is_url  # noqa: PLC0415 - as below
    from pytest_nbaprops.walkforward.store import STORE_FOLDER, FoldStore  # noqa: PLC0415 - pandas only where needed

    if store is None and root is None:
        project = find_project(Path.cwd())
        root, said = project.root, str(project.ini.get("nbaprops_store") or STORE_FOLDER)
        store = root / (STORE_FOLDER if is_url(said) else said)  # where a bucket's mirror lies
    folder = (store or (root or Path()) / STORE_FOLDER).resolve()
    if not folder.is_dir():
        raise click.ClickException(
            f"{folder} does not exist: no session ran here; name the rootdir with --root, or the store with --store"
        )
    return FoldStore(folder)
