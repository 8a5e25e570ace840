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

WALK, IMPORT = "tests/end_to_end/test_readme_walk.py", "tests/end_to_end/test_imported_champion.py"
DAILY, CHAMPION = f"{WALK}::test_every_day", f"{IMPORT}::test_an_imported_run_is_the_champion"
OWN_DATA = "tests/test_readme.py::test_the_own_data_example_has_seasons_to_fit_on"
JUDGED = "tests/end_to_end/test_market.py::test_a_session_is_judged_against_the_market"
LINES = "tests/end_to_end/test_market.py::test_a_look_at_the_lines"
PLANNED = "tests/importing/test_filestore.py::test_a_dry_run_says_the_same"
BETS = 'pytest --nbaprops-train --nbaprops-odds=lines/ --nbaprops-criterion "roi.low > 0" --nbaprops-criterion'
# Where each command is run, as it stands or on data of the test's own; "not run" says why not.
RUN_BY = {
    "nbaprops VERB --help": "tests/test_cli.py",
    "nbaprops best": DAILY,
    "nbaprops cache clean": DAILY,
    "nbaprops cache size": DAILY,
    "nbaprops check --data data/game_logs": "tests/commands/test_check_games.py",
    "nbaprops check --odds lines/": LINES,
    "nbaprops compare": DAILY,
    "nbaprops compare RUN RUN [RUN…]": DAILY,
    "nbaprops compare champion latest": DAILY,
    "nbaprops compare champion latest --html comparison.html": DAILY,
    "nbaprops compare xgb_deep latest": CHAMPION,
    "nbaprops history": DAILY,
    "nbaprops history --verify": DAILY,
    "nbaprops import": CHAMPION,
    "nbaprops import ../old-project/mlruns --dry-run": PLANNED,
    "nbaprops import ../old-project/mlruns --data data/game_logs": CHAMPION,
    'nbaprops import http://old-server:5000 --experiment "NBA_Props*"': "tests/importing/test_server.py",
    "nbaprops init": "tests/test_cli.py",
    "nbaprops predict": DAILY,
    "nbaprops predict --date 2024-04-14": "tests/commands/test_predict.py",
    "nbaprops predict --schedule tomorrow.csv --odds lines.csv --out predictions.csv": "tests/commands/test_predict.py",
    "nbaprops predict --schedule tomorrow.csv --out predictions.csv": DAILY,
    "nbaprops promote VERSION": DAILY,
    "nbaprops promote staging --alias production": DAILY,
    'nbaprops promote staging --alias production --criteria "mae <= 6.2" --criteria "mae < champion"': DAILY,
    "nbaprops reproduce": "tests/end_to_end/test_reproduce.py",
    "nbaprops reproduce 3f2a91": "tests/end_to_end/test_reproduce.py",
    "nbaprops reproduce 3f2a91 --data data/game_logs": "tests/end_to_end/test_reproduce.py",
    "nbaprops rollback": DAILY,
    'nbaprops rollback --alias production --reason "drifts since the trade deadline"': DAILY,
    'nbaprops rollback --alias production --reason "drifts"': DAILY,
    "nbaprops rollback --reason TEXT": DAILY,
    "pytest --help": "tests/test_cli.py",
    "pytest --nbaprops-train": "tests/end_to_end/test_main_job.py",
    "pytest --nbaprops-train --collect-only -q": OWN_DATA,
    "pytest --nbaprops-train --nbaprops-attribute": "tests/end_to_end/test_attribution.py",
    'pytest --nbaprops-train --nbaprops-champion=xgb_deep --nbaprops-criterion "mae < champion"': (CHAMPION),
    f'{BETS} "n_bets >= 200"': JUDGED,
    "pytest --nbaprops-train --nbaprops-promote=enforce": DAILY,
    "pytest --nbaprops-train --nbaprops-shard=1/3": "tests/end_to_end/test_shards.py",
    "pytest --nbaprops-train -n auto": DAILY,
    "pytest --nbaprops-train -n auto --nbaprops-data=data/game_logs --nbaprops-test=2023-24": OWN_DATA,
    "pytest --nbaprops-train -n auto --nbaprops-promote=enforce": DAILY,
    "mlflow ui --backend-store-uri sqlite:///mlflow.db": "not run: `mlflow server` is, in test_mlflow_page.py",
}
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


def test_every_command_has_its_test() -> None:
    """Each is in the list above, and what the list names is there."""
    told = {line for first in ("nbaprops", "pytest", "mlflow") for line in commands(first)}
    assert told - RUN_BY.keys() == set()
    assert RUN_BY.keys() - told == set()
    for place in set(RUN_BY.values()):
        file, _, name = place.partition("::")
        if not place.startswith("not run: "):
            assert f"def {name or 'test_'}" in (ROOT / file).read_text(encoding="utf-8"), place


def test_the_own_data_example_has_seasons_to_fit_on(pytester: pytest.Pytester) -> None:
    """The command of the section, on files as its script writes them, plans its folds."""
    section = README.split("\n## Your own data\n")[1].split("\n## ")[0]
    command = re.findall(r"^```bash\n(.*?)^```", section, re.DOTALL | re.MULTILINE)[0]
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
