"""The leak guard where it is easily wrong: recipes of every kind, outcomes of pytest, interpreters that cannot fork."""

from __future__ import annotations

import pickle
import shutil
import sqlite3
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from sklearn.linear_model import OrthogonalMatchingPursuit

from pytest_nbaprops.leaks import reads
from tests.end_to_end.conftest import CONFTEST, Train
from tests.end_to_end.test_leaks import FEW_FOLDS, GROUPS, by_name, kinds, with_groups, write

CASES = Path(__file__).with_name("cases")
HOOKS = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent))
import guarded_recipes as mine

def pytest_nbaprops_recipes(config):
    return {**{name: recipe for name, (recipe, _) in mine.LEAKING.items()}, **mine.HONEST}
"""


@pytest.fixture
def recipes(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of recipes, as a user's own, with the files that some of them read."""
    shutil.copy(CASES / "recipes.py", project.path / "guarded_recipes.py")
    project.makeconftest(HOOKS)
    table = pd.DataFrame({"PTS": [10.0, 12.0, 17.0]})
    table.to_csv(project.path / "answers.csv", index=False)
    table.to_parquet(project.path / "answers.parquet")
    (project.path / "answers.pickle").write_bytes(pickle.dumps(3.5))
    (project.path / "level.txt").write_text("0.5\n")
    with sqlite3.connect(project.path / "answers.db") as database:
        table.to_sql("answers", database)
    monkeypatch.setenv("NBAPROPS_LEVEL", "3")
    monkeypatch.setattr(OrthogonalMatchingPursuit, "predict", OrthogonalMatchingPursuit.predict)  # put back at the end
    monkeypatch.syspath_prepend(str(project.path))
    monkeypatch.delitem(sys.modules, "guarded_recipes", raising=False)
    return import_module("guarded_recipes")


def test_recipes_that_leak_are_named_and_honest_ones_left_alone(recipes: Any, train: Train) -> None:
    """The night's other rows, files and variables that nobody declared, and dice keep from promotion.

    Early stopping, target encoding, temporary files, logs, seeds, threads and declared configurations do not.
    """
    names = [*recipes.LEAKING, *recipes.HONEST]
    types = [f"guarded_recipes.{name}" for name, value in vars(recipes).items() if isinstance(value, type)]
    chosen = [f"--nbaprops-recipe={name}" for name in names]
    trusted = "nbaprops_trusted_types=" + " ".join([*types, "sklearn.preprocessing._data.scale"])
    session = train(*chosen, "--nbaprops-test=last 2 dates", "-o", trusted, "-o", "nbaprops_sources=level.txt")
    found = by_name(session)
    named = {name: kinds(candidate) for name, candidate in found.items()}
    assert named == {n: [kind] if kind else [] for n, (_, kind) in recipes.LEAKING.items()} | {
        name: [] for name in recipes.HONEST
    }
    passed = {name for name, candidate in found.items() if candidate["verdict"] in ("PROMOTE", "PASSED")}
    assert passed == set(recipes.HONEST)


def test_a_library_that_nobody_has_reviewed_is_run_again(
    project: pytest.Pytester, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A team's own wheel is a library by where it lies, and may look at the night's other rows like any code."""
    site = project.mkdir("site-packages")
    (site / "nightlib.py").write_text(
        "from sklearn.linear_model import Ridge\n\n"
        "class Beside(Ridge):\n    def predict(self, X):\n        return super().predict(X) + X.iloc[:, 0].mean()\n"
    )
    monkeypatch.syspath_prepend(str(site))
    for known in (reads._library_folders, reads.is_library_file):  # noqa: SLF001 - of sessions before
        known.cache_clear()
    project.makeconftest(
        f"import sys\nsys.path.append({str(site)!r})\nfrom nightlib import Beside\n"
        "from sklearn.impute import SimpleImputer\nfrom sklearn.pipeline import make_pipeline\n\n"
        "def pytest_nbaprops_recipes(config):\n"
        "    imputer = SimpleImputer().set_output(transform='pandas')\n"
        "    return {'quick': make_pipeline(imputer, Beside())}\n"
    )
    session = train("--nbaprops-test=last 2 dates", "-o", "nbaprops_trusted_types=nightlib.Beside")
    assert (kinds(session.candidate), session.candidate["verdict"]) == (["test rows"], "REJECT")


TUNED = """
import json
import pandas as pd
from sklearn.linear_model import Ridge

def pytest_nbaprops_recipes(config):
    return {"quick": Ridge(alpha=ALPHA)}
"""


@pytest.mark.parametrize(
    ("alpha", "settings", "verdict"),
    [
        ("pd.read_csv(config.getini('nbaprops_data'))['PTS'].mean()", "", "INCONCLUSIVE"),
        ("json.loads(config.rootpath.joinpath('best.json').read_text())['alpha']", "", "INCONCLUSIVE"),
        ("json.loads(config.rootpath.joinpath('best.json').read_text())['alpha']", "best.json", "PROMOTE"),
    ],
    ids=["games", "undeclared", "declared"],
)
def test_where_a_recipes_parameters_are_from_is_known(
    project: pytest.Pytester, train: Train, alpha: str, settings: str, verdict: str
) -> None:
    """A conftest may tune a library's estimator on whatever it likes, if that is declared; the games cannot be."""
    project.makefile(".json", best='{"alpha": 20.0}')
    project.makeconftest(TUNED.replace("ALPHA", alpha))
    session = train("-o", f"nbaprops_sources={settings}", FEW_FOLDS)
    assert (session.candidate["verdict"], kinds(session.candidate)) == (
        verdict,
        ["undeclared source"] if verdict == "INCONCLUSIVE" else [],
    )
    expected = reads.THE_GAMES if "nbaprops_data" in alpha else "nbaprops_sources = best.json"
    assert all(expected in leak["remedy"] for leak in session.candidate["leaks"])


LISTED = """
import json
from pathlib import Path

SETTINGS = {}
for path in sorted(Path(__file__).with_name("tuned").glob("*.json")):
    SETTINGS |= json.loads(path.read_text())
ALPHA = SETTINGS["alpha"]
"""


@pytest.mark.parametrize("declared", ["", "tuned/*.json"])
def test_a_conftest_that_cannot_do_without_its_files_is_told_how_to_declare_them(
    project: pytest.Pytester, train: Train, declared: str
) -> None:
    """In a world of other files it has none, and ends before there is a test."""
    (project.mkdir("tuned") / "best.json").write_text('{"alpha": 20.0}')
    project.makeconftest(LISTED + TUNED.replace("alpha=ALPHA", "alpha=SETTINGS['alpha']"))
    session = train("-o", f"nbaprops_sources={declared}", FEW_FOLDS)
    leaks = [(leak["kind"], leak["remedy"].partition(" (")[0]) for leak in session.candidate["leaks"]]
    assert leaks == ([] if declared else [("undeclared source", "nbaprops_sources = tuned/*")])
    assert session.candidate["verdict"] == ("PROMOTE" if declared else "INCONCLUSIVE")


def test_a_variable_that_is_set_later_is_asked_about_again(
    project: pytest.Pytester, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folds of before say nothing of the model that would be fitted with it now."""
    project.makeconftest(TUNED.replace("ALPHA", "float(__import__('os').environ.get('RIDGE_ALPHA', '1'))"))
    assert train(FEW_FOLDS).decision["verdict"] == "PROMOTE"
    monkeypatch.setenv("RIDGE_ALPHA", "8.5")
    session = train(FEW_FOLDS)
    assert (session.candidate["verdict"], kinds(session.candidate)) == ("INCONCLUSIVE", ["undeclared source"])
    monkeypatch.delenv("RIDGE_ALPHA")
    assert train(FEW_FOLDS).decision["verdict"] == "PROMOTE"


def test_a_group_is_asked_again_where_what_was_undeclared_is_gone(project: pytest.Pytester, train: Train) -> None:
    """It was no code of the group's: the conftest that it is registered in asked a program."""
    asks = "import subprocess, sys\nOUT = subprocess.run([sys.executable, '-c', '1'], check=True)\n"
    group = (
        "from pytest_nbaprops import feature_group\nimport pandas as pd\n\n"
        "@feature_group(tier='role')\ndef form(games):\n"
        "    before = games.groupby('PLAYER_ID')['PTS'].shift(1)\n    return pd.DataFrame({'form': before})\n"
    )
    project.makeconftest(CONFTEST + asks + group)
    session = train(FEW_FOLDS, "--nbaprops-features=core,form")
    assert "undeclared source" in kinds(session.candidate)
    project.makeconftest(CONFTEST + group)
    assert train(FEW_FOLDS, "--nbaprops-features=core,form").decision["verdict"] == "PROMOTE"


def test_what_was_made_with_own_code_around_is_nobody_elses(project: pytest.Pytester, train: Train) -> None:
    """A patch that is gone leaves no fold behind that a clean session would believe without running it again."""
    helps = (
        "\nimport xgboost\n\nclass Helps:\n    def pytest_runtest_call(self, item):\n"
        "        xgboost.XGBRegressor.n_calls = 1\n\n"
        "def pytest_configure(config):\n    config.pluginmanager.register(Helps())\n"
    )
    ran: dict[str, list[tuple[int, int]]] = {}
    for text in (CONFTEST + helps, CONFTEST, CONFTEST, CONFTEST + helps):
        project.makeconftest(text)
        folds = train(FEW_FOLDS).candidate["folds"]
        ran.setdefault(text, []).append((folds["executed"], folds["cached"]))
    many = ran[CONFTEST][0][0]
    assert list(ran.values()) == [[(many, 0), (0, many)]] * 2


def test_findings_beside_a_patched_library_are_nobody_elses(project: pytest.Pytester, train: Train) -> None:
    """Neither is what was found of clean features believed of poisoned ones, nor the other way round."""
    patch = "\nimport pandas as pd\nreal = pd.concat\npd.concat = lambda *some, **named: real(*some, **named)\n"
    known = []
    for text in (CONFTEST, CONFTEST + patch, CONFTEST + patch, CONFTEST):
        project.makeconftest(text)
        known.append(train(FEW_FOLDS, process=patch in text).decision["leak_guard"]["groups_known"])
    assert (known[1:3], known[3] > 0) == ([0, 0], True)


def test_a_patch_after_collection_leaves_nothing_behind(project: pytest.Pytester, train: Train) -> None:
    """The session is not believed, and the next one, from which the patch is gone, makes its folds itself."""
    late = (
        "\nimport xgboost\n\ndef pytest_report_collectionfinish(config):\n    real = xgboost.XGBRegressor.predict\n"
        "    xgboost.XGBRegressor.predict = lambda self, X: real(self, X)\n"
    )
    project.makeconftest(CONFTEST + late)
    session = train(FEW_FOLDS, process=True)
    assert session.decision["verdict"] == "INCONCLUSIVE"
    said = (
        "conftest.py put a function of its own into xgboost.sklearn.XGBRegressor.predict after the tests were collected"
    )
    assert session.decision["reasons"][0].startswith(said)
    project.makeconftest(CONFTEST)
    folds = train(FEW_FOLDS).candidate["folds"]
    assert (folds["cached"], folds["executed"]) == (0, folds["planned"])


def test_games_of_a_hook_bring_columns_that_nobody_has_declared(project: pytest.Pytester, train: Train) -> None:
    """A mean over the test window hangs on the player and looks like his height; a declared column may be used."""
    project.makeconftest(
        CONFTEST + "\nimport pandas as pd\nfrom pytest_nbaprops import feature_group\n"
        "from pytest_nbaprops.data.sample import sample_league\n\n"
        "def pytest_nbaprops_load_games(config):\n"
        "    games = sample_league(seasons=1, players=60)\n"
        "    means = games.groupby('PLAYER_ID')['PTS'].transform('mean')\n"
        "    return games.assign(MEAN=means, HEIGHT=190 + games['PLAYER_ID'] % 25, NIGHT=games['PTS'])"
        ".assign(AGE=20 + games['PLAYER_ID'] % 15)\n\n"
        "@feature_group(tier='core')\ndef mean(games):\n"
        "    return games[['MEAN']].assign(night_before=games.groupby('PLAYER_ID')['NIGHT'].shift(1))\n\n"
        "@feature_group(tier='core')\ndef tonight(games):\n"
        "    before = games.groupby('PLAYER_ID')['NIGHT'].shift(1)\n"
        "    return pd.DataFrame({'tonight': games['PTS'] + before})\n\n"
        "@feature_group(tier='core')\ndef height(games):\n    return games[['HEIGHT', 'AGE']].astype(float)\n\n"
        "@feature_group(tier='core')\ndef night(games):\n"
        "    return games.groupby('PLAYER_ID')['NIGHT'].shift(1).to_frame('night')\n\n"
        "def pytest_nbaprops_feature_groups(config):\n    return [mean, height, night, tonight]\n"
    )
    session = train("-o", "nbaprops_known_columns=HEIGHT, AGE", FEW_FOLDS)
    found = {leak["group"]: leak["remedy"] for leak in session.candidate["leaks"]}
    assert found == {"mean": "nbaprops_known_columns = MEAN (if known before the game)", "tonight": None}
    assert session.candidate["verdict"] == "REJECT"


def test_own_tests_are_told_which_column_nobody_has_declared(project: pytest.Pytester, train: Train) -> None:
    """A model for each position leaks by nothing but it; who reads tonight's points besides leaks all the same."""
    project.makeconftest(
        CONFTEST + "\nfrom pytest_nbaprops.data.sample import sample_league\n\n"
        "def pytest_nbaprops_load_games(config):\n"
        "    games = sample_league(seasons=1, players=60)\n"
        "    return games.assign(POSITION=games['PLAYER_ID'] % 3, ARENA=games['PLAYER_ID'] % 7)\n"
    )
    project.makepyfile(
        test_mine="def of(rows, games):\n    return games['POSITION'][rows.X.index]\n\n"
        "def by_position(fold, games):\n"
        "    means = fold.train.y.groupby(of(fold.train, games)).mean()\n"
        "    return of(fold.test, games).map(means).fillna(9.0)\n\n"
        "def test_positions(fold, nbaprops_games):\n    fold.record(by_position(fold, nbaprops_games))\n\n"
        "def test_peeks(fold, nbaprops_games):\n"
        "    tonight = nbaprops_games['PTS'][fold.test.X.index]\n"
        "    fold.record(by_position(fold, nbaprops_games) + tonight / 10)\n"
    )
    session = train("--nbaprops-test=last 2 dates", "test_mine.py")
    found = {name: [leak["remedy"] for leak in one["leaks"]] for name, one in by_name(session).items()}
    line = "nbaprops_known_columns = POSITION (if known before the game)"
    assert found == {"positions": [line], "peeks": [None]}
    assert {name: one["verdict"] for name, one in by_name(session).items()} == {
        "positions": "INCONCLUSIVE",
        "peeks": "REJECT",
    }


def test_an_interpreter_for_every_question_finds_the_same(
    project: pytest.Pytester, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be forked, a leak is named and an honest group left alone as well."""
    monkeypatch.setenv("NBAPROPS_SANDBOX", "spawn")
    with_groups(project, GROUPS, "season_mean, rest_days")
    session = train(
        "--nbaprops-test=last 2 dates", "--nbaprops-leak-dates=1", "--nbaprops-features=season_mean,rest_days"
    )
    (leak,) = session.candidate["leaks"]
    assert leak["group"] == "season_mean"
    assert leak["kind"] in ("future outcomes", "same-day outcomes")  # of fewer dates than with forks


def test_a_leaking_group_ends_the_session_before_the_folds(project: pytest.Pytester, train: Train) -> None:
    """With -x nobody waits for fits that a leak makes worthless."""
    with_groups(project, GROUPS, "season_mean")
    session = train("-x", FEW_FOLDS)
    assert session.candidate["folds"]["executed"] == 0
    assert kinds(session.candidate) == ["future outcomes"]
    assert session.code != 0


ENDING = (
    (
        "def test_skips(fold):\n"
        "    if fold.record(fold.test.y * 0 + fold.train.y.mean()).mae > 10:\n        pytest.skip('a strange night')\n"
    ),
    (
        "def test_xfails(fold):\n"
        "    if fold.record(fold.test.y * 0 + fold.train.y.mean()).mae > 10:\n        pytest.xfail('a strange night')\n"
    ),
)


def test_a_rehearsal_takes_what_was_recorded_whatever_comes_after(project: pytest.Pytester, train: Train) -> None:
    """A test that skips or expects to fail on strange nights is asked about what it predicted."""
    write(project.path, *ENDING)
    session = train(FEW_FOLDS)
    assert {name: kinds(candidate) for name, candidate in by_name(session).items()} == {"skips": [], "xfails": []}
    assert session.code == 0
    assert session.decision["leak_guard"]["folds_run_again"]["test_skips"] > 0


def test_one_date_is_rehearsed_by_hand(project: pytest.Pytester, train: Train) -> None:
    """What differs is said for each test, nothing is decided, and a date that is none is refused."""
    write(
        project.path,
        "def test_copies(fold):\n    fold.record(fold.test.y)\n",
        "def test_mean(fold):\n    fold.record(fold.test.y * 0 + fold.train.y.mean())\n",
    )
    dates = [line for line in train("--collect-only", "-q", FEW_FOLDS).result.outlines if "test_mean" in line]
    day = dates[-1].rpartition("[")[2].rstrip("]")
    session = train(f"--nbaprops-rehearse={day}", FEW_FOLDS)
    session.result.stdout.fnmatch_lines_random(
        [
            f"rehearsal of {day}: test_copies: test outcomes (*became*",
            f"rehearsal of {day}: test_mean: its predictions are the same",
        ]
    )
    assert session.code == 1
    assert session.decision["verdict"] == "INCONCLUSIVE"
    selected = train(f"--nbaprops-rehearse={day}", FEW_FOLDS, "-k", "test_mean")
    assert (selected.code, selected.output.count("rehearsal of ")) == (0, 1)
    store = mlflow.MlflowClient(tracking_uri=f"sqlite:///{project.path / 'mlflow.db'}")
    assert not store.search_runs([one.experiment_id for one in store.search_experiments()])
    refused = train("--nbaprops-rehearse=1999-01-01", FEW_FOLDS)
    assert refused.code == 4
    refused.result.stderr.fnmatch_lines(["ERROR: --nbaprops-rehearse: 1999-01-01 is none of the test dates; see*"])


ASKS_A_FILE = """
import numpy as np, pandas as pd
from pathlib import Path
from pytest_nbaprops import feature_group

LEVEL = Path(__file__).with_name("level.txt")

@feature_group(tier="core", known_at="morning", version="1")
def level(games):
    return pd.DataFrame({"level": np.full(len(games), float(LEVEL.read_text()))})

def pytest_nbaprops_feature_groups(config):
    return [level]
"""
ASKS_A_VARIABLE = """
import os

def test_asks(fold):
    fold.record(fold.test.y * 0 + fold.train.y.mean() + float(os.environ["LEVEL"]))
"""


SETS_ITSELF = """
import os

def test_sets(fold):
    os.environ.setdefault("ALPHA", "2.5")
    fold.record(fold.test.y * 0 + fold.train.y.mean() + float(os.environ["ALPHA"]) + float(os.environ["BETA"]))
"""


def test_variables_that_the_project_sets_are_its_code(project: pytest.Pytester, train: Train) -> None:
    """In a conftest or a test, also where the session's own process has them by then."""
    project.makeconftest(CONFTEST + "\nimport os\n\nos.environ['BETA'] = '1.5'\n")
    write(project.path, SETS_ITSELF)
    assert train(FEW_FOLDS).candidate["leaks"] == []


REMEMBERS = """
import pandas as pd
from pytest_nbaprops import feature_group

KNOWN, table = {}, None

class Roller:
    def __init__(self, column):
        self.column = column
    def compute(self, games):
        self.past_ = games.groupby("PLAYER_ID")[self.column].shift()
        return self.past_.to_frame("rolled")

def codes(games):
    global table
    if table is None:
        table = pd.Series(range(len(games)))
    return KNOWN.setdefault(len(games), {team: len(team) + 0.5 for team in games["TEAM_ABBREVIATION"].unique()})

@feature_group(tier="core", known_at="morning", version="1")
def team_code(games):
    return pd.DataFrame({"team_code": games["TEAM_ABBREVIATION"].map(codes(games)).astype(float)})

def pytest_nbaprops_feature_groups(config):
    rolled = feature_group(tier="core", known_at="morning", name="rolled")(Roller("PTS").compute)
    return [team_code, rolled]
"""


def test_a_group_that_remembers_has_the_same_code_in_every_session(project: pytest.Pytester, train: Train) -> None:
    """It is asked in the first session only: folds, lineage and the decision of the second are those of the first."""
    project.makeconftest(CONFTEST + REMEMBERS)
    first, second = (train(FEW_FOLDS, "--nbaprops-features=rest,team_code,rolled").candidate for _ in range(2))
    assert first["leaks"] == []
    assert second["folds"]["cached"] == second["folds"]["planned"] > 0
    assert first["lineage"] == second["lineage"]


def test_code_that_is_another_one_in_each_process_is_told(project: pytest.Pytester, train: Train) -> None:
    """A folder made at import, as for a cache, keeps every fold from being found again: no mistake, but no secret."""
    codes = REMEMBERS.replace("global table", "global table\n    assert FOLDER")
    project.makeconftest(CONFTEST + "import tempfile\nFOLDER = tempfile.mkdtemp()\n" + codes)
    session = train(FEW_FOLDS, "--nbaprops-features=rest,team_code,rolled")
    assert session.candidate["leaks"] == []
    said = [line for line in session.decision["warnings"] if "another one in each process" in line]
    assert [line.partition(", which")[0] for line in said] == ["team_code: its code refers to FOLDER (in codes)"]
    session = train(FEW_FOLDS, "--nbaprops-features=rest,team_code,rolled", "-n2")
    assert session.code == 4
    assert "quick: the code of the feature group team_code is another one in gw" in session.errors + session.output


def test_who_stands_in_for_the_plugin_is_not_believed(project: pytest.Pytester, train: Train) -> None:
    """A conftest that exchanges a function of ours says whatever it likes; without it nothing is left behind."""
    patch = (
        "\nimport pytest_nbaprops.session.tables as tables\n\nreal = tables.compute_group\n\n"
        "def mine(games, group, *, root=None):\n    made = real(games, group, root=root)\n"
        "    return made.assign(**{name: games['PTS'].fillna(0).astype('float32') for name in made})\n\n"
        "tables.compute_group = mine\n\n"
        "def pytest_unconfigure():\n    tables.compute_group = real\n"  # the next session is in the same process
    )
    project.makeconftest(CONFTEST + patch)
    session = train(FEW_FOLDS)
    assert session.decision["verdict"] in ("INCONCLUSIVE", "REJECT")
    assert "conftest.py puts a function of its own in place of pytest_nbaprops.session.tables.compute_group" in str(
        session.decision["reasons"]
    )
    patched = session.candidate["metrics"]["mae"]
    project.makeconftest(CONFTEST)
    assert train(FEW_FOLDS).candidate["metrics"]["mae"] > 1.5 * patched


def test_a_number_of_this_plugin_that_was_changed_decides_nothing(project: pytest.Pytester, train: Train) -> None:
    """The baseline of a shorter memory is beaten more easily; what was made with it is for nobody else."""
    patch = "\nimport pytest_nbaprops.features.baseline as baseline\nbaseline.GAMES = 1\n"
    project.makeconftest(CONFTEST + patch)
    session = train(FEW_FOLDS, process=True)
    assert session.decision["verdict"] == "INCONCLUSIVE"
    assert "pytest_nbaprops.features.baseline.GAMES is not what this plugin says" in str(session.decision["reasons"])
    easy = session.predictions["baseline"]
    project.makeconftest(CONFTEST)
    assert (train(FEW_FOLDS).predictions["baseline"] - easy).abs().mean() > 1


def test_what_said_nothing_when_it_was_looked_at_is_looked_at_again(
    project: pytest.Pytester, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file and a variable that say zero pass and are known; findings end with the answers that they were made of."""
    project.makeconftest(CONFTEST + ASKS_A_FILE)
    write(project.path, ASKS_A_VARIABLE)
    for level, found in (("0", set()), ("3", {"level", "test_asks"})):
        (project.path / "level.txt").write_text(level)
        monkeypatch.setenv("LEVEL", level)
        shutil.rmtree(project.path / ".nbaprops" / "tables", ignore_errors=True)  # they grow old before findings do
        session = train(FEW_FOLDS)
        assert {leak["group"]: leak["kind"] for leak in session.candidate["leaks"]} == dict.fromkeys(
            found, "undeclared source"
        )
