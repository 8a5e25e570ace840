"""Feature groups to try the leak guard on: planted leaks with the kind each should be named by, and honest ones."""

from __future__ import annotations

import functools
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_nbaprops.features.group import FeatureGroup, feature_group

if TYPE_CHECKING:
    from collections.abc import Callable

    Function = Callable[..., Any]

LEAKS: list[tuple[FeatureGroup, str]] = []
HONEST: list[FeatureGroup] = []
TEAMS = {"ATL": 1.0, "BOS": 2.0}
MEANS: dict[str, Any] = {}
SEEN: list[int] = []
CODES: dict[str, int] = {}
for _position, _team in enumerate(("ATL", "BOS", "BKN")):
    CODES[_team] = _position  # noqa: PERF403 - filled by a loop on purpose
CALLS = 0
FIRST = None
TABLE = pd.DataFrame({"PLAYER_ID": range(9_000_001, 9_000_500), "RATING": np.random.default_rng(1).random(499)})
FILE = str(Path(__file__).with_name("nothing_of_the_kind.csv"))


def leak(kind: str, known_at: str = "morning") -> Callable[[Function], Function]:
    """Plant a leak of a kind."""

    def plant(function: Function) -> Function:
        LEAKS.append((feature_group(tier="core", known_at=known_at)(function), kind))
        return function

    return plant


def honest(function: Function) -> Function:
    """Plant an honest group."""
    HONEST.append(feature_group(tier="core")(function))
    return function


def by_player(games: pd.DataFrame, column: str = "PTS") -> Any:
    return games.groupby("PLAYER_ID")[column]


def past_mean(games: pd.DataFrame) -> Any:
    return by_player(games).transform(lambda values: values.shift(1).rolling(5, min_periods=1).mean())


@leak("future outcomes")
def season_mean_merged_back(games: pd.DataFrame) -> Any:
    means = games.groupby(["PLAYER_ID", "SEASON"])["PTS"].mean().rename("season_mean").reset_index()
    return games.merge(means, on=["PLAYER_ID", "SEASON"], how="left")[["season_mean"]]


@leak("same-day outcomes")
def rolling_without_shift(games: pd.DataFrame) -> Any:
    return by_player(games).transform(lambda values: values.rolling(5, min_periods=1).mean()).to_frame("mean5")


@leak("future outcomes")
def backward_fill(games: pd.DataFrame) -> Any:
    gaps = games["PTS"].where(games["GAME_DATE"].dt.day % 3 == 0)
    return gaps.groupby(games["PLAYER_ID"]).bfill().where(gaps.isna()).to_frame("filled")


@leak("future outcomes")
def global_z_score(games: pd.DataFrame) -> Any:
    past = past_mean(games)
    return ((past - games["PTS"].mean()) / games["PTS"].std()).to_frame("z")


@leak("future outcomes")
def scaler_of_past_means(games: pd.DataFrame) -> Any:
    past = past_mean(games)
    return ((past - past.min()) / (past.max() - past.min() + past.std())).to_frame("scaled")


@leak("future outcomes")
def target_encoding(games: pd.DataFrame) -> Any:
    return games.groupby("TEAM_ABBREVIATION")["PTS"].transform("mean").to_frame("team_code")


@leak("future outcomes")
def rank_in_season(games: pd.DataFrame) -> Any:
    return past_mean(games).groupby(games["SEASON"]).rank(pct=True).to_frame("rank")


@leak("future rows")
def next_rest(games: pd.DataFrame) -> Any:
    dates = by_player(games, "GAME_DATE")
    return (dates.shift(-1) - games["GAME_DATE"]).dt.days.to_frame("next_rest")


@leak("future outcomes")
def next_minutes(games: pd.DataFrame) -> Any:
    return by_player(games, "MIN").shift(-1).to_frame("next_minutes")


@leak("future outcomes")
def final_standings(games: pd.DataFrame) -> Any:
    won = games.assign(won=games["WL"] == "W").groupby(["SEASON", "TEAM_ABBREVIATION"])["won"].transform("mean")
    return won.groupby(games["SEASON"]).rank(method="dense").to_frame("place")


@leak("same-day outcomes")
def result_of_the_game(games: pd.DataFrame) -> Any:
    return (games["WL"] == "W").to_frame("won")


@leak("same-day outcomes")
def minutes_of_the_game(games: pd.DataFrame) -> Any:
    return (past_mean(games) * games["MIN"]).to_frame("expected")


@leak("same-day outcomes")
def played_much(games: pd.DataFrame) -> Any:
    return past_mean(games).where(games["MIN"] >= 20, -1.0).to_frame("where_played")


@leak("same-day presence")
def team_mates_tonight(games: pd.DataFrame) -> Any:
    return games.groupby(["GAME_ID", "TEAM_ABBREVIATION"])["PLAYER_ID"].transform("count").to_frame("mates")


@leak("same-day presence")
def usual_points_of_those_tonight(games: pd.DataFrame) -> Any:
    return past_mean(games).groupby([games["GAME_ID"], games["TEAM_ABBREVIATION"]]).transform("sum").to_frame("total")


@leak("same-day presence")
def rank_in_team_tonight(games: pd.DataFrame) -> Any:
    return past_mean(games).groupby([games["GAME_ID"], games["TEAM_ABBREVIATION"]]).rank().to_frame("rank")


@leak("future rows")
def games_left(games: pd.DataFrame) -> Any:
    return games.groupby(["TEAM_ABBREVIATION", "SEASON"])["GAME_DATE"].rank("dense", ascending=False).to_frame("left")


@leak("future rows")
def back_to_back_ahead(games: pd.DataFrame) -> Any:
    days = games[["TEAM_ABBREVIATION", "GAME_DATE"]].drop_duplicates().sort_values("GAME_DATE")
    days["next"] = days.groupby("TEAM_ABBREVIATION")["GAME_DATE"].shift(-1)
    merged = games.merge(days, on=["TEAM_ABBREVIATION", "GAME_DATE"], how="left")
    return ((merged["next"] - merged["GAME_DATE"]).dt.days == 1).to_frame("plays_tomorrow")


@leak("same-day outcomes")
def running_sum_with_the_row(games: pd.DataFrame) -> Any:
    return by_player(games).cumsum().to_frame("total")


@leak("undeclared source")
def read_from_disk(games: pd.DataFrame) -> Any:
    lines = len(Path(__file__).with_name("__init__.py").with_suffix(".txt").parts)
    try:
        pd.read_csv(FILE)
    except FileNotFoundError:
        lines += 1
    return past_mean(games).to_frame("rating") + lines


@functools.cache
def cached_table() -> int:
    try:
        return len(Path(FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 0


@leak("undeclared source")
def read_once(games: pd.DataFrame) -> Any:
    return past_mean(games).to_frame("rating") + cached_table()


@leak("undeclared source")
def table_in_memory(games: pd.DataFrame) -> Any:
    return games[["PLAYER_ID"]].merge(TABLE, on="PLAYER_ID", how="left")[["RATING"]].astype(float)


def closure_over_a_table() -> Function:
    table = TABLE.set_index("PLAYER_ID")["RATING"]

    def closed_over(games: pd.DataFrame) -> Any:
        return games["PLAYER_ID"].map(table).astype(float).to_frame("rating")

    return closed_over


leak("undeclared source")(closure_over_a_table())


@leak("undeclared source")
def age_today(games: pd.DataFrame) -> Any:
    return (datetime.now() - games["GAME_DATE"]).dt.days.to_frame("age")  # noqa: DTZ005 - a leak is planted here


@leak("undeclared source")
def time_of_day(games: pd.DataFrame) -> Any:
    return pd.DataFrame({"late": np.full(len(games), time.time() > 0)}, index=games.index)


@leak("undeclared source")
def pandas_clock(games: pd.DataFrame) -> Any:
    return pd.DataFrame({"year": pd.Timestamp.now().year}, index=games.index)


@leak("undeclared source")
def global_noise(games: pd.DataFrame) -> Any:
    np.random.seed(1)  # noqa: NPY002 - a leak is planted here
    return pd.DataFrame({"noise": np.random.random()}, index=games.index)  # noqa: NPY002 - as above


@leak("undeclared source")
def python_noise(games: pd.DataFrame) -> Any:
    return pd.DataFrame({"noise": random.random()}, index=games.index)  # noqa: S311 - as above


@leak("undeclared source")
def other_program(games: pd.DataFrame) -> Any:
    return games[["PLAYER_ID"]] + os.system("true")  # noqa: S605, S607 - as above


@leak("not deterministic")
def own_noise(games: pd.DataFrame) -> Any:
    return pd.DataFrame({"noise": np.random.default_rng().random(len(games))}, index=games.index)


@leak("not deterministic")
def hash_of_team(games: pd.DataFrame) -> Any:
    return games["TEAM_ABBREVIATION"].map(hash).mod(1000).to_frame("code")


@leak("not deterministic")
def order_of_a_set(games: pd.DataFrame) -> Any:
    codes = {name: code for code, name in enumerate(set(games["TEAM_ABBREVIATION"]))}
    return games["TEAM_ABBREVIATION"].map(codes).to_frame("code")


@leak("not deterministic")
def order_of_two(games: pd.DataFrame) -> Any:
    home, away = {"home", "away"}
    return games["MATCHUP"].str.contains("@").map({True: len(home), False: len(away)}).to_frame("code") + ord(home[0])


@leak("not deterministic")
def first_of_what_is_left(games: pd.DataFrame) -> Any:
    codes = {name: code for code, name in enumerate({"ATL", "BOS"} - {"BOS"} | {"BKN"})}
    return games["TEAM_ABBREVIATION"].map(codes).to_frame("code")


@leak("keeps state")
def growing_global(games: pd.DataFrame) -> Any:
    SEEN.append(len(games))
    return past_mean(games).to_frame("mean") + len(SEEN)


@leak("keeps state")
def counts_calls(games: pd.DataFrame) -> Any:
    global CALLS  # noqa: PLW0603 - as above
    CALLS += 1
    return past_mean(games).to_frame("mean") + CALLS


@leak("future outcomes")
def means_kept_from_the_first_call(games: pd.DataFrame) -> Any:
    if "means" not in MEANS:
        MEANS["means"] = games.groupby("PLAYER_ID")["PTS"].mean()
    return games["PLAYER_ID"].map(MEANS["means"]).to_frame("mean")


@leak("future outcomes")
def mean_kept_from_the_first_call(games: pd.DataFrame) -> Any:
    global FIRST  # noqa: PLW0603 - as above
    if FIRST is None:
        FIRST = games["PTS"].mean()
    return past_mean(games).to_frame("mean") - FIRST


@leak("future outcomes")
def kept_on_the_function(games: pd.DataFrame) -> Any:
    kept = vars(kept_on_the_function)
    if "mean" not in kept:
        kept["mean"] = float(games["PTS"].mean())
    return past_mean(games).to_frame("mean") - kept["mean"]


@leak("row order")
def row_number(games: pd.DataFrame) -> Any:
    return pd.DataFrame({"row": np.arange(len(games))}, index=games.index)


@leak("row order", "tipoff")
def number_in_the_game(games: pd.DataFrame) -> Any:
    return games.groupby("GAME_ID").cumcount().to_frame("number")


@leak("same-day outcomes")
def window_across_players(games: pd.DataFrame) -> Any:
    return games["PTS"].shift(1).rolling(10, min_periods=1).mean().to_frame("mean10")


@leak("future outcomes")
def window_across_sorted_players(games: pd.DataFrame) -> Any:
    ordered = games.sort_values(["PLAYER_ID", "GAME_DATE"])
    return ordered["PTS"].shift(1).rolling(10, min_periods=1).mean().reindex(games.index).to_frame("mean10")


@leak("changes rows")
def drops_idle_rows(games: pd.DataFrame) -> Any:
    return games.loc[games["MIN"] > 0, ["PLAYER_ID"]]


@leak("same-day outcomes")
def drops_idle_rows_and_returns(games: pd.DataFrame) -> Any:
    return past_mean(games[games["MIN"] >= 15]).reindex(games.index).to_frame("mean")


@leak("changes rows")
def merge_that_doubles(games: pd.DataFrame) -> Any:
    previous = games[["PLAYER_ID", "SEASON", "TEAM_ABBREVIATION"]].drop_duplicates(["PLAYER_ID", "TEAM_ABBREVIATION"])
    twice = pd.concat([previous, previous.head(1)])
    return games.merge(twice, on="PLAYER_ID")[["PLAYER_ID"]]


@leak("changes rows")
def sorted_and_left_so(games: pd.DataFrame) -> Any:
    return games.sort_values(["PLAYER_ID", "GAME_DATE"])[["PLAYER_ID"]]


@leak("future rows")
def sorted_and_numbered_anew(games: pd.DataFrame) -> Any:
    return games.sort_values(["PLAYER_ID", "GAME_DATE"], ignore_index=True)[["PLAYER_ID"]]


@leak("future outcomes")
def ewm_backwards(games: pd.DataFrame) -> Any:
    ordered = games.sort_values("GAME_DATE", ascending=False)
    means = by_player(ordered).transform(lambda values: values.shift(1).ewm(halflife=5).mean())
    return means.reindex(games.index).to_frame("ewm")


@leak("future outcomes")
def interpolated(games: pd.DataFrame) -> Any:
    gaps = games["PTS"].where(games["GAME_DATE"].dt.day % 2 == 0)
    filled = gaps.groupby(games["PLAYER_ID"]).transform(lambda values: values.interpolate())
    return filled.where(gaps.isna()).to_frame("between")


@leak("future outcomes")
def centred_window(games: pd.DataFrame) -> Any:
    means = by_player(games).transform(lambda values: values.rolling(5, center=True, min_periods=1).mean())
    return (means * 5 - games["PTS"]).to_frame("around")


@leak("keeps state")
def changes_the_games(games: pd.DataFrame) -> Any:
    games["PRA"] = games["PTS"] + games["REB"] + games["AST"]
    return by_player(games, "PRA").shift(1).to_frame("last")


@leak("same-day outcomes")
def opponent_points_tonight(games: pd.DataFrame) -> Any:
    return (games.groupby("GAME_ID")["PTS"].transform("sum") - games["PTS"]).to_frame("others")


@leak("same-day outcomes")
def league_mean_through_tonight(games: pd.DataFrame) -> Any:
    return games.groupby("GAME_DATE")["PTS"].transform("mean").to_frame("mean_of_the_day")


@leak("same-day outcomes")
def only_a_little(games: pd.DataFrame) -> Any:
    return (past_mean(games).fillna(0.0) + 1e-4 * games["PTS"]).to_frame("mean")


@leak("future rows")
def player_codes_of_everybody(games: pd.DataFrame) -> Any:
    return games["PLAYER_ID"].astype("category").cat.codes.to_frame("code")


@leak("needs outcomes")
def whole_numbers_only(games: pd.DataFrame) -> Any:
    return games.assign(points=games["PTS"].astype(int)).groupby("PLAYER_ID")["points"].shift(1).to_frame("last")


@leak("future outcomes")
def filled_with_the_median_of_all(games: pd.DataFrame) -> Any:
    past = past_mean(games)
    return past.fillna(past.median()).to_frame("mean")


@leak("same-day presence")
def distance_to_the_best_tonight(games: pd.DataFrame) -> Any:
    past = past_mean(games)
    best = past.groupby([games["TEAM_ABBREVIATION"], games["GAME_DATE"]]).transform("max")
    return (best - past).to_frame("distance")


@leak("same-day outcomes")
def idle_players_of_the_game(games: pd.DataFrame) -> Any:
    return games["MIN"].eq(0).groupby(games["GAME_ID"]).transform("sum").to_frame("idle")


@leak("same-day outcomes")
def team_total_of_the_row_above(games: pd.DataFrame) -> Any:
    return games.groupby("TEAM_ABBREVIATION")["PTS"].shift(1).to_frame("above")


@leak("same-day presence")
def those_of_the_weekend(games: pd.DataFrame) -> Any:
    sides = past_mean(games).fillna(0.0).groupby([games["GAME_ID"], games["TEAM_ABBREVIATION"]])
    return sides.transform("sum").where(games["GAME_DATE"].dt.dayofweek >= 4, 99.0).to_frame("there")


@leak("same-day outcomes")
def seconds_to_the_end(games: pd.DataFrame) -> Any:
    start = games["GAME_DATE"].astype("datetime64[s]").astype("int64").astype(float)
    return (start + 12 * games["PTS"].fillna(0.0)).to_frame("end")  # the last bits of a float32


@leak("same-day outcomes")
def on_busy_nights(games: pd.DataFrame) -> Any:
    size = games.groupby("GAME_DATE")["GAME_ID"].transform("nunique")
    busy = (size == size.max()) & (games["GAME_DATE"] >= "2023-12-01")
    return past_mean(games).mask(busy, games["PTS"]).to_frame("mean")


@leak("same-day outcomes")
def only_on_test_dates(games: pd.DataFrame) -> Any:
    return past_mean(games).where(games["GAME_DATE"] < "2023-12-01", games["PTS"]).to_frame("mean")


@leak("undeclared source")
def numpy_clock(games: pd.DataFrame) -> Any:
    return (np.datetime64("now") - games["GAME_DATE"]).dt.days.to_frame("age")


@leak("not deterministic")
def process_number(games: pd.DataFrame) -> Any:
    return pd.DataFrame({"process": float(os.getpid())}, index=games.index)


@leak("needs outcomes")
def sum_without_the_row(games: pd.DataFrame) -> Any:
    points = by_player(games)
    return (points.cumsum() - games["PTS"]).to_frame("points_so_far")


@honest
def running_sum_of_percentages(games: pd.DataFrame) -> Any:
    rows = games.sort_values(["PLAYER_ID", "GAME_DATE"])
    total = rows["FG_PCT"].fillna(0.0).cumsum()
    since = total - total.groupby(rows["PLAYER_ID"]).transform("first")
    return since.groupby(rows["PLAYER_ID"]).shift(1).reindex(games.index).to_frame("since")


@honest
def in_threads(games: pd.DataFrame) -> Any:
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(lambda name: by_player(games, name).shift(1), ["PTS", "AST"]))
    return pd.concat(parts, axis=1).rename(columns="last_{}".format)


@honest
def codes_made_at_import(games: pd.DataFrame) -> Any:
    return games["TEAM_ABBREVIATION"].map(CODES).astype(float).to_frame("code")


@honest
def identity(games: pd.DataFrame) -> Any:
    return games[["PLAYER_ID", "TEAM_ID"]]


@honest
def membership(games: pd.DataFrame) -> Any:
    return games["MATCHUP"].map(lambda text: text[:3] in {"ATL", "BOS", "BKN"}).to_frame("east")


@honest
def constant(games: pd.DataFrame) -> Any:
    return pd.DataFrame({"one": 1.0}, index=games.index)


@honest
def calendar(games: pd.DataFrame) -> Any:
    date = games["GAME_DATE"].dt
    return pd.DataFrame({"month": date.month, "weekday": date.day_of_week, "day": date.day_of_year})


@honest
def rest_days(games: pd.DataFrame) -> Any:
    return by_player(games, "GAME_DATE").diff().dt.days.to_frame("rest_days")


@honest
def expanding_mean(games: pd.DataFrame) -> Any:
    return by_player(games).transform(lambda values: values.shift(1).expanding().mean()).to_frame("so_far")


@honest
def hot_hand(games: pd.DataFrame) -> Any:
    past = by_player(games).shift(1)
    return (past.groupby(games["PLAYER_ID"]).rolling(3).mean().droplevel(0) - past).to_frame("hot_hand")


@honest
def shooting(games: pd.DataFrame) -> Any:
    return by_player(games, "FG_PCT").transform(lambda values: values.shift(1).ewm(halflife=7).mean()).to_frame("fg")


@honest
def spread(games: pd.DataFrame) -> Any:
    return by_player(games, "FANTASY_PTS").transform(lambda values: values.shift(1).rolling(9).std()).to_frame("spread")


@honest
def team_pace(games: pd.DataFrame) -> Any:
    nights = games.groupby(["TEAM_ABBREVIATION", "GAME_DATE"])["FG_PCT"].mean()
    before = nights.groupby(level=0).transform(lambda values: values.shift(1).rolling(10, min_periods=1).mean())
    keys = pd.MultiIndex.from_frame(games[["TEAM_ABBREVIATION", "GAME_DATE"]])
    return pd.DataFrame({"pace": before.reindex(keys).to_numpy()}, index=games.index)


@honest
def league_to_date(games: pd.DataFrame) -> Any:
    nights = games.groupby("GAME_DATE")["FG3_PCT"].agg(["sum", "count"]).cumsum().shift(1)
    return games["GAME_DATE"].map(nights["sum"] / nights["count"]).to_frame("league_fg3")


@honest
def games_so_far(games: pd.DataFrame) -> Any:
    return games.groupby(["PLAYER_ID", "SEASON"]).cumcount().to_frame("games_so_far")


@honest
def rank_of_yesterdays_means(games: pd.DataFrame) -> Any:
    nights = games.groupby(["TEAM_ABBREVIATION", "GAME_DATE"])["PTS"].sum().unstack(0)  # noqa: PD010 - plain
    ranks = nights.ffill().shift(1).rank(axis=1)
    place = ranks.stack()  # noqa: PD013 - plain
    keys = pd.MultiIndex.from_frame(games[["GAME_DATE", "TEAM_ABBREVIATION"]])
    return pd.DataFrame({"place": place.reindex(keys).to_numpy()}, index=games.index)


@honest
def rank_of_home(games: pd.DataFrame) -> Any:
    home = games["MATCHUP"].str.contains("vs.", regex=False)
    return pd.DataFrame({"home": home, "team": games["TEAM_ABBREVIATION"].map(TEAMS).fillna(0.0)})


@honest
def games_tonight(games: pd.DataFrame) -> Any:
    return games.groupby("GAME_DATE")["GAME_ID"].transform("nunique").to_frame("games_tonight")


@functools.cache
def opponent_of(matchup: str) -> str:
    return matchup[-3:]


@honest
def opponent_allowed(games: pd.DataFrame) -> Any:
    opponent = games["MATCHUP"].map(opponent_of)
    nights = games.groupby([opponent.rename("OPP"), "GAME_DATE"])["PTS"].sum()
    before = nights.groupby(level=0).transform(lambda values: values.shift(1).expanding().mean())
    keys = pd.MultiIndex.from_arrays([opponent, games["GAME_DATE"]])
    return pd.DataFrame({"allowed": before.reindex(keys).to_numpy()}, index=games.index)


@honest
def lazily_imported(games: pd.DataFrame) -> Any:
    import colorsys  # noqa: PLC0415 - imported lazily on purpose

    return pd.DataFrame({"hue": colorsys.rgb_to_hsv(1, 0, 0)[2]}, index=games.index)


@honest
def seeded_noise(games: pd.DataFrame) -> Any:
    ids = games["PLAYER_ID"].to_numpy()
    return pd.DataFrame({"noise": [np.random.default_rng(one).random() for one in ids]}, index=games.index)


@honest
def tip_off_in_new_york(games: pd.DataFrame) -> Any:
    return games["GAME_DATE"].dt.tz_localize("America/New_York").dt.day_of_week.to_frame("weekday")


TIPOFF = feature_group(tier="core", known_at="tipoff", name="team_mates_at_tipoff")(team_mates_tonight)
HONEST.append(TIPOFF)
