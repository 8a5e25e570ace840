"""`nbaprops sample`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--seasons", type=click.IntRange(min=1, max=50), default=2, show_default=True, help="Seasons.")
@click.option("--players", type=click.IntRange(20, 600), default=450, show_default=True, help="Players in the league.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=2024, show_default=True, help="Another seed is another league."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="CSV or Parquet file.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def sample(*, seasons: int, players: int, seed: int, out: Path, force: bool) -> None:
    """Write game logs of a simulated league.

    Example: nbaprops sample --seasons 4 --out league.csv
    """
    if out.expanduser().exists() and not force:
        raise click.UsageError(f"--out {out} exists: choose another path, or write over it with --force")
    from pytest_nbaprops.data.sample import write_sample  # noqa: PLC0415 - pandas only where it is needed

    games = write_sample(out, seasons=seasons, players=players, seed=seed)
    click.echo(f"{out}: {len(games):,} simulated player-games")
