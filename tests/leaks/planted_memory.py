"""More planted groups: what they read, hold or keep in ways that only show in freshly imported modules."""

from __future__ import annotations

import array
import importlib
import importlib.util
import math
import os
import platform
import runpy
import subprocess
import threading
import traceback
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler

from tests.leaks.planted import HONEST, LEAKS, by_player, honest, leak, past_mean

if TYPE_CHECKING:
    from tests.leaks.planted import Function

PLANTED = (LEAKS, HONEST)
RATINGS = Path(__file__).with_name("net_ratings.csv")
FLAGS = RATINGS.with_name("good_teams.csv")
NET: dict[Any, Any] = pd.read_csv(RATINGS).set_index("TEAM")["NET"].to_dict()
BEST, WORST = pd.read_csv(RATINGS)["NET"].agg(["max", "min"])
with RATINGS.open() as lines:
    LINES = [line.split(",") for line in lines]
DOUBLED = {team: 2 * net for team, net in NET.items()}
HANDLE = RATINGS.open()
SCALER = StandardScaler().fit(np.array([[0.0], [20.0]]))
PAIRS = [(0.0, 0.0), (20.0, 30.0)]
MODELS = {"minutes": Ridge().fit(np.array(PAIRS)[:, :1], np.array(PAIRS)[:, 1])}
NOISE = np.random.default_rng(5).random(500)
NUMBERS, QUEUE = array.array("d", NOISE), deque(NOISE.tolist())
TEXT = ",".join(map(str, NOISE))
TEAMS = ["ATL", "BOS", "BKN", "CHI", "DAL"]
PLACES = {team: (30 + number, -70 - number) for number, team in enumerate(TEAMS * 5)}
DISTANCES = {
    (one, other, n): math.dist(PLACES[one], PLACES[other]) for one in TEAMS for other in TEAMS for n in range(40)
}
ZONES = pd.Series({"ATL": -5, "BOS": -5, "DAL": -6})
BREAKS = pd.to_datetime(["2023-02-19", "2024-02-18"])
GRID = np.linspace(0, 60, 601)
ENCODER = OneHotEncoder(categories=[TEAMS], handle_unknown="ignore", sparse_output=False)


def loaded(name: str) -> Any:
    spec: Any = importlib.util.spec_from_file_location("planted_answer", RATINGS.with_name(name))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HELPERS = loaded("planted_answer.py")


@dataclass(slots=True)
class Config:
    table: Any


CONFIG = Config(pd.Series(NOISE))
SPACE = SimpleNamespace(table=pd.Series(NOISE))


class Store:
    means: Any = None


class Registry(dict[str, Any]):
    pass


REGISTRY = Registry()
QUEUED: deque[float] = deque(maxlen=3)


def team(games: pd.DataFrame) -> Any:
    return games["TEAM_ABBREVIATION"]


@leak("undeclared source")
def small_table_read_at_import(games: pd.DataFrame) -> Any:
    return team(games).map(NET).fillna(0.0).to_frame("net")


@leak("undeclared source")
def made_of_a_table_read_at_import(games: pd.DataFrame) -> Any:
    return team(games).map(DOUBLED).fillna(0.0).to_frame("net")


@leak("undeclared source")
def two_numbers_read_at_import(games: pd.DataFrame) -> Any:
    return ((past_mean(games) - WORST) / (BEST - WORST)).to_frame("scaled")


@leak("undeclared source")
def lines_read_in_a_block_at_import(games: pd.DataFrame) -> Any:
    return pd.DataFrame({"teams": len(LINES)}, index=games.index)


def closure_over(table: dict[str, float]) -> Function:
    def closed_over_what_was_read(games: pd.DataFrame) -> Any:
        return team(games).map(table).fillna(0.0).to_frame("net")

    return closed_over_what_was_read


leak("undeclared source")(closure_over(NET))


@leak("undeclared source")
def read_by_what_took_hold_of_open(games: pd.DataFrame) -> Any:
    table = np.loadtxt(RATINGS, delimiter=",", skiprows=1, dtype=str)  # numpy keeps the function for itself
    return team(games).map(dict(table.tolist())).astype(float).fillna(0.0).to_frame("net")


@leak("undeclared source")
def read_from_a_descriptor(games: pd.DataFrame) -> Any:
    with os.fdopen(os.open(RATINGS, os.O_RDONLY)) as table:
        return pd.DataFrame({"net": float(table.read().split(",")[2].split()[0])}, index=games.index)


@leak("undeclared source")
def said_by_a_program(games: pd.DataFrame) -> Any:
    said = subprocess.check_output(["echo", "7"])  # noqa: S607 - of every system
    return pd.DataFrame({"said": float(said)}, index=games.index)


@leak("undeclared source")
def letters_said_by_a_program(games: pd.DataFrame) -> Any:
    said = subprocess.check_output(["echo", "7 ATL"], text=True)  # noqa: S607 - as above
    return (team(games) == said.split()[1]).astype(float).to_frame("said")


@leak("undeclared source")
def flags_of_a_table(games: pd.DataFrame) -> Any:
    good = dict(zip(TEAMS, pd.read_csv(FLAGS)["GOOD"].to_numpy(), strict=True))
    return team(games).map(good).eq(True).astype(float).to_frame("good")  # noqa: FBT003 - of a Series


@leak("undeclared source")
def names_of_columns(games: pd.DataFrame) -> Any:
    return team(games).isin(pd.read_csv(FLAGS).columns[-1:]).astype(float).to_frame("there")


@leak("undeclared source")
def time_of_a_folder(games: pd.DataFrame) -> Any:
    return pd.DataFrame({"second": RATINGS.parents[1].joinpath("benchmarks").stat().st_mtime % 1000}, index=games.index)


@leak("undeclared source")
def code_run_by_its_path(games: pd.DataFrame) -> Any:
    table = runpy.run_path(str(RATINGS.with_name("planted_tables.py")))["NET"]
    return team(games).map(table).fillna(0.0).to_frame("net")


@leak("undeclared source")
def code_loaded_by_its_path(games: pd.DataFrame) -> Any:
    return past_mean(games).to_frame("mean") * loaded("planted_answer.py").ANSWER


@honest
def helpers_loaded_at_import(games: pd.DataFrame) -> Any:
    return past_mean(games).to_frame("mean") * HELPERS.ANSWER


@honest
def looks_for_what_may_not_be_installed(games: pd.DataFrame) -> Any:
    factor = 1.0 if importlib.util.find_spec("lightgbm_of_nobody") is None else 2.0
    return past_mean(games).to_frame("mean") * factor


@honest
def logs_a_traceback(games: pd.DataFrame) -> Any:
    try:
        games["NOT_THERE"]
    except KeyError:
        traceback.format_exc()
    return past_mean(games).to_frame("mean")


@honest
def logs_its_version(games: pd.DataFrame) -> Any:
    done = subprocess.run(["echo", "v1.2"], capture_output=True, text=True, check=True)  # noqa: S607 - as above
    print(done.stdout, platform.platform())  # noqa: T201 - as users do
    return past_mean(games).to_frame("mean")


@leak("undeclared source")
def names_of_files(games: pd.DataFrame) -> Any:
    found = sum(len(path.stem) for path in RATINGS.parent.glob("*.csv"))
    return pd.DataFrame({"letters": float(found)}, index=games.index)


@leak("undeclared source")
def code_read_as_text(games: pd.DataFrame) -> Any:
    return pd.DataFrame({"text": float(Path(__file__).read_text().count("1"))}, index=games.index)


@leak("undeclared source")
def looked_up_by_its_name(games: pd.DataFrame) -> Any:
    return team(games).map(globals()["NET"]).fillna(0.0).to_frame("net")


@leak("undeclared source")
def lazily_imported_table(games: pd.DataFrame) -> Any:
    from tests.leaks.planted_tables import NET as TABLE  # noqa: PLC0415 - imported lazily on purpose

    return team(games).map(TABLE).fillna(0.0).to_frame("net")


@leak("undeclared source")
def imported_by_name(games: pd.DataFrame) -> Any:
    return team(games).map(importlib.import_module("tests.leaks.planted_tables").NET).fillna(0.0).to_frame("net")


@leak("undeclared source")
def read_by_a_thread(games: pd.DataFrame) -> Any:
    table: Any
    with ThreadPoolExecutor(1) as pool:
        (table,) = pool.map(pd.read_csv, [RATINGS])
    return past_mean(games).to_frame("mean") + len(table)


@leak("undeclared source")
def open_file(games: pd.DataFrame) -> Any:
    HANDLE.seek(0)
    return past_mean(games).to_frame("mean") + len(HANDLE.read())


@leak("undeclared source")
def fitted_scaler(games: pd.DataFrame) -> Any:
    scaled = SCALER.transform(past_mean(games).fillna(0.0).to_numpy()[:, None])
    return pd.DataFrame(scaled, index=games.index, columns=["scaled"])


@leak("undeclared source")
def fitted_model_in_a_dict(games: pd.DataFrame) -> Any:
    expected = MODELS["minutes"].predict(past_mean(games).fillna(0.0).to_numpy()[:, None])
    return pd.DataFrame({"minutes": expected}, index=games.index)


@leak("undeclared source")
def numbers_in_an_array(games: pd.DataFrame) -> Any:
    return pd.DataFrame({"number": np.asarray(NUMBERS)[games["PLAYER_ID"] % 500]}, index=games.index)


@leak("undeclared source")
def numbers_in_a_queue(games: pd.DataFrame) -> Any:
    return (games["PLAYER_ID"] % 500).map(dict(enumerate(QUEUE))).to_frame("number")


@leak("undeclared source")
def numbers_in_a_text(games: pd.DataFrame) -> Any:
    return (games["PLAYER_ID"] % 500).map(dict(enumerate(map(float, TEXT.split(","))))).to_frame("number")


@leak("undeclared source")
def table_in_a_slot(games: pd.DataFrame) -> Any:
    return (games["PLAYER_ID"] % 500).map(CONFIG.table).to_frame("number")


@leak("undeclared source")
def table_in_a_namespace(games: pd.DataFrame) -> Any:
    return (games["PLAYER_ID"] % 500).map(SPACE.table).to_frame("number")


@leak("future outcomes")
def kept_on_a_class(games: pd.DataFrame) -> Any:
    if Store.means is None:
        Store.means = by_player(games).mean()
    return games["PLAYER_ID"].map(Store.means).to_frame("mean")


@leak("future outcomes")
def kept_in_a_default(games: pd.DataFrame, kept: dict[str, float] = {}) -> Any:  # noqa: B006 - a leak is planted here
    if "mean" not in kept:
        kept["mean"] = float(games["PTS"].mean())
    return past_mean(games).to_frame("mean") - kept["mean"]


@leak("future outcomes")
def kept_in_a_dict_of_ones_own(games: pd.DataFrame) -> Any:
    if "mean" not in REGISTRY:
        REGISTRY["mean"] = float(games["PTS"].mean())
    return past_mean(games).to_frame("mean") - REGISTRY["mean"]


@leak("future outcomes")
def kept_in_a_queue(games: pd.DataFrame) -> Any:
    if not QUEUED:
        QUEUED.append(float(games["PTS"].mean()))
    return past_mean(games).to_frame("mean") - QUEUED[0]


def closure_with_a_lock() -> Function:
    kept: dict[str, float] = {}
    lock = threading.Lock()

    def kept_behind_a_lock(games: pd.DataFrame) -> Any:
        with lock:
            mean = kept.setdefault("mean", float(games["PTS"].mean()))
        return past_mean(games).to_frame("mean") - mean

    return kept_behind_a_lock


leak("future outcomes")(closure_with_a_lock())


class Fitting:
    def __init__(self) -> None:
        self.mean: float | None = None

    def kept_on_the_object(self, games: pd.DataFrame) -> Any:
        if self.mean is None:
            self.mean = float(games["PTS"].mean())
        return past_mean(games).to_frame("mean") - self.mean


leak("future outcomes")(Fitting().kept_on_the_object)


@honest
def distances_of_literals(games: pd.DataFrame) -> Any:
    keys = zip(team(games), games["MATCHUP"].str[-3:], games["GAME_DATE"].dt.day, strict=True)
    return pd.DataFrame({"distance": [DISTANCES.get(key, 0.0) for key in keys]}, index=games.index)


@honest
def time_zones_of_literals(games: pd.DataFrame) -> Any:
    return team(games).map(ZONES).fillna(-6.0).to_frame("zone")


@honest
def days_to_the_break(games: pd.DataFrame) -> Any:
    days = np.abs(games["GAME_DATE"].to_numpy()[:, None] - BREAKS.to_numpy()[None]).min(axis=1)
    return pd.DataFrame({"days": days / np.timedelta64(1, "D")}, index=games.index)


@honest
def binned_past(games: pd.DataFrame) -> Any:
    return pd.DataFrame({"bin": np.searchsorted(GRID, past_mean(games).fillna(0.0))}, index=games.index)


@honest
def encoder_with_fixed_categories(games: pd.DataFrame) -> Any:
    made = ENCODER.fit_transform(team(games).to_numpy()[:, None])
    return pd.DataFrame(made, index=games.index, columns=TEAMS)


@honest
def polynomial_of_past_means(games: pd.DataFrame) -> Any:
    past = pd.concat([past_mean(games), by_player(games, "MIN").shift(1)], axis=1).fillna(0.0)
    made = PolynomialFeatures(2, include_bias=False).fit_transform(past.to_numpy())
    return pd.DataFrame(made, index=games.index).add_prefix("power_")


@leak("same-day outcomes")
def overtime_tonight(games: pd.DataFrame) -> Any:
    return (games.groupby(["GAME_ID", "TEAM_ABBREVIATION"])["MIN"].transform("sum") > 60).to_frame("overtime")
