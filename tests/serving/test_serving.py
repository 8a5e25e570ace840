"""The model under an alias in use: against a real sqlite store and a real `mlflow server`."""

from __future__ import annotations

import json
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from xgboost import XGBRegressor

from pytest_nbaprops.data.digest import dataset_digest
from pytest_nbaprops.data.schema import target_values
from pytest_nbaprops.data.upcoming import unplayed_rows
from pytest_nbaprops.errors import DataError, FeatureError, TrackingError
from pytest_nbaprops.features.build import without_outcomes
from pytest_nbaprops.features.group import feature_group
from pytest_nbaprops.features.lineage import lineage_of
from pytest_nbaprops.recipes.two_stage import two_stage
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.serving.forecast import predict_upcoming
from pytest_nbaprops.serving.loader import ProductionModelLoader
from pytest_nbaprops.tracking.connection import connect
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.walkforward import estimators
from pytest_nbaprops.walkforward.dataset import read_dataset, targets_of, write_dataset
from pytest_nbaprops.walkforward.plan import Fold
from pytest_nbaprops.wholefile import file_digest
from tests import mlflow_server
from tests.market.frames import odds_frame
from tests.serving.served import NAME, TARGET, World, promote, world

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_nbaprops.tracking.connection import Store


@pytest.fixture
def league() -> World:
    return world()


@pytest.fixture(scope="session")
def served(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sqlite store with the league's model in production; tests get a copy of the database."""
    path = tmp_path_factory.mktemp("served") / "mlflow.db"
    shutil.copyfile(migrated, path)
    promote(connect(f"sqlite:///{path}"))
    return path


@pytest.fixture
def serving(served: Path, tmp_path: Path) -> Store:
    shutil.copyfile(served, tmp_path / "serving.db")
    return connect(f"sqlite:///{tmp_path / 'serving.db'}")


@pytest.fixture
def loader(serving: Store) -> ProductionModelLoader:
    return ProductionModelLoader(NAME, store=serving)


def other_model() -> XGBRegressor:
    league = world()
    before = league.games["GAME_DATE"] < league.tonight
    model = XGBRegressor(n_estimators=3, max_depth=2, n_jobs=1)
    return model.fit(league.features[before], target_values(league.games, TARGET)[before])


def walked_forward(league: World, folder: Path) -> np.ndarray[Any, Any]:
    """Tonight's predictions as a fold makes them, on the whole season's data."""
    write_dataset(folder, league.games, league.features, targets_of(league.games, TARGET))
    dataset = read_dataset(folder, digest=dataset_digest(league.games), target_columns=TARGET, root=folder)
    day = league.tonight.date()
    fold = Fold(number=1, dates=(day,), fitted_at=day, train_start=dataset.game_dates[0].day)
    rows = dataset.test(fold, list(league.features.columns), league.groups)
    return estimators.predict(league.model, rows, threads=1)


# the same features as in training


def test_a_date_treated_as_upcoming_is_predicted_as_walked_forward(
    loader: ProductionModelLoader, league: World, tmp_path: Path
) -> None:
    """Outcomes emptied, the rows of a date get the fold's predictions to the last bit."""
    games = without_outcomes(league.games, league.games["GAME_DATE"] == league.tonight)
    forecast = predict_upcoming(unplayed_rows(games, league.tonight), games, loader)
    assert len(forecast.rows) > 10
    np.testing.assert_array_equal(forecast.rows["predicted"], walked_forward(league, tmp_path))


def test_a_schedule_gives_the_same_in_its_own_order(
    loader: ProductionModelLoader, league: World, tmp_path: Path
) -> None:
    """Names and teams alone, some of the players only, in another order: the same bits."""
    expected = pd.Series(walked_forward(league, tmp_path), index=league.rows["PLAYER_ID"])
    schedule = league.schedule().sample(frac=0.5, random_state=1)
    forecast = predict_upcoming(schedule, league.past, loader)
    assert forecast.rows["player"].tolist() == schedule["player"].tolist()
    np.testing.assert_array_equal(forecast.rows["predicted"], expected[forecast.rows["player_id"]])


def test_games_after_the_first_date_are_not_looked_at(loader: ProductionModelLoader, league: World) -> None:
    """A schedule for a played date uses what was known that morning."""
    now = predict_upcoming(league.schedule(), league.games, loader)
    then = predict_upcoming(league.schedule(), league.past, loader)
    assert now.rows["predicted"].equals(then.rows["predicted"])
    assert now.data_digest == then.data_digest == world().tags()["dataset_digest"]


def test_a_traded_player_counts_for_the_schedules_team(loader: ProductionModelLoader, league: World) -> None:
    """The team is the schedule's, whatever the data says."""
    schedule = league.schedule().head(1)
    other = next(
        team
        for team in league.games["TEAM_ABBREVIATION"].unique()
        if team not in {schedule["team"].item(), schedule["opponent"].item()}
    )
    forecast = predict_upcoming(schedule.assign(team=other), league.past, loader)
    assert forecast.rows[["team", "opponent"]].to_numpy().tolist() == [[other, schedule["opponent"].item()]]


# what is said with a prediction


def test_intervals_hold_the_prediction_and_the_baseline_is_there(loader: ProductionModelLoader, league: World) -> None:
    """0 <= low < high, and the baseline is the mean of the last ten games."""
    rows = predict_upcoming(league.schedule(), league.past, loader).rows
    assert (rows["low"] >= 0).all()
    assert (rows["low"] < rows["high"]).all()
    player = rows.iloc[0]
    last = league.past[league.past["PLAYER_ID"] == player["player_id"]].tail(10)
    assert player["baseline"] == pytest.approx(target_values(last, TARGET).mean())


def test_few_past_predictions_give_no_interval_and_say_so(store: Store, league: World) -> None:
    """An interval from a handful of rows would be a guess."""
    promote(store, predictions=league.out_of_sample().head(50))
    forecast = predict_upcoming(league.schedule(), league.past, ProductionModelLoader(NAME, store=store))
    assert forecast.rows["low"].isna().all()
    assert forecast.notes == ("no interval: the run of League v1 kept only 50 out-of-sample predictions",)


def test_odds_give_line_edge_and_chances(loader: ProductionModelLoader, league: World) -> None:
    """The line is the bookmakers' median; edge is prediction minus line; the best offer is at a book's own line."""
    schedule = league.schedule().head(3)
    lines = odds_frame(
        PLAYER=[schedule["player"][0].upper(), schedule["player"][0], schedule["player"][1], "Nobody"],
        EVENT_DATE=league.tonight + pd.Timedelta(days=1),  # as in UTC
        HOME_TEAM=schedule["opponent"][0],
        AWAY_TEAM=schedule["team"][0],
        BOOKMAKER=["a", "b", "a", "a"],
        LINE=[20.5, 22.5, 18.5, 3.5],
        OVER_PRICE=[1.9, 1.9, 2.5, 1.9],
        UNDER_PRICE=[1.9, 1.9, 1.5, 1.9],
    )
    forecast = predict_upcoming(schedule, league.past, loader, odds=lines)
    rows = forecast.rows
    assert rows["line"].tolist()[:2] == [21.5, 18.5]
    assert rows["books"].tolist()[:2] == [2, 1]
    assert np.isnan(rows["line"][2])
    assert np.isnan(rows["over"][2])
    assert rows["edge"][0] == rows["predicted"][0] - 21.5
    assert (rows["over"] + rows["under"])[:2].to_numpy() == pytest.approx(1)
    assert (rows["over"][0] > 0.5) == (rows["edge"][0] > 0) or abs(rows["edge"][0]) < 2
    assert rows["chance"].tolist()[:2] == ["errors", "errors"]
    row: Any
    for row in rows.head(2).itertuples():  # 1 / chance is the fair decimal price where nothing can be pushed
        fair = row.fair_over / 100 + 1 if row.fair_over > 0 else 100 / -row.fair_over + 1
        assert fair == pytest.approx(1 / row.over)
    assert rows["price"][0] == pytest.approx(-1000 / 9)
    assert rows["price"][1] == pytest.approx(150 if rows["bet"][1] == "over" else -200)
    chance = rows["over"][1] if rows["bet"][1] == "over" else rows["under"][1]
    assert rows["value"][1] == pytest.approx(chance * (2.5 if rows["bet"][1] == "over" else 1.5) - 1)
    assert "1 player(s) of the odds are in no row of the schedule (Nobody" in forecast.notes[0]
    assert "has never been held against lines" in forecast.warnings[0]


def test_what_was_read_otherwise_is_refused(loader: ProductionModelLoader, league: World) -> None:
    """A CSV as pandas reads it: one line says whose frame is wanted."""
    texts = league.past.assign(GAME_DATE=league.past["GAME_DATE"].astype(str))
    with pytest.raises(DataError, match=r"games has no dates in GAME_DATE: give what load_games\(path\) returns"):
        predict_upcoming(league.schedule(), texts, loader)
    with pytest.raises(DataError, match=r"odds has no column PLAYER: give what read_odds\(path\) returns"):
        predict_upcoming(league.schedule(), league.past, loader, odds=pd.DataFrame({"player": ["A"]}))


def test_a_loader_makes_no_store(tmp_path: Path) -> None:
    """A misspelt path is not filled with an empty database."""
    with pytest.raises(TrackingError, match="is empty"):
        ProductionModelLoader(NAME, tracking_uri=f"sqlite:///{tmp_path / 'nothing.db'}")
    assert not (tmp_path / "nothing.db").exists()


def test_odds_for_other_days_are_not_taken(loader: ProductionModelLoader, league: World) -> None:
    """Nobody has a line then, and a note says so."""
    first = league.schedule().iloc[0]
    lines = odds_frame(
        PLAYER=[first["player"]],
        EVENT_DATE=league.tonight + pd.Timedelta(days=40),
        HOME_TEAM=first["team"],
        AWAY_TEAM=first["opponent"],
        BOOKMAKER="a",
        LINE=20.5,
    )
    forecast = predict_upcoming(league.schedule(), league.past, loader, odds=lines)
    assert forecast.rows[["line", "edge", "over", "under", "books"]].isna().all(axis=None)
    assert forecast.notes == ("no line of the odds is for a player of the schedule: check the dates",)


def test_tonights_lines_are_of_no_earlier_game(loader: ProductionModelLoader, league: World) -> None:
    """Of two nights with the same pair of teams: the first one's date in UTC is the second's."""
    last, played = league.tonight, league.rows.head(1)
    known = league.games[league.games["GAME_DATE"] <= last]
    team, where, opponent = played["MATCHUP"].item().split()
    home = int(where == "vs.")
    schedule = pd.DataFrame(
        {
            "player": played["PLAYER_NAME"].to_numpy(),
            "team": team,
            "opponent": opponent,
            "date": last + pd.Timedelta(days=1),
            "home": home,
        }
    )
    lines = odds_frame(
        PLAYER=schedule["player"],
        EVENT_DATE=last + pd.Timedelta(days=1),
        HOME_TEAM=team if home else opponent,
        AWAY_TEAM=opponent if home else team,
        BOOKMAKER="a",
        LINE=20.5,
        OVER_PRICE=1.9,
        UNDER_PRICE=1.9,
    )
    forecast = predict_upcoming(schedule, known, loader, odds=lines)
    assert forecast.rows["line"].tolist() == [20.5]
    assert "has never been held against lines" in forecast.warnings[0]


# what is refused


def test_data_older_than_the_model_is_refused(loader: ProductionModelLoader, league: World) -> None:
    """The last date before the first game to predict must reach the model's; it can be overruled, and is flagged."""
    old = league.past[league.past["GAME_DATE"] < league.past["GAME_DATE"].max()]
    with pytest.raises(TrackingError, match=r"League v1 is not used: it was trained through .* ends on .* --allow-st"):
        predict_upcoming(league.schedule(), old, loader)
    forecast = predict_upcoming(league.schedule(), old, loader, allow_stale=True)
    assert len(forecast.stale) == 1
    assert forecast.table()["stale"].all()


def test_changed_and_missing_feature_code_is_refused(store: Store, league: World) -> None:
    """Another digest or no such group: named, and overruled only on request; a lost group's columns are empty."""

    @feature_group(tier="core")
    def lost(games: pd.DataFrame) -> pd.DataFrame:
        return games[["PLAYER_ID"]]

    tags = league.tags()
    lineage = tags["lineage"].replace('"name": "rest"', '"name": "lost"')
    code = '"name": "venue", "tier": "contextual", "known_at": "morning", "version": "1", "code": "'
    assert code in lineage
    promote(store, tags={**tags, "lineage": lineage.replace(code, code + "00")})
    loader = ProductionModelLoader(NAME, store=store)
    with pytest.raises(TrackingError, match=r"group\(s\) venue is not that of its training; .*group\(s\) lost of its"):
        predict_upcoming(league.schedule(), league.past, loader)
    forecast = predict_upcoming(league.schedule(), league.past, loader, allow_stale=True)
    assert len(forecast.stale) == 2
    assert any("feature columns are empty" in note for note in forecast.notes)
    with pytest.raises(TrackingError, match=r"group\(s\) venue, lost is not that of its training; bring"):
        predict_upcoming(league.schedule(), league.past, loader, groups=[*league.groups, lost])


def test_what_is_missing_tonight_alone_is_said(store: Store, league: World) -> None:
    """A schedule without a column of the user's own would serve a model that was never tested, without a word."""
    columns = league.columns["rest"]

    @feature_group(tier="contextual")
    def own(games: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame(dict.fromkeys(columns, games["IMPLIED"]), index=games.index)

    groups = [group for group in league.groups if group.name != "rest"]
    lineage = lineage_of([*groups, own], {**league.columns, "own": columns})
    promote(store, tags={**league.tags(), "lineage": json.dumps(lineage.to_dict())})
    loader, past = ProductionModelLoader(NAME, store=store), league.past.assign(IMPLIED=110.0)
    forecast = predict_upcoming(league.schedule(), past, loader, groups=[own])
    assert len(forecast.warnings) == 1
    assert f"{columns[0]}" in forecast.warnings[0]
    assert "(group own): empty in all rows, not so on" in forecast.warnings[0]
    given = predict_upcoming(league.schedule().assign(implied=104.0), past, loader, groups=[own])
    assert not given.warnings
    assert not given.rows["predicted"].equals(forecast.rows["predicted"])


def test_declared_files_are_those_of_the_training(store: Store, league: World, tmp_path: Path) -> None:
    """Code that is run by its path is refused like any other code; that a table has changed is said."""
    for name in ("weights.py", "arenas.csv"):
        (tmp_path / name).write_text("1")
    files = {name: file_digest(tmp_path / name) for name in ("weights.py", "arenas.csv")}
    lineage = json.loads(league.tags()["lineage"]) | {"files": files}
    promote(store, tags={**league.tags(), "lineage": json.dumps(lineage)})
    loader = ProductionModelLoader(NAME, store=store)
    assert not predict_upcoming(league.schedule(), league.past, loader, root=tmp_path).notes
    (tmp_path / "arenas.csv").write_text("2")
    forecast = predict_upcoming(league.schedule(), league.past, loader, root=tmp_path)
    assert forecast.notes == ("the declared arenas.csv is not what it was in the model's training",)
    (tmp_path / "weights.py").unlink()
    with pytest.raises(TrackingError, match=r"the declared code weights\.py is not that of its training"):
        predict_upcoming(league.schedule(), league.past, loader, root=tmp_path)


def test_a_version_that_says_nothing_of_itself_is_refused(store: Store, league: World) -> None:
    """Without the tags of a training session nothing can be checked; allowed, the columns are found by name."""
    promote(store, tags={})
    loader = ProductionModelLoader(NAME, store=store)
    with pytest.raises(TrackingError, match=r"no tag trained_through.*no tag lineage"):
        predict_upcoming(league.schedule(), league.past, loader)
    forecast = predict_upcoming(league.schedule(), league.past, loader, allow_stale=True)
    assert forecast.rows["predicted"].notna().all()


def test_data_must_reach_back_before_the_schedule(loader: ProductionModelLoader, league: World) -> None:
    """There is nothing to make features of."""
    with pytest.raises(DataError, match="no game before"):
        predict_upcoming(league.schedule(), league.games[league.games["GAME_DATE"] > league.tonight], loader)


# the loader


def test_predictions_are_those_of_the_model_that_was_logged(loader: ProductionModelLoader, league: World) -> None:
    """To the bit, for float32 and float64, whatever the order of the columns and whatever else is there."""
    frame = league.features.head(20)
    mixed = frame[frame.columns[::-1]].astype(np.float64).assign(extra="x")
    np.testing.assert_array_equal(loader.predict(frame), league.model.predict(frame))
    np.testing.assert_array_equal(loader.predict(mixed), league.model.predict(frame))
    assert loader.predict(frame.head(0)).shape == (0,)


def test_a_skops_model_is_served(store: Store, league: World) -> None:
    """Whatever scikit-learn model the tracker stores."""
    before = league.games["GAME_DATE"] < league.tonight
    model = make_pipeline(SimpleImputer(keep_empty_features=True), Ridge())
    model.fit(league.features[before], target_values(league.games, TARGET)[before])
    promote(store, model=model)
    frame = league.features.head(20)
    np.testing.assert_allclose(ProductionModelLoader(NAME, store=store).predict(frame), model.predict(frame), rtol=1e-5)


def test_the_two_stage_recipe_is_served_to_the_bit(store: Store, league: World) -> None:
    """An estimator of the plugin's own that is not XGBoost's: stored with skops, the same predictions."""
    before = league.games["GAME_DATE"] < league.tonight
    model = two_stage().set_params(n_estimators=5, minutes__n_estimators=5)
    games = league.games.loc[before, list(model.needs_games)]
    model.fit(league.features[before].astype(np.float64), target_values(league.games, TARGET)[before], games=games)
    promote(store, model=model)
    frame = league.features.head(20)
    loader = ProductionModelLoader(NAME, store=store)
    np.testing.assert_array_equal(loader.predict(frame), model.predict(frame.astype(np.float64)))


def test_missing_and_unusable_columns_are_named(loader: ProductionModelLoader, league: World) -> None:
    """One line that names what is missing."""
    first = league.features.columns[0]
    with pytest.raises(FeatureError, match=rf"lacks 1 of the \d+ feature columns of League v1: {first}; build them"):
        loader.predict(league.features.drop(columns=first))
    with pytest.raises(FeatureError, match=f"columns {first} do not hold numbers"):
        loader.predict(league.features.assign(**{first: "x"}))


def test_the_info_says_what_is_served(loader: ProductionModelLoader, league: World) -> None:
    """Name, version, alias, run, target, training data, metrics and features, as plain values."""
    info = loader.get_model_info()
    assert (info["model_name"], info["alias"], info["version"]) == (NAME, "production", "1")
    assert info["target"] == "PTS+REB+AST"
    assert info["metrics"] == {"mae": 6.0}
    assert info["features"] == list(league.features.columns)
    assert info["dataset_digest"] == dataset_digest(league.past).full
    assert info["registry_problem"] is None
    assert info["run_id"]


def test_a_moved_alias_is_followed(serving: Store, loader: ProductionModelLoader, league: World) -> None:
    """The next prediction is the new version's."""
    frame, model = league.features.head(20), other_model()
    loader.predict(frame)
    promote(serving, model=model, content="c2")
    np.testing.assert_array_equal(loader.predict(frame), model.predict(frame))
    assert loader.get_model_info()["version"] == "2"
    ModelRegistry(store=serving).promote_model(NAME, "1", "production", reason="back")
    np.testing.assert_array_equal(loader.predict(frame), league.model.predict(frame))


def test_a_patient_loader_follows_on_request(serving: Store, league: World) -> None:
    """With check_seconds the alias is asked for at most that often; reload() asks now."""
    loader = ProductionModelLoader(NAME, store=serving, check_seconds=3600)
    promote(serving, model=other_model(), content="c2")
    loader.predict(league.features.head())
    assert loader.get_model_info()["version"] == "1"
    assert loader.reload()
    assert not loader.reload()
    assert loader.get_model_info()["version"] == "2"


def test_an_alias_taken_away_is_an_error(serving: Store, loader: ProductionModelLoader, league: World) -> None:
    """Nothing should be in production then."""
    with serving.calling("take away") as client:
        client.delete_registered_model_alias(NAME, "production")
    with pytest.raises(TrackingError, match="no version of League has the alias 'production' any more"):
        loader.predict(league.features)


@pytest.mark.parametrize(
    ("name", "alias", "message"),
    [
        ("Nobody", "production", "Nobody has no promoted version: train one"),
        (NAME, "staging", r"none has the alias 'staging' \(aliases there: production\)"),
        (NAME, "latest", "can't be an alias"),
    ],
)
def test_nothing_to_serve_is_one_line(serving: Store, name: str, alias: str, message: str) -> None:
    """No model, no such alias, a reserved one: each with the way out."""
    with pytest.raises(TrackingError, match=message) as error:
        ProductionModelLoader(name, alias, store=serving)
    assert "\n" not in str(error.value)


def test_a_pickled_model_is_not_loaded(serving: Store, league: World, tmp_path: Path) -> None:
    """What MLflow would unpickle is refused in one line, also when the alias moves to it."""
    import mlflow.sklearn  # noqa: PLC0415  as a user would

    loader = ProductionModelLoader(NAME, store=serving)
    before = league.games["GAME_DATE"] < league.tonight
    model = Ridge().fit(league.features[before].fillna(0), target_values(league.games, TARGET)[before])
    with quiet():
        mlflow.sklearn.save_model(
            model, str(tmp_path / "pickled"), serialization_format="cloudpickle", pip_requirements=[]
        )
    with serving.calling("register") as client:
        client.create_model_version(NAME, str(tmp_path / "pickled"))
        client.set_registered_model_alias(NAME, "production", "2")
    with pytest.raises(TrackingError, match=r"League v2 is not loaded: it is stored as mlflow\.sklearn, where"):
        ProductionModelLoader(NAME, store=serving)
    np.testing.assert_array_equal(loader.predict(league.features.head()), league.model.predict(league.features.head()))
    assert "may unpickle" in loader.get_model_info()["registry_problem"]


def test_a_description_that_points_elsewhere_is_not_followed(serving: Store, tmp_path: Path) -> None:
    """The files must lie inside of the model."""
    with serving.calling("look") as client:
        folder = client.get_model_version_download_uri(NAME, "1").removeprefix("file://")
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    description = copy / "MLmodel"
    description.write_text(description.read_text().replace("model.ubj", "../model.ubj"))
    with serving.calling("register") as client:
        client.create_model_version(NAME, str(copy))
        client.set_registered_model_alias(NAME, "staging", "2")
    with pytest.raises(TrackingError, match="outside of the model"):
        ProductionModelLoader(NAME, "staging", store=serving)


def test_threads_share_a_loader_while_the_alias_moves(serving: Store, league: World) -> None:
    """Every answer is wholly one version's or the other's."""
    promote(serving, model=other_model(), content="c2")
    loader, registry = ProductionModelLoader(NAME, store=serving), ModelRegistry(store=serving)
    frame = league.features.head(50)
    allowed = {
        other_model().predict(frame).astype(float).tobytes(),
        league.model.predict(frame).astype(float).tobytes(),
    }

    def ask(_: int) -> bool:
        return loader.predict(frame).tobytes() in allowed

    with ThreadPoolExecutor(4) as threads:
        answers = []
        for turn in range(4):
            registry.promote_model(NAME, str(turn % 2 + 1), "production", reason="turn")
            answers += list(threads.map(ask, range(8)))
    assert len(answers) == 32
    assert all(answers)


# over HTTP


def test_a_server_that_goes_away_and_comes_back(
    migrated: Path, league: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Served over HTTP to the bit; the last version serves on without the server, with one logged warning."""
    with mlflow_server.running(shutil.copyfile(migrated, tmp_path / "mlflow.db"), tmp_path) as running:
        promote(connect(running.uri))
        loader = ProductionModelLoader(NAME, tracking_uri=running.uri)
        frame = league.features.head(20)
        np.testing.assert_array_equal(loader.predict(frame), league.model.predict(frame))
        assert predict_upcoming(league.schedule(), league.past, loader).rows["high"].notna().all()
        promote(connect(running.uri), model=other_model(), content="c2")
        assert loader.get_model_info()["version"] == "2"
        running.kill()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            np.testing.assert_array_equal(loader.predict(frame), other_model().predict(frame))
    # How a killed server looks depends on when the connection breaks: nothing answers, or it broke off.
    ours = [record.getMessage() for record in caplog.records if record.name == "pytest_nbaprops.serving.loader"]
    assert len(ours) == 1
    assert ours[0].startswith("League v2 serves on: could not ")
    assert loader.get_model_info()["registry_problem"].startswith("could not ")
    with pytest.raises(TrackingError):
        loader.reload()
