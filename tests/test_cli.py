"""The `nbaprops` command."""

from __future__ import annotations

import ast
import errno
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import pytest_nbaprops
from pytest_nbaprops.cli import VERBS, main, spelled
from pytest_nbaprops.commands.init import IGNORED, starter_files
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


def test_sample_writes_over_nothing_unless_forced(tmp_path: Path) -> None:
    """A file that is there may be somebody's game logs."""
    out = tmp_path / "league.csv"
    out.write_text("mine")
    arguments = ["sample", "--seasons", "1", "--players", "30", "--out", str(out)]
    assert "--force" in run(*arguments, code=2)
    assert out.read_text() == "mine"
    run(*arguments, "--force")
    assert len(pd.read_csv(out)) > 0


@pytest.mark.parametrize("name", ["league.xlsx", "missing/league.csv"])
def test_sample_says_what_is_wrong_in_one_line(tmp_path: Path, name: str) -> None:
    """A suffix it cannot write, or a folder that is not there."""
    said = run("sample", "--players", "30", "--seasons", "1", "--out", str(tmp_path / name), code=1)
    assert len(said.strip().splitlines()) == 1


def test_cache_size_and_clean(tmp_path: Path) -> None:
    """What the store holds, and then nothing."""
    FoldStore(tmp_path / ".nbaprops").keep_model("a" * 64, b"x" * 1_000_000)
    assert "0 folds, 1 models, 0 tables, 1.0 MB" in run("cache", "size", "--root", str(tmp_path))
    assert "removed 1 entries" in run("cache", "clean", "--root", str(tmp_path))
    assert "0 models" in run("cache", "size", "--root", str(tmp_path))


@pytest.mark.parametrize(("ini", "folder"), [("", ".nbaprops"), ("nbaprops_store = kept/folds\n", "kept/folds")])
def test_cache_finds_the_project_as_pytest_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ini: str, folder: str
) -> None:
    """From a folder below, and where the ini file says that the store is."""
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{ini}")
    (tmp_path / "kept").mkdir()
    FoldStore(tmp_path / folder).keep_model("a" * 64, b"x")
    (tmp_path / "services").mkdir()
    monkeypatch.chdir(tmp_path / "services")
    assert f"{folder}: 0 folds, 1 models" in run("cache", "size")


def test_cache_without_a_store_is_one_line(tmp_path: Path) -> None:
    """It says where it looked and what to do."""
    assert "--root" in run("cache", "size", "--root", str(tmp_path), code=1)


def test_init_writes_a_project_once(tmp_path: Path) -> None:
    """Existing files are left alone, unless --force says otherwise."""
    run("init", str(tmp_path))
    assert all((tmp_path / name).is_file() for name in starter_files("tests"))
    assert set(IGNORED) <= set((tmp_path / ".gitignore").read_text().splitlines())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    run("init", str(tmp_path))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    test = tmp_path / "tests" / "test_props.py"
    test.write_text("mine")
    assert "test_props.py: exists, left alone" in run("init", str(tmp_path))
    assert test.read_text() == "mine"
    run("init", str(tmp_path), "--force")
    assert test.read_bytes() == before[test]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "pyproject.toml",
            '[project]\nname = "x"\n\n[tool.pytest.ini_options]\naddopts = "-ra"\ntestpaths = ["checks"]\n',
        ),
        ("pytest.ini", "[pytest]\ntestpaths = checks\naddopts = -ra\n"),
        ("tox.ini", "[tox]\nenvlist = py\n\n[pytest]\ntestpaths =\n    checks\naddopts = -ra\n"),
        ("setup.cfg", "[metadata]\nname = x\n\n[tool:pytest]\ntestpaths = checks\naddopts = -ra\n"),
    ],
)
def test_init_adds_to_the_settings_that_pytest_reads(tmp_path: Path, name: str, text: str) -> None:
    """Keys come to the project's own file, the test to its own folder, and what was there stays."""
    (tmp_path / name).write_text(text)
    (tmp_path / ".gitignore").write_text("*.pyc")
    run("init", str(tmp_path))
    made = (tmp_path / name).read_text()
    assert [line for line in made.splitlines() if line in text.splitlines()] == text.splitlines()
    assert "nbaprops_criterion" in made
    assert (tmp_path / "checks" / "test_props.py").is_file()
    assert name == "pytest.ini" or not (tmp_path / "pytest.ini").exists()
    assert (tmp_path / ".gitignore").read_text().startswith("*.pyc\n")


@pytest.mark.parametrize(
    ("name", "line"), [("pytest.ini", "= data/game_logs"), ("pyproject.toml", '= "data/game_logs"')]
)
def test_init_takes_the_games_that_lie_where_they_are_exported_to(tmp_path: Path, name: str, line: str) -> None:
    """Else the first command would decide on the simulated league."""
    section = "[tool.pytest.ini_options]" if name == "pyproject.toml" else "[pytest]"
    (tmp_path / name).write_text(f"{section}\n")
    logs = tmp_path / "data" / "game_logs"
    logs.mkdir(parents=True)
    (logs / "2023-24.csv").touch()
    run("init", str(tmp_path))
    made = (tmp_path / name).read_text().splitlines()
    assert f"nbaprops_data {line}" in made
    assert not [text for text in made if "sample league" in text]


def test_init_takes_an_empty_pytest_ini(tmp_path: Path) -> None:
    """It is what pytest reads, so the keys belong there."""
    (tmp_path / "pytest.ini").write_text("")
    run("init", str(tmp_path))
    assert (tmp_path / "pytest.ini").read_text().startswith("[pytest]\n")


def test_the_starter_project_passes_its_own_leak_guard(tmp_path: Path, migrated: Path) -> None:
    """It trains as it is written, and its example of a feature group is no leak."""
    shutil.copy(migrated, tmp_path / "mlflow.db")
    run("init", str(tmp_path))
    run("sample", "--seasons", "1", "--players", "40", "--out", str(tmp_path / "league.csv"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "--nbaprops-train"]
    command += ["--nbaprops-test=last 4 dates", "--nbaprops-data=league.csv", "--nbaprops-criterion=mae <= 50"]
    around = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTEST_"))}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=around)
    decision = json.loads((tmp_path / "nbaprops-report" / "decision.json").read_text())
    (candidate,) = decision["candidates"]
    assert (candidate["verdict"], candidate["leaks"]) == ("PROMOTE", []), done.stdout
    assert "hot_hand" in json.dumps(candidate["lineage"])


def test_plain_pytest_in_a_starter_project_says_how(tmp_path: Path) -> None:
    """Exit code 5 is pytest's own; the line before it names the command."""
    run("init", str(tmp_path))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly"]
    around = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTEST_"))}
    plain = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=around)
    assert plain.returncode == 5, plain.stderr
    assert "run: pytest --nbaprops-train" in plain.stdout


@pytest.mark.parametrize("verb", [*((name,) for name in VERBS), ("cache", "clean"), ("cache", "size")])
def test_every_verb_has_help_with_an_example(verb: tuple[str, ...]) -> None:
    """--help answers everywhere, and shows how it is used."""
    said = run(*verb, "--help")
    assert "Usage:" in said
    assert "Example: nbaprops" in said


def test_help_lists_every_verb_without_loading_any() -> None:
    """In one line each, and neither MLflow nor pandas is imported for it."""
    code = "import sys; from pytest_nbaprops.cli import main; main(['--help'], standalone_mode=False)"
    code += "; print({'mlflow', 'pandas', 'rich', 'pytest_nbaprops.commands.compare'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    for name, said in VERBS.items():
        assert f"  {name} " in done.stdout
        assert said.split()[0] in done.stdout


@pytest.mark.parametrize("arguments", [("--help",), ("cache", "size")])
def test_a_full_disk_is_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Exit code 1, no traceback."""
    (tmp_path / ".nbaprops").mkdir()
    command = [sys.executable, "-c", "from pytest_nbaprops.cli import main; main()", *arguments]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "Error: No space left on device")
    assert "Traceback" not in done.stderr


def test_what_the_system_refuses_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that is read-only, with the file."""
    FoldStore(tmp_path / ".nbaprops").keep_model("a" * 64, b"x")

    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), f"{path}", missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    (line,) = run("cache", "clean", "--root", str(tmp_path), code=1).splitlines()
    assert line.startswith("Error: ")
    assert line.endswith("Read-only file system")


def test_letters_that_a_terminal_lacks_are_escaped(tmp_path: Path) -> None:
    """A folder's name on a terminal of Western Europe."""
    folder = tmp_path / "Dončić"
    (folder / ".nbaprops").mkdir(parents=True)
    command = [sys.executable, "-c", "from pytest_nbaprops.cli import main; main()", "cache", "size"]
    around = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([*command, "--root", str(folder)], capture_output=True, check=True, env=around)
    assert b"Don\\u010di\\u0107" in done.stdout


def test_an_unknown_verb_is_wrong_use() -> None:
    """Exit code 2."""
    assert "No such command 'compere'" in run("compere", code=2)


def test_what_the_package_exports_is_there() -> None:
    """Each name is loaded from where it lives when it is asked for."""
    assert all(getattr(pytest_nbaprops, name).__name__ == name for name in pytest_nbaprops.__all__)


def test_messages_name_the_commands_own_options() -> None:
    """The library speaks of the plugin's options."""
    assert spelled("set --nbaprops-tracking-uri\nor --nbaprops-data") == "set --tracking-uri or --nbaprops-data"


def test_readme_python_blocks_compile() -> None:
    """Every example is Python, and what it imports of this package is there."""
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "pytest_nbaprops":
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, name.name) for name in node.names), block
