"""Which market is for which target, by the names that books and data services use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

_STATS: Final = {
    "points": "PTS", "point": "PTS", "pts": "PTS", "p": "PTS",
    "rebounds": "REB", "rebound": "REB", "rebs": "REB", "reb": "REB", "r": "REB",
    "assists": "AST", "assist": "AST", "asts": "AST", "ast": "AST", "a": "AST",
    "threes": "FG3M", "three": "FG3M", "3pt": "FG3M", "3pm": "FG3M", "fg3m": "FG3M", "3s": "FG3M",
    "steals": "STL", "steal": "STL", "stl": "STL",
    "blocks": "BLK", "block": "BLK", "blk": "BLK",
    "turnovers": "TOV", "turnover": "TOV", "tov": "TOV",
}  # fmt: skip
_WHOLE: Final = {
    "pra": "PTS+REB+AST", "pr": "PTS+REB", "pa": "PTS+AST", "ra": "REB+AST",
    "field goals": "FGM", "frees made": "FTM", "free throws made": "FTM", "frees attempts": "FTA",
    "free throws attempted": "FTA", "three pointers": "FG3M", "three pointers made": "FG3M",
    "3 pointers made": "FG3M", "3 pt made": "FG3M", "made threes": "FG3M",
}  # fmt: skip
_FILLER: Final = frozenset({"player", "total", "o", "u", "over", "under", "and", "alternate", "alternative", "alt"})
SHORTEST, CLOSE = 5, 0.8  # `point` and `pints` are near each other, `q1` and `pts` are not meant
_WORD: Final = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class MarketName:
    """What a market's name says: the target, its stat columns joined by + in the order of the box score."""

    target: str
    alternate: bool


def read_market(text: str) -> MarketName | None:
    """`player_points_rebounds_assists`, `PTS+REB`, `Threes`, `player_points_alternate`; None for any other market.

    Halves and quarters (`player_points_q1`) and yes/no markets (`player_double_double`) are other markets.
    """
    words = _WORD.findall(text.lower())
    kept = [word for word in words if word not in _FILLER]
    joined = " ".join(kept)
    alternate = bool({"alternate", "alternative", "alt"} & set(words))
    if joined in _WHOLE:
        return MarketName(target=_WHOLE[joined], alternate=alternate)
    stats = [_STATS.get(word) for word in kept]
    if not stats or None in stats or len(set(stats)) < len(stats):
        return None
    return MarketName(target=canonical_target([stat for stat in stats if stat]), alternate=alternate)


def misspelt(text: str) -> str | None:
    """The word of a market that is nearly one that is known, with that; None for markets of another kind."""
    known = [word for word in _STATS if len(word) >= SHORTEST]
    for word in _WORD.findall(text.lower()):
        close = get_close_matches(word, known, n=1, cutoff=CLOSE)
        if close and word not in _STATS:
            return f"{word!r} (did you mean {close[0]}?)"
    return None


def canonical_target(columns: list[str] | tuple[str, ...]) -> str:
    """The columns joined by +, in one order whichever way they were given."""
    order = ("PTS", "REB", "AST", "FG3M", "STL", "BLK", "TOV")
    rank = {name: position for position, name in enumerate(order)}
    return "+".join(sorted(columns, key=lambda name: (rank.get(name, len(order)), name)))
