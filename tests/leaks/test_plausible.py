"""Metrics of picked rows and folds that are too good: what is said, and of whom not."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.leaks.picked_metrics import picked_metrics
from pytest_nbaprops.leaks.plausible import too_good, too_good_folds, too_telling, usual_rows

RNG = np.random.default_rng(5)
MINUTES = RNG.integers(0, 40, 3000)
POINTS = pd.Series(RNG.poisson(MINUTES * 0.5).astype(float), name="PTS")


def table(predicted: object = 10.0) -> pd.DataFrame:
    return pd.DataFrame({"actual": POINTS, "predicted": predicted, "baseline": 9.0, "fold": np.arange(3000) // 100})


def test_a_metric_of_good_games_is_picked() -> None:
    """It does not notice what is predicted for the others."""

    def compute(rows: pd.DataFrame) -> Mapping[str, float]:
        good = rows[rows["actual"] >= 12]
        return {"mae_when_good": float((good["actual"] - good["predicted"]).abs().mean())}

    assert list(picked_metrics(table(), compute)) == ["mae_when_good"]


def test_metrics_of_all_rows_are_not_picked() -> None:
    """Nor are shares of hits, or numbers that have nothing to do with predictions."""

    def compute(rows: pd.DataFrame) -> Mapping[str, float]:
        error = (rows["actual"] - rows["predicted"]).abs()
        return {"mae": float(error.mean()), "hits": float((error < 1).mean()), "rows": float(len(rows))}

    assert picked_metrics(table(), compute) == {}


def test_a_hook_that_raises_says_nothing() -> None:
    """Its metrics are missing anyway."""

    def compute(rows: pd.DataFrame) -> Mapping[str, float]:
        raise ValueError(len(rows))

    assert picked_metrics(table(), compute) == {}


def test_folds_better_than_those_looked_at_stand_out() -> None:
    """Outcomes themselves, where the others know nothing."""
    rows = table()
    leaking = rows.assign(predicted=np.where(rows["fold"] % 3 == 1, rows["actual"] + 1, 10.0))
    assert "folds is" in str(too_good_folds(leaking, [0, 15, 29]))


@pytest.mark.parametrize("rehearsed", [[0], [0, 15, 29], list(range(30))])
def test_ordinary_folds_do_not(rehearsed: list[int]) -> None:
    """Errors differ from night to night."""
    noisy = table(POINTS + np.random.default_rng(6).normal(scale=6.0, size=3000))
    assert too_good_folds(noisy, rehearsed) is None


def test_what_is_no_number_says_nothing() -> None:
    """The gate names it; here it is left out."""
    with np.errstate(all="raise"):
        assert too_good_folds(table(np.where(POINTS > 9, np.inf, 10.0)), [0, 15]) is None
        assert too_good_folds(table(np.nan), [0, 15]) is None


def season(*, lines_from: int = 160) -> pd.DataFrame:
    """160 nights of an honest model that explains 8% of what the baseline gets wrong, and twice that with lines."""
    rng, fold = np.random.default_rng(7), np.repeat(np.arange(160), 150)
    night = np.repeat(rng.normal(scale=0.5, size=160), 150)
    knows = np.where(fold < lines_from, 0.08, 0.16)
    model, luck = rng.normal(scale=np.sqrt(knows)), rng.normal(scale=np.sqrt(1 - knows))
    baseline = rng.uniform(2, 40, len(fold))
    actual = baseline + 8 * (model + luck) + night
    return pd.DataFrame({"fold": fold, "actual": actual, "predicted": baseline + 8 * model, "baseline": baseline})


@pytest.mark.parametrize(
    ("share", "leaks", "said"),
    [
        pytest.param(0.1, range(160), "146 of 160 folds", id="a tenth of the way on every night"),
        pytest.param(0.25, range(100, 108), "8 of 160 folds", id="a quarter of the way in a week"),
        pytest.param(0.5, [150], "1 of 160 folds", id="half the way on one night"),
    ],
)
def test_folds_that_nobody_looked_at_stand_out(share: float, leaks: Collection[int], said: str) -> None:
    """A test that goes some of the way to the outcomes, but not on the two weeks that are run again."""
    rows, rehearsed = season(), [*range(20, 27), *range(90, 97)]
    leaking = rows["fold"].isin([fold for fold in leaks if fold not in rehearsed])
    nearer = rows["predicted"] + share * (rows["actual"] - rows["predicted"])
    assert said in str(too_good_folds(rows.assign(predicted=nearer.where(leaking, rows["predicted"])), rehearsed))
    assert too_good_folds(rows, rehearsed) is None


def test_who_has_lines_later_in_the_season_only_does_not() -> None:
    """Closing lines explain twice what a good model does, and are no leak."""
    assert too_good_folds(season(lines_from=60), [*range(20, 27), *range(40, 47)]) is None


def test_who_is_better_than_tonights_minutes_allow_is_too_good() -> None:
    """Two thirds of the baseline's error are out of reach; a good model's nineteen twentieths are not."""
    usual = table(POINTS + RNG.normal(0, 6, 3000)).assign(baseline=POINTS + RNG.normal(0, 6.4, 3000))
    assert too_good(usual) is None
    said = too_good(usual.assign(predicted=POINTS + RNG.normal(0, 3, 3000)))
    assert said is not None
    assert "nbaprops_known_good" in said
    assert too_good(usual.assign(predicted=POINTS).head(50)) is None  # luck


DAYS = pd.date_range("2024-01-01", periods=60)


def league(players: int = 50, nights: int = 60) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Games in the order of their dates, with what the baseline says and what came of it."""
    rng, count = np.random.default_rng(8), players * nights
    games = pd.DataFrame({"PLAYER_ID": np.tile(np.arange(players), nights), "MIN": rng.integers(5, 40, count)})
    games["GAME_DATE"] = np.repeat(DAYS[:nights], players)
    strength = np.tile(rng.normal(20, 8, players), nights)
    return games, pd.DataFrame({"actual": strength + rng.normal(0, 6, count), "baseline": strength})


def test_a_column_that_tells_more_than_anything_can_stands_out() -> None:
    """Whether a line was passed, or the result itself with noise; a sharp closing line does not."""
    rng, (games, targets) = np.random.default_rng(9), league()
    wrong = targets["actual"] - targets["baseline"]
    noise = rng.normal(0, 6, len(games))
    columns = pd.DataFrame(
        {
            "over": (wrong > 0).astype(float),
            "result": (targets["actual"] + noise / 2).where(rng.random(len(games)) < 0.5),
            "line": targets["baseline"] + 0.25 * wrong + noise / 2,
            "again": targets["baseline"] * 2 - 5,
            "level": 1.0,
            "empty": np.nan,
        }
    )
    found = too_telling(columns, targets, usual_rows(games, DAYS))
    assert found == {"over": pytest.approx(0.64, abs=0.05), "result": pytest.approx(0.8, abs=0.05)}


def test_newcomers_and_those_who_did_not_play_are_not_asked_about() -> None:
    """Their baseline is easily mended: by what somebody was before, or by who is out."""
    games, targets = league()
    result = targets[["actual"]]
    assert too_telling(result, targets, usual_rows(games, DAYS[:10])) == {}
    assert too_telling(result, targets, usual_rows(games.assign(MIN=0), DAYS)) == {}
    assert too_telling(result, targets, usual_rows(games, DAYS)) == {"actual": pytest.approx(1.0)}
