"""Columns of the user's own: outcomes of the game, unless he says that they are known before it.

A season mean merged into the games before they are handed over was the original project's worst leak, and nothing in a
group's code shows it. Nor do the numbers: a mean over the test window is the same in all rows of a player, as his
height is. So only the user's word (`nbaprops_known_columns`) makes a column known.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pytest_nbaprops.data.schema import CANONICAL_COLUMNS, OUTCOME_COLUMNS

# Whose name it is: who has another one from game to game has no name there.
NAMES = {"TEAM_NAME": "TEAM_ABBREVIATION", "PLAYER_NAME": "PLAYER_ID"}
SPELLINGS, FEW_NAMES, MANY_NAMES = 6, 3, 0.02
MANY_PLAYERS, MANY_GAMES = 20, 20
KINDS_OF_GAMES = 6  # preseason, regular season, all-star, playoffs, play-in, in-season cup


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """Columns not known before the game: `outcomes` of one's own row, `lasting` ones on no row of a player's season."""

    outcomes: tuple[str, ...]
    lasting: tuple[str, ...] = ()


def unknown_columns(games: pd.DataFrame, known: Collection[str] = ()) -> Unknown:
    """The schema's outcomes, and every column of the user's own that is not among `known`.

    What is one value for all rows of a player, a team or one's season (a mean of it, say) is known on none of them.
    """
    extra = undeclared_columns(games, known)
    lasting = tuple(name for name in extra if _lasts(games, name))
    own = (name for name in OUTCOME_COLUMNS if name in games)
    return Unknown(outcomes=(*own, *(name for name in extra if name not in lasting)), lasting=lasting)


def named_columns(games: pd.DataFrame, lines: Collection[str]) -> tuple[str, ...]:
    """The columns that lines of the ini file name: one each, which may have spaces, or several words of one.

    Commas between them are forgiven.
    """
    words = ((line,) if line in games else line.replace(",", " ").split() for line in lines)
    return tuple(name for named in words for name in named)


def undeclared_columns(games: pd.DataFrame, known: Collection[str] = ()) -> tuple[str, ...]:
    """The columns of the user's own that count as not known before the game."""
    told = {name for name, of in NAMES.items() if name in games and of in games and _tells(games, name, of)}
    for of, most in (("SEASON", KINDS_OF_GAMES), ("GAME_ID", 1)):  # which is of one kind
        if "SEASON_ID" in games and of in games and games.groupby(of)["SEASON_ID"].nunique().max() > most:
            told.add("SEASON_ID")
    league = set(CANONICAL_COLUMNS) - told - _lasting_outcomes(games)
    return tuple(name for name in map(str, games.columns) if name not in league and name not in known)


def _lasting_outcomes(games: pd.DataFrame) -> set[str]:
    """Outcomes that are one value in all games of a player's season, which no game's outcome is: a mean of it, say."""
    most = games["PLAYER_ID"].value_counts().head(MANY_PLAYERS)
    if "SEASON" not in games or len(most) < MANY_PLAYERS or most.min() < MANY_GAMES:
        return set()
    own = [name for name in OUTCOME_COLUMNS if name in games]
    theirs = games.loc[games["PLAYER_ID"].isin(most.index), ["PLAYER_ID", "SEASON", *own]]
    different, everywhere = theirs.groupby(["PLAYER_ID", "SEASON"])[own].nunique().max(), theirs[own].nunique()
    return {name for name in own if different[name] <= 1 < everywhere[name]}


def known_line(names: Collection[str]) -> str:
    """The line that declares columns known: of the ini file, or of a line each where a name has a space."""
    spaced = any(len(name.split()) > 1 for name in names)
    line = f"{'; '.join(names)} (without the semicolons, on a line each)" if spaced else " ".join(names)
    return f"nbaprops_known_columns = {line} (if known before the game)"


def _tells(games: pd.DataFrame, name: str, of: str) -> bool:
    """Whether somebody's name changes from game to game, or many have another one at times.

    Who is renamed in a season changes his name once in it; sources spell few names differently.
    """
    whose = games.groupby([of, "SEASON"], sort=False).ngroup().to_numpy()
    order = np.argsort(whose, kind="stable")
    values, whose = pd.factorize(games[name])[0][order], whose[order]
    changed = (values[1:] != values[:-1]) & (whose[1:] == whose[:-1])
    changes = np.bincount(whose[1:][changed], minlength=int(whose.max(initial=0)) + 1)
    back_again = int((changes > 1).sum())
    return bool(changes.max() > SPELLINGS or back_again > max(FEW_NAMES, MANY_NAMES * len(changes)))


def _lasts(games: pd.DataFrame, name: str) -> bool:
    if games["SEASON"].nunique() == len(games):
        return False
    values = games[name].astype("string")
    keys = (["PLAYER_ID"], ["TEAM_ID"], ["PLAYER_ID", "SEASON"], ["TEAM_ID", "SEASON"])
    return any(_depends_on(values, [games[key] for key in by if key in games]) for by in keys)


def _depends_on(values: pd.Series[str], keys: list[pd.Series[Any]]) -> bool:
    """Whether equal keys mean equal values, missing ones aside, on several rows each."""
    counts = values.groupby(keys).nunique()
    return bool((counts <= 1).all()) and len(counts) < len(values)
