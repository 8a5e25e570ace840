"""Player names compared the way people write them: without accents, punctuation, case and suffixes."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES: Final = frozenset({"jr", "sr", "ii", "iii", "iv", "v"})
# Letters that Unicode does not take apart into a base and an accent.
LETTERS: Final = str.maketrans({"đ": "d", "ð": "d", "ł": "l", "ø": "o", "\u0131": "i", "æ": "ae", "œ": "oe"})
NEAR: Final = 3


def plain_name(name: str) -> str:
    """Lower case, no accents, no punctuation: ``Luka Dončić`` and ``luka doncic`` are one, ``P.J.`` is ``pj``."""
    apart = unicodedata.normalize("NFKD", name.casefold().translate(LETTERS))
    spaced = "".join(c for c in re.sub("[-\u2010\u2011\u2013]", " ", apart) if c.isalnum() or c.isspace())
    return " ".join(spaced.split())


def bare_name(name: str) -> str:
    """The plain name without a suffix: ``Jaime Jaquez Jr.`` is ``jaime jaquez``."""
    words = plain_name(name).split()
    while len(words) > 1 and words[-1] in SUFFIXES:
        words.pop()
    return " ".join(words)


@dataclass(frozen=True, kw_only=True)
class Player:
    """A player of the data as of his latest row."""

    player_id: int
    name: str
    team: str
    last_date: str

    def __str__(self) -> str:
        return f"{self.name} ({self.player_id}, {self.team} on {self.last_date})"


@dataclass(frozen=True, kw_only=True)
class Players:
    """Everyone in the games, by id and by every name he ever had."""

    by_id: Mapping[int, Player]
    names: Mapping[str, frozenset[int]]

    @classmethod
    def of(cls, games: pd.DataFrame) -> Players:
        columns = ["PLAYER_ID", "PLAYER_NAME", "TEAM_ABBREVIATION", "GAME_DATE"]
        latest = games[columns].drop_duplicates("PLAYER_ID", keep="last")
        by_id = {
            int(player): Player(player_id=int(player), name=str(name), team=str(team), last_date=f"{date:%Y-%m-%d}")
            for player, name, team, date in latest.itertuples(index=False)
        }
        names: dict[str, set[int]] = {}
        for player, name in games[columns[:2]].drop_duplicates().itertuples(index=False):
            names.setdefault(str(name), set()).add(int(player))
        return cls(by_id=by_id, names={name: frozenset(ids) for name, ids in names.items()})

    def called(self, name: str) -> tuple[Player, ...]:
        """Everyone who can be meant: by the exact name, the plain one or the one without suffix; newest first."""
        players = (self.by_id[i] for i in frozenset[int]().union(*self._spellings(name)))
        return tuple(sorted(players, key=lambda player: player.last_date, reverse=True))

    def meant(self, name: str, team: str) -> tuple[Player, ...]:
        """Of those, whoever is spelt the closest: among the team's, if it has any, else among all.

        Where the team has none, only a spelling with something that people leave out (a suffix, an accent) decides:
        `Jaren Jackson` is also how they write `Jaren Jackson Jr.`.
        """
        found = self.called(name)
        here = tuple(player for player in found if player.team == team)
        if not here and name.casefold() == bare_name(name):
            return found
        for ids in self._spellings(name):
            if closest := tuple(player for player in here or found if player.player_id in ids):
                return closest
        return ()

    def _spellings(self, name: str) -> tuple[frozenset[int], ...]:
        """Ids by the exact name, by the plain one, by the one without suffix."""
        asked = ((self.names, name), (self._plain, plain_name(name)), (self._bare, bare_name(name)))
        return tuple(ids_of.get(spelling, frozenset()) for ids_of, spelling in asked)

    def near(self, name: str) -> tuple[Player, ...]:
        """A few players with names like this one."""
        close = difflib.get_close_matches(bare_name(name), list(self._bare), n=NEAR, cutoff=0.7)
        words = set(bare_name(name).split()[-1:])
        same_last = [other for other in self._bare if words & set(other.split()[-1:])]
        chosen = list(dict.fromkeys([*close, *sorted(same_last)]))[:NEAR]
        return tuple(player for other in chosen for player in self.called(other))[:NEAR]

    @cached_property
    def _plain(self) -> Mapping[str, frozenset[int]]:
        return _respelt(self.names, plain_name)

    @cached_property
    def _bare(self) -> Mapping[str, frozenset[int]]:
        return _respelt(self.names, bare_name)


def _respelt(names: Mapping[str, frozenset[int]], spelling: Callable[[str], str]) -> Mapping[str, frozenset[int]]:
    found: dict[str, frozenset[int]] = {}
    for name, ids in names.items():
        key = spelling(name)
        found[key] = found.get(key, frozenset()) | ids
    return found
