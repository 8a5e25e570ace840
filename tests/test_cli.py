"""The `nbaprops` command."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from pytest_nbaprops.cli import main
from pytest_nbaprops.starter import STARTER
from pytest_nbaprops.walkforward.store import FoldStore


def run(*args: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, args)
    assert result.exit_code == code, result.output
    return result.output


def test_sample_writes_a_league(tmp_path: Path) -> None:
    """As many seasons as asked for, and says that they are simulated."""
    out = tmp_path / "league.csv"
    said = run("sample", "--seasons", "1", "--players", "30", "--out", str(out))
    assert f"{len(pd.read_csv(out)):,} simulated player-games" in said


@pytest.mark.parametrize("name", ["league.xlsx", "missing/league.csv"])
def test_sample_says_what_is_wrong_in_one_line(tmp_path: Path, name: str) -> None:
    """A suffix it cannot write, or a folder that is not there."""
    said = run("sample", "--players", "30", "--seasons", "1", "--out", str(tmp_path / name), code=1)
    assert len(said.strip().splitlines()) == 1


def test_cache_size_and_clean(tmp_path: Path) -> None:
    """What the store holds, and then nothing."""
    FoldStore(tmp_path / ".nbaprops").keep_model("a" * 64, b"x" * 1_000_000)
    assert "0 folds, 1 models, 1.0 MB" in run("cache", "size", "--root", str(tmp_path))
    assert "removed 1 entries" in run("cache", "clean", "--root", str(tmp_path))
    assert "0 models" in run("cache", "size", "--root", str(tmp_path))


def test_cache_without_a_store_is_one_line(tmp_path: Path) -> None:
    """It says where it looked and what to do."""
    assert "--root" in run("cache", "size", "--root", str(tmp_path), code=1)


def test_init_writes_a_project_once(tmp_path: Path) -> None:
    """Existing files are left alone."""
    run("init", str(tmp_path))
    assert all((tmp_path / name).is_file() for name in STARTER)
    (tmp_path / "pytest.ini").write_text("mine")
    assert "pytest.ini: exists, left alone" in run("init", str(tmp_path))
    assert (tmp_path / "pytest.ini").read_text() == "mine"


@pytest.mark.parametrize("verb", [(), ("sample",), ("cache",), ("cache", "clean"), ("init",)])
def test_every_verb_has_help(verb: tuple[str, ...]) -> None:
    """--help answers everywhere."""
    assert "Usage:" in run(*verb, "--help")
