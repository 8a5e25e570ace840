"""What is registered is what was judged, and what was promoted is said whatever breaks afterwards."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pandas as pd
import pytest

from tests.end_to_end.conftest import CONFTEST, Session, Train
from tests.end_to_end.test_fail_closed import GOOD, untouched

HEAD = """
import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

def ridge():
    return make_pipeline(SimpleImputer(), Ridge(alpha=10.0))

"""
NOT_JUDGED = {
    "a recipe that was not run": (
        "@pytest.mark.walk_forward(recipe='quick')\ndef test_it(fold):\n    fold.record(fold.test.baseline * 0.999)\n",
        "nothing to register: the test records predictions without their model",
    ),
    "another model": (
        (
            "def test_it(fold):\n    model = fold.fit(ridge())\n"
            "    fold.record(model.predict(fold.test.X), model=fold.fit(DummyRegressor()))\n"
        ),
        "DummyRegressor was handed over, but it does not make the recorded predictions",
    ),
    "predictions that were mended": (
        (
            "def test_it(fold):\n    model = fold.fit(ridge())\n"
            "    fold.record(np.clip(model.predict(fold.test.X), 10, 20), model=model)\n"
        ),
        "does not make the recorded predictions",
    ),
    "a fit on other rows": (
        (
            "def test_it(fold):\n    rows = slice(-500, None)\n"
            "    model = ridge().fit(fold.train.X.iloc[rows], fold.train.y.iloc[rows])\n"
            "    fold.record(model.predict(fold.test.X), model=model)\n"
        ),
        "fitted on fold.train, does not make the recorded predictions",
    ),
}


def registered(session: Session) -> list[str]:
    uri = f"sqlite:///{session.folder / 'mlflow.db'}"
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    return sorted(str(version.version) for version in client.search_model_versions("name = 'NBAPropsModel'"))


@pytest.mark.parametrize("name", NOT_JUDGED)
def test_a_model_that_was_not_judged_is_not_registered(project: pytest.Pytester, train: Train, name: str) -> None:
    """The candidate is judged, but there is nothing to register, and the reason says why."""
    code, reason = NOT_JUDGED[name]
    project.makepyfile(HEAD + code)
    session = train("--nbaprops-promote=enforce")
    assert (session.code, session.decision["promoted"]) == (10, False), session.output
    assert reason in session.candidate["reasons"][0]
    assert untouched(session)


def test_a_transformed_target_inside_the_model_is_what_was_judged(project: pytest.Pytester, train: Train) -> None:
    """Whatever the estimator does itself is done again by the registered one."""
    project.makepyfile(
        HEAD + "def test_it(fold):\n    model = fold.fit(TransformedTargetRegressor(ridge(), func=np.log1p, "
        "inverse_func=np.expm1))\n    fold.record(model.predict(fold.test.X), model=model)\n"
    )
    session = train("--nbaprops-promote=enforce", "-o", "nbaprops_trusted_types=numpy.log1p\nnumpy.expm1")
    assert session.decision["verdict"] in ("PROMOTE", "INCONCLUSIVE")
    assert "does not make" not in session.candidate["reasons"][0]


def test_another_model_behind_a_fixture_is_another_version(project: pytest.Pytester, train: Train) -> None:
    """The test's code is the same, what it was handed is not: the older version is not promoted in its place."""
    fixture = "\nfrom sklearn.dummy import DummyRegressor\n\n@pytest.fixture\ndef estimator():\n    return {}\n"
    project.makepyfile(
        "def test_it(fold, estimator):\n    model = fold.fit(estimator)\n"
        "    fold.record(model.predict(fold.test.X), model=model)\n"
    )
    for made in ("DummyRegressor()", "DummyRegressor(strategy='median')", "DummyRegressor()"):
        project.makeconftest(CONFTEST + fixture.format(made))
        session = train("--nbaprops-promote=enforce")
        assert session.decision["promoted"], session.output
    assert registered(session) == ["1", "2"]
    assert session.candidate["model_version"] == "1"


def test_newer_games_after_the_test_window_make_a_newer_model(
    project: pytest.Pytester, train: Train, league: Path
) -> None:
    """The final fit sees all games, so a version of the same window and older games is not 'already' there."""
    games = pd.read_csv(league, dtype={"GAME_ID": str})
    dates = sorted(games["GAME_DATE"].unique())
    window = f"--nbaprops-test={dates[-40]}..{dates[-17]}"
    for last in (dates[-16], dates[-1]):
        games[games["GAME_DATE"] <= last].to_csv(project.path / "games.csv", index=False)
        session = train(f"--nbaprops-data={project.path / 'games.csv'}", window, "--nbaprops-promote=enforce")
        assert session.decision["promoted"], session.output
    assert registered(session) == ["1", "2"]


def test_what_a_test_does_to_its_rows_stays_with_it(project: pytest.Pytester, train: Train) -> None:
    """Features, outcomes and baselines that a test overwrites reach neither the recipe nor the fold store."""
    honest = train()
    project.makepyfile(
        "import pytest\n\n@pytest.mark.walk_forward(recipe='quick')\ndef test_it(fold):\n"
        "    fold.test.X.iloc[:] = 0.0\n    fold.test.y.iloc[:] = 1.0\n    fold.test.baseline.iloc[:] = 99.0\n"
        "    fold.train.y.iloc[:] = 1.0\n    fold.evaluate()\n"
    )
    session = train("--nbaprops-no-cache")
    assert session.candidate["folds"]["executed"] == 24, session.output
    columns = ["actual", "predicted", "baseline"]
    pd.testing.assert_frame_equal(session.predictions[columns], honest.predictions[columns])


CHANGES_IN_PLACE = """
import numpy as np

def pytest_nbaprops_metrics(predictions):
    values = predictions["predicted"].to_numpy()
    values.setflags(write=True)
    values[:] = predictions["actual"]
    return {"exact": float(np.abs(values - predictions["actual"]).mean())}

@pytest.fixture(scope="session", autouse=True)
def logarithms(nbaprops_games):
    for name in ("PTS", "REB", "AST", "MIN"):
        nbaprops_games[name] = np.log1p(nbaprops_games[name])
"""


def test_what_is_changed_in_place_reaches_no_verdict(project: pytest.Pytester, train: Train) -> None:
    """Neither the games that a fixture takes logarithms of nor the predictions that a hook writes into are judged."""
    options = (
        "--nbaprops-step=2",
        "--nbaprops-criterion=mae[minutes>=24] < baseline",
        "--nbaprops-criterion=mae <= 50",
    )
    honest = train(*options)
    project.makeconftest(CONFTEST + CHANGES_IN_PLACE)
    session = train(*options)
    for before, after in zip(honest.candidate["criteria"], session.candidate["criteria"], strict=True):
        assert (after["value"], after["threshold"]) == (before["value"], before["threshold"])
    pd.testing.assert_frame_equal(session.predictions, honest.predictions)


BREAKS_LATE = """
def pytest_runtest_logreport(report):
    if report.nodeid.startswith("promotion::"):
        raise RuntimeError("the dashboard is down")
"""


def test_what_was_promoted_is_said_whatever_breaks_then(project: pytest.Pytester, train: Train) -> None:
    """The alias has moved: decision.json says so, though the session could not be finished."""
    project.makeconftest(CONFTEST + BREAKS_LATE)
    session = train("--nbaprops-promote=enforce")
    assert (session.code, session.decision["verdict"]) == (11, "ERROR")
    assert session.decision["promoted"] is True
    assert session.candidate["model_version"] == "1"
    assert "the dashboard is down" in session.decision["reasons"][0]


INTERRUPTED = """
import mlflow

def interrupted(*_, **__):
    raise KeyboardInterrupt

mlflow.MlflowClient.create_model_version = interrupted
"""


def test_an_interrupt_at_the_end_is_one_line(project: pytest.Pytester, train: Train) -> None:
    """Pytest catches those of its run loop only; what was begun the next session finishes."""
    project.makeconftest(CONFTEST + INTERRUPTED)
    session = train("--nbaprops-promote=enforce", process=True)
    assert session.code == 2
    assert "interrupted while the session ended: the next one finishes what was begun" in session.output
    assert "Traceback" not in session.output + session.errors
    assert session.decision["verdict"] == "INCONCLUSIVE"


EXITS = {
    "session": "def pytest_sessionfinish(session):\n    raise SystemExit(0)\n",
    "summary": "def pytest_terminal_summary():\n    raise SystemExit(0)\n",
    "end": "def pytest_unconfigure():\n    raise SystemExit(0)\n",
}


@pytest.mark.parametrize("hook", EXITS)
def test_no_exit_of_a_conftest_turns_a_rejection_into_success(
    project: pytest.Pytester, train: Train, hook: str
) -> None:
    """SystemExit(0) on the way out leaves the verdict's exit code."""
    project.makeconftest(CONFTEST + EXITS[hook])
    session = train("--nbaprops-criterion=mae <= 0.1", process=True)
    assert (session.code, session.decision["verdict"]) == (1, "REJECT"), session.errors


def test_a_failure_that_a_hook_reports_as_passed_is_one(project: pytest.Pytester, train: Train) -> None:
    """What the test raised counts, not what its report was made to say, or to keep to itself."""
    project.makeconftest(
        CONFTEST + "\n@pytest.hookimpl(wrapper=True)\ndef pytest_runtest_makereport(item, call):\n"
        "    report = yield\n    if report.failed:\n        report.outcome, report.longrepr = 'passed', None\n"
        "    told = ('nbaprops_fold', 'nbaprops_key')\n"
        "    report.user_properties = [pair for pair in report.user_properties if pair[0] in told]\n"
        "    return report\n"
    )
    project.makepyfile(GOOD + "    assert fold.number != 3, 'too bad'\n")
    session = train()
    assert (session.code, session.decision["verdict"]) == (1, "REJECT")
    assert "too bad" in session.candidate["reasons"][0]


def test_a_fixture_that_wraps_fold_is_still_a_walk_forward_test(project: pytest.Pytester, train: Train) -> None:
    """The built-in suite does not step in for it."""
    project.makepyfile(
        "import pytest\n\n@pytest.fixture\ndef fold(fold):\n    return fold\n\n"
        "def test_mine(fold):\n    fold.record(fold.test.y * 0 + 17.0)\n"
    )
    assert [candidate["name"] for candidate in train().decision["candidates"]] == ["test_mine"]


def test_metrics_hooks_that_give_nothing_leave_their_criteria_unknown(project: pytest.Pytester, train: Train) -> None:
    """A hook that raises or answers nonsense is inconclusive where it is asked for, and said."""
    project.makeconftest(CONFTEST + "\ndef pytest_nbaprops_metrics(predictions):\n    return 3\n")
    session = train("--nbaprops-criterion=mine <= 1", "--nbaprops-promote=enforce")
    assert (session.code, session.decision["verdict"]) == (10, "INCONCLUSIVE")
    assert any("pytest_nbaprops_metrics gives no metric" in warning for warning in session.decision["warnings"])
    assert untouched(session)


def test_a_module_that_cannot_be_imported_leaves_the_session_unknown(project: pytest.Pytester, train: Train) -> None:
    """--continue-on-collection-errors runs the rest, and nothing is promoted."""
    project.makepyfile(test_good=GOOD, test_broken="import no_such_module\n")
    session = train("--continue-on-collection-errors", "--nbaprops-promote=enforce")
    assert session.decision["verdict"] == "INCONCLUSIVE"
    assert "test_broken.py could not be collected" in session.candidate["reasons"][0]
    assert "AttributeError" not in session.output
    assert untouched(session)


@pytest.mark.parametrize("code", ["import no_such_module\n", "import pytest\npytest.importorskip('no_such_module')\n"])
def test_modules_that_are_not_collected_are_told_by_pytest(project: pytest.Pytester, train: Train, code: str) -> None:
    """An import error is pytest's exit code 2, a skipped module nobody's problem."""
    project.makepyfile(test_good=GOOD, test_other=code)
    session = train("-ra", "-v")
    assert session.code == (2 if "importorskip" not in code else 0), session.output
    assert "INTERNALERROR" not in session.output + session.errors


def test_subtests_report_beside_the_fold(project: pytest.Pytester, train: Train) -> None:
    """A passing subtest changes nothing, and a failing one fails its fold."""
    pytest.importorskip("_pytest.subtests", reason="subtests came with pytest 9")
    project.makepyfile(
        "def test_it(fold, subtests):\n    with subtests.test('before'):\n        assert True\n"
        "    result = fold.record(fold.test.y * 0 + 17.0)\n    with subtests.test('after'):\n"
        "        assert fold.number != 4, 'too bad'\n"
    )
    session = train()
    assert session.candidate["folds"]["executed"] == 23, session.output
    assert session.candidate["folds"]["failed"] == 1


def test_no_file_of_the_report_holds_the_password_of_the_store(project: pytest.Pytester, train: Train) -> None:
    """Neither the settings nor the command line tell it."""
    secret = "s3cr/t@pass"  # noqa: S105 - the point of the test
    session = train(f"--nbaprops-tracking-uri=postgresql://bob:{secret}@127.0.0.1:9/db?sslpassword=hunter2")
    assert session.code == 11
    for path in (project.path / "nbaprops-report").iterdir():
        assert secret not in path.read_text(), path
        assert "hunter2" not in path.read_text(), path
    assert secret not in session.output + session.errors
