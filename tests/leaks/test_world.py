"""Which rows have others' features in a world that could have been, and what predictions give away by themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.data.digest import dataset_digest
from pytest_nbaprops.data.sample import sample_league
from pytest_nbaprops.leaks.world import KEYS, NEIGHBOURS, copied_outcomes, world
from pytest_nbaprops.walkforward.dataset import Dataset, targets_of


def frame(predicted: object = 0.0, baseline: object = 0.5, target: float = 18.0) -> pd.DataFrame:
    actual = np.random.default_rng(3).poisson(target, 600).astype(float)
    return pd.DataFrame({"actual": actual, "predicted": predicted, "baseline": baseline})


@pytest.mark.parametrize("share", [0.6, 1.0])
def test_copies_are_seen(share: float) -> None:
    """Also where only some of the predictions are the outcome."""
    rows = frame()
    copied = np.random.default_rng(4).random(len(rows)) < share
    found = copied_outcomes(rows.assign(predicted=np.where(copied, rows["actual"], 17.3)))
    assert found is not None
    assert "are the outcome itself" in str(found["detail"])


def test_a_rounded_model_is_none() -> None:
    """Whole numbers are right now and then."""
    assert copied_outcomes(frame(predicted=18.0)) is None


def test_the_most_common_outcome_does_not_count() -> None:
    """Nobody blocks a shot most nights, and a constant 0 is right on most of them."""
    assert copied_outcomes(frame(predicted=0.0, target=0.4)) is None


def test_what_the_baseline_hits_too_is_no_copy() -> None:
    """In a made-up league without any chance the baseline is exact as well."""
    rows = frame()
    assert copied_outcomes(rows.assign(predicted=rows["actual"], baseline=rows["actual"])) is None


def test_few_rows_prove_nothing() -> None:
    """Under a hundred games there is no telling."""
    rows = frame().head(80)
    assert copied_outcomes(rows.assign(predicted=rows["actual"])) is None


def test_the_two_worlds_change_every_row_once_and_never_a_whole_date() -> None:
    """Whatever a prediction takes from the night's other rows, an extreme of them too, is another in one of the two."""
    games = sample_league(seasons=1, players=60)
    days = games["GAME_DATE"].unique()[-3:]
    first = games.index[games["GAME_DATE"].eq(days[1]) & games["MIN"].notna()][0]
    games = games[games["GAME_DATE"].ne(days[1]) | (games.index == first)].reset_index(drop=True)
    dataset = Dataset(
        games=games,
        features=games[["MIN"]].astype("float32"),
        targets=targets_of(games, ("PTS",)),
        digest=dataset_digest(games),
        target_columns=("PTS",),
        root=Path(),
    )
    cutoff, last = str(days[0])[:10], str(days[2])[:10]
    worlds = [
        world(dataset, fitted=cutoff, cutoff=cutoff, last=last, changes=(NEIGHBOURS,), high=high)
        for high in (True, False)
    ]
    halves = [one.others for one in worlds]
    tested = games[games["GAME_DATE"].isin(days) & games["MIN"].notna()]
    lonely = tested[tested["GAME_DATE"].eq(days[1])]
    assert not halves[0].intersection(halves[1]).size
    assert set(halves[0].union(halves[1])) == set(pd.MultiIndex.from_frame(tested.drop(lonely.index)[KEYS]))
    assert len(lonely) == 1
    alone = world(dataset, fitted=cutoff, cutoff=last, last=last, changes=(NEIGHBOURS,), high=True)
    rows = games["GAME_DATE"] == days[2]
    assert alone.dataset.features[rows].equals(worlds[0].dataset.features[rows])  # a date looks the same by itself
