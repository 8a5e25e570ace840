"""All sources' rows together: rules between rows, the one sort, and the extra columns' types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pytest_nbaprops.data.cells import LARGEST_EXACT, parse_number
from pytest_nbaprops.data.problems import Place, Problem, shown
from pytest_nbaprops.data.remarks import Oddity
from pytest_nbaprops.data.schema import CANONICAL_COLUMNS
from pytest_nbaprops.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


ONE_ROW: Final = Problem(expected="one row per player and game", way_out="drop one of the two rows or files")
ONE_DATE: Final = Problem(expected="one date per game", way_out="correct GAME_DATE or GAME_ID")
ONE_PAIR: Final = Problem(expected="the same two teams in each row of a game", way_out="correct MATCHUP or GAME_ID")
ONE_TEAM: Final = Problem(
    expected="one TEAM_ABBREVIATION per team and game", way_out="restore the ids from the source or correct the name"
)
TWO_TEAMS: Final = Problem(expected="two teams per game", way_out="correct TEAM_ID or GAME_ID")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One source's rows, where they come from, what was odd, and by kind the games and rows, also those left out."""

    table: pa.Table
    place: Place
    oddities: tuple[Oddity, ...]
    kinds: Mapping[str, tuple[frozenset[str], int]]

    def facts(self) -> dict[str, Any]:
        """All but the table, for JSON."""
        kinds = {kind: [sorted(games), rows] for kind, (games, rows) in self.kinds.items()}
        return {"oddities": [asdict(odd) for odd in self.oddities], "kinds": kinds}

    @classmethod
    def known(cls, path: str, table: pa.Table, facts: Mapping[str, Any], read: Callable[[], Part]) -> Part:
        """The part of a file that was read before; for a row's number in it, it is read again."""

        def row_number(row: int) -> int:
            return read().place.row_number(row)

        return cls(
            table=table,
            place=Place(name=path, row_number=row_number),
            oddities=tuple(Oddity(**odd) for odd in facts["oddities"]),
            kinds={kind: (frozenset(games), rows) for kind, (games, rows) in facts["kinds"].items()},
        )


def ordered_table(parts: list[Part]) -> tuple[pa.Table, list[Oddity]]:
    """Every part's rows, checked against each other, in canonical order, and what is odd between them."""
    columns = parts[0].table.column_names
    table = pa.concat_tables([part.table.select(columns) for part in parts])
    games = _Games(table, parts)
    games.require_one_row_each()
    games.require_one_date_and_pair_each()
    games.require_two_teams()
    order = np.lexsort((games.player, games.game, games.date))
    return _in_order(table, order), games.two_a_day()


def _in_order(table: pa.Table, order: NDArray[np.int64]) -> pa.Table:
    """The rows in this order, each column in one piece: one after the other, since all at once take the room twice."""
    sorted_already, rows = bool((np.diff(order) == 1).all()), pa.array(order)
    arrays = []
    for name, column in zip(table.column_names, table.itercolumns(), strict=True):
        whole = column.combine_chunks()
        ordered = whole if sorted_already else whole.take(rows)
        arrays.append(ordered if name in CANONICAL_COLUMNS else _extra_typed(ordered))
    return pa.Table.from_arrays(arrays, names=table.column_names)


def _extra_typed(values: pa.Array) -> pa.Array:
    """An extra column as float64 where every value is a number, as bool where each is true or false, else as text."""
    coded = values.dictionary_encode()
    texts = coded.dictionary.to_pylist()
    if texts and {text.lower() for text in texts} <= {"true", "false"}:
        return pc.take(pa.array([text.lower() == "true" for text in texts]), coded.indices)
    parsed = [parse_number(text) for text in texts]
    # Whole numbers beyond float64 are identifiers and stay exact as text.
    if any(number is None or abs(number) > LARGEST_EXACT for number in parsed):
        return values
    return pc.take(pa.array(parsed, pa.float64()), coded.indices)


class _Games:
    """The key columns as integers, to find rows that contradict each other."""

    def __init__(self, table: pa.Table, parts: list[Part]) -> None:
        self._parts = parts
        self._table = table
        self.game = table["GAME_ID"].cast(pa.int64()).to_numpy()
        self.player = table["PLAYER_ID"].to_numpy()
        self.team = table["TEAM_ID"].to_numpy()
        self.date = table["GAME_DATE"].to_numpy().astype("datetime64[ns]").view(np.int64)

    def require_one_row_each(self) -> None:
        order = np.lexsort((self.player, self.game))
        again = (np.diff(self.game[order]) == 0) & (np.diff(self.player[order]) == 0)
        if pair := _first_pair(order, again):
            first, second = pair
            other_team = self.team[first] != self.team[second]
            team = f" for team {self.team[second]} and for team {self.team[first]}" if other_team else ""
            more = f", and {again.sum() - 1:,} more rows that are there already" if again.sum() > 1 else ""
            found = f"player {self.player[second]} a second time in game {self._game(second)}{team}{more}"
            raise self._error("PLAYER_ID", pair, found, ONE_ROW)

    def require_one_date_and_pair_each(self) -> None:
        order = np.argsort(self.game, kind="stable")
        same = np.diff(self.game[order]) == 0
        if pair := _first_pair(order, same & (np.diff(self.date[order]) != 0)):
            other, day = (str(np.datetime64(int(self.date[row]), "ns").astype("datetime64[D]")) for row in pair)
            found = f"game {self._game(pair[1])} on {day}, which is on {other} elsewhere"
            raise self._error("GAME_DATE", pair, found, ONE_DATE)
        # A number for the two teams of each row's MATCHUP, whoever is named first.
        coded = self._table["MATCHUP"].combine_chunks().dictionary_encode()
        teams = [" ".join(sorted(text.split(" ")[::2])) for text in coded.dictionary.to_pylist()]
        sides = np.unique(teams, return_inverse=True)[1][np.asarray(coded.indices)]
        if pair := _first_pair(order, same & (np.diff(sides[order]) != 0)):
            theirs, mine = (shown(self._table["MATCHUP"][row].as_py()) for row in pair)
            found = f"{mine} in game {self._game(pair[1])}, which is {theirs} elsewhere"
            raise self._error("MATCHUP", pair, found, ONE_PAIR)

    def require_two_teams(self) -> None:
        order = np.lexsort((self.team, self.game))
        game, team = self.game[order], self.team[order]
        same = (np.diff(game) == 0) & (np.diff(team) == 0)
        short = np.asarray(self._table["TEAM_ABBREVIATION"].combine_chunks().dictionary_encode().indices)[order]
        if pair := _first_pair(order, same & (np.diff(short) != 0)):
            other, name = (self._table["TEAM_ABBREVIATION"][row].as_py() for row in pair)
            found = f"{self.team[pair[1]]} for {name} in game {self._game(pair[1])}, which is {other} elsewhere"
            raise self._error("TEAM_ID", pair, found, ONE_TEAM)
        starts = np.flatnonzero(np.r_[True, ~same])
        third = np.flatnonzero(game[starts[2:]] == game[starts[:-2]]) + 2
        if len(third):
            first, second = int(order[starts[third[0] - 2]]), int(order[starts[third[0]]])
            found = f"{shown(str(self.team[second]))} as a third team in game {self._game(second)}"
            raise self._error("TEAM_ID", (first, second), found, TWO_TEAMS)

    def two_a_day(self) -> list[Oddity]:
        """Players with two games on one date, as a GAME_ID that was damaged makes them."""
        order = np.lexsort((self.date, self.player))
        again = (np.diff(self.player[order]) == 0) & (np.diff(self.date[order]) == 0)
        pair = _first_pair(order, again)
        if pair is None:
            return []
        other, game = map(self._game, pair)
        example = f"{self._at(pair[1])}: player {self.player[pair[1]]} in {game} and {other}"
        return [Oddity(what="a player in two games of one date", rows=int(again.sum()), example=example)]

    def _error(self, column: str, pair: tuple[int, int], found: str, problem: Problem) -> DataError:
        first, second = map(self._at, pair)
        return DataError(
            f"{second}, column {column}: found {found} (the other one: {first}), "
            f"expected {problem.expected}; {problem.way_out}"
        )

    def _at(self, row: int) -> str:
        for part in self._parts:
            if row < part.table.num_rows:
                return part.place.at(row)
            row -= part.table.num_rows
        raise IndexError(row)

    def _game(self, row: int) -> str:
        return str(self._table["GAME_ID"][row].as_py())


def _first_pair(order: NDArray[np.int64], hit: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Of the neighbours in ``order`` that are hit those whose later row comes first in the sources, in their order."""
    if not hit.any():
        return None
    left, right = order[:-1][hit], order[1:][hit]
    pick = int(np.argmin(np.maximum(left, right)))
    first, second = sorted((int(left[pick]), int(right[pick])))
    return first, second
