"""The comparison with the champion: the same player-games on the same data, stored or walked forward again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pytest_nbaprops.registry.promoting import PromotionRequest, check_and_promote
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.connection import connect
from tests.end_to_end.conftest import CONFTEST, Report, Session, Train

AGAINST_ALONE = ("mae <= champion + 0.5",)
AGAINST = ("--nbaprops-criterion=mae <= champion + 0.5", "--nbaprops-criterion=mae <= 50")
ELSEWHERE = "--nbaprops-tracking-uri=sqlite:///elsewhere.db"
OTHER = ("--nbaprops-param=n_estimators=14", *AGAINST)


def against(session: Session) -> dict[str, Any]:
    """The row of the criterion on the champion."""
    row: dict[str, Any] = session.candidate["criteria"][0]
    return row


def notes(session: Session) -> str:
    return "\n".join(session.decision["warnings"])


@pytest.mark.usefixtures("promoted")
def test_stored_predictions_are_used_where_they_cover(train: Train, project: pytest.Pytester) -> None:
    """The same window on the same data needs no fold of the champion; that other libraries made it is said."""
    store = connect(f"sqlite:///{project.path / 'mlflow.db'}")
    with store.calling("pretend") as client:
        made_with = json.loads(client.get_model_version("NBAPropsModel", "1").tags["libraries"])
        other = json.dumps({**made_with, "xgboost": "2.0.3"})
        client.set_model_version_tag("NBAPropsModel", "1", "libraries", other)
    session = train(*OTHER)
    assert against(session)["outcome"] == "passed"
    assert "walked forward again" not in notes(session)
    assert f"the champion v1 was made with XGBoost 2.0.3, and this session has {made_with['xgboost']}" in notes(session)
    assert "scikit-learn" not in notes(session)


@pytest.mark.usefixtures("promoted")
def test_another_target_takes_no_alias(train: Train) -> None:
    """Whatever number it stays below: rebounds are always nearer than points, rebounds and assists."""
    session = train("--nbaprops-target=REB", "--nbaprops-promote=enforce", "--nbaprops-criterion=mae <= 50")
    assert session.code == 10
    assert "which predicts PTS+REB+AST, and the candidates REB; another target is another" in session.output


@pytest.mark.usefixtures("promoted")
def test_what_a_rollback_took_is_not_given_back_by_itself(train: Train, project: pytest.Pytester) -> None:
    """Somebody knew better, and said why; another model may follow, and is told of it. Then an alias by hand."""
    registry = ModelRegistry(store=connect(f"sqlite:///{project.path / 'mlflow.db'}"))
    assert train(*OTHER, "--nbaprops-promote=enforce").candidate["model_version"] == "2"
    registry.rollback_model("NBAPropsModel", "staging", "it fades")
    session = train(*OTHER, "--nbaprops-promote=enforce")
    assert (session.decision["verdict"], registry.aliases("NBAPropsModel")) == ("INCONCLUSIVE", {"staging": "1"})
    told = re.escape("v2 was rolled back from staging on ") + r"\S+ \(it fades\)"
    give = re.escape("; change it, or give it the alias by hand: nbaprops promote v2 --alias staging")
    assert re.search(told + give, session.decision["reasons"][0])
    registry.promote_model("NBAPropsModel", "2", "staging")
    assert train(*OTHER).decision["verdict"] == "PROMOTE"  # who gave it back knew better still
    registry.rollback_model("NBAPropsModel", "staging", "it fades")
    session = train("--nbaprops-param=n_estimators=13", *AGAINST)
    assert session.decision["verdict"] == "PROMOTE"
    assert re.search(f"{told}: what is promoted now may have the same fault", notes(session))
    with registry.store.calling("meddle") as client:
        client.set_registered_model_alias("NBAPropsModel", "Production", "2")
    session = train("--nbaprops-param=n_estimators=13", *AGAINST)
    assert "v2 has the alias 'Production', and aliases are in lower case here" in against(session)["reason"]


@pytest.mark.parametrize(
    ("old", "why"), [(False, "was changed after the run had stored it"), (True, "its stored predictions have MAE")]
)
@pytest.mark.usefixtures("promoted")
def test_stored_predictions_are_those_that_it_was_judged_by(
    train: Train, project: pytest.Pytester, why: str, *, old: bool
) -> None:
    """Whoever makes the champion worse by its file finds it walked forward again; old runs say no digest of it."""
    (kept,) = project.path.glob("mlartifacts/*/*/artifacts/predictions.parquet")
    worse = pd.read_parquet(kept)
    worse.assign(predicted=worse["predicted"] + 9.0).to_parquet(kept)
    if old:
        store = connect(f"sqlite:///{project.path / 'mlflow.db'}")
        store.client.delete_tag(kept.parents[1].name, f"{tags.FILE_DIGEST}{kept.name}")
    session = train(*OTHER)
    assert why in notes(session)
    assert "the champion v1 was walked forward again in this session" in notes(session)
    assert against(session)["threshold"] < 7.0


@pytest.mark.usefixtures("promoted")
def test_a_version_whose_model_is_lost_is_none_to_go_on_with(train: Train, project: pytest.Pytester) -> None:
    """That it is the very same model would be no comfort to who serves it."""
    (models,) = project.path.glob("mlartifacts/*/models")
    shutil.rmtree(models)
    session = train("--nbaprops-promote=enforce")
    assert session.decision["verdict"] == "INCONCLUSIVE"
    assert "NBAPropsModel v1 has lost its model" in session.decision["reasons"][0]


@pytest.mark.usefixtures("promoted")
def test_other_dates_are_walked_forward_again(train: Train, workers: tuple[str, ...]) -> None:
    """A longer window than the champion's is compared on champion folds made in this session, and says so."""
    session = train(*OTHER, "--nbaprops-test=last 30 dates", *workers)
    assert against(session)["outcome"] == "passed"
    assert "the champion v1 was walked forward again in this session: its stored predictions lack 6 of 30" in notes(
        session
    )


@pytest.mark.usefixtures("promoted")
def test_who_is_only_fitted_more_often_is_no_better(train: Train) -> None:
    """The very same recipe: the champion is fitted as often as the candidate, or held by what it predicted before."""
    session = train("--nbaprops-criterion=mae < champion", "--nbaprops-refit=1")
    assert against(session)["threshold"] <= against(session)["value"]
    assert session.candidate["verdict"] == "REJECT"
    assert "it was fitted every 7 days and the candidates every 1 (--nbaprops-refit=7 for both)" in notes(session)


@pytest.mark.usefixtures("promoted")
def test_what_the_gate_has_compared_can_be_put_live(train: Train, project: pytest.Pytester) -> None:
    """With a rolling window each version is tested on dates of its own: the walk of the one in production is kept."""
    registry = ModelRegistry(store=connect(f"sqlite:///{project.path / 'mlflow.db'}"))
    registry.promote_model("NBAPropsModel", "1", "production")
    session = train(*OTHER, "--nbaprops-test=last 30 dates", "--nbaprops-promote=enforce")
    assert session.decision["promoted"] is True
    asked = PromotionRequest(name="NBAPropsModel", version="staging", alias="production", criteria=AGAINST_ALONE)
    result = check_and_promote(registry, asked)
    assert (result.holds, result.version) == (True, "2")
    assert result.criteria[0]["threshold"] == pytest.approx(against(session)["threshold"], abs=1e-9)


@pytest.mark.usefixtures("promoted")
def test_the_walk_again_gives_what_the_champion_would_have_had(train: Train, project: pytest.Pytester) -> None:
    """On changed data the champion's recipe is fitted on the new data, as if it had been a candidate there."""
    data = change_a_game(project)
    again = train(*OTHER, f"--nbaprops-data={data}")
    assert "made on other data" in notes(again)
    threshold = against(again)["threshold"]
    alone = train(f"--nbaprops-data={data}", "--nbaprops-promote=off")
    mae = (alone.predictions["predicted"] - alone.predictions["actual"]).abs().mean()
    assert threshold == pytest.approx(mae + 0.5, abs=1e-9)


def change_a_game(project: pytest.Pytester) -> Path:
    """The league with another box score before the test window."""
    ini = next(line for line in (project.path / "pytest.ini").read_text().splitlines() if "nbaprops_data" in line)
    games = pd.read_csv(ini.partition("=")[2].strip(), dtype={"GAME_ID": str, "SEASON_ID": str})
    games.loc[5, ["FTM", "FTA", "PTS"]] += 1
    path = project.path / "changed.csv"
    games.to_csv(path, index=False)
    return path


@pytest.mark.usefixtures("promoted")
def test_a_champion_whose_code_is_gone_is_inconclusive(project: pytest.Pytester, train: Train) -> None:
    """Other dates, and a recipe that is another one by now: nothing can be compared, with the reason."""
    project.makeconftest(CONFTEST.replace("max_depth=3", "max_depth=2"))
    session = train(*AGAINST, "--nbaprops-test=last 30 dates")
    assert against(session)["outcome"] == "inconclusive"
    assert "its recipe 'quick' is not the one at hand any more" in against(session)["reason"]
    assert session.code == 10


def test_a_champion_of_a_tests_own_estimator_needs_its_stored_predictions(
    project: pytest.Pytester, train: Train
) -> None:
    """Only recipes can be walked forward again."""
    project.makepyfile(
        "from sklearn.linear_model import Ridge\nfrom sklearn.impute import SimpleImputer\n"
        "from sklearn.pipeline import make_pipeline\n\n"
        "def test_own(fold):\n    model = fold.fit(make_pipeline(SimpleImputer(), Ridge()))\n"
        "    fold.record(model.predict(fold.test.X), model=model)\n"
    )
    assert train("--nbaprops-promote=enforce", "--nbaprops-test=2024-03-05..2024-04-08").code == 0
    session = train(*AGAINST, "--nbaprops-test=2024-03-05..2024-04-14", "--nbaprops-seed=7")
    assert against(session)["outcome"] == "inconclusive"
    assert "a test's own" in against(session)["reason"]
    session.result.stdout.fnmatch_lines(["next: Decide on the dates that the champion has predicted:"])
    [window] = re.findall(r"on the dates that it has: --nbaprops-test=(\S+)", against(session)["reason"])
    again = train(*AGAINST, f"--nbaprops-test={window}", "--nbaprops-seed=7")
    assert against(again)["outcome"] in ("passed", "failed")


@pytest.mark.usefixtures("promoted")
def test_the_same_holdout_again_is_said(train: Train) -> None:
    """A second choice on dates that chose a version before says so; a repeated candidate is no second choice.

    What was better and promoted on them is named, whoever is the champion by now.
    """
    assert "earlier promotion" not in notes(train(*AGAINST))
    said = notes(train("--nbaprops-param=n_estimators=6", *AGAINST))
    assert "decided 1 earlier promotion(s) (v1)" in said
    assert "v1 was promoted on these very dates with MAE" in said


@pytest.mark.usefixtures("promoted")
def test_a_model_name_that_is_nearly_another_is_said(train: Train) -> None:
    """Nothing is the champion of a mistyped name."""
    said = "NBAProsModel has no registered version yet (did you mean NBAPropsModel?)"
    assert said in notes(train(*AGAINST, "--nbaprops-model-name=NBAProsModel"))


def test_who_tried_often_is_told_when_it_passes(project: pytest.Pytester, train: Train) -> None:
    """The sixth candidate on these dates, or on some of them, knows of the five before it; it is none of its own."""
    five = "{f'tried_{n}': XGBRegressor(n_estimators=n, max_depth=2, n_jobs=1) for n in range(5, 10)}"
    project.makeconftest(CONFTEST.replace('return {"quick"', f'return {five} | {{"quick"'))
    dates, recipes = "--nbaprops-test=last 20 dates", [f"--nbaprops-recipe=tried_{n}" for n in range(5, 10)]
    assert "were judged on dates of this test window before" not in notes(train(dates, *recipes))
    for window in (dates, "--nbaprops-test=last 21 dates"):
        assert "5 other candidates were judged on dates of this test window before" in notes(train(window))


def test_several_candidates_say_that_they_are_corrected_for(project: pytest.Pytester, train: Train) -> None:
    """Two recipes in one session: Holm is named beside the verdict."""
    project.makeconftest(
        CONFTEST.replace('return {"quick"', 'return {"other": XGBRegressor(n_estimators=8, n_jobs=1), "quick"')
    )
    session = train("--nbaprops-recipe=quick", "--nbaprops-recipe=other", "--nbaprops-criterion=mae < baseline")
    assert "2 candidates were tried on the same dates" in notes(session)


def snapshot_of(promoted: Report, folder: Path) -> Path:
    """The snapshot, for a session with another tracking store."""
    shutil.copytree(promoted.folder / "nbaprops-report" / "champion", folder)
    return folder


def test_a_snapshot_stands_for_the_registry(promoted: Report, train: Train, tmp_path: Path) -> None:
    """`enforce` leaves the champion as files, and a dry run elsewhere compares with them."""
    session = train(*OTHER, ELSEWHERE, f"--nbaprops-champion={snapshot_of(promoted, tmp_path / 'champion')}")
    assert session.code == 0
    assert against(session)["outcome"] == "passed"
    assert session.decision["champion"]["version"] == "1"
    assert session.candidate["lineage"]["added"] == []


def test_a_snapshot_is_walked_forward_again_too(promoted: Report, train: Train, tmp_path: Path) -> None:
    """Other dates than the snapshot's predictions cover."""
    path = snapshot_of(promoted, tmp_path / "champion")
    champion = f"--nbaprops-champion={path / 'version.json'}"
    session = train(*OTHER, ELSEWHERE, champion, "--nbaprops-test=last 30 dates")
    assert against(session)["outcome"] == "passed"
    assert "walked forward again" in notes(session)


def test_a_rejecting_session_leaves_the_old_champion(promoted: Report, train: Train) -> None:
    """The snapshot is the version to beat after the session, whoever that is."""
    session = train("--nbaprops-promote=enforce", *OTHER, "--nbaprops-criterion=mae <= 0.1")
    assert session.code == 1
    kept = json.loads((promoted.folder / "nbaprops-report" / "champion" / "version.json").read_text())
    assert kept["version"]["version"] == "1"


def broken(path: Path, how: str) -> None:
    if how == "gone":
        shutil.rmtree(path)
    elif how == "cut":
        content = (path / "predictions.parquet").read_bytes()
        (path / "predictions.parquet").write_bytes(content[: len(content) // 2])
    elif how == "foreign":
        (path / "version.json").write_text('{"hello": 1}')
    else:
        (path / "version.json").write_text("{")


@pytest.mark.parametrize("how", ["gone", "cut", "foreign", "no json"])
def test_a_broken_snapshot_is_one_line(promoted: Report, train: Train, tmp_path: Path, how: str) -> None:
    """Exit 4 before any fold, naming option, path and the way out."""
    path = snapshot_of(promoted, tmp_path / "champion")
    broken(path, how)
    session = train(*OTHER, f"--nbaprops-champion={path}")
    assert session.code == 4
    assert "--nbaprops-champion: the champion snapshot" in session.errors
    assert "give an alias" in session.errors


def test_enforce_refuses_a_snapshot(train: Train, tmp_path: Path) -> None:
    """What writes to the registry compares with the registry."""
    session = train("--nbaprops-promote=enforce", f"--nbaprops-champion={tmp_path}")
    assert session.code == 4
    assert "name an alias" in session.errors


@pytest.mark.usefixtures("promoted")
def test_who_beats_another_than_the_one_it_would_replace_is_not_known(train: Train) -> None:
    """A run that was named serves nobody; without that name the version under the alias is the one to beat."""
    worse = train("--nbaprops-param=n_estimators=1", "--nbaprops-criterion=mae <= 50", "--nbaprops-promote=dry-run")
    named = f"--nbaprops-champion={worse.candidate['run_id'][:12]}"
    session = train("--nbaprops-param=n_estimators=9", *AGAINST, named, "--nbaprops-promote=enforce")
    assert (session.decision["verdict"], session.decision["promoted"]) == ("INCONCLUSIVE", False)
    assert "staging is v1, and the champion that was named is run " in session.decision["reasons"][0]
    assert train(*OTHER).decision["verdict"] == "PROMOTE"
