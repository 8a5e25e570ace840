"""`nbaprops init`."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_nbaprops.commands.starter import STARTER


@click.command()
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
