"""Leaks planted in tests, recipes, feature groups and games, in real sessions: each is REJECT, named by its kind."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.leaks.reads import IF_STATIC
from tests.end_to_end.conftest import CONFTEST, Session, Train
from tests.end_to_end.test_fail_closed import untouched

HEAD = """
import functools
import io
import json
import sqlite3
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, QuantileRegressor, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
import xgboost as xgb

TARGET = ["PTS", "REB", "AST"]
def actual(games):
    return games[TARGET].sum(axis=1)

def log_of_size(values):
    return np.log1p(np.abs(values))

def filled(rows):
    return rows.X.fillna(0.0)

def with_count(rows, counts):
    return filled(rows).assign(count=counts)
"""
LEAKING = {
    "answers": ("test outcomes", "def test_answers(fold):\n    fold.record(fold.test.y)\n"),
    "half_answers": ("test outcomes", "def test_half_answers(fold):\n    fold.record(fold.test.y * 0.5 + 8.0)\n"),
    "looked_up": (
        "test outcomes",
        "def test_looked_up(fold, nbaprops_games):\n    fold.record(actual(nbaprops_games.loc[fold.test.X.index]))\n",
    ),
    "season_means": (
        "test outcomes",
        (
            "def test_season_means(fold, nbaprops_games):\n"
            "    means = actual(nbaprops_games).groupby(nbaprops_games['PLAYER_ID']).mean()\n"
            "    fold.record(fold.test.keys['PLAYER_ID'].map(means))\n"
        ),
    ),
    "means_from_a_fixture": (
        "test outcomes",
        (
            "@pytest.fixture(scope='module')\ndef means(nbaprops_games):\n"
            "    return actual(nbaprops_games).groupby(nbaprops_games['PLAYER_ID']).mean()\n\n"
            "def test_means_from_a_fixture(fold, means):\n    fold.record(fold.test.keys['PLAYER_ID'].map(means))\n"
        ),
    ),
    "scaled_on_everything": (
        "test rows",
        (
            "def test_scaled_on_everything(fold, nbaprops_features):\n"
            "    columns = list(fold.train.X.columns)\n"
            "    scale = make_pipeline(SimpleImputer(), StandardScaler()).fit(nbaprops_features[columns])\n"
            "    model = Ridge(alpha=100.0).fit(scale.transform(fold.train.X), fold.train.y)\n"
            "    fold.record(model.predict(scale.transform(fold.test.X)))\n"
        ),
    ),
    "scaled_on_later_rows": (
        "future rows",
        (
            "def test_scaled_on_later_rows(fold, nbaprops_features):\n"
            "    columns = list(fold.train.X.columns)\n"
            "    others = nbaprops_features[columns].drop(index=fold.test.X.index)\n"
            "    scale = make_pipeline(SimpleImputer(), StandardScaler()).fit(others)\n"
            "    model = Ridge(alpha=100.0).fit(scale.transform(fold.train.X), fold.train.y)\n"
            "    fold.record(model.predict(scale.transform(fold.test.X)))\n"
        ),
    ),
    "ranked_on_the_night": (
        "test rows",
        "def test_ranked_on_the_night(fold):\n    fold.record(fold.test.X.iloc[:, 0].rank())\n",
    ),
    "fitted_on_the_future": (
        "test outcomes",
        (
            "def test_fitted_on_the_future(fold, nbaprops_games, nbaprops_features):\n"
            "    rows = nbaprops_features[list(fold.train.X.columns)].fillna(0.0)\n"
            "    model = Ridge().fit(rows, actual(nbaprops_games))\n"
            "    fold.record(model.predict(fold.test.X.fillna(0.0)))\n"
        ),
    ),
    "data_in_memory": (
        "undeclared source",
        (
            "RATINGS = pd.DataFrame({'PLAYER_ID': range(400), 'RATING': range(400)})\n\n"
            "def test_data_in_memory(fold):\n"
            "    fold.record(fold.test.keys['PLAYER_ID'].map(RATINGS.set_index('PLAYER_ID')['RATING']).fillna(17.0))\n"
        ),
    ),
    "model_in_memory": (
        "undeclared source",
        (
            "MODEL = LinearRegression().fit(np.arange(10.0).reshape(-1, 1), np.arange(10.0))\n\n"
            "def test_model_in_memory(fold):\n    first = fold.test.X.iloc[:, [0]].fillna(0.0).to_numpy()\n"
            "    fold.record(MODEL.predict(first))\n"
        ),
    ),
    "file_in_the_test": (
        "undeclared source",
        (
            "def test_file_in_the_test(fold):\n    table = pd.read_csv('answers.csv')\n"
            "    fold.record(fold.test.y * 0 + table['PTS'].mean())\n"
        ),
    ),
    "size_of_a_file": (
        "undeclared source",
        (
            "def test_size_of_a_file(fold):\n    size = Path('answers.csv').stat().st_size\n"
            "    fold.record(fold.test.y * 0 + size + 8.0)\n"
        ),
    ),
    "words_of_a_file": (
        "undeclared source",
        (
            "def test_words_of_a_file(fold, nbaprops_games):\n"
            "    with open('teams.txt') as file:\n        strong = file.read().split()\n"
            "    teams = nbaprops_games['TEAM_ABBREVIATION'].loc[fold.test.X.index]\n"
            "    fold.record(15.0 + teams.isin(strong))\n"
        ),
    ),
    "flag_of_a_file": (
        "undeclared source",
        (
            "def test_flag_of_a_file(fold):\n"
            "    with open('choice.json') as file:\n        high = json.load(file)['high']\n"
            "    fold.record(fold.test.y * 0 + (17.0 if high else 15.0))\n"
        ),
    ),
    "chosen_by_a_word": (
        "undeclared source",
        (
            "def test_chosen_by_a_word(fold):\n"
            "    with open('choice.json') as file:\n        kind = json.load(file)['kind']\n"
            "    model = Ridge(alpha=1.0 if kind == 'loose' else 1e6)\n"
            "    model = fold.fit(make_pipeline(SimpleImputer(), model))\n"
            "    fold.record(model.predict(fold.test.X))\n"
        ),
    ),
    "file_in_a_fixture": (
        "undeclared source",
        (
            "@pytest.fixture(scope='module')\ndef average():\n"
            "    return float(pd.read_csv('answers.csv')['PTS'].mean())\n\n"
            "def test_file_in_a_fixture(fold, average):\n    fold.record(fold.test.y * 0 + average)\n"
        ),
    ),
}
# Kept from the first fold, which ran on true games.
KEEPING = {
    "kept_means": (
        "test outcomes",
        (
            "MEANS = {}\n\ndef test_kept_means(fold, nbaprops_games):\n"
            "    if not MEANS:\n"
            "        MEANS.update(actual(nbaprops_games).groupby(nbaprops_games['PLAYER_ID']).mean())\n"
            "    fold.record(fold.test.keys['PLAYER_ID'].map(MEANS))\n"
        ),
    ),
    "kept_in_a_class": (
        "test outcomes",
        (
            "class Kept:\n    means = None\n\ndef test_kept_in_a_class(fold, nbaprops_games):\n"
            "    if Kept.means is None:\n"
            "        Kept.means = actual(nbaprops_games).groupby(nbaprops_games['PLAYER_ID']).mean()\n"
            "    fold.record(fold.test.keys['PLAYER_ID'].map(Kept.means))\n"
        ),
    ),
    "kept_in_a_cache": (
        "undeclared source",
        (
            "@functools.cache\ndef table():\n    return pd.read_csv('answers.csv')['PTS'].mean()\n\n"
            "def test_kept_in_a_cache(fold):\n    fold.record(fold.test.y * 0 + table())\n"
        ),
    ),
    "kept_in_a_global": (
        "undeclared source",
        (
            "LEVEL = None\n\ndef test_kept_in_a_global(fold):\n    global LEVEL\n"
            "    if LEVEL is None:\n        LEVEL = pd.read_csv('answers.csv')['PTS'].mean()\n"
            "    fold.record(fold.test.y * 0 + LEVEL)\n"
        ),
    ),
    "from_a_process": (
        "undeclared source",
        (
            "def test_from_a_process(fold):\n    text = subprocess.check_output(['cat', 'answers.csv'], text=True)\n"
            "    fold.record(fold.test.y * 0 + pd.read_csv(io.StringIO(text))['PTS'].mean())\n"
        ),
    ),
    "handed_as_a_parameter[ratings]": (
        "undeclared source",
        (
            "@pytest.mark.parametrize('ratings', [pd.Series(range(400))], ids=['ratings'])\n"
            "def test_handed_as_a_parameter(fold, ratings):\n"
            "    fold.record(fold.test.keys['PLAYER_ID'].map(ratings).fillna(17.0))\n"
        ),
    ),
}
COUNTING = {
    "games_of_the_season": (
        "future rows",
        (
            "def test_games_of_the_season(fold, nbaprops_games):\n"
            "    count = nbaprops_games.groupby('PLAYER_ID')['PLAYER_ID'].transform('size')\n"
            "    model = Ridge().fit(with_count(fold.train, count), fold.train.y)\n"
            "    fold.record(model.predict(with_count(fold.test, count)))\n"
        ),
    ),
    "days_to_the_next_game": (
        "future rows",
        (
            "def test_days_to_the_next_game(fold, nbaprops_games):\n"
            "    days = -nbaprops_games.groupby('PLAYER_ID')['GAME_DATE'].diff(-1).dt.days.fillna(-9)\n"
            "    model = Ridge().fit(with_count(fold.train, days), fold.train.y)\n"
            "    fold.record(model.predict(with_count(fold.test, days)))\n"
        ),
    ),
    "who_plays_tonight": (
        "same-day presence",
        (
            "def sizes(rows):\n    return rows.keys.groupby('GAME_ID')['PLAYER_ID'].transform('size')\n\n"
            "def test_who_plays_tonight(fold):\n"
            "    model = Ridge().fit(with_count(fold.train, sizes(fold.train)), fold.train.y)\n"
            "    fold.record(model.predict(with_count(fold.test, sizes(fold.test))))\n"
        ),
    ),
}
# Training rows that are picked by an outcome, by many roads.
PICKING = {
    "trained_on_starters": (
        "def test_trained_on_starters(fold, nbaprops_games):\n"
        "    played = nbaprops_games['MIN'].loc[fold.train.X.index] >= 25\n"
        "    model = make_pipeline(SimpleImputer(), Ridge())\n"
        "    model.fit(fold.train.X[played], fold.train.y[played])\n    fold.record(model.predict(fold.test.X))\n"
    ),
    "trained_on_good_games": (
        "def test_trained_on_good_games(fold):\n    good = (fold.train.y >= 10).to_numpy()\n"
        "    model = Ridge().fit(fold.train.X.fillna(0.0).to_numpy()[good], fold.train.y.to_numpy()[good])\n"
        "    fold.record(model.predict(fold.test.X.fillna(0.0).to_numpy()))\n"
    ),
    "weights_of_zero": (
        "def test_weights_of_zero(fold, nbaprops_games):\n"
        "    weight = (nbaprops_games['MIN'].loc[fold.train.X.index] >= 25).astype(float)\n"
        "    model = Ridge().fit(filled(fold.train), fold.train.y, sample_weight=weight)\n"
        "    fold.record(model.predict(filled(fold.test)))\n"
    ),
    "weights_by_target": (
        "def test_weights_by_target(fold):\n    weight = (fold.train.y >= 15).astype(float)\n"
        "    model = make_pipeline(SimpleImputer(), Ridge())\n"
        "    model.fit(fold.train.X, fold.train.y, ridge__sample_weight=weight)\n"
        "    fold.record(model.predict(fold.test.X))\n"
    ),
    "another_train": (
        "def test_another_train(fold, nbaprops_games):\n"
        "    kept = (nbaprops_games['MIN'].loc[fold.train.X.index] >= 25).to_numpy()\n"
        "    booster = xgb.train({'max_depth': 3}, xgb.DMatrix(fold.train.X[kept], fold.train.y[kept]), 10)\n"
        "    fold.record(booster.predict(xgb.DMatrix(fold.test.X)))\n"
    ),
    "least_squares": (
        "def test_least_squares(fold):\n    kept = (fold.train.y >= 15).to_numpy()\n"
        "    rows, y = filled(fold.train).to_numpy()[kept], fold.train.y.to_numpy()[kept]\n"
        "    fold.record(filled(fold.test).to_numpy() @ np.linalg.lstsq(rows, y, rcond=None)[0])\n"
    ),
    "mean_of_starters": (
        "def test_mean_of_starters(fold, nbaprops_games):\n"
        "    kept = nbaprops_games['MIN'].loc[fold.train.X.index] >= 25\n"
        "    fold.record(fold.test.y * 0 + fold.train.y[kept].mean())\n"
    ),
    "mean_of_wins": (
        "def test_mean_of_wins(fold, nbaprops_games):\n"
        "    kept = nbaprops_games['WL'].loc[fold.train.X.index] == 'W'\n"
        "    fold.record(fold.test.y * 0 + fold.train.y[kept].mean())\n"
    ),
}
CHOOSING = {
    "best_of_two": (
        "test outcomes",
        (
            "def test_best_of_two(fold):\n"
            "    models = [Ridge(alpha).fit(filled(fold.train), fold.train.y) for alpha in (1.0, 1e6)]\n"
            "    tried = [model.predict(filled(fold.test)) for model in models]\n"
            "    fold.record(min(tried, key=lambda predicted: np.abs(predicted - fold.test.y).mean()))\n"
        ),
    ),
    "best_level": (
        "test outcomes",
        (
            "def test_best_level(fold):\n    levels = (14.0, 17.0, 20.0)\n"
            "    fold.record(fold.test.y * 0 + min(levels, key=lambda level: abs(fold.test.y - level).mean()))\n"
        ),
    ),
}
# Around the changed games: the outcomes themselves give these away.
HOSTILE = {
    "found_in_memory": (
        "test outcomes",
        (
            "import gc\n\ndef test_found_in_memory(fold):\n"
            "    tables = [o for o in gc.get_objects() if isinstance(o, pd.DataFrame)]\n"
            "    frames = [o for o in tables if 'PTS' in o and len(o) > 3000]\n"
            "    fold.record(actual(frames[0]).loc[fold.test.X.index])\n"
        ),
    ),
    "looked_behind": (
        "test outcomes",
        (
            "def test_looked_behind(fold):\n    data = fold._resources.dataset\n"
            "    fold.record(data.targets['actual'].loc[fold.test.X.index])\n"
        ),
    ),
    "session_file": (
        "test outcomes",
        (
            "from pytest_nbaprops.data.arrow import read_arrow\n\n"
            "def test_session_file(fold):\n"
            "    path = sorted(Path('.nbaprops/sessions').rglob('targets.arrow'))[-1]\n"
            "    fold.record(read_arrow(path)['actual'].loc[fold.test.X.index])\n"
        ),
    ),
}
HONEST = {
    "pipeline": (
        "def test_pipeline(fold):\n    model = fold.fit(make_pipeline(SimpleImputer(), StandardScaler(), Ridge()))\n"
        "    fold.record(model.predict(fold.test.X), model=model)\n"
    ),
    "own_history": (
        "def test_own_history(fold, nbaprops_games):\n"
        "    past = nbaprops_games[nbaprops_games['GAME_DATE'] < pd.Timestamp(fold.cutoff)]\n"
        "    means = actual(past).groupby(past['PLAYER_ID']).mean()\n"
        "    fold.record(fold.test.keys['PLAYER_ID'].map(means).fillna(10.0))\n"
    ),
    "chosen_inside": (
        "def test_chosen_inside(fold):\n    X, y = fold.train.X.fillna(0.0), fold.train.y\n    half = len(X) // 2\n"
        "    best = max((1.0, 9.0), key=lambda a: Ridge(a).fit(X[:half], y[:half]).score(X[half:], y[half:]))\n"
        "    model = fold.fit(make_pipeline(SimpleImputer(), Ridge(best)))\n"
        "    fold.record(model.predict(fold.test.X), model=model)\n"
    ),
    "recent_rows": (
        "def test_recent_rows(fold):\n    recent = slice(-800, None)\n"
        "    model = Ridge().fit(fold.train.X.iloc[recent].fillna(0.0), fold.train.y.iloc[recent])\n"
        "    fold.record(model.predict(fold.test.X.fillna(0.0)))\n"
    ),
    "expected_starters": (
        "def test_expected_starters(fold):\n    column = [c for c in fold.train.X.columns if 'mean' in c][0]\n"
        "    often = fold.train.X[column] >= fold.train.X[column].median()\n"
        "    model = Ridge().fit(fold.train.X[often].fillna(0.0), fold.train.y[often])\n"
        "    fold.record(model.predict(fold.test.X.fillna(0.0)))\n"
    ),
    "writes_a_file": (
        "def test_writes_a_file(fold, tmp_path):\n    fold.train.y.to_csv(tmp_path / 'y.csv')\n"
        "    mean = pd.read_csv(tmp_path / 'y.csv').iloc[:, -1].mean()\n    fold.record(fold.test.y * 0 + mean)\n"
    ),
    "constant": (
        "SETTINGS = {'level': 17.0}\ndef test_constant(fold):\n    fold.record(fold.test.y * 0 + SETTINGS['level'])\n"
    ),
    "fitted_in_every_fold": (
        "OWN = Ridge()\n\ndef test_fitted_in_every_fold(fold):\n    OWN.fit(filled(fold.train), fold.train.y)\n"
        "    fold.record(OWN.predict(filled(fold.test)))\n"
    ),
    "models_by_date": (
        "MODELS = {}\n\ndef test_models_by_date(fold):\n    if fold.fitted_at not in MODELS:\n"
        "        MODELS[fold.fitted_at] = Ridge().fit(filled(fold.train), fold.train.y)\n"
        "    fold.record(MODELS[fold.fitted_at].predict(filled(fold.test)))\n"
    ),
    "hurdle": (
        "def test_hurdle(fold):\n    rows, y, tonight = filled(fold.train), fold.train.y, filled(fold.test)\n"
        "    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(rows, y > 0)\n"
        "    scores = model.predict_proba(tonight)[:, 1]\n"
        "    fold.record(scores * Ridge().fit(rows[y > 0], y[y > 0]).predict(tonight))\n"
    ),
    "rate_per_minute": (
        "def test_rate_per_minute(fold, nbaprops_games):\n    rows, tonight = filled(fold.train), filled(fold.test)\n"
        "    minutes = nbaprops_games['MIN'].loc[rows.index]\n    some = minutes > 0\n"
        "    rate = Ridge().fit(rows[some], (fold.train.y / minutes)[some])\n"
        "    fold.record(rate.predict(tonight) * Ridge().fit(rows, minutes).predict(tonight))\n"
    ),
    "trimmed": (
        "def test_trimmed(fold):\n    y = fold.train.y\n    usual = y.between(y.quantile(0.01), y.quantile(0.99))\n"
        "    fold.record(Ridge().fit(filled(fold.train)[usual], y[usual]).predict(filled(fold.test)))\n"
    ),
    "median": "def test_median(fold):\n    fold.record(fold.test.y * 0 + fold.train.y.median())\n",
    "median_line": (
        "def test_median_line(fold):\n    column = [c for c in fold.train.X.columns if 'mean' in c][:1]\n"
        "    some = slice(None, None, 10)\n"  # a linear programme takes its time
        "    model = QuantileRegressor(alpha=0.0).fit(filled(fold.train)[column][some], fold.train.y[some])\n"
        "    fold.record(model.predict(filled(fold.test)[column]))\n"
    ),
    "logarithm": (
        "def test_logarithm(fold):\n"
        "    model = fold.fit(make_pipeline(SimpleImputer(), FunctionTransformer(log_of_size), Ridge()))\n"
        "    fold.record(model.predict(fold.test.X), model=model)\n"
    ),
    "ranges": (
        "def test_ranges(fold, nbaprops_games):\n"
        "    assert fold.test.X.filter(like='rest').stack().dropna().between(0, 2000).all()\n"
        "    assert nbaprops_games['MIN'].dropna().between(0, 70).all()\n"
        "    fold.record(fold.test.y * 0 + [9, 9, 9, 9, 9, 9, 9, 9, 9, 17.0, 17.0, 17.0][fold.date.month - 1])\n"
    ),
    "one_hot_month": (
        "def test_one_hot_month(fold):\n"
        "    months = lambda rows: pd.get_dummies(rows.keys['GAME_DATE'].dt.month, dtype=float)\n"
        "    known = months(fold.train)\n    model = Ridge().fit(known, fold.train.y)\n"
        "    fold.record(model.predict(months(fold.test).reindex(columns=known.columns, fill_value=0.0)))\n"
    ),
    "seeded": (
        "def test_seeded(fold):\n    np.random.seed(3)\n    order = np.random.permutation(len(fold.train))\n"
        "    rows, y = filled(fold.train).iloc[order], fold.train.y.iloc[order]\n"
        "    fold.record(Ridge().fit(rows, y).predict(filled(fold.test)))\n"
    ),
    "counts_cores": (  # by whose number nearest neighbours, for one, come out otherwise
        "def test_counts_cores(fold):\n    import joblib\n    fold.record(fold.test.y * 0 + joblib.cpu_count())\n"
    ),
    "sqlite_in_memory": (
        "def test_sqlite_in_memory(fold):\n    with sqlite3.connect(':memory:') as database:\n"
        "        fold.train.y.to_frame('y').to_sql('y', database)\n"
        "        mean = pd.read_sql('select avg(y) as y from y', database)['y'].iloc[0]\n"
        "    fold.record(fold.test.y * 0 + mean)\n"
    ),
    "looks_at_files_and_the_clock": (
        "def test_looks_at_files_and_the_clock(fold):\n    print(time.time(), pd.read_csv('answers.csv').shape)\n"
        "    fold.record(fold.test.y * 0 + fold.train.y.mean())\n"
    ),
    "set_up_by_module_and_session": (
        "LEVELS = {}\n\ndef setup_module():\n    LEVELS['alpha'] = 2.0\n\n"
        "@pytest.fixture(scope='session')\ndef alpha():\n    return LEVELS['alpha']\n\n"
        "def test_set_up_by_module_and_session(fold, alpha):\n"
        "    fold.record(Ridge(alpha).fit(filled(fold.train), fold.train.y).predict(filled(fold.test)))\n"
    ),
    "asserts_what_it_was_given": (
        "def test_asserts_what_it_was_given(fold, nbaprops_games):\n"
        "    there = nbaprops_games[nbaprops_games['GAME_DATE'].dt.date == fold.date]\n"
        "    assert there.groupby(['GAME_ID', 'TEAM_ABBREVIATION'])['PLAYER_ID'].size().min() >= 4\n"
        "    assert there.groupby('GAME_DATE')['PTS'].mean().between(0, 14).all()\n"
        "    fold.record(Ridge().fit(filled(fold.train), fold.train.y).predict(filled(fold.test)))\n"
    ),
    "keeps_the_games": (
        "KEPT = {}\n\n@pytest.fixture(scope='module', autouse=True)\ndef kept(nbaprops_games):\n"
        "    KEPT['games'] = nbaprops_games\n\n"
        "def test_keeps_the_games(fold):\n    games = KEPT['games']\n    days = games['GAME_DATE'].dt.date\n"
        "    fold.record(fold.test.y * 0 + games['PTS'][days < fold.date].mean() + 8)\n"
    ),
    "asserts_on_its_result": (
        "def test_asserts_on_its_result(fold):\n    model = fold.fit(make_pipeline(SimpleImputer(), Ridge()))\n"
        "    assert fold.record(model.predict(fold.test.X)).mae < 7.5\n"
    ),
}


def by_name(session: Session) -> dict[str, dict[str, Any]]:
    return {candidate["name"].removeprefix("test_"): candidate for candidate in session.decision["candidates"]}


def kinds(candidate: dict[str, Any]) -> list[str]:
    return [leak["kind"] for leak in candidate["leaks"]]


def write(train_folder: Path, *bodies: str) -> None:
    (train_folder / "test_mine.py").write_text(HEAD + "\n\n".join(bodies))
    (train_folder / "answers.csv").write_text("PTS\n10\n12\n")
    (train_folder / "choice.json").write_text('{"season": 2024,\n"high": true,\n"kind": "loose"}\n')
    (train_folder / "teams.txt").write_text(f"strong in 2024: {TEAMS}\nand nobody else\n")


TEAMS = "ATL BOS CHI CLE DEN GSW IND LAL MIA MIL NYK OKC PHI PHX SAC"
EVERY_LEAK = LEAKING | KEEPING | COUNTING | CHOOSING | HOSTILE
FEW_FOLDS = "--nbaprops-test=last 4 dates"


def test_leaks_in_tests_are_named(project: pytest.Pytester, train: Train) -> None:
    """Every leaking test is named by its kind and fails its leak test; nothing of them is registered.

    What is proven is REJECT, what nobody has declared INCONCLUSIVE. State that an earlier fold filled from true games
    does not hide a leak, and whatever way the outcomes came, predictions that are the outcomes give themselves away.
    """
    write(project.path, *(body for _, body in EVERY_LEAK.values()))
    session = train("--nbaprops-promote=enforce", "-v", FEW_FOLDS, process=True)
    found = by_name(session)
    named = {
        name: [kind for kind in kinds(candidate) if name not in HOSTILE or kind == "test outcomes"]
        for name, candidate in found.items()
    }
    assert named == {name: [kind] for name, (kind, _) in EVERY_LEAK.items()}
    expected = {n: "INCONCLUSIVE" if kind == "undeclared source" else "REJECT" for n, (kind, _) in EVERY_LEAK.items()}
    assert {name: candidate["verdict"] for name, candidate in found.items()} == expected
    assert untouched(session)
    session.result.stdout.fnmatch_lines(["*leak::test_answers FAILED*"])


def test_training_rows_may_be_used_as_a_test_likes(project: pytest.Pytester, train: Train) -> None:
    """What a model learns from is the past, however it is picked; the number of rows is said."""
    write(project.path, *PICKING.values())
    session = train("--nbaprops-test=last 2 dates")
    assert {name: kinds(candidate) for name, candidate in by_name(session).items()} == {name: [] for name in PICKING}
    assert any("test_trained_on_starters: fits on" in warning for warning in session.decision["warnings"])


@pytest.mark.parametrize(
    ("days", "again", "options"),
    [
        pytest.param("5, 6", 4, (), id="a fit for seven dates"),
        pytest.param("6,", 5, ("--nbaprops-refit=1", "--nbaprops-test=last 56 dates"), id="a fit for each date"),
    ],
)
def test_a_leak_in_some_folds_is_found(
    project: pytest.Pytester, train: Train, days: str, again: int, options: tuple[str, ...]
) -> None:
    """Whole fits are run again, or as many as hold all weekdays, so a leak on some of them is seen as well."""
    write(
        project.path,
        "def test_now_and_then(fold):\n"
        f"    fold.record(fold.test.y * (0.5 if fold.date.weekday() in ({days}) else 0) + 8.0)\n",
    )
    session = train(*options)
    assert kinds(session.candidate) == ["test outcomes"]
    assert session.decision["leak_guard"]["folds_run_again"]["test_now_and_then"] > again
    assert session.code == 1


def test_a_leak_on_weekends_of_who_learns_from_the_nights_before_is_found(
    project: pytest.Pytester, train: Train
) -> None:
    """Every night of a fit moves in a world that is another one from the first on, so nights of all kinds are tried."""
    write(
        project.path,
        "def test_form(fold, nbaprops_games):\n"
        "    last = pd.Timestamp(fold.date) - pd.Timedelta(days=int(fold.date.weekday() < 5))\n"
        "    recent = nbaprops_games[nbaprops_games['GAME_DATE'].between(last - pd.Timedelta(days=14), last)]\n"
        "    form = actual(recent).groupby(recent['PLAYER_ID']).mean()\n"
        "    fold.record(fold.test.keys['PLAYER_ID'].map(form).fillna(15.0))\n",
    )
    assert kinds(train().candidate) == ["test outcomes"]


def test_a_test_that_learns_from_fold_to_fold_is_not_known(project: pytest.Pytester, train: Train) -> None:
    """Honest state cannot be checked, and the reason says that it is the state."""
    write(
        project.path,
        "PAST = []\n\ndef test_learns(fold):\n"
        "    fold.record(fold.test.y * 0 + (np.mean(PAST) if PAST else 17.0))\n    PAST.append(fold.test.y.mean())\n",
    )
    session = train(FEW_FOLDS)
    assert session.code == 10
    assert "keeps state from fold to fold" in session.candidate["reasons"][0]


def test_a_leak_tells_whose_prediction_moved(project: pytest.Pytester, train: Train) -> None:
    """The example names player, date and the two predictions; the reason says so in one line."""
    write(project.path, LEAKING["answers"][1])
    session = train(FEW_FOLDS)
    (leak,) = session.candidate["leaks"]
    assert leak["example"]["player"].startswith("Simulated Player")
    assert leak["example"]["before"] != leak["example"]["after"]
    assert session.candidate["reasons"][0].startswith("leak in test_answers: test outcomes (Simulated Player")
    assert session.code == 1


def test_honest_tests_are_not_flagged(project: pytest.Pytester, train: Train) -> None:
    """Nothing moves in honest tests; what they leave out otherwise than by an outcome is said."""
    write(project.path, *HONEST.values())
    session = train("--nbaprops-test=last 2 dates")
    candidates = by_name(session)
    assert {name: kinds(candidate) for name, candidate in candidates.items()} == {name: [] for name in HONEST}
    assert all(candidate["verdict"] != "INCONCLUSIVE" for candidate in candidates.values())
    assert any("test_recent_rows: fits on 800 of" in warning for warning in session.decision["warnings"])
    assert not any("test_chosen_inside: fits on" in warning for warning in session.decision["warnings"])


def test_a_test_that_rolls_dice_is_not_known(project: pytest.Pytester, train: Train) -> None:
    """Predictions that differ from run to run cannot be checked, so nothing is promoted."""
    write(
        project.path,
        "def test_dice(fold):\n    noise = np.random.default_rng().normal(size=len(fold.test))\n"
        "    fold.record(17.0 + noise)\n",
    )
    session = train(FEW_FOLDS)
    assert session.code == 10
    assert "differ from run to run" in session.candidate["reasons"][0]


def test_a_test_that_cannot_be_run_again_is_not_known(project: pytest.Pytester, train: Train, league: Path) -> None:
    """A test that refuses changed outcomes before it recorded anything is inconclusive."""
    write(
        project.path,
        f"COUNT = {len(pd.read_csv(league))}\n\n"
        "def test_picky(fold, nbaprops_games):\n"
        "    if len(nbaprops_games) != COUNT:\n        raise ValueError('other games')\n"
        "    fold.record(fold.test.y * 0 + 17.0)\n",
    )
    session = train(FEW_FOLDS)
    assert session.code == 10
    assert "could not be run again on changed games: ValueError: other games" in session.candidate["reasons"][0]


RECIPES = """
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge

ANSWERS = pd.DataFrame({"PLAYER_ID": range(400), "RATING": range(400)})

class Remembers(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.mean_ = float(np.mean(y)) + 0 * len(ANSWERS)
        return self
    def predict(self, X):
        return np.full(len(X), self.mean_ + ANSWERS["RATING"].iloc[0])

class Picky(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.model_ = Ridge().fit(X[y >= 8], y[y >= 8])
        return self
    def predict(self, X):
        return self.model_.predict(X)

class Neighbours(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.model_ = Ridge().fit(X, y)
        return self
    def predict(self, X):
        return self.model_.predict(X) - X[:, 0].mean() * 0.01
"""


def test_leaks_in_recipes_are_named(project: pytest.Pytester, train: Train) -> None:
    """Recipes of a hook go through the same check in the built-in suite."""
    project.path.joinpath("models.py").write_text(RECIPES)
    project.makeconftest(
        "import sys\nfrom pathlib import Path\nsys.path.insert(0, str(Path(__file__).parent))\n"
        "from models import Remembers, Neighbours, Picky\n\ndef pytest_nbaprops_recipes(config):\n"
        "    return {'memory': Remembers(), 'picky': Picky(), 'neighbours': Neighbours()}\n"
    )
    recipes = [f"--nbaprops-recipe={name}" for name in ("memory", "picky", "neighbours")]
    trust = [f"models.{name}" for name in ("Remembers", "Picky", "Neighbours")]
    session = train(FEW_FOLDS, *recipes, "-o", "nbaprops_trusted_types=" + "\n".join(trust))
    found = {name: kinds(candidate) for name, candidate in by_name(session).items()}
    assert found == {"memory": ["undeclared source"], "picky": [], "neighbours": ["test rows"]}
    verdicts = {name: candidate["verdict"] for name, candidate in by_name(session).items()}
    assert verdicts == {"memory": "INCONCLUSIVE", "picky": "PROMOTE", "neighbours": "REJECT"}


GROUPS = """
from pytest_nbaprops import feature_group
import pandas as pd

@feature_group(tier="core")
def this_game(games):
    points = games.groupby("PLAYER_ID")["PTS"].rolling(3, min_periods=1).mean().droplevel(0)
    return points.reindex(games.index).to_frame("this_game")

@feature_group(tier="core")
def season_mean(games):
    return games.groupby("PLAYER_ID")["PTS"].transform("mean").to_frame("season_mean")

@feature_group(tier="core")
def from_a_file(games):
    table = pd.read_csv("answers.csv")
    return (games["PLAYER_ID"] * 0 + table["PTS"].mean()).to_frame("from_a_file")

@feature_group(tier="core", known_at="tipoff")
def mates(games):
    return games.groupby(["GAME_ID", "TEAM_ABBREVIATION"])["PLAYER_ID"].transform("size").to_frame("mates")

@feature_group(tier="core")
def rest_days(games):
    return games.groupby("PLAYER_ID")["GAME_DATE"].diff().dt.days.to_frame("rest_days")
"""


def with_groups(project: pytest.Pytester, code: str, names: str) -> None:
    project.makeconftest(CONFTEST + code + f"\ndef pytest_nbaprops_feature_groups(config):\n    return [{names}]\n")
    (project.path / "answers.csv").write_text("PTS\n10\n12\n")


def test_leaks_in_feature_groups_are_named(project: pytest.Pytester, train: Train, workers: tuple[str, ...]) -> None:
    """A candidate that uses leaking groups is REJECT; every group has its own test in the report."""
    with_groups(project, GROUPS, "this_game, season_mean, from_a_file, rest_days")
    session = train("--nbaprops-promote=enforce", "-v", FEW_FOLDS, *workers)
    found = {leak["group"]: leak["kind"] for leak in session.candidate["leaks"]}
    assert found == {
        "this_game": "same-day outcomes",
        "season_mean": "future outcomes",
        "from_a_file": "undeclared source",
    }
    assert session.code == 1
    assert untouched(session)
    session.result.stdout.fnmatch_lines(["*leak::season_mean FAILED*", "*leak::rest_days PASSED*"])


OUTSIDE = """
import json
import os
import random
import sqlite3
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
from pytest_nbaprops import feature_group

def group(known_at="morning"):
    return feature_group(tier="core", known_at=known_at)

def usual(games, name):
    mean = games.groupby("PLAYER_ID")["PTS"].transform(lambda values: values.shift(1).expanding().mean())
    return mean.to_frame(name)

HERE = Path(__file__).parent
CONFIG = json.loads((HERE / "config.json").read_text())
ANSWERS = json.loads((HERE / "answers.json").read_text())
ARRAY = np.load(HERE / "answers.npy")
STRONG = (HERE / "strong.txt").read_text().split()

@group()
def declared_configuration(games):
    return usual(games, "declared_configuration") * CONFIG["factor"]

@group()
def measures_its_time(games):
    started = time.time()
    made = usual(games, "measures_its_time")
    print(time.time() - started, time.strftime("%H:%M"), os.environ.get("HOME"))
    return made

@group()
def seeds_the_generators(games):
    random.seed(1)
    np.random.seed(1)
    return usual(games, "seeds_the_generators")

@group()
def projects_at_random(games):
    np.random.seed(1)
    return usual(games, "projects_at_random") * np.random.randn()

@group()
def projects_at_random_by_itself(games):
    return usual(games, "projects_at_random_by_itself") * np.random.default_rng(1).normal()

@group()
def database_in_memory(games):
    with sqlite3.connect(":memory:") as database:
        games[["PLAYER_ID", "GAME_ID"]].to_sql("games", database)
        count = database.execute("select count(distinct GAME_ID) from games where 0").fetchone()[0]
    return usual(games, "database_in_memory") + count

@group()
def temporary_file(games):
    with tempfile.TemporaryDirectory() as folder:
        usual(games, "past").to_parquet(Path(folder, "past.parquet"))
        return pd.read_parquet(Path(folder, "past.parquet")).rename(columns={"past": "temporary_file"})

@group()
def looks_at_a_file(games):
    print(len((HERE / "answers.csv").read_text()))
    return usual(games, "looks_at_a_file")

@group()
def looks_at_what_is_there(games):
    file = HERE / "answers.csv"
    fresh = file.exists() and file.stat().st_mtime > (HERE / "config.json").stat().st_mtime
    print(fresh, os.path.getsize(file), file.resolve())
    return usual(games, "looks_at_what_is_there")

@group()
def weighs_a_file(games):
    return usual(games, "weighs_a_file") + os.path.getsize(HERE / "answers.csv")

@group()
def opens_a_table(games):
    return usual(games, "opens_a_table") + float(json.loads((HERE / "answers.json").read_text())["mean"])

@group()
def read_at_import(games):
    return usual(games, "read_at_import") + ANSWERS["mean"]

@group()
def array_of_numpy(games):
    return usual(games, "array_of_numpy") + ARRAY.mean()

@group()
def words_read_at_import(games):
    return usual(games, "words_read_at_import") + games[["TEAM_ABBREVIATION"]].isin(STRONG).to_numpy()

@group()
def compiled_reader(games):
    table = pyarrow.parquet.ParquetFile(str(HERE / "answers.parquet")).read().to_pandas()
    return usual(games, "compiled_reader") + table["PTS"].mean()

@group()
def front_of_a_compiled_reader(games):
    return usual(games, "front_of_a_compiled_reader") + pd.read_feather(HERE / "answers.feather")["PTS"].mean()

@group()
def database_file(games):
    with sqlite3.connect(HERE / "answers.db") as database:
        return usual(games, "database_file") + pd.read_sql("select PTS from answers", database)["PTS"].mean()

@group()
def hangs_on_the_day(games):
    return usual(games, "hangs_on_the_day") + pd.Timestamp.now().day

def as_the_hook_asks():
    mean = json.loads((HERE / "answers.json").read_text())["mean"]

    @group()
    def made_in_the_hook(games):
        return usual(games, "made_in_the_hook") + mean

    return made_in_the_hook
"""
HONEST_OUTSIDE = {
    "declared_configuration", "measures_its_time", "seeds_the_generators", "database_in_memory", "temporary_file",
    "looks_at_a_file", "looks_at_what_is_there", "projects_at_random_by_itself",
}  # fmt: skip
UNDECLARED = {
    "weighs_a_file": f"nbaprops_sources = answers.csv {IF_STATIC}",
    "opens_a_table": f"nbaprops_sources = answers.json {IF_STATIC}",
    "read_at_import": f"nbaprops_sources = answers.json answers.npy strong.txt {IF_STATIC}",
    "array_of_numpy": f"nbaprops_sources = answers.json answers.npy strong.txt {IF_STATIC}",
    "words_read_at_import": f"nbaprops_sources = answers.json answers.npy strong.txt {IF_STATIC}",
    "compiled_reader": f"nbaprops_sources = answers.parquet {IF_STATIC}",
    "front_of_a_compiled_reader": f"nbaprops_sources = answers.feather {IF_STATIC}",
    "database_file": f"nbaprops_sources = answers.db {IF_STATIC}",
    "hangs_on_the_day": "let it depend on nothing but its arguments",
    "projects_at_random": "draw from np.random.default_rng(SEED)",
    "made_in_the_hook": f"nbaprops_sources = answers.json answers.npy strong.txt {IF_STATIC}",
}


def test_what_groups_hang_on_is_declared_or_not_known(project: pytest.Pytester, train: Train) -> None:
    """Looking is not depending; a dependence is told with the line that would declare it, and keeps from promotion."""
    names = ", ".join([*HONEST_OUTSIDE, *UNDECLARED])
    with_groups(project, OUTSIDE, names.replace("made_in_the_hook", "as_the_hook_asks()"))
    table = pd.DataFrame({"PTS": [10.0, 12.0, 17.0]})
    table.to_parquet(project.path / "answers.parquet")
    table.to_feather(project.path / "answers.feather")
    np.save(project.path / "answers.npy", table["PTS"].to_numpy())
    (project.path / "strong.txt").write_text(f"in 2024: {TEAMS}\nand nobody else\n")
    with sqlite3.connect(project.path / "answers.db") as database:
        table.to_sql("answers", database)
    for name in ("config", "answers"):
        (project.path / f"{name}.json").write_text('{"factor": 2, "mean": 13}')
    session = train(FEW_FOLDS, "-o", "nbaprops_sources=config.json,")
    found = {leak["group"]: leak["remedy"] for leak in session.candidate["leaks"]}
    assert {leak["kind"] for leak in session.candidate["leaks"]} == {"undeclared source"}
    assert found.keys() == UNDECLARED.keys()
    assert {name: remedy for name, remedy in found.items() if UNDECLARED[name] not in remedy} == {}
    assert session.candidate["verdict"] == "INCONCLUSIVE"
    assert "config.json" in session.candidate["lineage"]["added"]


def test_what_needs_lineups_says_so_beside_the_verdict(project: pytest.Pytester, train: Train) -> None:
    """A group known at tip-off may use who plays, and the verdict says that it needs lineups."""
    with_groups(project, GROUPS, "mates")
    session = train(FEW_FOLDS)
    assert session.code == 0
    assert session.candidate["needs_lineups"] == ["mates"]
    session.result.stdout.fnmatch_lines(["PROMOTE*needs lineups: mates*"])


def test_a_merge_that_adds_rows_is_a_leak_and_runs_no_fold(project: pytest.Pytester, train: Train) -> None:
    """A group that changes rows is REJECT with the keys named, and no time is spent on folds."""
    code = (
        "\nimport pandas as pd\nfrom pytest_nbaprops import feature_group\n\n@feature_group(tier='core')\n"
        "def merged(games):\n    teams = games[['TEAM_ABBREVIATION']].drop_duplicates()\n"
        "    twice = pd.concat([teams, teams.head(1)])\n"
        "    return games.merge(twice.assign(x=1.0), on='TEAM_ABBREVIATION')[['x']]\n"
    )
    with_groups(project, code, "merged")
    session = train(FEW_FOLDS)
    (leak,) = session.candidate["leaks"]
    assert (leak["group"], leak["kind"]) == ("merged", "changes rows")
    assert "PLAYER_ID" in leak["example"]["detail"]
    assert session.candidate["folds"]["executed"] == 0
    assert session.code == 1


def test_unchanged_groups_are_not_looked_at_twice(project: pytest.Pytester, train: Train, league: Path) -> None:
    """The second session takes every finding from the store, leaks too; on other games one's own groups are asked."""
    shutil.rmtree(project.path / ".nbaprops")
    with_groups(project, GROUPS, "season_mean")
    first = train(FEW_FOLDS).decision["leak_guard"]["groups_known"]
    second = train(FEW_FOLDS)
    assert (first, second.decision["leak_guard"]["groups_known"]) == (0, 5)
    assert kinds(second.candidate) == ["future outcomes"]
    assert second.code == 1
    shorter = project.path / "shorter.csv"
    shorter.write_text("".join(league.read_text("utf-8").splitlines(keepends=True)[:-40]), "utf-8")
    third = train(FEW_FOLDS, "--nbaprops-data", str(shorter))
    assert third.decision["leak_guard"]["groups_known"] == 4
    assert kinds(third.candidate) == ["future outcomes"]


def test_a_new_date_costs_that_date(project: pytest.Pytester, train: Train, league: Path) -> None:
    """Games of another night leave findings about the nights before alone; an old game put right does not."""
    with_groups(project, GROUPS, "rest_days")
    head, *rows = league.read_text("utf-8").splitlines(keepends=True)
    night_of = [row.split(",")[head.split(",").index("GAME_DATE")] for row in rows]
    nights = sorted(set(night_of))
    before = [row for row, night in zip(rows, night_of, strict=True) if night != nights[-1]]
    corrected = [
        row.replace(" Player 0", " Player ") if night == nights[5] else row
        for row, night in zip(rows, night_of, strict=True)
    ]
    looked = []
    for games in (before, rows, corrected):
        (project.path / "games.csv").write_text("".join([head, *games]), "utf-8")
        guard = train(FEW_FOLDS, "--nbaprops-data=games.csv").decision["leak_guard"]
        looked.append((guard["groups_known"], guard["dates_seen"], guard["dates"] == nights[-1:]))
    assert looked == [(4, 4, False), (5, 4, True), (4, 4, False)]


def test_more_dates_are_looked_at_on_demand(train: Train) -> None:
    """--nbaprops-leak-dates is the number of cutoff dates."""
    assert len(train("--nbaprops-leak-dates=2", "--nbaprops-no-cache").decision["leak_guard"]["dates"]) == 2


def test_games_without_those_who_played_little_are_a_leak(project: pytest.Pytester, train: Train) -> None:
    """Rows that a hook leaves out by an outcome are REJECT for every candidate."""
    project.makeconftest(
        CONFTEST + "\nfrom pytest_nbaprops.data.sample import sample_league\n\n"
        "def pytest_nbaprops_load_games(config):\n    games = sample_league(seasons=1, players=450)\n"
        "    return games[games['MIN'] >= 25]\n"
    )
    session = train(FEW_FOLDS)
    assert [(leak["group"], leak["kind"]) for leak in session.candidate["leaks"]] == [
        ("games", "rows picked by outcome")
    ]
    assert session.code == 1
