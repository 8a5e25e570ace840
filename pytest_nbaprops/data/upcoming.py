"""Who plays tomorrow: a schedule's rows, checked, as canonical rows of games not yet played."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from pytest_nbaprops.data.cells import FIRST_DATE, LAST_DATE
from pytest_nbaprops.data.names import Players
from pytest_nbaprops.data.problems import RowsError, shown
from pytest_nbaprops.data.schedulefile import Schedule
from pytest_nbaprops.data.schema import CANONICAL_COLUMNS, season_of_date
from pytest_nbaprops.errors import DataError

YES: Final = frozenset({"1", "true", "t", "yes", "y", "home", "h", "vs", "vs."})
NO: Final = frozenset({"0", "false", "f", "no", "n", "away", "a", "@"})
MIDNIGHT: Final = re.compile(r"[T ]00:00(:00(\.0+)?)?$", re.ASCII)
USUAL_GAP: Final = 10  # days; the All-Star break is the longest one within a season
CORRECT: Final = "correct one of the rows"
FIRST_NEW_ID: Final = 2_000_000_000  # beyond stats.nba.com's own


class ScheduleError(RowsError):
    """A schedule's rows cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Upcoming:
    """Rows to predict in the order of the schedule, in the games' columns and dtypes, outcomes empty.

    Attributes:
        notes: what is allowed but looks odd, one line each.
        new_players: ids that this schedule made up for players without one.
    """

    rows: pd.DataFrame
    notes: tuple[str, ...] = ()
    new_players: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One checked row."""

    name: str
    player_id: int | None
    """None for someone new without an id of his own."""
    team: str
    opponent: str
    date: dt.date
    home: bool
    game_id: str

    @property
    def pair(self) -> tuple[dt.date, frozenset[str]]:
        return self.date, frozenset({self.team, self.opponent})


def upcoming_rows(schedule: Schedule, games: pd.DataFrame, *, allow_new_players: bool = False) -> Upcoming:
    """The schedule's rows as canonical rows of games not yet played; players and teams are those of `games`.

    A player is found by id, else by name: exact, then without accents, case, punctuation and suffixes; of several the
    one whose latest team is the row's. The team is the schedule's, whatever the data says. Someone who is not in the
    data needs a player_id of his own beside his name, or `allow_new_players`. Missing game ids are taken from the data
    where it has the game, else made up. Columns of the user's own that the games have, too, are kept.

    Raises:
        ScheduleError: rows that cannot be used; a line each with file, row, column, found, expected and the way out.
    """
    reader = _Reader(schedule, games, allow_new_players=allow_new_players)
    checked = {number: row for number in range(len(schedule.cells)) if (row := reader.row(number)) is not None}
    reader.check_together(checked)
    if reader.problems:
        raise ScheduleError([text for _, text in sorted(reader.problems)])
    rows, notes, own = list(checked.values()), reader.notes, _own_columns(schedule, games)
    first = pd.Timestamp(min(row.date for row in rows))
    played = games.loc[games["MIN"].notna() & (games["GAME_DATE"] < first), "GAME_DATE"].max()
    if played is not pd.NaT and (days := (first - played).days) > USUAL_GAP:
        since = f"{days} days before {first:%Y-%m-%d}: what was played since is not in it"
        notes.append(f"the data ends on {played:%Y-%m-%d}, {since}")
    new_ids = _new_ids(rows, games)
    canonical = _canonical(rows, games, reader.teams, new_ids).assign(**own)
    return Upcoming(rows=canonical, notes=tuple(notes), new_players=frozenset(new_ids.values()))


class _Reader:
    """Reads a schedule's rows and collects what is wrong with them, as (row, line)."""

    def __init__(self, schedule: Schedule, games: pd.DataFrame, *, allow_new_players: bool) -> None:
        self.schedule, self.allow_new_players = schedule, allow_new_players
        self.problems: list[tuple[int, str]] = []
        self.notes: list[str] = []
        self.players = Players.of(games)
        columns = [name for name in ("TEAM_ABBREVIATION", "TEAM_ID", "TEAM_NAME") if name in games]
        latest = games[columns].drop_duplicates("TEAM_ABBREVIATION", keep="last")
        self.teams = latest.set_index("TEAM_ABBREVIATION")

    def row(self, number: int) -> _Row | None:
        """The row, or None if something is wrong with it."""
        known = len(self.problems)
        team, opponent = self._team(number, "team"), self._team(number, "opponent")
        date = self._parsed(number, "date", _date, "a date as 2024-01-05, without a time of day", "write it so")
        home = self._parsed(number, "home", _home, "1 or 0 (also true/false, home/away)", "say where it is played")
        game_id = self._parsed(number, "game_id", _game_id, "up to ten digits, or nothing", "leave it empty")
        if team and team == opponent:
            self._problem(number, "opponent", "another team than the row's own", "correct team or opponent")
        name, player_id = self._player(number, team)
        if len(self.problems) > known or date is None or home is None:
            return None
        return _Row(
            name=name, player_id=player_id, team=team, opponent=opponent, date=date, home=home, game_id=game_id or ""
        )

    def check_together(self, rows: Mapping[int, _Row]) -> None:
        """A player or team once a date; both sides at home is noted, since that is right at neutral sites only."""
        seen: dict[object, tuple[int, object]] = {}
        sides: dict[tuple[dt.date, frozenset[str]], dict[str, bool]] = {}
        for number, row in rows.items():
            who = row.name if row.player_id is None else row.player_id
            other = "an opponent that plays one team a date"
            once: list[tuple[object, object, str, str, str]] = [
                (("player", who, row.date), number, "player", "each player once a date", "drop one of the rows"),
                (("team", row.team, row.date), row.opponent, "opponent", "one opponent a date", CORRECT),
                (("team", row.opponent, row.date), row.team, "opponent", other, CORRECT),
                (("home", row.team, row.date), row.home, "home", "one of home and away a team", CORRECT),
            ]
            if row.game_id:
                once.append((("game", row.pair), row.game_id, "game_id", "one id a game", CORRECT))
            for key, value, column, expected, way_out in once:
                first, known = seen.setdefault(key, (number, value))
                if known != value:
                    what = "the same" if column == "player" else "something else"
                    before = f", and {what} in row {self.schedule.place.row_number(first)}"
                    self._problem(number, column, expected, way_out, before=before)
            sides.setdefault(row.pair, {})[row.team] = row.home
        for (date, teams), homes in sides.items():
            if len(homes) > 1 and len(set(homes.values())) == 1:
                where = "at home" if next(iter(homes.values())) else "away"
                pair = " and ".join(sorted(teams))
                note = f"{pair} are both {where} on {date}; right at neutral sites"
                self.notes.append(f"{self.schedule.place.name}: {note}")

    def _cell(self, number: int, column: str) -> str:
        return self.schedule.cells[number].get(column, "")

    def _problem(self, number: int, column: str, expected: str, way_out: str, *, before: str = "") -> None:
        name = self.schedule.columns.get(column, self.schedule.columns.get("player_id", column))
        found = shown(self._cell(number, column) or None)
        where = f"{self.schedule.place.at(number)}, column {name}"
        self.problems.append((number, f"{where}: found {found}{before}, expected {expected}; {way_out}"))

    def _parsed(self, number: int, column: str, parse: Callable[[str], Any], expected: str, way_out: str) -> Any:
        try:
            return parse(self._cell(number, column))
        except ValueError:
            self._problem(number, column, expected, way_out)
            return None

    def _team(self, number: int, column: str) -> str:
        text, known = self._cell(number, column).upper(), list(self.teams.index)
        if text in known:
            return text
        close = difflib.get_close_matches(text, known, n=3, cutoff=0.4)
        near = f"near: {', '.join(close)}" if close else f"known: {', '.join(sorted(known))}"
        self._problem(number, column, f"a team of the data ({near})", "write the abbreviation that the game logs have")
        return ""

    def _player(self, number: int, team: str) -> tuple[str, int | None]:
        """Name and id; the id is None for someone new who is only named."""
        name, id_text = self._cell(number, "player"), self._cell(number, "player_id")
        if name.isdigit() and not id_text:
            name, id_text = "", name
        if id_text:
            return self._by_id(number, name, id_text, team)
        if not name:
            self._problem(number, "player", "a player's name or PLAYER_ID", "fill the cell in")
            return "", None
        found = self.players.meant(name, team)
        if len(found) > 1:
            listing = "; ".join(str(player) for player in found)
            self._problem(number, "player", f"one player, it could be {listing}", "give the PLAYER_ID")
        elif not found and not self.allow_new_players:
            near = "; ".join(str(player) for player in self.players.near(name))
            expected = f"a player of the data{f' (near: {near})' if near else ''}"
            way_out = "correct the name, or give a debutant a player_id or --allow-new-players"
            self._problem(number, "player", expected, way_out)
        if len(found) == 1:
            return found[0].name, found[0].player_id
        return name, None

    def _by_id(self, number: int, name: str, text: str, team: str) -> tuple[str, int | None]:
        column = "player_id" if self._cell(number, "player_id") else "player"
        if not text.isdigit() or int(text) == 0:
            self._problem(number, column, "a positive whole number", "correct the id, or leave it out")
            return name, None
        player = self.players.by_id.get(int(text))
        if player is None and not name and not self.allow_new_players:
            way_out = "correct it, or give a debutant's name in the column player, too"
            self._problem(number, column, "the PLAYER_ID of a player of the data", way_out)
        if player is None and name and not self.allow_new_players and (known := self.players.meant(name, team)):
            expected = f"the id of {'; '.join(map(str, known))}, as player says"
            self._problem(number, column, expected, "correct or drop the id; --allow-new-players takes a namesake")
        if player is not None and name and player not in self.players.called(name):
            named = "; ".join(str(other) for other in self.players.called(name))
            expected = f"the name of {player}, as player_id says{f', or the id of {named}' if named else ''}"
            self._problem(number, "player", expected, "correct the name or the id, or leave one of them out")
        return player.name if player else name or f"player {text}", int(text)


def _date(text: str) -> dt.date:
    date = dt.date.fromisoformat(MIDNIGHT.sub("", text))
    if not FIRST_DATE <= date <= LAST_DATE:
        raise ValueError(text)
    return date


def _home(text: str) -> bool:
    if text.lower() not in YES | NO:
        raise ValueError(text)
    return text.lower() in YES


def _game_id(text: str) -> str:
    if text and not re.fullmatch(r"\d{1,10}", text, re.ASCII):
        raise ValueError(text)
    return text.zfill(10) if text else ""


def _canonical(
    rows: Sequence[_Row], games: pd.DataFrame, teams: pd.DataFrame, new_ids: Mapping[str, int]
) -> pd.DataFrame:
    game_ids = _game_ids(rows, games)
    table = pd.DataFrame(
        {
            "PLAYER_ID": [new_ids[row.name] if row.player_id is None else row.player_id for row in rows],
            "PLAYER_NAME": [row.name for row in rows],
            "TEAM_ABBREVIATION": [row.team for row in rows],
            "GAME_ID": [game_ids[row.pair] for row in rows],
            "GAME_DATE": pd.to_datetime([row.date for row in rows]),
            "MATCHUP": [f"{row.team} {'vs.' if row.home else '@'} {row.opponent}" for row in rows],
            "SEASON": [season_of_date(pd.Timestamp(row.date)) for row in rows],
        }
    )
    for column in teams.columns:
        table[column] = table["TEAM_ABBREVIATION"].map(teams[column])
    if "SEASON_ID" in games:
        table["SEASON_ID"] = str(games["SEASON_ID"].iloc[-1])[:1] + table["SEASON"].str[:4]
    return table.reindex(columns=games.columns).astype(games.dtypes.to_dict())


def _own_columns(schedule: Schedule, games: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """The schedule's values of columns that are none of LeagueGameLog's, as the games have them."""
    extras = {str(name).lower(): name for name in games.columns if name not in CANONICAL_COLUMNS}
    found, problems = {}, []
    for written, cells in schedule.others.items():
        if (name := extras.get(written.strip().lower())) is None:
            continue
        try:
            found[name] = _typed(cells, games[name].dtype)
        except ValueError:
            wrong = next(n for n in range(len(cells)) if not _fits(cells[n], games[name].dtype))
            where, kind = f"{schedule.place.at(wrong)}, column {written}", games[name].dtype
            expected = f"expected {kind}, as the games have it; correct it or leave it empty"
            problems.append(f"{where}: found {shown(cells[wrong])}, {expected}")
    if problems:
        raise ScheduleError(problems)
    return found


def _fits(cell: str, kind: Any) -> bool:
    try:
        _typed((cell,), kind)
    except ValueError:
        return False
    return True


def _typed(cells: Sequence[str], kind: Any) -> Any:
    """Text as values of a dtype, nothing as missing; ValueError where one is none."""
    values: Any = pd.Series([cell or None for cell in cells], dtype=object)
    if pd.api.types.is_bool_dtype(kind):
        if any(cell and cell.lower() not in YES | NO for cell in cells):
            raise ValueError(cells)
        answers = [cell.lower() in YES if cell else None for cell in cells]
        return pd.Series(answers, dtype="boolean" if "" in cells else kind)
    if pd.api.types.is_numeric_dtype(kind):
        return pd.to_numeric(values).astype("float64")
    if pd.api.types.is_datetime64_any_dtype(kind):
        return pd.to_datetime(values).astype(kind)
    return values if isinstance(kind, pd.CategoricalDtype) else values.astype(kind)


def _game_ids(rows: Sequence[_Row], games: pd.DataFrame) -> dict[tuple[dt.date, frozenset[str]], str]:
    """The schedule's id of each game, else the data's, else one that starts with a 9 and holds the date."""
    ids = {row.pair: row.game_id for row in rows if row.game_id}
    wanted = {row.pair for row in rows} - ids.keys()
    days = games[games["GAME_DATE"].isin([pd.Timestamp(date) for date, _ in wanted])]
    for game_id, date, matchup in days[["GAME_ID", "GAME_DATE", "MATCHUP"]].drop_duplicates().itertuples(index=False):
        pair = (date.date(), frozenset(str(matchup).split(" ")[::2]))
        if pair in wanted:
            ids.setdefault(pair, str(game_id))
    for number, pair in enumerate(sorted(wanted - ids.keys(), key=lambda pair: (pair[0], sorted(pair[1])))):
        ids[pair] = f"9{pair[0]:%y%m%d}{number % 1000:03d}"
    return ids


def _new_ids(rows: Sequence[_Row], games: pd.DataFrame) -> dict[str, int]:
    """An id that nobody has for every new name."""
    first = max(FIRST_NEW_ID, int(games["PLAYER_ID"].max()) + 1, *(row.player_id or 0 for row in rows))
    names = dict.fromkeys(row.name for row in rows if row.player_id is None)
    return {name: first + 1 + position for position, name in enumerate(names)}


def unplayed_rows(games: pd.DataFrame, date: str | dt.date | pd.Timestamp) -> Upcoming:
    """The rows of a date in the data whose outcome columns are empty.

    Raises:
        DataError: there is no row of that date, or all of them are played.
    """
    day = pd.Timestamp(date)
    rows = games[games["GAME_DATE"] == day]
    unplayed = rows[rows["MIN"].isna()]
    if len(unplayed):
        return Upcoming(rows=unplayed.reset_index(drop=True))
    found = f"no row of {day:%Y-%m-%d} (the last date is {games['GAME_DATE'].max():%Y-%m-%d})"
    if len(rows):
        found = f"{len(rows)} player-games of {day:%Y-%m-%d}, all of them played"
    raise DataError(
        f"--date {day:%Y-%m-%d}: the data has {found}, expected rows with empty outcome columns; "
        "add them to the data, or name the players in a file with --schedule"
    )
