"""Ways to fool the gate: each ends with its verdict, exit code and reason, and with an untouched registry."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

from tests.end_to_end.conftest import Session, Train

HEAD = """
import os
import numpy as np
import pytest
from sklearn.dummy import DummyRegressor

"""
GOOD = HEAD + "def test_it(fold):\n    fold.record(fold.test.y * 0 + 17.0)\n"
SECOND = "fold.number == 2"


def untouched(session: Session) -> bool:
    uri = f"sqlite:///{session.folder / 'mlflow.db'}"
    return not mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri).search_registered_models()


def body(*lines: str) -> str:
    """A fold test whose second fold does something else."""
    code = "\n".join(f"        {line}" for line in lines)
    return HEAD + f"def test_it(fold):\n    if {SECOND}:\n{code}\n    fold.record(fold.test.y * 0 + 17.0)\n"


TEST_BODIES = {
    "nan prediction": (body("fold.record(fold.test.y * float('nan'))", "return"), 10, "not finite"),
    "inf prediction": (body("fold.record(fold.test.y * float('inf'))", "return"), 10, "not finite"),
    "skip": (body("pytest.skip('not today')"), 10, "skipped: not today"),
    "xfail": (body("pytest.xfail('known')"), 10, "xfail"),
    "passes without a result": (body("return"), 10, "without a result"),
    "fails": (body("assert False, 'too bad'"), 1, "too bad"),
    "fails after recording": (
        HEAD + "def test_it(fold):\n    fold.record(fold.test.y * 0 + 17.0)\n    assert fold.number != 2, 'too bad'\n",
        1,
        "too bad",
    ),
    "records twice": (body("fold.record(fold.test.y * 0 + 17.0)"), 1, "recorded before"),
    "records twice and hides it": (
        HEAD
        + "def test_it(fold):\n    fold.record(fold.test.y * 0 + 17.0)\n    try:\n"
        + "        fold.record(fold.test.y)\n    except Exception:\n        pass\n",
        1,
        "recorded before",
    ),
    "catches its own exception": (
        HEAD + "def test_it(fold):\n    try:\n        fold.record([1.0])\n    except Exception:\n        pass\n",
        1,
        "rows to predict",
    ),
    "too many predictions": (body("fold.record(list(fold.test.y) + [1.0])", "return"), 1, "rows to predict"),
    "foreign index": (body("fold.record((fold.test.y * 0 + 17.0).rename(lambda i: i + 10**6))", "return"), 1, "index"),
    "no numbers": (body("fold.record(['many'] * len(fold.test))", "return"), 1, "not numbers"),
    "fixture error": (
        HEAD
        + "@pytest.fixture\ndef broken(fold):\n    if fold.number == 2:\n        raise RuntimeError('no table')\n\n"
        + "def test_it(fold, broken):\n    fold.record(fold.test.y * 0 + 17.0)\n",
        10,
        "fixture error",
    ),
    "teardown error": (
        HEAD
        + "@pytest.fixture\ndef broken(fold):\n    yield\n    assert fold.number != 2, 'late'\n\n"
        + "def test_it(fold, broken):\n    fold.record(fold.test.y * 0 + 17.0)\n",
        10,
        "error in teardown",
    ),
    "nothing to register": (GOOD, 10, "nothing to register"),
}


@pytest.mark.parametrize("name", TEST_BODIES)
def test_a_bad_fold_is_never_promoted(train: Train, project: pytest.Pytester, name: str) -> None:
    """One bad fold of twenty-four decides the verdict."""
    code, exit_code, reason = TEST_BODIES[name]
    project.makepyfile(code)
    session = train("--nbaprops-promote", "enforce")
    assert session.code == session.decision["exit_code"] == exit_code, session.output
    assert reason in " ".join(session.decision["reasons"])
    assert session.decision["promoted"] is False
    assert untouched(session)


@pytest.mark.parametrize("name", ["nan prediction", "skip", "fails", "passes without a result"])
def test_workers_tell_the_same(train: Train, project: pytest.Pytester, name: str) -> None:
    """With -n 2 the verdict, exit code and reason are those without."""
    code, exit_code, reason = TEST_BODIES[name]
    project.makepyfile(code)
    session = train("--nbaprops-promote", "enforce", "-n", "2")
    assert session.code == exit_code, session.output
    assert reason in " ".join(session.decision["reasons"])
    assert untouched(session)


SELECTIONS = {
    "-k": (("-k", "2024-04-13"), 10, "not selected"),
    "-k nothing": (("-k", "1999-01-01"), 10, "not selected"),
    "--deselect": (("--deselect", "nbaprops::test_walk_forward[quick-2024-04-13]"), 10, "not selected"),
    "no criteria": (("-o", "nbaprops_criterion="), 10, "no criteria"),
    "five dates": (("--nbaprops-test", "last 5 dates", "--nbaprops-criterion", "mae < baseline"), 10, "needs 20"),
    "empty slice": (("--nbaprops-criterion", "mae[minutes>=60] <= 99"), 10, "0 player-games"),
    "market without lines": (("--nbaprops-criterion", "mae < market"), 10, "market"),
    "contradiction": (("--nbaprops-criterion", "mae <= 99", "--nbaprops-criterion", "mae > 99"), 1, "mae > 99"),
    "only champion criteria": (("--nbaprops-criterion", "mae < champion"), 10, "no criterion applies"),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_an_incomplete_question_is_never_promoted(train: Train, name: str) -> None:
    """Folds left out, criteria left out or unreadable data for them: inconclusive, or rejected."""
    args, exit_code, reason = SELECTIONS[name]
    session = train("--nbaprops-promote", "enforce", *args)
    assert session.code == session.decision["exit_code"] == exit_code, session.output
    assert reason in " ".join(session.decision["reasons"])
    assert untouched(session)


FAILING = HEAD + "def test_it(fold):\n    assert fold.number != 3, 'third'\n    fold.record(fold.test.y * 0 + 17.0)\n"


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_stopping_early_rejects(train: Train, project: pytest.Pytester, workers: tuple[str, ...], option: str) -> None:
    """-x after a failed fold: REJECT for the failure, the folds not run are counted."""
    project.makepyfile(FAILING)
    session = train(option, "--nbaprops-promote", "enforce", *workers)
    assert session.code == 1, session.output
    assert session.decision["verdict"] == "REJECT"
    assert session.candidate["folds"]["failed"] == 1
    assert session.candidate["folds"]["missing"] > 0
    assert untouched(session)


def test_last_failed_runs_only_some(train: Train, project: pytest.Pytester) -> None:
    """--lf selects the failed folds, and so decides nothing good."""
    project.makepyfile(FAILING)
    cache = ("-o", "addopts=-p no:randomly")  # the project's own addopts leave the cache out
    train(*cache)
    project.makepyfile(FAILING.replace("fold.number != 3", "True"))
    session = train("--lf", "--nbaprops-promote", "enforce", *cache)
    assert session.code == 10, session.output
    assert session.candidate["folds"]["missing"] == 23


STOPS = {
    "pytest.exit": ("pytest.exit('enough')", 2),
    "pytest.exit with code 0": ("pytest.exit('enough', returncode=0)", 10),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", 2),
    "SIGTERM": ("os.kill(os.getpid(), 15)", 2),
}


@pytest.mark.parametrize("name", STOPS)
def test_an_interrupted_session_promotes_nothing(train: Train, project: pytest.Pytester, name: str) -> None:
    """Ctrl-C, a SIGTERM and pytest.exit keep pytest's code, never become 0, and the decision is inconclusive."""
    line, exit_code = STOPS[name]
    project.makepyfile(body(line))
    session = train("--nbaprops-promote", "enforce", process=True)
    assert session.code == exit_code, session.output
    assert session.decision["verdict"] == "INCONCLUSIVE"
    assert untouched(session)


def test_a_crashed_worker_is_survived(train: Train, project: pytest.Pytester) -> None:
    """The fold that killed its worker is missing, the others run: INCONCLUSIVE, not a hang."""
    project.makepyfile(body("os._exit(9)"))
    session = train("-n", "2", "--nbaprops-promote", "enforce")
    assert session.code == 10, session.output
    assert session.candidate["folds"]["missing"] == 1
    assert session.candidate["folds"]["executed"] == 23
    assert "worker crashed" in " ".join(session.decision["reasons"])
    assert untouched(session)


def test_a_conftest_cannot_turn_a_rejection_into_success(train: Train, project: pytest.Pytester) -> None:
    """A sessionfinish hook that sets exit status 0 changes nothing."""
    conftest = Path(project.path / "conftest.py")
    conftest.write_text(
        conftest.read_text() + "\n@pytest.hookimpl(trylast=True)\ndef pytest_sessionfinish(session):\n"
        "    session.exitstatus = 0\n"
    )
    session = train("--nbaprops-criterion", "mae <= 0.1")
    assert session.code == 1


def test_a_failure_from_elsewhere_survives_a_promotion(train: Train, project: pytest.Pytester) -> None:
    """PROMOTE does not hide another plugin's exit code."""
    conftest = Path(project.path / "conftest.py")
    conftest.write_text(
        conftest.read_text() + "\n@pytest.hookimpl(trylast=True)\ndef pytest_sessionfinish(session):\n"
        "    session.exitstatus = 7\n"
    )
    session = train()
    assert session.decision["verdict"] == "PROMOTE"
    assert session.code == 7


def test_an_older_verdict_cannot_be_read(train: Train, project: pytest.Pytester) -> None:
    """Once a session has started, decision.json no longer says PROMOTE, even if it dies."""
    assert train().decision["verdict"] == "PROMOTE"
    project.makepyfile("import os\n\ndef test_it(fold):\n    os._exit(0)\n")
    session = train(process=True)
    assert session.decision["verdict"] == "INCONCLUSIVE"
    assert session.decision["reasons"] == ["session did not finish"]


def test_a_stale_store_entry_is_not_believed(train: Train, project: pytest.Pytester) -> None:
    """An entry copied under another fold's key, or damaged, is computed again."""
    train()
    entries = sorted((project.path / ".nbaprops" / "folds").glob("??/*"))
    entries[0].write_bytes(entries[1].read_bytes())
    entries[2].write_bytes(entries[2].read_bytes()[:-20])
    session = train()
    assert session.decision["verdict"] == "PROMOTE"
    assert session.candidate["folds"]["executed"] == 2
    assert session.candidate["folds"]["cached"] == 22


def test_mlflow_run_id_in_the_environment_is_ignored(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLFLOW_RUN_ID does not make the session write into another run."""
    first = train().candidate["run_id"]
    monkeypatch.setenv("MLFLOW_RUN_ID", first)
    assert train("--nbaprops-seed", "7").candidate["run_id"] != first


@pytest.mark.usefixtures("promoted")
def test_a_champion_that_vanishes_is_inconclusive(train: Train, project: pytest.Pytester) -> None:
    """A champion deleted while the session runs: criteria on it cannot be judged."""
    uri = f"sqlite:///{project.path / 'mlflow.db'}"
    project.makepyfile(
        "import mlflow, pytest\n\n"
        "@pytest.mark.walk_forward(recipe='quick', params={'max_depth': 2})\n"
        "@pytest.mark.promotion('mae <= champion + 5')\n"
        "def test_it(fold):\n"
        "    if fold.number == 5:\n"
        f"        mlflow.MlflowClient({uri!r}, {uri!r}).delete_registered_model_alias('NBAPropsModel', 'staging')\n"
        "    fold.evaluate()\n"
    )
    session = train("--nbaprops-promote", "enforce")
    assert session.code == 10, session.output
    assert "champion" in " ".join(session.decision["reasons"])


@pytest.mark.usefixtures("promoted")
def test_a_version_without_the_alias_is_inconclusive(train: Train) -> None:
    """Versions that exist without the champion's alias are not the same as no version at all."""
    args = ("--nbaprops-champion", "production", "--nbaprops-criterion", "mae <= champion + 5")
    session = train("--nbaprops-promote", "enforce", "--nbaprops-seed", "7", *args)
    assert session.code == 10, session.output
    assert "alias" in " ".join(session.decision["reasons"])


def test_several_candidates_promote_the_best(train: Train) -> None:
    """The lowest MAE among those that pass is promoted; one that passed, too, is no reject and says why not."""
    session = train(
        "--nbaprops-promote", "enforce", "--nbaprops-recipe", "quick",
        "--nbaprops-recipe", "sklearn.dummy:DummyRegressor",
    )  # fmt: skip
    assert session.code == 0, session.output
    by_name = {candidate["name"]: candidate for candidate in session.decision["candidates"]}
    assert by_name["quick"]["model_version"] == "1"
    other = by_name["sklearn.dummy:DummyRegressor"]
    assert other["verdict"] == "PASSED"
    assert other["reasons"][0].startswith("passed, not chosen (higher MAE): ")
    assert {row["outcome"] for row in other["criteria"]} == {"passed"}
    assert all(row["reason"].startswith("passed, not chosen (higher MAE)") for row in other["criteria"])
    assert "REJECT" not in session.output
    assert "passed, not chosen (higher MAE)" in session.output


def test_a_hook_that_breaks_after_the_promotion_does_not_hide_it(train: Train, project: pytest.Pytester) -> None:
    """ERROR, but decision.json still says that the alias was moved."""
    conftest = Path(project.path / "conftest.py")
    conftest.write_text(
        conftest.read_text() + "\ndef pytest_nbaprops_decision(config, decision):\n    raise ValueError('no mail')\n"
    )
    session = train("--nbaprops-promote", "enforce")
    assert session.code == 11, session.output
    assert session.decision["promoted"] is True
    assert "no mail" in session.decision["reasons"][0]
    assert not untouched(session)
