"""What the leak guard says of feature groups, asked in this process."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext, suppress
from dataclasses import replace
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.data.sample import sample_league
from pytest_nbaprops.features.build import build_features
from pytest_nbaprops.features.catalog import builtin_groups
from pytest_nbaprops.features.group import FeatureGroup, feature_group
from pytest_nbaprops.features.sources import join_as_of
from pytest_nbaprops.leaks.columns import undeclared_columns
from pytest_nbaprops.leaks.dates import choose, kinds_of
from pytest_nbaprops.leaks.groups import ALL, BUILT_IN, FEW, Call, Examination, Heard, Material
from pytest_nbaprops.leaks.leak import Leak, is_proven, leak_text
from pytest_nbaprops.leaks.listener import SHARED_MEMORY, Listener
from pytest_nbaprops.leaks.outside import ANOTHER_DAY, another_outside
from pytest_nbaprops.leaks.reads import Read, absolute, confirmed, is_harmless
from pytest_nbaprops.leaks.rows import changed_rows
from pytest_nbaprops.leaks.watched import HAS_INOTIFY, sees_compiled
from tests.data.logs import REAL_LOGS
from tests.leaks import planted


@pytest.fixture(scope="module")
def league() -> pd.DataFrame:
    return sample_league(seasons=1, players=40, seed=11)


def dates_of(games: pd.DataFrame, count: int = 4) -> tuple[dt.date, ...]:
    days = [day.date() for day in games["GAME_DATE"].unique()][20:]
    return choose(kinds_of(days, games), (), count)


def material(
    games: pd.DataFrame, groups: list[FeatureGroup], root: Path | None = None, known: tuple[str, ...] = ()
) -> Material:
    table = build_features(games.copy(), groups, root=root)
    last = games["SEASON"] == games["SEASON"].iloc[-1]
    return Material.with_built_in(
        [group.name for group in groups if group.name not in BUILTIN],
        groups=groups,
        games=games,
        features=table.frame,
        columns=table.columns,
        root=root or Path(),
        data=None,
        listener=Listener(),
        seed=0,
        known=known,
        few=last,
    )


BUILTIN = [group.name for group in builtin_groups()]


def checked(
    games: pd.DataFrame, group: FeatureGroup, root: Path | None = None, known: tuple[str, ...] = ()
) -> list[Leak]:
    asked = material(games, [group], root, known)
    dates = dates_of(games)
    return Examination(asked, group.name, asked.heard, {ALL: dates[:2], FEW: dates[2:]}).leaks


def group_of(function: Any, **named: Any) -> FeatureGroup:
    return feature_group(tier="core", **named)(function)


def last_points(games: pd.DataFrame) -> Any:
    return games.groupby("PLAYER_ID")["PTS"].shift(1).to_frame("last")


def tonight(games: pd.DataFrame) -> Any:
    return games.groupby("PLAYER_ID")["PTS"].shift(1).to_frame("last").assign(now=games["PTS"], id=games["PLAYER_ID"])


def test_an_example_says_whose_value_moved(league: pd.DataFrame) -> None:
    """The leak names only the column that moved, with player, date, and the values before and after."""
    (leak,) = checked(league, group_of(tonight))
    plain = leak.to_dict()
    assert plain["columns"] == ["now"]
    found = plain["example"]
    row = league[(league["PLAYER_NAME"] == found["player"]) & (league["GAME_DATE"] == found["date"])]
    assert found["column"] == "now"
    assert found["before"] == row["PTS"].item() != found["after"]
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert Leak.from_dict(plain) == leak


def test_two_kinds_in_one_group_are_told_apart(league: pd.DataFrame) -> None:
    """Each column gets the kind that moves it."""

    def both(games: pd.DataFrame) -> Any:
        return games[["PTS"]].assign(next=games.groupby("PLAYER_ID")["PTS"].shift(-1))

    found = {leak.kind: leak.columns for leak in checked(league, group_of(both))}
    assert found == {"future outcomes": ("next",), "same-day outcomes": ("PTS",)}


@pytest.mark.parametrize(
    "rare",
    [
        lambda dates: dates.dt.day_of_week == 6,
        lambda dates: (dates.dt.month == 12) & (dates.dt.day == 25),
        lambda dates: dates.dt.day_of_week.isin([1, 4]) & dates.dt.month.isin([11]),
        lambda dates: dates.dt.day == 13,
    ],
    ids=["sundays", "christmas", "cup nights", "the 13th"],
)
def test_a_leak_on_rare_dates_is_found_where_every_date_is_asked(rare: Any) -> None:
    """A few games of each tested date are enough."""
    games = sample_league(seasons=1, players=60, seed=3)

    def seldom(games: pd.DataFrame) -> Any:
        return games["PTS"].where(rare(games["GAME_DATE"]), -1).to_frame("seldom")

    group = group_of(seldom)
    asked = material(games, [group])
    days = [day.date() for day in games["GAME_DATE"].unique()][10:]
    (leak,) = Examination(asked, "seldom", asked.heard, {ALL: [], FEW: days}).leaks
    assert leak.kind == "same-day outcomes"


def test_a_slow_group_is_asked_about_fewer_dates(league: pd.DataFrame) -> None:
    """By the work that it is, not by the clock; one date of all games and a few of the others are always asked."""

    def slow(games: pd.DataFrame) -> Any:
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        return games[["PLAYER_ID"]]

    asked = material(league, [group_of(slow)])
    dates = dates_of(league, 12)

    def ask(call: Call) -> Heard:
        heard = asked.heard(call)
        assert heard.seconds >= 0.05
        return replace(heard, seconds=0.05)  # a busy machine takes longer for the same work

    looked = Examination(asked, "slow", ask, {ALL: dates, FEW: dates}, 0.28).looked
    assert looked == {ALL: list(map(str, dates[:5])), FEW: list(map(str, dates[:5]))}
    least = Examination(asked, "slow", ask, {ALL: dates, FEW: dates}, 0.01).looked
    assert [len(days) for days in least.values()] == [1, 4]


def test_rows_that_a_merge_adds_are_named_by_their_keys(league: pd.DataFrame) -> None:
    """The detail holds date, game and player of a row to look at."""
    (leak,) = changed_rows(league, group_of(planted.merge_that_doubles))
    first = league["PLAYER_ID"].iloc[0]
    assert leak.kind == "changes rows"
    assert leak.example is not None
    assert f"PLAYER_ID {first}" in str(leak.example["detail"])


def test_rows_of_honest_groups_do_not_change(league: pd.DataFrame) -> None:
    """No leak is made up where the build failed for another reason."""
    assert changed_rows(league, group_of(last_points)) == ()
    assert changed_rows(league, group_of(lambda games: games["NO_SUCH"], name="broken")) == ()


def write_ratings(league: pd.DataFrame, folder: Path) -> None:
    weeks = league.groupby([league["GAME_DATE"].dt.to_period("W").dt.end_time.dt.normalize(), "PLAYER_ID"])[
        "PTS"
    ].mean()
    weeks.rename("RATING").reset_index().rename(columns={"GAME_DATE": "AS_OF"}).to_csv(folder / "r.csv", index=False)


def test_a_declared_source_joined_as_of_is_honest(league: pd.DataFrame, tmp_path: Path) -> None:
    """Reading what is declared, and using only what was known, is no leak."""

    def rated(games: pd.DataFrame, ratings: pd.DataFrame) -> Any:
        return join_as_of(games, ratings, by="PLAYER_ID")[["RATING"]]

    write_ratings(league, tmp_path)
    assert checked(league, group_of(rated, sources={"ratings": "r.csv"}), tmp_path) == []


def test_rows_of_a_declared_source_with_keys_of_their_own_may_be_looked_up(
    league: pd.DataFrame, tmp_path: Path
) -> None:
    """A line for each player and game, dated the day before: its keys stay unique whatever is changed."""

    def line(games: pd.DataFrame, lines: pd.DataFrame) -> Any:
        lines["GAME_DATE"] = pd.to_datetime(lines["GAME_DATE"])
        return games.merge(lines, on=["PLAYER_ID", "GAME_DATE"], how="left", validate="many_to_one")[["LINE"]]

    day_before = league["GAME_DATE"] - pd.Timedelta(days=1)
    table = league[["PLAYER_ID", "GAME_DATE"]].assign(AS_OF=day_before, LINE=league.index % 17)
    table.to_csv(tmp_path / "lines.csv", index=False)
    assert checked(league, group_of(line, sources={"lines": "lines.csv"}), tmp_path) == []


def test_a_declared_source_used_whole_is_a_leak(league: pd.DataFrame, tmp_path: Path) -> None:
    """Rows of a table that were not known on the cutoff date must not move anything."""

    def rated(games: pd.DataFrame, ratings: pd.DataFrame) -> Any:
        means = ratings.groupby("PLAYER_ID")["RATING"].mean()
        return games["PLAYER_ID"].map(means).to_frame("rating")

    write_ratings(league, tmp_path)
    (leak,) = checked(league, group_of(rated, sources={"ratings": "r.csv"}), tmp_path)
    assert leak.kind == "future source rows"


def with_columns(league: pd.DataFrame) -> pd.DataFrame:
    """The games with columns of a user's own: outcomes in many dresses, and what is known."""
    total = league["PTS"] + league["REB"] + league["AST"]
    player, season = total.groupby(league["PLAYER_ID"]), total.groupby([league["PLAYER_ID"], league["SEASON"]])
    return league.assign(
        PRA=total,
        RESULT=league["WL"].map({"W": 1, "L": 0}),
        SCORE=league.groupby("GAME_ID")["PTS"].transform("sum").astype(str),
        ROLLING=player.transform(lambda values: values.rolling(5, min_periods=1).mean()),
        SEASON_MEAN=season.transform("mean"),
        CAREER_MEAN=player.transform("mean"),
        POSITION=(league["PLAYER_ID"] % 3).astype(str),
        HEIGHT=190 + (league["PLAYER_ID"] * 7919) % 25,
        HOLIDAY=league["GAME_DATE"].dt.day_of_week == 6,
    )


@pytest.fixture(scope="module")
def own_columns() -> pd.DataFrame:
    return with_columns(sample_league(seasons=2, players=40, seed=11))


def test_what_a_season_id_says_of_single_rows_is_not_the_leagues(own_columns: pd.DataFrame) -> None:
    """A game is of one kind, so its rows share one id."""
    ids = own_columns["SEASON_ID"]
    short = own_columns.assign(SEASON_ID=ids.where(own_columns["MIN"] > 12, "6" + ids.str[1:]))
    assert "SEASON_ID" not in undeclared_columns(own_columns)
    assert "SEASON_ID" in undeclared_columns(short)


def test_names_that_say_something_of_single_games_are_nobodys(own_columns: pd.DataFrame) -> None:
    """A mark at the name in three games of each player; one who is renamed, or two spellings by season, are none."""
    names, minutes = own_columns["PLAYER_NAME"], own_columns["MIN"]
    worst = minutes.groupby([own_columns["PLAYER_ID"], own_columns["SEASON"]]).rank(method="first") <= 3
    first = own_columns["SEASON"] == own_columns["SEASON"].min()
    late = own_columns["GAME_DATE"] > own_columns["GAME_DATE"].quantile(0.7)
    for honest in (names, names.where(first, names.str.upper()), names.where(~late, names + " Jr.")):
        assert "PLAYER_NAME" not in undeclared_columns(own_columns.assign(PLAYER_NAME=honest))
    assert "PLAYER_NAME" in undeclared_columns(own_columns.assign(PLAYER_NAME=names.where(~worst, names + " (Q)")))


OWN = ["PRA", "RESULT", "SCORE", "ROLLING", "SEASON_MEAN", "CAREER_MEAN", "POSITION", "HEIGHT", "HOLIDAY"]


@pytest.mark.parametrize("column", OWN)
def test_columns_of_ones_own_are_outcomes_until_somebody_says_otherwise(own_columns: pd.DataFrame, column: str) -> None:
    """The numbers cannot tell a height from a mean of the games to come; the user's word counts."""

    def extra(games: pd.DataFrame) -> Any:
        return games[column].astype(float).to_frame("extra")

    assert column in undeclared_columns(own_columns)
    assert checked(own_columns, group_of(extra)) != []
    assert checked(own_columns, group_of(extra), known=(column,)) == []


@pytest.mark.parametrize("column", ["SEASON_MEAN", "CAREER_MEAN"])
def test_the_mean_of_a_season_is_not_known_in_the_next_game_either(own_columns: pd.DataFrame, column: str) -> None:
    """A shift does not help: the value of the last game holds the games to come."""

    def shifted(games: pd.DataFrame) -> Any:
        return games.groupby("PLAYER_ID")[column].shift(1).to_frame("shifted")

    assert [leak.kind for leak in checked(own_columns, group_of(shifted))] == ["future outcomes"]


def test_unplayed_games_at_the_end_are_no_problem(league: pd.DataFrame) -> None:
    """Rows of games not yet played are neither perturbed nor in the way."""
    from pytest_nbaprops.features.build import without_outcomes  # noqa: PLC0415 - only here

    games = without_outcomes(league, league["GAME_DATE"] >= league["GAME_DATE"].unique()[-3])
    asked = material(games, [*builtin_groups()[:4], group_of(last_points)])
    dates = dates_of(league)
    for name in ("last_points", BUILT_IN):
        assert Examination(asked, name, asked.heard, {ALL: dates, FEW: ()}).leaks == []


@pytest.mark.skipif(not HAS_INOTIFY, reason="only Linux tells what compiled code opens")
def test_files_that_are_linked_or_behind_many_folders_are_watched(tmp_path: Path) -> None:
    """A version control for data links its cache; of the folder where that lies nothing else counts."""
    cache, root = tmp_path / "cache", tmp_path / "root"
    for folder in (cache, root / "zz", *(root / "lake" / str(number) for number in range(2100))):
        folder.mkdir(parents=True)
    for file in (cache / "ab12", cache / "cd34", root / "zz" / "near.parquet"):
        file.write_text("1")
    os.utime(cache / "ab12", (1, 1))
    os.utime(root / "zz" / "near.parquet", (1, 1))
    (root / "ratings.parquet").symlink_to(cache / "ab12")
    listener = Listener(root)
    listener.take()
    for file in (root / "ratings.parquet", cache / "cd34", root / "zz" / "near.parquet"):
        file.read_text()
    assert [read.path for read in listener.take()] == [str(root / "ratings.parquet"), str(root / "zz" / "near.parquet")]


@pytest.mark.skipif(not HAS_INOTIFY, reason="only Linux tells what compiled code opens")
def test_a_name_makes_no_code(tmp_path: Path) -> None:
    """Other sessions open code and pytest's settings all the time; a table with such a name is a table."""
    contents = {
        "helpers.py": b"ANSWER = 42\n",
        "__init__.py": b'"""A package."""\n',
        "ext.so": b"\x7fELF\x02",
        "pytest.ini": b"[pytest]\n",
        "rows.py": b"TEAM,NET\n1,2\n",
        "codes.so": b"1",
        "weights.cfg": b"1",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (1, 1))
    listener = Listener(tmp_path)
    for name in contents:
        (tmp_path / name).read_bytes()
    found = [Path(str(read.path)).name for read in listener.take()]
    assert found == ["codes.so", "rows.py", "weights.cfg"]


@pytest.mark.skipif(not HAS_INOTIFY, reason="Windows has no such pipes")
def test_pipes_tell_and_compilers_read_their_own(tmp_path: Path) -> None:
    """What another process writes into a pipe is as good as a file; what numba has compiled is code."""
    pipe, compiled, made = tmp_path / "pipe", tmp_path / "feats.cumulated-3.py311.nbi", tmp_path / "numba.py"
    os.mkfifo(pipe)
    compiled.write_bytes(b"1")
    for file in (pipe, compiled):
        os.utime(file, (1, 1))
    listener = Listener(tmp_path)
    reader: dict[str, Any] = {"__name__": "numba.core.caching", "listener": listener}
    exec("import sys\ndef read(path):\n    return listener.reads(path, sys._getframe())", reader)  # noqa: S102
    assert not reader["read"](str(compiled))
    reader["__name__"] = made.stem
    assert reader["read"](str(compiled))
    listener("open", (str(pipe), None, os.O_RDONLY))
    assert [read.path for read in listener.take()] == [str(compiled), str(pipe)]


SHARED = """
import sys
from multiprocessing import Array
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from pytest_nbaprops.leaks.listener import Listener

listener = Listener(Path(sys.argv[1]))
sys.addaudithook(listener)
theirs, own = SharedMemory(sys.argv[2]), SharedMemory(create=True, size=8)
own.buf[0] = theirs.buf[0]
Array("d", 4)[0] = 1.0
print(*(read.path for read in listener.take()))
own.unlink()
"""


@pytest.mark.skipif(not HAS_INOTIFY, reason="there is no /dev/shm")
def test_memory_that_another_process_filled_is_read(tmp_path: Path) -> None:
    """No file is opened for it; what a process shares with its own is its own work."""
    (tmp_path / "project").mkdir()
    script = tmp_path / "script.py"
    script.write_text(SHARED)
    block = SharedMemory(create=True, size=8)
    try:
        command = [sys.executable, str(script), str(tmp_path / "project"), block.name]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
        assert done.stdout.decode().split() == [SHARED_MEMORY + block.name]
    finally:
        block.close()
        with suppress(FileNotFoundError):  # whoever ends first takes it along
            block.unlink()


@pytest.mark.skipif(not HAS_INOTIFY, reason="only Linux tells what compiled code opens")
def test_what_was_just_written_is_ones_own_on_another_day_too(tmp_path: Path) -> None:
    """CatBoost, for one, writes its progress beside the tests; a time to come is nobody's."""
    listener = Listener(tmp_path)
    for world in (nullcontext(), another_outside(listener, clock=ANOTHER_DAY)):
        with world:
            for name in ("progress.json", "dated_ahead.json"):
                (tmp_path / name).write_text("1")
            os.utime(tmp_path / "dated_ahead.json", (2e9, 2e9))
            for name in ("progress.json", "dated_ahead.json"):
                (tmp_path / name).read_text()
            assert [read.path for read in listener.take()] == [str(tmp_path / "dated_ahead.json")]


@pytest.mark.skipif(not HAS_INOTIFY, reason="elsewhere nothing is watched")
def test_folders_that_cannot_be_watched_are_known(tmp_path: Path) -> None:
    """A process that may open no more files gets no watch; what it then does not see must be said."""
    assert sees_compiled(tmp_path)
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom pytest_nbaprops.leaks.watched import sees_compiled\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\nprint(sees_compiled(Path(sys.argv[1])))\n"
    )
    answer = subprocess.run([sys.executable, "-c", code, tmp_path], check=True, capture_output=True, text=True)
    assert answer.stdout == "False\n"


@pytest.mark.skipif(not Path("/proc/self/root").exists(), reason="the system has no such links")
def test_a_path_through_a_process_leads_where_it_leads(tmp_path: Path) -> None:
    """Else any file could be read as one of the system's; what others keep in memory is none of these."""
    assert absolute(f"/proc/self/root{tmp_path}/truth.json") == str(tmp_path / "truth.json")
    assert not is_harmless(absolute(f"/proc/self/root{tmp_path}/truth.json"))
    assert is_harmless(absolute("/proc/self/status"))
    assert not is_harmless(absolute("/proc/self/environ"))


@pytest.mark.skipif(not Path("/proc/self/fdinfo").is_dir(), reason="only Linux tells of other processes' files")
def test_who_looks_into_the_sessions_output_is_not_the_candidate(tmp_path: Path) -> None:
    """The kernel does not say who opened a file; that of a log is somebody else's, a table's may be the candidate's."""
    reads = [Read(path=str(tmp_path / name), what="") for name in ("log.txt", "table.parquet", "seldom.parquet")]
    with (tmp_path / "log.txt").open("w"), (tmp_path / "table.parquet").open("w+"):
        assert confirmed(reads, reads[:2]) == [reads[1]]
    assert confirmed(reads, reads) == reads


def test_what_a_declaration_would_settle_is_not_proven() -> None:
    """It is told with the line to add, and does not reject."""
    leak = Leak.undeclared("mine", "reads t.csv (conftest.py:3)", "nbaprops_sources = t.csv").to_dict()
    assert not is_proven(leak)
    assert leak_text(leak) == "mine: undeclared source (reads t.csv (conftest.py:3)); nbaprops_sources = t.csv"


@pytest.mark.skipif(not REAL_LOGS.is_dir(), reason="the real game logs are not here")
def test_builtin_groups_are_clean_on_a_real_season() -> None:
    """What comes with the plugin leaks nothing."""
    games = load_games(REAL_LOGS / "2023-24.csv")
    asked = material(games, list(builtin_groups()))
    assert Examination(asked, BUILT_IN, asked.heard, {ALL: dates_of(games, 6), FEW: ()}).leaks == []


def test_dates_of_every_kind_come_first(league: pd.DataFrame) -> None:
    """Seven dates are one of each weekday; what was seen is not seen again until nothing is left."""
    days = [day.date() for day in league["GAME_DATE"].unique()]
    kinds = kinds_of(days, league)
    first = choose(kinds, (), 7)
    assert len({day.weekday() for day in first}) == 7
    assert not set(choose(kinds, first, 7)) & set(first)
    assert choose(kinds, days, 7) == ()
    christmas = [day for day in days if (day.month, day.day) == (12, 25)]
    assert set(christmas) <= set(choose(kinds, (), 20))


def test_findings_do_not_depend_on_what_was_checked_before(league: pd.DataFrame) -> None:
    """The same leak twice, to the last digit."""
    assert checked(league, group_of(tonight)) == checked(league, group_of(tonight))
