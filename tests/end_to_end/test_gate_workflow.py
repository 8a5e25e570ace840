"""The gate's `run:` steps in their order, in a clean clone, with GitHub's variables set to files.

Installing is GitHub's part and takes minutes: it is only tried where NBAPROPS_FRESH_ENVIRONMENT is set.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = Path(".github/workflows/promotion-gate.yml")
ACTION = Path(".github/actions/promotion-gate/action.yml")
# The small league and a recipe that fits in no time: what is tested here are the steps.
SMALL = "--nbaprops-recipe=baseline --nbaprops-features=last_ten --nbaprops-train-window=expanding"

pytestmark = pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None, reason="there is no repository"
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a job came to: the gate's exit code, outputs, summary and all that was printed."""

    code: int
    outputs: Mapping[str, str]
    summary: str
    output: str
    decision: Mapping[str, Any]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Path:
    """A clone of what is committed; its cache lives on from job to job, as GitHub's does."""
    folder = tmp_path_factory.mktemp("runner") / "workspace"
    subprocess.run([str(shutil.which("git")), "clone", "--quiet", "--depth=1", ROOT.as_uri(), str(folder)], check=True)
    shutil.copy(migrated, folder / "mlflow.db")  # migrating takes seconds, copying does not
    return folder


@pytest.fixture
def job(clone: Path, league: Path, tmp_path: Path) -> Callable[..., Job]:
    """Run a job of the gate; without `secrets` it has none. It installs into `fresh`, where that is given."""

    def run(name: str, *options: str, secrets: Mapping[str, str] | None = None, fresh: Path | None = None) -> Job:
        shutil.rmtree(clone / "nbaprops-report", ignore_errors=True)
        addopts = f"-p no:randomly -p no:cacheprovider --nbaprops-data={league} {SMALL} {' '.join(options)}"
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("MLFLOW_", "PYTEST_", "GITHUB_", "COV_"))}
        around = {
            **kept,
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(clone),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "PYTHONPATH": "" if fresh else str(clone),
            "PATH": f"{fresh / 'bin' if fresh else Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTEST_XDIST_AUTO_NUM_WORKERS": "1",
            "PYTEST_ADDOPTS": addopts,
            **(secrets or {}),
        }
        code, output = _steps(clone, name, around, install=fresh is not None)
        report = clone / "nbaprops-report" / "decision.json"
        return Job(
            code=code,
            outputs=_outputs(tmp_path / "output"),
            summary=(tmp_path / "summary").read_text(encoding="utf-8"),
            output=output,
            decision=json.loads(report.read_text(encoding="utf-8")),
        )

    return run


def _steps(clone: Path, name: str, around: Mapping[str, str], *, install: bool) -> tuple[int, str]:
    """The composite action's scripts with the job's inputs; as on GitHub, only `always()` steps follow a failure."""
    job = yaml.safe_load((clone / WORKFLOW).read_text(encoding="utf-8"))["jobs"][name]
    action = yaml.safe_load((clone / ACTION).read_text(encoding="utf-8"))
    (gate,) = [step for step in job["steps"] if step.get("uses") == f"./{ACTION.parent}"]
    inputs = {key: value.get("default", "") for key, value in action["inputs"].items()} | gate["with"]
    code, said = 0, ""
    for step in action["runs"]["steps"]:
        # Where nothing is installed the clone is first on the path.
        is_ours = "run" in step and (install or step["name"] != "Install")
        if not is_ours or not _applies(step.get("if", ""), inputs, failed=code != 0):
            continue
        values = {key: _filled(value, inputs) for key, value in step.get("env", {}).items()}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        where = clone / _filled(step["working-directory"], inputs)
        done = subprocess.run(command, cwd=where, env={**around, **values}, capture_output=True, text=True, check=False)
        code, said = code or done.returncode, said + done.stdout + done.stderr
    return code, said


def _filled(text: str, inputs: Mapping[str, str]) -> str:
    for name, value in inputs.items():
        text = text.replace(f"${{{{ inputs.{name} }}}}", str(value))
    assert "${{" not in text
    return text


def _applies(condition: str, inputs: Mapping[str, str], *, failed: bool) -> bool:
    always, _, mode = condition.partition(" && ")
    assert always in ("", "always()")
    return (always == "always()" or not failed) and mode in ("", f"inputs.mode == '{inputs['mode']}'")


def _outputs(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {lines[at].partition("<<")[0]: lines[at + 1] for at in range(0, len(lines), 3)}


def test_main_promotes_and_pull_requests_compare_with_it(
    job: Callable[..., Job], clone: Path, migrated: Path, tmp_path: Path
) -> None:
    """Promoted on main, then on pull requests without secrets: inconclusive on two dates, rejected on all."""
    store = shutil.copy(migrated, tmp_path / "registry.db")
    window = "--nbaprops-test='last 20 dates'"
    main = job(
        "enforce", window, "--nbaprops-criterion='mae <= 20'", secrets={"MLFLOW_TRACKING_URI": f"sqlite:///{store}"}
    )
    assert (main.code, main.outputs["verdict"], main.outputs["model_version"]) == (0, "PROMOTE", "1"), main.output
    assert main.summary.startswith("## PROMOTE")
    assert (clone / "champion" / "version.json").is_file()

    short = job("dry-run", "--nbaprops-test='last 2 dates'", "--nbaprops-criterion='mae < champion'")
    assert (short.code, short.outputs["verdict"]) == (10, "INCONCLUSIVE"), short.output

    again = job("dry-run", window, "--nbaprops-criterion='mae <= 0.5'")
    assert (again.code, again.outputs["verdict"]) == (1, "REJECT"), again.output
    assert again.decision["champion"]["version"] == "1"
    assert "::error title=baseline::mae <= 0.5" in again.output
    assert float(again.outputs["mae"]) == again.decision["candidates"][0]["metrics"]["mae"]


def test_main_without_a_registry_is_a_dry_run(job: Callable[..., Job]) -> None:
    """It says so, and nothing is promoted into a store that ends with the runner."""
    done = job("enforce", "--nbaprops-test='last 2 dates'", "--nbaprops-criterion='mae <= 20'")
    assert done.code == 0, done.output
    assert done.decision["promote_mode"] == "dry-run"
    assert "::warning title=nbaprops::Nothing is promoted" in done.output


@pytest.mark.skipif("NBAPROPS_FRESH_ENVIRONMENT" not in os.environ, reason="NBAPROPS_FRESH_ENVIRONMENT is not set")
def test_the_gate_installs_what_it_needs(job: Callable[..., Job], clone: Path, tmp_path: Path) -> None:
    """Every `run:` step, the first of which installs, in an environment that holds nothing but pip."""
    fresh = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", str(fresh)], check=True)
    (clone / "mlflow.db").unlink()
    done = job("dry-run", "--nbaprops-test='last 20 dates'", "--nbaprops-criterion='mae <= 20'", fresh=fresh)
    assert (done.code, done.outputs["verdict"]) == (0, "PROMOTE"), done.output
    assert done.summary.startswith("## PROMOTE")
