"""`nbaprops init`: a starter project, and keys added to pytest's settings without touching what is there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from pytest_nbaprops.commands.project import pytest_table

KEYS: Final = {
    "nbaprops_model_name": ("NBAPropsModel",),
    "nbaprops_criterion": ("mae < baseline", "mae <= champion + 0.02"),
}
"""Ini keys and their lines."""

EXPORTED: Final = "data/game_logs"
HINT: Final = f"""\
# Game logs in the stats.nba.com LeagueGameLog schema: a CSV or Parquet file, a folder or a glob.
# Without this line the simulated sample league is used.
# nbaprops_data = {EXPORTED}
"""

IGNORED: Final = (".nbaprops/", "nbaprops-report/", "mlflow.db", "mlruns/", "mlartifacts/", "/champion/")
"""What sessions leave behind: committed, it would make every later commit count as dirty."""

CONFTEST: Final = '''\
"""Feature groups of this project, added to every recipe's own."""

import pytest

from pytest_nbaprops import feature_group


@feature_group(tier="temporal", known_at="morning", version="1")
def hot_hand(games):
    """Points in the last three games against the player's mean so far; only earlier games are used."""
    past = games.groupby("PLAYER_ID")["PTS"].shift(1)
    recent = past.groupby(games["PLAYER_ID"]).rolling(3).mean().droplevel(0)
    usual = past.groupby(games["PLAYER_ID"]).expanding().mean().droplevel(0)
    return (recent - usual).reindex(games.index).to_frame("hot_hand")


@pytest.hookimpl(optionalhook=True)
def pytest_nbaprops_feature_groups(config):
    return [hot_hand]
'''

TEST: Final = '''\
"""The walk-forward validation of this project's model: every game date is one test."""

import pytest


@pytest.mark.walk_forward(recipe="advanced", refit=7)
def test_props(fold):
    result = fold.evaluate()
    assert result.mae < 12, result.worst(5)
'''

WORKFLOWS: Final[Mapping[str, str]] = {
    ".github/workflows/promotion-gate.yml": "promotion-gate.yml",
    ".github/actions/promotion-gate/action.yml": "action.yml",
}
TEMPLATES: Final = Path(__file__).parent / "templates" / "starter"


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
        there = settings.path.exists()
        text = settings.with_keys()
        if text is not None:
            _written(settings.path, text)
        click.echo(f"{settings.path}: {'has its keys' if text is None else 'keys added' if there else 'written'}")
        for name, content in starter_files(settings.tests).items():
            _write(folder / name, content, force=force)
        _ignore(folder / ".gitignore")
    except (OSError, UnicodeError) as error:
        raise click.ClickException(f"{folder} cannot be gated: {error}") from None
    click.echo("Next: pytest --nbaprops-train -n 2")


def _write(path: Path, content: str, *, force: bool) -> None:
    if path.exists() and not force:
        same = path.is_file() and path.read_text(encoding="utf-8", errors="replace") == content
        click.echo(f"{path}: {'is as it would be written' if same else 'exists, left alone (--force writes over it)'}")
        return
    _written(path, content)
    click.echo(f"{path}: written")


def _ignore(path: Path) -> None:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [line for line in IGNORED if line not in {known.strip() for known in text.splitlines()}]
    if missing:
        gap = "" if not text or text.endswith("\n") else "\n"
        _written(path, f"{text}{gap}" + "".join(f"{line}\n" for line in missing))
    click.echo(f"{path}: {f'{len(missing)} lines added' if missing else 'has its lines'}")


def _written(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def starter_files(folder: str) -> dict[str, str]:
    """Content of each file by its path; `folder` is where the project's tests are."""
    return {
        f"{folder}/conftest.py": CONFTEST,
        f"{folder}/test_props.py": TEST,
        **{path: (TEMPLATES / name).read_text(encoding="utf-8") for path, name in WORKFLOWS.items()},
    }


@dataclass(frozen=True, kw_only=True)
class PytestSettings:
    """The file that pytest reads here, its section, and the keys that it has."""

    path: Path
    section: str
    known: Mapping[str, Any]

    @property
    def tests(self) -> str:
        """The first of the folders that pytest collects."""
        told = self.known.get("testpaths") or "tests"
        names = told.split() if isinstance(told, str) else [str(name) for name in told]
        first = (names or ["tests"])[0].strip("/")
        return "tests" if first in ("", ".") or any(sign in first for sign in "*?[") else first

    def _hint(self) -> str:
        """About the data; what lies where README puts it is taken."""
        exported = self.path.parent / EXPORTED
        there = exported.is_dir() and any(path.suffix in (".csv", ".parquet") for path in exported.iterdir())
        if not there:
            return HINT
        return f'nbaprops_data = "{EXPORTED}"\n' if self.path.suffix == ".toml" else f"nbaprops_data = {EXPORTED}\n"

    def with_keys(self) -> str | None:
        """The file's text with the keys that it lacks, right under the section's name; None if it lacks none."""
        missing = {name: lines for name, lines in KEYS.items() if name not in self.known}
        if not missing:
            return None
        toml = self.path.suffix == ".toml"
        added = self._hint() if "nbaprops_data" not in self.known else ""
        for name, lines in missing.items():
            if len(lines) == 1:
                added += f'{name} = "{lines[0]}"\n' if toml else f"{name} = {lines[0]}\n"
            elif toml:
                added += f"{name} = [\n" + "".join(f'  "{line}",\n' for line in lines) + "]\n"
            else:
                added += f"{name} =\n" + "".join(f"    {line}\n" for line in lines)
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else f"[{self.section}]\ntestpaths = tests\n"
        head = re.search(rf"^\[\s*{re.escape(self.section)}\s*\][^\n]*$", text, re.MULTILINE)
        if head is None and not toml:
            return f"[{self.section}]\n{added}{text}"
        if head is None:
            raise click.ClickException(f"{self.path}: the section [{self.section}] cannot be found; add:\n{added}")
        return f"{text[: head.end()]}\n{added.rstrip()}{text[head.end() :]}"


def find_settings(folder: Path) -> PytestSettings:
    """The settings that pytest reads in this folder, else a pytest.ini that is not there yet."""
    for name in ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg"):
        path = folder / name
        try:
            section, known = pytest_table(path) if path.is_file() else ("", None)
        except ValueError as error:
            raise click.ClickException(str(error)) from None
        if known is not None:
            return PytestSettings(path=path, section=section, known=known)
    return PytestSettings(path=folder / "pytest.ini", section="pytest", known={})
