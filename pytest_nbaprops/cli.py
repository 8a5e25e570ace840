"""The `nbaprops` command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_nbaprops.errors import NBAPropsError
from pytest_nbaprops.starter import STARTER

if TYPE_CHECKING:
    from pytest_nbaprops.walkforward.store import FoldStore

STORE_FOLDER = ".nbaprops"


class OneLineErrors(click.Group):
    """Project errors end in one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except NBAPropsError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytest-nbaprops", prog_name="nbaprops")
def main() -> None:
    """Companion of `pytest --nbaprops-train`: sample data, a starter project, the fold store."""


@main.command()
@click.option("--seasons", type=click.IntRange(min=1, max=50), default=2, show_default=True, help="Seasons.")
@click.option("--players", type=click.IntRange(20, 600), default=450, show_default=True, help="Players in the league.")
@click.option("--seed", type=int, default=2024, show_default=True, help="Another seed is another league.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="CSV or Parquet file.")
def sample(seasons: int, players: int, seed: int, out: Path) -> None:
    """Write game logs of a simulated league.

    Example: nbaprops sample --seasons 4 --out league.csv
    """
    from pytest_nbaprops.data.sample import write_sample  # noqa: PLC0415 - pandas only where it is needed

    games = write_sample(out, seasons=seasons, players=players, seed=seed)
    click.echo(f"{out}: {len(games):,} simulated player-games")


@main.group()
def cache() -> None:
    """The fold store (.nbaprops) of a project."""


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
    click.echo(f"{store.folder}: {counts['folds']} folds, {counts['models']} models, {store.size() / 1e6:.1f} MB")


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
    from pytest_nbaprops.walkforward.store import FoldStore  # noqa: PLC0415

    folder = root.resolve() / STORE_FOLDER
    if not folder.is_dir():
        raise click.ClickException(f"{folder} does not exist: no session ran here; name the rootdir with --root")
    return FoldStore(folder)


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
def init(folder: Path) -> None:
    """Write a starter project: pytest.ini, conftest.py, a walk-forward test and a GitHub workflow.

    Files that exist are left alone. Example: nbaprops init my-props
    """
    for name, content in STARTER.items():
        path = folder / name
        if path.exists():
            click.echo(f"{path}: exists, left alone")
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
        click.echo(f"{path}: written")
    click.echo("Next: pytest --nbaprops-train -n 2")
