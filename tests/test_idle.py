"""The plugin costs nothing while it is not training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_nbaprops.data.sample import write_sample

HEAVY = ("pandas", "numpy", "xgboost", "mlflow", "pyarrow", "sklearn")
PROGRAM = """
import sys, pytest
code = pytest.main(["-p", "no:hypothesispytest", "-p", "no:randomly", *sys.argv[1:]])
print("HEAVY", [name for name in %r if name in sys.modules])
sys.exit(code)
"""


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM % (HEAVY,), *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(
        "import pytest\nfrom pytest_nbaprops import feature_group\n\n"
        '@feature_group(tier="core")\ndef mine(games):\n    return games[["PTS"]]\n\n'
        "@pytest.hookimpl(optionalhook=True)\ndef pytest_nbaprops_feature_groups(config):\n    return [mine]\n"
    )
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\ndef test_plain():\n    pass\n\ndef test_walk(fold):\n    fold.evaluate()\n\n"
        '@pytest.mark.parametrize("fold", [1, 2])\ndef test_cross_validation(fold):\n    assert fold\n'
    )
    return tmp_path


def test_an_idle_session_imports_nothing_heavy(project: Path) -> None:
    """Up to its very end, with a conftest that defines a feature group."""
    done = run(project)
    assert "HEAVY []" in done.stdout, done.stdout


def test_looking_at_the_plan_takes_no_mlflow(project: Path) -> None:
    """A second of imports: a session that decides has it while its first fits are made."""
    write_sample(project / "league.csv", seasons=1, players=40)
    wanted = ["--nbaprops-train", "--collect-only", "--nbaprops-data=league.csv", "--nbaprops-test=last 2 dates"]
    done = run(project, *wanted, "-k", "test_walk")
    assert done.returncode == 0, done.stdout
    assert "'pandas'" in done.stdout
    assert "'mlflow'" not in done.stdout


@pytest.mark.parametrize(
    ("theirs", "args", "policy"),
    [
        (None, ["--nbaprops-train"], "PASSIVE 1000"),
        ("ACTIVE", ["--nbaprops-train"], "ACTIVE None"),
        (None, [], "None None"),
    ],
)
def test_waiting_threads_sleep_while_a_session_trains(
    project: Path, monkeypatch: pytest.MonkeyPatch, theirs: str | None, args: list[str], policy: str
) -> None:
    """From before the first conftest on, which may import what brings OpenMP; what the user sets stays."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if theirs is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", theirs)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    said = "*map(os.environ.get, ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'))"
    (project / "conftest.py").write_text(f"import os\nprint('policy', {said})\n")
    done = run(project, "-s", *args, "--nbaprops-test=nonsense")
    assert f"policy {policy}" in done.stdout, done.stdout


def test_walk_forward_tests_are_deselected_and_others_are_not(project: Path) -> None:
    """A test's own `fold` parameter has nothing to do with us."""
    done = run(project)
    assert "3 passed, 1 deselected" in done.stdout
    assert "nbaprops:" not in done.stdout
    assert done.returncode == 0


def test_a_conftest_with_our_hooks_works_without_the_plugin(project: Path) -> None:
    """`optionalhook` keeps the conftest loadable with -p no:nbaprops."""
    done = run(project, "-p", "no:nbaprops", "-k", "plain")
    assert "1 passed" in done.stdout, done.stdout


def test_help_shows_the_options(project: Path) -> None:
    """Options, ini keys and markers are documented by pytest itself."""
    assert "--nbaprops-criterion=EXPR" in run(project, "--help").stdout
    assert "walk_forward(recipe=None" in run(project, "--markers").stdout
