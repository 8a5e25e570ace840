"""compare, best, history, promote and rollback on a sqlite store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.tracking.connection import connect

if TYPE_CHECKING:
    from tests.commands.conftest import Run


def holder(project: Path) -> str | None:
    store = connect(f"sqlite:///{project / 'mlflow.db'}")
    return ModelRegistry(store=store).aliases("NBAPropsModel").get("production")


@pytest.mark.usefixtures("project")
def test_compare_shows_runs_and_what_differs(run: Run) -> None:
    """The table with the best value marked, the paired difference, the parameter."""
    said = run("compare", "champion", "good")
    lines = said.splitlines()
    assert lines[0].split()[:6] == ["run", "name", "mae", "r2", "rmse", "within_5_pct"]
    assert lines[2].split()[1] == "good"
    assert lines[2].count("*") == 4
    assert "Paired MAE difference with its 95% interval" in said
    assert "depth" in said
    assert "* the best value" in said


@pytest.mark.usefixtures("project")
def test_compare_as_csv_and_json(run: Run) -> None:
    """CSV has the metrics asked for, JSON everything."""
    assert run("compare", "old", "good", "--format", "csv", "--metrics", "bias,mae").splitlines()[0] == (
        "run,name,bias,mae,features,dataset,commit,verdict"
    )
    document = json.loads(run("compare", "old", "fair", "good", "--format", "json"))
    assert [one["name"] for one in document["runs"]] == ["old", "fair", "good"]
    assert document["runs"][2]["best"] == ["mae", "r2", "rmse", "within_5_pct"]
    assert document["paired"][1]["high"] < 0


def test_compare_writes_one_page(run: Run, project: Path) -> None:
    """Self-contained, everything escaped, a line for each run."""
    store = connect(f"sqlite:///{project / 'mlflow.db'}")
    with store.calling("rename") as client:
        runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
        bad = next(one for one in runs if one.info.run_name == "old")
        client.update_run(bad.info.run_id, name="<script>alert(1)</script>")
    assert "written" in run("compare", bad.info.run_id[:16], "good", "--html", "page.html")
    page = (project / "page.html").read_text()
    assert page.count("<polyline") == 2
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "http" not in page
    (Path.cwd() / "notes.txt").write_text("mine")
    assert "a page is a file that ends in .html" in run("compare", "fair", "good", "--html", "notes.txt", code=2)
    assert (Path.cwd() / "notes.txt").read_text() == "mine"
    assert "the folder no does not exist" in run("compare", "fair", "good", "--html", "no/page.html", code=2)


@pytest.mark.usefixtures("project")
def test_best_lists_the_best_first(run: Run) -> None:
    """The good one; with a condition, another."""
    said = run("best", "--limit", "2")
    assert [line.split()[1] for line in said.splitlines()[1:3]] == ["good", "fair"]
    assert "only runs on the data dddddddddddd" in said
    document = json.loads(run("best", "--where", "params.depth = '3'", "--format", "json"))
    assert [one["name"] for one in document["runs"]] == ["old"]


def test_promote_checks_again(run: Run, project: Path) -> None:
    """v2 is not clearly as good as the champion: nothing moves. v3 is, and its event says what was checked."""
    said = run("promote", "2", code=1)
    assert "mae <= champion + 0.02" in said
    assert "v2 is not promoted" in said
    assert holder(project) == "1"
    assert "NBAPropsModel v3 is production now, v1 was" in run("promote", "v3")
    assert holder(project) == "3"
    assert "v3 is production already" in run("promote", "3")
    assert json.loads(run("promote", "3", "--format", "json"))["changed"] is False
    newest = json.loads(run("history", "--format", "json"))[0]
    assert (newest["version"], newest["verdict"], newest["forced"]) == ("3", "PROMOTE", False)
    assert newest["commit"] == "c" * 40


def test_promote_takes_criteria_from_the_line_or_the_ini_file(run: Run, project: Path) -> None:
    """The command line comes first; a criterion that nobody can judge does not pass."""
    (project / "pytest.ini").write_text("[pytest]\nnbaprops_criterion =\n    mae <= 1\n")
    assert "mae <= 1 failed" in run("promote", "3", code=1)
    assert "mae[minutes>=24] <= 9 inconclusive" in run("promote", "3", "--criteria", "mae[minutes>=24] <= 9", code=1)
    assert "Error: --criteria 'mae': " in run("promote", "3", "--criteria", "mae", code=2)
    assert holder(project) == "1"
    run("promote", "3", "--criteria", "mae <= 6", "--criteria", "mae < baseline")
    assert holder(project) == "3"
    said = run("promote", "2", "--criteria", "mae <= 50")
    assert "v3 had to pass 'mae <= 6', 'mae < baseline', which was not asked now" in " ".join(said.split())


def test_an_empty_list_of_criteria_promotes_nothing(run: Run, project: Path) -> None:
    """As in a session: it is not the same as no list."""
    (project / "pytest.ini").write_text("[pytest]\nnbaprops_criterion =\n")
    assert "no criteria are asked for" in run("promote", "3", code=1)
    assert holder(project) == "1"


def test_a_champion_snapshot_is_no_alias(run: Run, project: Path) -> None:
    """The registry's own champion is compared with, and that is said in a line."""
    (project / "pytest.ini").write_text("[pytest]\nnbaprops_champion = report/champion\n")
    said = run("promote", "3")
    assert "nbaprops_champion = report/champion is a run or a champion snapshot, not an alias" in said
    assert "NBAPropsModel v3 is production now" in said


def test_force_needs_a_reason_and_is_remembered(run: Run, project: Path) -> None:
    """Without one it is wrong use; with one the history shows it."""
    assert "--force needs --reason" in run("promote", "2", "--force", code=2)
    assert holder(project) == "1"
    assert "(forced: not every criterion holds)" in run("promote", "2", "--force", "--reason", "injuries")
    assert "injuries" in run("history")
    newest = json.loads(run("history", "--format", "json"))[0]
    assert (newest["version"], newest["forced"], newest["verdict"]) == ("2", True, "REJECT")


def test_an_alias_names_a_version_too(run: Run, project: Path) -> None:
    """Staging to production; and the first of an alias has no champion to beat."""
    run("promote", "3", "--alias", "staging", "--criteria", "mae <= 6")
    run("promote", "staging")
    assert holder(project) == "3"


def test_the_first_of_all_has_nobody_to_beat(run: Run, project: Path) -> None:
    """Where no version ever was the champion its criteria do not apply, but something must pass."""
    store = connect(f"sqlite:///{project / 'mlflow.db'}")
    with store.calling("start over") as client:
        client.delete_registered_model_alias("NBAPropsModel", "production")
    said = run("promote", "2", "--criteria", "mae <= champion", "--alias", "beta", code=1)
    assert "no criterion applies" in said
    assert "not_applicable" in run(
        "promote", "2", "--criteria", "mae <= champion", "--criteria", "mae <= 7", "--alias", "beta"
    )
    # production was held by v1 once: whom it is compared with now is not known
    assert "inconclusive" in run("promote", "2", "--criteria", "mae <= champion", code=1)


def test_rollback_goes_back(run: Run, project: Path) -> None:
    """Once, and then there is nothing before."""
    run("promote", "3")
    assert "back from v3 to v1" in run("rollback", "--reason", "drifts")
    assert holder(project) == "1"
    assert "there is nothing before v1" in run("rollback", "--reason", "drifts", code=1)
    assert run("history", "--alias", "production").splitlines()[2].split()[4:7] == ["now", "rollback", "PROMOTE"]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("compare", "good"), 2, "two runs or more"),
        (("compare", "good", "nobody"), 1, "there is no run 'nobody'"),
        (("compare", "good", "champion", "--model", "Nobody"), 1, "there is no champion"),
        (("compare", "good", "old", "--format", "xml"), 2, "'xml' is not one of"),
        (("best", "--experiment", "Nope"), 1, "no experiment 'Nope'"),
        (("promote", "9"), 1, "NBAPropsModel has no version 9; there are: v1, v2, v3"),
        (("promote", "nine"), 1, "no version or alias 'nine'; versions: v1, v2, v3; aliases: production (v1)"),
        (("promote", "2", "--alias", "latest"), 2, "'latest' can't be an alias"),
        (("rollback",), 2, "Missing option '--reason'"),
        (("rollback", "--reason", " "), 2, "--reason is empty"),
        (("rollback", "--alias", "beta", "--reason", "x"), 1, "no version has the alias"),
        (("history", "--tracking-uri", "sqlite:///nowhere.db"), 1, "run pytest --nbaprops-train first"),
        (("history", "--tracking-uri", "http://bob:hunter2@127.0.0.1:9"), 1, "nothing answers at this address"),
        (("history", "--tracking-uri", "ftp://bob:hunter2@x"), 1, "ftp://bob:***@x"),
    ],
)
def test_wrong_use_is_one_line_with_the_way_out(run: Run, arguments: tuple[str, ...], code: int, message: str) -> None:
    """Exit code 2 for the command line itself, 1 for what the store says; no password, no store made."""
    said = run(*arguments, code=code)
    assert message in said
    assert "hunter2" not in said
    assert "--nbaprops-tracking-uri" not in said
    assert not Path("nowhere.db").exists()


def test_an_empty_history_says_so(run: Run, project: Path, filled: Path) -> None:
    """Nothing was promoted yet."""
    shutil.copyfile(filled, project / "mlflow.db")
    assert "there is no registered model Nobody" in (said := run("history", "--model", "Nobody"))
    assert said.strip().endswith("models: NBAPropsModel")
    assert (
        run("history", "--alias", "nope")
        .strip()
        .endswith("alias nope of NBAPropsModel was never set; aliases: production")
    )


def test_the_sample_leagues_model_is_found(run: Run, project: Path) -> None:
    """Sessions on the sample league add -sample to the name: where only that model exists, it is meant."""
    store = connect(f"sqlite:///{project / 'mlflow.db'}")
    with store.calling("rename") as client:
        client.rename_registered_model("NBAPropsModel", "NBAPropsModel-sample")
    assert run("history").splitlines()[0] == "NBAPropsModel-sample"


def test_history_says_that_the_promoted_version_was_deleted(project: Path, run: Run) -> None:
    """With its version an alias goes, and the version's own story: the journal still knows."""
    store = connect(f"sqlite:///{project / 'mlflow.db'}")
    with store.calling("delete") as client:
        client.delete_model_version("NBAPropsModel", "1")
    said = run("history")
    assert "no alias of NBAPropsModel is set now: v1, which got production at" in said
    assert "was deleted" in said
    assert "nothing was promoted" not in said
    assert "which was deleted" in run("history", "--verify", code=1)


def test_history_verify_recounts(project: Path, run: Run) -> None:
    """Exit code 1 where the places disagree, with the place named."""
    store = connect(f"sqlite:///{project / 'mlflow.db'}")
    with store.calling("move") as client:
        client.set_registered_model_alias("NBAPropsModel", "production", "3")
    document = json.loads(run("history", "--verify", "--format", "json", code=1))
    (apart,) = [finding for finding in document if not finding["agrees"]]
    assert apart["what"] == "alias production of NBAPropsModel"
    with store.calling("move back") as client:
        client.set_registered_model_alias("NBAPropsModel", "production", "1")
    assert "agree" in run("history", "--verify")
