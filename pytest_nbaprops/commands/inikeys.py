"""Where a project's pytest settings are, and adding keys to them without touching what is there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import iniconfig

_INI: Final = {"pytest.ini": "pytest", ".pytest.ini": "pytest", "tox.ini": "pytest", "setup.cfg": "tool:pytest"}
"""In pytest's order, pyproject.toml after .pytest.ini."""


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

    def with_keys(self, keys: Mapping[str, Sequence[str]], hint: str) -> str | None:
        """The file's text with the keys that it lacks, right under the section's name; None if it lacks none."""
        missing = {name: lines for name, lines in keys.items() if name not in self.known}
        if not missing:
            return None
        toml = self.path.suffix == ".toml"
        added = (hint if "nbaprops_data" not in self.known else "") + "".join(
            _toml(name, lines) if toml else _ini(name, lines) for name, lines in missing.items()
        )
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else f"[{self.section}]\ntestpaths = tests\n"
        head = re.search(rf"^\[\s*{re.escape(self.section)}\s*\][^\n]*$", text, re.MULTILINE)
        if head is None and not toml:
            return f"[{self.section}]\n{added}{text}"
        if head is None:
            raise click.ClickException(f"{self.path}: the section [{self.section}] cannot be found; add:\n{added}")
        return f"{text[: head.end()]}\n{added.rstrip()}{text[head.end() :]}"


def find_settings(folder: Path) -> PytestSettings:
    """The settings that pytest reads in this folder, else a pytest.ini that is not there yet.

    Raises:
        ClickException: a file cannot be read.
    """
    for name in ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg"):
        path = folder / name
        if path.is_file() and (found := _read(path)) is not None:
            return found
    return PytestSettings(path=folder / "pytest.ini", section="pytest", known={})


def _read(path: Path) -> PytestSettings | None:
    try:
        if path.suffix == ".toml":
            return _read_toml(path)
        section = _INI[path.name]
        sections = iniconfig.IniConfig(str(path)).sections
    except (OSError, ValueError, iniconfig.ParseError) as error:
        raise click.ClickException(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if section not in sections:
        # pytest takes a pytest.ini without its section for the project's settings all the same.
        return (
            None
            if section != "pytest" or path.name == "tox.ini"
            else PytestSettings(path=path, section=section, known={})
        )
    return PytestSettings(path=path, section=section, known=dict(sections[section]))


def _read_toml(path: Path) -> PytestSettings | None:
    tables: Any = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("pytest")
    if not isinstance(tables, dict):
        return None
    if "ini_options" in tables:
        return PytestSettings(path=path, section="tool.pytest.ini_options", known=dict(tables["ini_options"]))
    return PytestSettings(path=path, section="tool.pytest", known=dict(tables))


def _ini(name: str, lines: Sequence[str]) -> str:
    if len(lines) == 1:
        return f"{name} = {lines[0]}\n"
    return f"{name} =\n" + "".join(f"    {line}\n" for line in lines)


def _toml(name: str, lines: Sequence[str]) -> str:
    if len(lines) == 1:
        return f'{name} = "{lines[0]}"\n'
    return f"{name} = [\n" + "".join(f'  "{line}",\n' for line in lines) + "]\n"
