"""`nbaprops init`."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_nbaprops.commands.inikeys import PytestSettings, find_settings
from pytest_nbaprops.commands.starter import HINT, IGNORED, KEYS, starter_files


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option("--force", is_flag=True, help="Write the test, conftest and workflow also where there are others.")
def init(folder: Path, *, force: bool) -> None:
    """Gate a project: a walk-forward test, ini keys, a GitHub workflow and lines for .gitignore.

    Asks nothing. Files that exist are left alone without --force; pytest's settings and .gitignore only get what they
    lack. Example: nbaprops init my-props
    """
    settings = find_settings(folder)
    try:
        _add_keys(settings)
        for name, content in starter_files(settings.tests).items():
            _write(folder / name, content, force=force)
        _ignore(folder / ".gitignore")
    except (OSError, UnicodeError) as error:
        raise click.ClickException(f"{folder} cannot be gated: {error}") from None
    click.echo("Next: pytest --nbaprops-train -n 2")


def _add_keys(settings: PytestSettings) -> None:
    there = settings.path.exists()
    text = settings.with_keys(KEYS, HINT)
    if text is None:
        click.echo(f"{settings.path}: has its keys")
        return
    _written(settings.path, text)
    click.echo(f"{settings.path}: {'keys added' if there else 'written'}")


def _write(path: Path, content: str, *, force: bool) -> None:
    if path.exists() and not force:
        same = path.is_file() and path.read_text(encoding="utf-8", errors="replace") == content
        click.echo(f"{path}: {'is as it would be written' if same else 'exists, left alone (--force writes over it)'}")
        return
    _written(path, content)
    click.echo(f"{path}: written")


def _ignore(path: Path) -> None:
    """Add the lines that the file lacks."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [line for line in IGNORED if line not in {known.strip() for known in text.splitlines()}]
    if missing:
        gap = "" if not text or text.endswith("\n") else "\n"
        _written(path, f"{text}{gap}" + "".join(f"{line}\n" for line in missing))
    click.echo(f"{path}: {f'{len(missing)} lines added' if missing else 'has its lines'}")


def _written(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
