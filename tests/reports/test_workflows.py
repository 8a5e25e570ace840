"""The workflows: what can be told without GitHub."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_nbaprops.commands.init import TEMPLATES

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "promotion-gate" / "action.yml"
WORKFLOWS = [*sorted((ROOT / ".github" / "workflows").glob("*.yml")), TEMPLATES / "promotion-gate.yml"]
ZIZMOR = Path(sys.executable).parent / "zizmor"
ON = True  # what YAML makes of the key `on`
NAMES = [path.name if path.parent != TEMPLATES else "starter" for path in WORKFLOWS]


def read(path: Path) -> dict[Any, Any]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found = read(path)["jobs"]
    assert isinstance(found, dict)
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    if path == ACTION:
        yield from read(path)["runs"]["steps"]
    else:
        for job in jobs(path).values():
            yield from job["steps"]


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=[*NAMES, "action"])
def test_actions_are_pinned_and_values_stay_values(path: Path) -> None:
    """Every action by its full SHA with its version beside it; nothing is put into a script but through `env:`."""
    for step in steps(path):
        if "uses" in step:
            assert re.fullmatch(r"\./\.github/actions/[\w-]+|[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), step
        assert "${{" not in step.get("run", "")
    for line in path.read_text(encoding="utf-8").splitlines():
        if "@" in line and "uses:" in line and "OWNER" not in line:
            assert re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=NAMES)
def test_permissions_are_given_one_by_one(path: Path) -> None:
    """None on top; a job that writes is the comment's, and it checks out nothing of a pull request."""
    assert read(path)["permissions"] == {}
    for name, job in jobs(path).items():
        assert job["timeout-minutes"] <= 120
        granted = job["permissions"]
        assert set(granted.values()) <= {"read"} or (path.stem, name) == ("promotion-comment", "comment")
        for step in job["steps"]:
            if "actions/checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False
                if "write" in granted.values():
                    assert step["with"]["ref"] == "${{ github.event.repository.default_branch }}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=NAMES)
def test_secrets_are_in_the_protected_job_only(path: Path) -> None:
    """Where there is a secret there is an environment, a queue that cancels nothing, and no pull request."""
    for job in jobs(path).values():
        if "secrets." in str(job):
            assert job["environment"] == "production"
            assert job["concurrency"]["cancel-in-progress"] is False
            assert "github.event_name != 'pull_request'" in job["if"]
    assert "pull_request_target" not in read(path)[ON]


def test_the_starters_action_is_the_projects_own() -> None:
    """What `nbaprops init` writes is what this repository runs."""
    assert (TEMPLATES / "action.yml").read_text(encoding="utf-8") == ACTION.read_text(encoding="utf-8")


@pytest.mark.skipif(importlib.util.find_spec("check_jsonschema") is None, reason="check-jsonschema is not installed")
@pytest.mark.parametrize(("schema", "paths"), [("workflows", WORKFLOWS), ("actions", [ACTION])])
def test_the_published_schemas_hold(schema: str, paths: list[Path]) -> None:
    """SchemaStore's schema of workflows and of actions."""
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        f"vendor.github-{schema}",
        *map(str, paths),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is not installed")
def test_actionlint_finds_nothing() -> None:
    """Expressions, contexts, shell scripts."""
    subprocess.run([str(shutil.which("actionlint")), *map(str, WORKFLOWS)], cwd=ROOT, check=True)


@pytest.mark.skipif(not ZIZMOR.exists(), reason="zizmor is not installed")
def test_zizmor_finds_nothing() -> None:
    """Known ways to attack a workflow."""
    done = subprocess.run([ZIZMOR, "--offline", ".github"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
