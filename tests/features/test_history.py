from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.errors import FeatureError
from pytest_nbaprops.features.history import History
from tests.features.boxes import box, frame

NAN = float("nan")


@pytest.fixture
def games() -> pd.DataFrame:
    """Player 1 of Atlanta: 10, 20, (unplayed), 30 points; player 2 of Boston beside him."""
    return frame(
        box("2024-01-01", 1, "ATL vs. BOS", 30, PTS=10),
        box("2024-01-01", 2, "BOS @ ATL", 20, PTS=7),
        box("2024-01-02", 1, "ATL vs. BOS", 36, PTS=20),
        box("2024-01-02", 2, "BOS @ ATL", 24, PTS=9),
        box("2024-01-05", 1, "ATL vs. CHI", None),
        box("2024-01-07", 1, "ATL @ BOS", 12, PTS=30),
    )


def of_player(games: pd.DataFrame, values: pd.DataFrame, player: int = 1) -> list[float]:
    return values.loc[games["PLAYER_ID"] == player].iloc[:, -1].tolist()


@pytest.mark.parametrize(
    ("method", "arguments", "expected"),
    [
        ("lag", (1,), [NAN, 10, 20, 20]),
        ("lag", (2,), [NAN, NAN, 10, 10]),
        ("mean", (3,), [NAN, 10, 15, 15]),
        ("mean", (1,), [NAN, 10, 20, 20]),
        ("median", (3,), [NAN, 10, 15, 15]),
        ("std", (3,), [NAN, NAN, 50**0.5, 50**0.5]),
        ("ewm", (1,), [NAN, 10, 25 / 1.5, 25 / 1.5]),
        ("running_mean", (), [NAN, 10, 15, 15]),
        ("trend", (1, 2), [NAN, 0, 5, 5]),
        ("change", (), [NAN, NAN, 10, 10]),
    ],
)
def test_player_primitives_see_played_games_of_earlier_dates(
    games: pd.DataFrame, method: str, arguments: tuple[int, ...], expected: list[float]
) -> None:
    """Every primitive leaves out the row itself and games not yet played."""
    found = getattr(History(games).player, method)("PTS", *arguments)
    np.testing.assert_allclose(of_player(games, found), expected)


def test_rest_and_counts_of_a_player(games: pd.DataFrame) -> None:
    """Days since, and number of, games that were played."""
    player = History(games).player
    mine = games["PLAYER_ID"] == 1
    np.testing.assert_array_equal(player.rest()[mine], [NAN, 1, 3, 5])
    np.testing.assert_array_equal(player.count()[mine], [0, 1, 2, 2])
    np.testing.assert_array_equal(player.count_within(5)[mine], [0, 1, 2, 1])


def test_schedule_counts_games_that_are_not_yet_played(games: pd.DataFrame) -> None:
    """The schedule is public: an unplayed game of the team ends its rest."""
    mine = games["PLAYER_ID"] == 1
    np.testing.assert_array_equal(History(games).schedule.rest()[mine], [NAN, 1, 3, 2])


def test_second_row_on_the_same_date_is_no_history() -> None:
    """Two games of a player on one date do not see each other."""
    games = frame(
        box("2024-01-01", 1, "ATL vs. BOS", 30, PTS=10),
        box("2024-01-02", 1, "ATL vs. BOS", 30, PTS=20),
        box("2024-01-02", 1, "ATL vs. CHI", 30, PTS=30) | {"GAME_ID": "0099999999"},
    )
    assert History(games).player.lag("PTS", 1).iloc[:, 0].tolist()[1:] == [10, 10]


def test_order_of_rows_within_a_date_never_matters() -> None:
    """Not even for two games of one player on one date."""
    games = frame(
        box("2024-01-01", 1, "ATL vs. BOS", 30, PTS=10),
        box("2024-01-01", 1, "ATL vs. CHI", 30, PTS=30) | {"GAME_ID": "0099999999"},
        box("2024-01-02", 1, "ATL vs. BOS", 30, PTS=20),
    )
    swapped = games.iloc[[1, 0, 2]]
    found = History(swapped).player.lag("PTS", 1, 2).sort_index()
    pd.testing.assert_frame_equal(found, History(games).player.lag("PTS", 1, 2))


def test_opponent_track_tells_what_the_opponent_allowed(games: pd.DataFrame) -> None:
    """OPP_ columns of the opponent's games are the other side's box score."""
    found = History(games).opponent.lag(["OPP_PTS", "PTS"], 1).iloc[-1].tolist()
    assert found == [20, 9]


def test_team_track_sums_the_players() -> None:
    """A team game is the sum over its players; POSS is estimated from it."""
    games = frame(
        box("2024-01-01", 1, "ATL vs. BOS", 30, PTS=10, FGA=8, FTA=5, TOV=1, OREB=2),
        box("2024-01-01", 3, "ATL vs. BOS", 30, PTS=4, FGA=2),
        box("2024-01-02", 1, "ATL vs. BOS", 30),
    )
    found = History(games).team.lag(["PTS", "POSS", "OPP_PTS"], 1).iloc[-1].tolist()
    np.testing.assert_allclose(found, [14, 10 + 0.44 * 5 - 2 + 1, NAN])


def test_season_and_team_tracks_begin_anew() -> None:
    """`player_season` forgets at the new season, `player_team` at a trade."""
    games = frame(
        box("2023-04-01", 1, "ATL vs. BOS", 30, PTS=10),
        box("2023-11-01", 1, "ATL vs. BOS", 30, PTS=20),
        box("2023-11-03", 1, "BOS vs. CHI", 30, PTS=30),
        box("2023-11-05", 1, "BOS vs. CHI", 30, PTS=30),
    )
    history = History(games)
    np.testing.assert_array_equal(history.player_season.count(), [0, 0, 1, 2])
    np.testing.assert_array_equal(history.player_team.count(), [0, 1, 0, 1])


def test_own_tables_of_events_are_aligned(games: pd.DataFrame) -> None:
    """A table derived from `events` is taken row by row."""
    player = History(games).player
    double = pd.DataFrame({"D": 2 * player.events["PTS"]})
    assert of_player(games, player.lag(double, 1))[-1] == 40


def test_missing_values_weigh_nothing() -> None:
    """A percentage that is empty in one game does not empty the mean."""
    games = frame(*(box(f"2024-01-0{day}", 1, "ATL vs. BOS", 30, PTS=day) for day in (1, 2, 3, 4)))
    player = History(games).player
    holes = pd.DataFrame({"H": [1.0, NAN, 3.0, 4.0]})
    assert player.mean(holes, 3).iloc[-1, 0] == 2
    assert player.median(holes, 3).iloc[-1, 0] == 2
    assert player.ewm(holes, 1).iloc[-1, 0] == pytest.approx((3 + 1 / 4) / (1 + 1 / 4))


@pytest.mark.parametrize("columns", ["POINTS", ["PTS", "POINTS"]])
def test_unknown_column_is_named(games: pd.DataFrame, columns: str | list[str]) -> None:
    """Asking for a column that is not there names it and what there is."""
    with pytest.raises(FeatureError, match=r"History.player: no column 'POINTS'; it has PLAYER_ID"):
        History(games).player.mean(columns, 3)


def test_table_of_another_length_is_refused(games: pd.DataFrame) -> None:
    """A table that has not one row per event cannot be aligned."""
    with pytest.raises(FeatureError, match="3 rows for 5 events"):
        History(games).player.mean(pd.DataFrame({"X": [1, 2, 3]}), 3)


def test_player_means_equal_pandas(league: pd.DataFrame) -> None:
    """On a whole league the windows agree with a shifted rolling mean."""
    grouped = league.groupby("PLAYER_ID")["PTS"]
    rolled = grouped.transform(lambda points: points.shift().rolling(10, min_periods=1).mean())
    smooth = grouped.transform(lambda points: points.ewm(halflife=4).mean().shift())
    spread = grouped.transform(lambda points: points.shift().rolling(20, min_periods=2).std())
    player = History(league).player
    np.testing.assert_allclose(player.mean("PTS", 10).iloc[:, 0], rolled)
    np.testing.assert_allclose(player.ewm("PTS", 4).iloc[:, 0], smooth)
    np.testing.assert_allclose(player.std("PTS", 20).iloc[:, 0], spread, atol=1e-6)


def test_dates_before_1970_are_dates() -> None:
    """The first season was played in 1946."""
    games = frame(box("1946-11-01", 1, "ATL vs. BOS", 30, PTS=1), box("1946-11-03", 1, "ATL vs. BOS", 30, PTS=2))
    assert History(games).player.rest().tolist()[1] == 2
