"""Every command of the README is one that there is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from pytest_nbaprops.cli import main
from pytest_nbaprops.options import OPTIONS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTESTS_OWN = ("-n", "-k", "-q", "-v", "-x", "--collect-only", "--junitxml", "--lf", "--dist")


def commands(first: str) -> list[str]:
    """Lines of the shell blocks, and code in the text, that begin with this word."""
    blocks = "\n".join(re.findall(r"^```(?:bash|text)\n(.*?)^```", README, re.DOTALL | re.MULTILINE))
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", README, flags=re.DOTALL | re.MULTILINE))
    lines = [re.sub(r"\s+#.*", "", line).strip() for line in blocks.splitlines()]
    return [line for line in (*lines, *spans) if line.startswith(f"{first} ")]


def steps(command: click.Command, words: list[str]) -> Iterator[tuple[click.Command, list[str]]]:
    """The command that the words end at, and what is left of them."""
    while (
        isinstance(command, click.Group) and words and (inner := command.get_command(click.Context(command), words[0]))
    ):
        command, words = inner, words[1:]
    yield command, words


@pytest.mark.parametrize("line", sorted(set(commands("nbaprops"))))
def test_every_verb_and_option_is_there(line: str) -> None:
    """As the command line reads them."""
    words = shlex.split(line.replace("…", ""))[1:]
    ((command, rest),) = steps(main, words)
    assert command is not main or not rest or not rest[0].isidentifier() or rest[0].isupper(), line
    known = {name for option in command.params for name in option.opts}
    assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= {*known, "--help"}, line


@pytest.mark.parametrize("line", sorted(set(commands("pytest"))))
def test_every_pytest_option_is_there(line: str) -> None:
    """The plugin's own, or pytest's."""
    known = {option.flag_name for option in OPTIONS if not option.ini_only}
    words = [word.partition("=")[0] for word in shlex.split(line)[1:] if word.startswith("-")]
    assert set(words) <= {*known, *PYTESTS_OWN, "--help"}, line


def test_the_own_data_example_has_seasons_to_fit_on(pytester: pytest.Pytester) -> None:
    """The command of the section, on files as its script writes them, plans its folds."""
    section = README.split("\n## Your own data\n")[1].split("\n## ")[0]
    (command,) = re.findall(r"^```bash\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert "2022-23" in section.split("```python")[1].split("```")[0]
    folder = pytester.path / "data" / "game_logs"
    folder.mkdir(parents=True)
    sample = import_module("pytest_nbaprops.data.sample")
    sample.write_sample(folder / "both.csv", seasons=2, players=40)
    words = [word for word in shlex.split(command)[1:] if word not in ("-n", "auto")]
    done = pytester.runpytest_subprocess(*words, "--collect-only", "-q", "-p", "no:randomly")
    assert int(done.ret) == 0, str(done.stderr)
    assert re.fullmatch(r"\d+ folds, \d+ fits, 0 from the store", done.outlines[-1])


def test_the_picture_is_there_and_small() -> None:
    """And the markers by which CI finds the two commands."""
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert (ROOT / picture).stat().st_size < 150_000
    assert README.count("<!-- main command -->\n```bash\n") == README.count("<!-- test command -->\n```bash\n") == 1


def test_the_part_for_newcomers_is_short() -> None:
    """Reference is collapsed behind it."""
    front, _, reference = README.partition("\n---\n")
    assert len(front.splitlines()) <= 260
    for section in reference.split("\n## ")[1:-1]:
        assert "<details>\n<summary>" in section
