"""Which feature group made the model better? The answer comes out of one command."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from tests.end_to_end.conftest import CONFTEST, Session, Train

GROUPS = """
import numpy as np
from pytest_nbaprops import feature_group

@feature_group(tier="core")
def skill(games):
    target = games["PTS"] + games["REB"] + games["AST"]
    by_player = target.groupby(games["PLAYER_ID"])
    past = by_player.transform(lambda values: values.shift(1).rolling(10, min_periods=1).mean())
    return past.to_frame("skill")

@feature_group(tier="core")
def noise(games):
    numbers = games["GAME_ID"].astype("int64") * 31 + games["PLAYER_ID"] * 17
    return np.sin(numbers.astype("float64")).to_frame("noise")

def pytest_nbaprops_feature_groups(config):
    return [skill, noise]
"""


def effects(session: Session) -> dict[str, dict[str, Any]]:
    return {effect["group"]: effect for effect in session.candidate["attribution"]}


@pytest.fixture
def planted(project: pytest.Pytester) -> pytest.Pytester:
    project.makeconftest(CONFTEST + GROUPS)
    return project


@pytest.mark.usefixtures("planted")
def test_a_useful_group_and_noise_are_told_apart(train: Train) -> None:
    """The interval excludes 0 for the group with the skill, and holds it for noise; table, plot and CSV say so.

    An effect is the difference to a candidate without the group, made by hand and by workers.
    """
    # As if `rest,skill,noise` had been asked for: the README's way of leaving out.
    session = train("--nbaprops-features=rest,skill,noise,opponent,-opponent", "--nbaprops-attribute=all")
    found = effects(session)
    assert set(found) == {"rest", "skill", "noise"}
    assert found["skill"]["high"] < 0
    assert found["skill"]["said"] == "helps"
    assert found["noise"]["low"] < 0 < found["noise"]["high"]
    assert session.code == 0
    session.result.stdout.fnmatch_lines(["*skill*added*-*helps*", "*noise*added*not clear*"])
    table = pd.read_csv(session.folder / "nbaprops-report" / "attribution.csv")
    assert set(table["group"]) == {"rest", "skill", "noise"}
    assert (session.folder / "nbaprops-report" / "attribution.png").read_bytes().startswith(b"\x89PNG")
    skill, mae = found["skill"], session.candidate["metrics"]["mae"]
    without = train("--nbaprops-features=rest,noise", "-n", "2").candidate["metrics"]["mae"]
    assert skill["mae_variant"] == pytest.approx(without, abs=1e-12)
    assert skill["difference"] == pytest.approx(mae - without, abs=1e-12)


@pytest.mark.usefixtures("planted")
def test_the_seed_question(train: Train) -> None:
    """Run A without opponent, run B with opponent and skill: which caused it is one option on run B."""
    run_a = train("--nbaprops-features=rest,noise", "--nbaprops-promote=enforce")
    assert run_a.decision["promoted"] is True
    run_b = train("--nbaprops-features=rest,opponent,skill", "--nbaprops-attribute")
    assert {name: effect["change"] for name, effect in effects(run_b).items()} == {
        "opponent": "added",
        "skill": "added",
        "noise": "removed",
    }
    assert effects(run_b)["skill"]["said"] == "helps"
    assert run_b.candidate["attribution"][0]["group"] == "skill"
    assert "against the champion's: added opponent, skill; removed noise" in " ".join(run_b.output.split())


@pytest.mark.usefixtures("promoted")
def test_nothing_changed_is_nothing_to_attribute(train: Train) -> None:
    """The same features as the champion's: no walk, no table."""
    session = train("--nbaprops-attribute", "--nbaprops-param=n_estimators=14")
    assert session.candidate["attribution"] == []
    assert not (session.folder / "nbaprops-report" / "attribution.csv").exists()


def test_a_wrong_mode_is_one_line(train: Train) -> None:
    """Exit 4 with what is allowed."""
    session = train("--nbaprops-attribute=some")
    assert session.code == 4
    assert "--nbaprops-attribute: 'some' is not one of changed, all" in session.errors
