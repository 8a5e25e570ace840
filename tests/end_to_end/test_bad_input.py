"""Wrong use: one line that names the option, the value and the way out, exit code 4, nothing written to MLflow."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

from tests.end_to_end.conftest import CONFTEST, INI, Session, Train

OPTIONS = {
    "step": (("--nbaprops-step", "0"), "--nbaprops-step", "'0'"),
    "refit": (("--nbaprops-refit", "weekly"), "--nbaprops-refit", "'weekly'"),
    "seed": (("--nbaprops-seed", "-1"), "--nbaprops-seed", "'-1'"),
    "promote": (("--nbaprops-promote", "yes"), "--nbaprops-promote", "enforce"),
    "test form": (("--nbaprops-test", "yesterday"), "--nbaprops-test", "last N dates"),
    "test season": (("--nbaprops-test", "1998-99"), "--nbaprops-test", "2023-24"),
    "test backwards": (("--nbaprops-test", "2024-02-01..2024-01-01"), "--nbaprops-test", "swap"),
    "test without training": (("--nbaprops-test", "last 999 dates"), "--nbaprops-test", "no game before"),
    "train window": (("--nbaprops-train-window", "3 years"), "--nbaprops-train-window", "N seasons"),
    "target": (("--nbaprops-target", "PTS+DUNKS"), "--nbaprops-target", "DUNKS"),
    "recipe": (("--nbaprops-recipe", "advancd"), "--nbaprops-recipe", "advanced"),
    "recipe path": (("--nbaprops-recipe", "sklearn.linear_model:Rigde"), "--nbaprops-recipe", "Ridge"),
    "recipe twice": (("--nbaprops-recipe", "quick", "--nbaprops-recipe", "quick"), "--nbaprops-recipe", "twice"),
    "param": (("--nbaprops-param", "max_dept=4"), "--nbaprops-param", "max_depth"),
    "param shape": (("--nbaprops-param", "max_depth"), "--nbaprops-param", "max_depth=4"),
    "features": (("--nbaprops-features", "cor"), "--nbaprops-features", "core"),
    "needed features": (("--nbaprops-recipe", "baseline"), "--nbaprops-features", "'last_ten'"),
    "criterion": (("--nbaprops-criterion", "mae < champoin"), "--nbaprops-criterion", "champion"),
    "criterion nan": (("--nbaprops-criterion", "mae <= nan"), "--nbaprops-criterion", "nan"),
    "criterion metric": (("--nbaprops-criterion", "mea <= 99"), "--nbaprops-criterion", "did you mean mae?"),
    "criterion compared": (("--nbaprops-criterion", "mea < baseline"), "--nbaprops-criterion", "did you mean mae?"),
    "param again": (("--nbaprops-param=max_depth=3", "--nbaprops-param=max_depth=4"), "--nbaprops-param", "set twice"),
    "attribute": (("--nbaprops-attribute", "--nbaprops-promote=off"), "--nbaprops-attribute", "no effect"),
    "alias": (("--nbaprops-alias", "latest"), "--nbaprops-alias", "staging"),
    "model name": (("--nbaprops-model-name", "a/b"), "--nbaprops-model-name", "a/b"),
    "run name": (("--nbaprops-run-name", "{when}"), "--nbaprops-run-name", "{date}"),
    "data": (("--nbaprops-data", "nowhere.csv"), "nowhere.csv", ""),
    "run name attribute": (("--nbaprops-run-name", "{date.year}"), "--nbaprops-run-name", "{date}"),
    "slice": (("--nbaprops-criterion", "mae[minuts > 20] <= 9"), "--nbaprops-criterion", "did you mean minutes?"),
    "store address": (("--nbaprops-store", "s3:/bucket"), "--nbaprops-store", "s3://bucket"),
    "store name": (("--nbaprops-store", "x" * 300), "the fold store", "--nbaprops-store"),
    "bet rule": (("--nbaprops-bet-rule", "best-line"), "--nbaprops-bet-rule", "--nbaprops-odds"),
}


def assert_one_line(session: Session, *texts: str) -> None:
    assert session.code == 4, session.output + session.errors
    said = session.errors + session.output
    (line,) = [line for line in said.splitlines() if line.startswith("ERROR: ")]
    for text in texts:
        assert text in line
    assert "Traceback" not in said
    uri = f"sqlite:///{session.folder / 'mlflow.db'}"
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    assert client.search_experiments(filter_string="name LIKE 'NBA%'") == []


@pytest.mark.parametrize("name", OPTIONS)
def test_a_wrong_option_is_one_line(train: Train, name: str) -> None:
    """Every wrong value is told with its option and what is allowed."""
    args, *texts = OPTIONS[name]
    assert_one_line(train(*args), *texts)


@pytest.mark.parametrize("name", ["step", "test season", "recipe", "features", "data"])
def test_a_wrong_option_is_one_line_with_workers(train: Train, name: str) -> None:
    """Workers change nothing about it."""
    args, *texts = OPTIONS[name]
    assert_one_line(train("-n", "2", *args), *texts)


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("nbaprops_refit = seven", ("nbaprops_refit", "seven")),
        ("nbaprops_test = tomorrow", ("nbaprops_test", "tomorrow")),
        ("nbaprops_columns = PLAYER_NAME", ("nbaprops_columns", "PLAYER_NAME")),
    ],
)
def test_a_wrong_ini_value_names_the_ini_key(
    train: Train, project: pytest.Pytester, line: str, texts: tuple[str, ...]
) -> None:
    """What was written in the ini file is named as it is written there."""
    ini = Path(project.path / "pytest.ini")
    key = line.partition(" ")[0]
    kept = [old for old in ini.read_text().splitlines() if not old.startswith(f"{key} ")]
    ini.write_text("\n".join([*kept, line]) + "\n")
    assert_one_line(train(), *texts)


MARKERS = {
    "unknown argument": ("walk_forward(recepe='quick')", "did you mean 'recipe'"),
    "positional": ("walk_forward('quick')", "no positional arguments"),
    "wrong type": ("walk_forward(refit='7')", "whole number"),
    "wrong window": ("walk_forward(test='soon')", "test window"),
    "unknown recipe": ("walk_forward(recipe='quik')", "quick"),
    "unknown features": ("walk_forward(features='cor')", "core"),
    "params alone": ("walk_forward(params={'max_depth': 2})", "no effect without a recipe"),
    "promotion": ("promotion('mae !! 6')", "promotion"),
    "promotion metric": (
        "promotion('mea <= 6')",
        "test_it: promotion(…) 'mea <= 6': there is no metric 'mea' (did you",
    ),
    "promotion without criteria": ("promotion()", "promotion takes criteria"),
}


@pytest.mark.parametrize("name", MARKERS)
def test_a_bad_marker_is_one_line(train: Train, project: pytest.Pytester, name: str) -> None:
    """Found while collecting, it is a usage error all the same."""
    marker, text = MARKERS[name]
    project.makepyfile(f"import pytest\n\n@pytest.mark.{marker}\ndef test_it(fold):\n    fold.evaluate()\n")
    assert_one_line(train(), text)


@pytest.mark.parametrize("name", ["unknown argument", "unknown recipe", "promotion"])
def test_a_bad_marker_is_one_line_with_workers(train: Train, project: pytest.Pytester, name: str) -> None:
    """Collected on a worker, told by the controller."""
    marker, text = MARKERS[name]
    project.makepyfile(f"import pytest\n\n@pytest.mark.{marker}\ndef test_it(fold):\n    fold.evaluate()\n")
    assert_one_line(train("-n", "2"), text)


OWN = "def test_own(fold):\n    fold.record(fold.test.y * 0 + 17.0)\n"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("--nbaprops-recipe=two_stage",), "--nbaprops-recipe: has no effect, since no candidate uses a recipe"),
        (("--nbaprops-recipe=two_stag",), "'two_stag' is unknown (did you mean two_stage?)"),
        (("--nbaprops-param=max_depth=2",), "--nbaprops-param: has no effect"),
        (("--nbaprops-attribute",), "--nbaprops-attribute: has no effect"),
    ],
)
def test_an_option_without_effect_is_one_line(
    train: Train, project: pytest.Pytester, args: tuple[str, ...], text: str
) -> None:
    """Where every test brings its own estimator, an option of recipes was meant for something else."""
    project.makepyfile(OWN)
    assert_one_line(train(*args), text)


def test_a_metric_that_a_test_logs_is_no_typo(train: Train, project: pytest.Pytester) -> None:
    """`maes` is near to `mae`, but the test says it; `maex` nobody says."""
    project.makepyfile(OWN + "    fold.log(maes=1.0)\n")
    assert_one_line(train("--nbaprops-criterion=maex <= 2"), "did you mean", "'maex'")
    session = train("--nbaprops-criterion=maes <= 2")
    assert session.candidate["criteria"][0]["outcome"] == "passed"
    assert any(
        "logs maes itself, and which games are in it is not checked" in one for one in session.decision["warnings"]
    )


def test_a_promotion_beside_a_failed_test_ends_with_one(train: Train, project: pytest.Pytester) -> None:
    """decision.json says the code that the process ends with, also where another candidate's folds fail."""
    project.makepyfile(OWN + "\n\ndef test_fails(fold):\n    raise ValueError('no')\n")
    session = train()
    assert (session.decision["verdict"], session.decision["exit_code"], session.code) == ("PROMOTE", 1, 1)


def test_a_hook_in_a_late_conftest_is_refused(train: Train, project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """A conftest that an xdist controller would not see may not define our hooks."""
    folder = project.mkdir("inner")
    (folder / "conftest.py").write_text("def pytest_nbaprops_recipes(config):\n    return {}\n")
    (folder / "test_it.py").write_text("def test_it(fold):\n    fold.evaluate()\n")
    assert_one_line(train(*workers), "pytest_nbaprops_recipes", "too late")


@pytest.mark.parametrize("hook", ["load_games", "feature_groups", "recipes"])
def test_a_hook_that_fails_is_named_with_its_line(train: Train, project: pytest.Pytester, hook: str) -> None:
    """A file that is not there, most often; pytest would show its own internals."""
    project.makeconftest(f"def pytest_nbaprops_{hook}(config):\n    return open('none.csv')\n")
    session = train("--nbaprops-recipe=baseline")
    assert_one_line(session, f"pytest_nbaprops_{hook} failed: FileNotFoundError", "none.csv", "conftest.py, line 2")


def test_games_of_a_hook_are_no_sample_league(train: Train, project: pytest.Pytester) -> None:
    """Their models and runs have the names that were asked for; a hook that forgets to return them is told."""
    project.makefile(".ini", pytest=INI.replace("nbaprops_data = {data}", ""))
    hook = "\nfrom pytest_nbaprops.data.sample import sample_league\n\ndef pytest_nbaprops_load_games(config):\n    "
    project.makeconftest(CONFTEST + hook + "sample_league(seasons=1, players=60)\n")
    assert_one_line(train(), "pytest_nbaprops_load_games returned None")
    project.makeconftest(CONFTEST + hook + "return sample_league(seasons=1, players=60)\n")
    session = train("--nbaprops-test=last 20 dates")
    assert (session.decision["simulated"], session.decision["verdict"]) == (False, "PROMOTE")
    assert session.decision["settings"]["model_name"] == "NBAPropsModel"


def test_tests_that_are_named_are_all_that_runs(train: Train, project: pytest.Pytester) -> None:
    """Where no walk-forward test is among them, the built-in suite is not what was meant."""
    project.makepyfile(test_unit="def test_unit():\n    pass\n")
    for named in ("test_unit.py", "test_unit.py::test_unit"):
        session = train(named)
        assert (session.code, "has no walk-forward test" in session.output) == (5, True)
        assert session.decision["reasons"] == [
            "nothing to decide: what the command line names has no walk-forward test"
        ]
    assert train("-k", "test_unit", ".").code == 10  # of a folder the suite is a part, and nothing of it was chosen


def test_an_unwritable_report_folder(train: Train, project: pytest.Pytester) -> None:
    """A report folder that is a file is refused before anything runs."""
    (project.path / "taken").write_text("")
    assert_one_line(train("--nbaprops-report", "taken"), "--nbaprops-report", "taken")


@pytest.mark.parametrize("share", [(), ("--nbaprops-shard=1/2",)], ids=["whole", "share"])
def test_a_recipe_that_cannot_be_stored_is_refused_first(
    train: Train, project: pytest.Pytester, share: tuple[str, ...]
) -> None:
    """A model that could only be pickled is refused before the first fold, of a share of them, too."""
    conftest = Path(project.path / "conftest.py")
    conftest.write_text(
        "import pytest\nfrom sklearn.base import BaseEstimator, RegressorMixin\n\n"
        "class Own(RegressorMixin, BaseEstimator):\n"
        "    def fit(self, X, y):\n        self.mean_ = y.mean()\n        return self\n"
        "    def predict(self, X):\n        return [self.mean_] * len(X)\n\n"
        "def pytest_nbaprops_recipes(config):\n    return {'own': Own(), 'quick': Own()}\n"
    )
    assert_one_line(train("--nbaprops-recipe", "own", *share, process=True), "own", "nbaprops_trusted_types")


def test_a_start_that_fails_leaves_no_older_verdict(train: Train, project: pytest.Pytester) -> None:
    """Whether an option is wrong or a conftest cannot be imported: the decision of the session before is gone."""
    decision = project.path / "nbaprops-report" / "decision.json"
    decision.parent.mkdir()
    for broken in ("--nbaprops-promote=perhaps", "--no-such-option"):
        decision.write_text('{"verdict": "PROMOTE"}')
        assert train(broken).code == 4
        assert not decision.exists()
    decision.write_text('{"verdict": "PROMOTE"}')
    assert train("--nbaprops-data", process=True).code == 4  # pytest asks no plugin any more
    assert not decision.exists()
    decision.write_text('{"verdict": "PROMOTE"}')
    with (project.path / "pytest.ini").open("a") as ini:
        ini.write("nbaprops_report = elsewhere\n")
    assert train("--nbaprops-data", process=True).code == 4
    assert decision.exists()  # it is another project's
    decision.write_text('{"verdict": "PROMOTE"}')
    project.makeconftest("import")
    assert train(process=True).code == 4
    assert not decision.exists()
