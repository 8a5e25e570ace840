"""Kinds of games: which a row is, and which count. Standard library only, since the settings are read with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pytest_nbaprops.errors import SettingsError

GAMES_OPTION: Final = "nbaprops_games"

# By the digit behind the league in a GAME_ID, and the first one of a SEASON_ID.
KINDS: Final[Mapping[str, str]] = {
    "1": "preseason",
    "2": "regular",
    "3": "all-star",
    "4": "playoffs",
    "5": "playin",
    "6": "cup",
}
EXHIBITION: Final = ("preseason", "all-star")
COUNTED: Final = ("regular", "playin", "playoffs", "cup")
OTHER: Final = "other"
"""Games with ids of another making, of which nothing is known: they count."""

LEAGUES: Final[Mapping[str, str]] = {"00": "the NBA", "10": "the WNBA", "20": "the G League"}  # a GAME_ID begins so
SEASON_ID_DIGITS: Final = 5


def parse_kinds(text: str) -> tuple[str, ...]:
    """The kinds of ``regular, playoffs``, in the order of `COUNTED`.

    Raises SettingsError for a kind that is unknown or never counts, and for none.
    """
    asked = [word.strip().lower().replace("play-in", "playin") for word in text.replace("\n", ",").split(",")]
    asked = [word for word in asked if word]
    for word in asked:
        if word not in COUNTED:
            why = "is an exhibition, which never counts" if word in EXHIBITION else "is no kind of game"
            raise SettingsError(f"{GAMES_OPTION}: {word!r} {why}; use one or more of {', '.join(COUNTED)}")
    if not asked:
        raise SettingsError(f"{GAMES_OPTION}: names no kind of game; use one or more of {', '.join(COUNTED)}")
    return tuple(kind for kind in COUNTED if kind in asked)


def kind_of_game(game_id: str) -> str:
    """What a GAME_ID of ten digits says."""
    return KINDS.get(game_id[2:3], OTHER) if game_id[:2] in LEAGUES else OTHER


def kind_of_season(season_id: str) -> str:
    """What a SEASON_ID such as 22023 says."""
    return KINDS.get(season_id[:1], OTHER) if len(season_id) == SEASON_ID_DIGITS else OTHER
