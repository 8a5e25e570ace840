"""To the last bit, features depend on nothing that was not known on the morning of their date."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.data.schema import NUMBER_COLUMNS
from pytest_nbaprops.features.baseline import baseline_predictions, slice_columns
from pytest_nbaprops.features.build import build_as_of, build_features, without_outcomes
from pytest_nbaprops.features.catalog import builtin_groups

GROUPS = builtin_groups()
TARGET = ("PTS", "REB", "AST")


def all_columns(games: pd.DataFrame) -> pd.DataFrame:
    """Everything that this room says of games."""
    features = build_features(games, GROUPS).frame
    slices = slice_columns(games, TARGET).add_prefix("slice_")
    return pd.concat([features, slices, baseline_predictions(games, TARGET)], axis=1)


@pytest.fixture(scope="module")
def computed(league: pd.DataFrame) -> pd.DataFrame:
    return all_columns(league)


@pytest.fixture(params=[0.02, 0.5, 0.97])
def cutoff(request: pytest.FixtureRequest, league: pd.DataFrame) -> pd.Timestamp:
    dates = league["GAME_DATE"].drop_duplicates()
    return pd.Timestamp(dates.iloc[int(request.param * len(dates))])


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected.reset_index(drop=True), check_exact=True)


def test_dropping_later_rows_moves_nothing(league: pd.DataFrame, computed: pd.DataFrame, cutoff: pd.Timestamp) -> None:
    """History ends at the row's date."""
    until = league["GAME_DATE"] <= cutoff
    assert_same(all_columns(league[until]), computed[until])


def test_emptied_outcomes_move_nothing(league: pd.DataFrame, computed: pd.DataFrame, cutoff: pd.Timestamp) -> None:
    """Games not yet played get the features that they have once they are played."""
    until = league["GAME_DATE"] <= cutoff
    emptied = without_outcomes(league, league["GAME_DATE"] >= cutoff)
    assert_same(all_columns(emptied)[until], computed[until])


def test_perturbed_outcomes_move_nothing(league: pd.DataFrame, computed: pd.DataFrame, cutoff: pd.Timestamp) -> None:
    """Outcomes of the date and later are not read."""
    until = league["GAME_DATE"] <= cutoff
    later = league["GAME_DATE"] >= cutoff
    rng = np.random.default_rng(5)
    noise = {name: league[name].where(~later, rng.uniform(0, 1e6, len(league))) for name in NUMBER_COLUMNS}
    assert_same(all_columns(league.assign(**noise))[until], computed[until])


def test_presence_of_others_on_the_date_moves_nothing(
    league: pd.DataFrame, computed: pd.DataFrame, cutoff: pd.Timestamp
) -> None:
    """Who else plays tonight is not known in the morning."""
    tonight = league["GAME_DATE"] == cutoff
    kept = (league["GAME_DATE"] < cutoff) | (tonight & (np.arange(len(league)) % 9 == 0))
    assert tonight[kept].any()
    assert_same(all_columns(league[kept]), computed[kept])


def test_added_later_rows_move_nothing(league: pd.DataFrame, computed: pd.DataFrame, cutoff: pd.Timestamp) -> None:
    """Rows of unknown players on later dates change no earlier value."""
    extra = league[league["GAME_DATE"] > cutoff].assign(PLAYER_ID=lambda rows: rows["PLAYER_ID"] - 10**6)
    more = pd.concat([league, extra.iloc[::7]]).sort_values(["GAME_DATE", "GAME_ID", "PLAYER_ID"], ignore_index=True)
    found = all_columns(more)[more["GAME_DATE"] <= cutoff]
    assert_same(found, computed[league["GAME_DATE"] <= cutoff])


def test_order_of_rows_moves_nothing(league: pd.DataFrame, computed: pd.DataFrame) -> None:
    """Rows may be handed over in any order."""
    shuffled = league.sample(frac=1, random_state=3)
    assert_same(all_columns(shuffled).sort_index(), computed)


def test_as_of_the_first_date_equals_the_whole(
    league: pd.DataFrame, computed: pd.DataFrame, cutoff: pd.Timestamp
) -> None:
    """What is known on the morning is what the whole table says of that date."""
    found = build_as_of(league, GROUPS, dates=[cutoff])
    assert_same(found, computed.loc[league["GAME_DATE"] == cutoff, found.columns])


def test_as_of_does_not_read_outcomes_between_its_dates(league: pd.DataFrame) -> None:
    """In a fold of two dates the second knows nothing of the first one's outcomes, only that it was scheduled."""
    first, second = league["GAME_DATE"].drop_duplicates().iloc[60:62]
    found = build_as_of(league, GROUPS, dates=[first, second])
    doubled = league.assign(PTS=league["PTS"].where(league["GAME_DATE"] < first, league["PTS"] * 2))
    assert_same(build_as_of(doubled, GROUPS, dates=[first, second]), found)


def test_first_date_and_single_rows_have_features(league: pd.DataFrame) -> None:
    """Without any history there are still rows, and no warning."""
    first = league[league["GAME_DATE"] == league["GAME_DATE"].min()]
    for games in (first, first.iloc[:1], without_outcomes(first, pd.Series(data=True, index=first.index))):
        assert len(all_columns(games)) == len(games)
