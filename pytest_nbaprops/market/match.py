"""Sportsbooks' names and dates to the player-games they mean, always inside the game's two teams."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import pandas as pd

from pytest_nbaprops.data.names import bare_name, plain_name
from pytest_nbaprops.market.odds import Lines

# As sportsbooks write them; the data's own TEAM_NAME is understood, too.
TEAM_NAMES: Final = {
    "atlanta hawks": "ATL", "boston celtics": "BOS", "brooklyn nets": "BKN", "charlotte hornets": "CHA",
    "chicago bulls": "CHI", "cleveland cavaliers": "CLE", "dallas mavericks": "DAL", "denver nuggets": "DEN",
    "detroit pistons": "DET", "golden state warriors": "GSW", "houston rockets": "HOU", "indiana pacers": "IND",
    "los angeles clippers": "LAC", "los angeles lakers": "LAL", "memphis grizzlies": "MEM", "miami heat": "MIA",
    "milwaukee bucks": "MIL", "minnesota timberwolves": "MIN", "new orleans pelicans": "NOP",
    "new york knicks": "NYK", "oklahoma city thunder": "OKC", "orlando magic": "ORL", "philadelphia 76ers": "PHI",
    "phoenix suns": "PHX", "portland trail blazers": "POR", "sacramento kings": "SAC", "san antonio spurs": "SAS",
    "toronto raptors": "TOR", "utah jazz": "UTA", "washington wizards": "WAS",
}  # fmt: skip
# A night game in America is on the next day in UTC; six hours back it is on the evening's date everywhere there.
UTC_TO_EVENING: Final = pd.Timedelta(hours=6)
CLOSE: Final = 0.85
BRACKETS: Final = re.compile(r"\([^)]*\)")


@dataclass(frozen=True, kw_only=True)
class _Name:
    """A name and its words without accents, punctuation and suffix."""

    text: str
    plain: str
    words: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> _Name:
        kept = BRACKETS.sub(" ", text)  # Kyle Lowry (Phi), Jalen (2001) Johnson
        return cls(text=text, plain=plain_name(kept), words=tuple(bare_name(kept).split()))


@dataclass(frozen=True, kw_only=True)
class _Game:
    """One game's id and date, the ids of those in it, and everyone of its two teams by id."""

    game_id: str
    date: pd.Timestamp
    playing: frozenset[int]
    roster: Mapping[int, _Name]


def match_players(odds: pd.DataFrame, games: pd.DataFrame, *, roster: pd.DataFrame | None = None) -> Lines:
    """Each line's game and player.

    A game is found by its two teams, in whichever order, on the event's date or, that being a UTC date, the one
    before. The player is looked for among everyone who was with one of the two teams that season, so that a missing
    player's line does not go to his brother: the plain name, without suffix, first and last name swapped, initial or
    short first name, a last name that only one of them has, at last a small typing error.

    Args:
        odds: What `read_odds` gives.
        games: Canonical rows, played or not, of the games that lines may be for.
        roster: Canonical rows that say who is with which team; None: those of `games`.
    """
    finder = _Finder(games, games if roster is None else pd.concat([roster, games], ignore_index=True))
    events = odds.groupby(["EVENT_ID", "EVENT_DATE", "HOME_TEAM", "AWAY_TEAM"], sort=False)
    answers: dict[int, tuple[_Game | None, int | None, str]] = {}
    for key, rows in events:
        _, date, home, away = cast("tuple[str, pd.Timestamp, str, str]", key)
        game, why = finder.game(date, str(home), str(away), rows["TIMESTAMP"].max())
        for name, lines in rows.groupby("PLAYER", sort=False):
            player, reason = (None, why) if game is None else _player(str(name), game)
            answers.update(dict.fromkeys(lines.index, (game, player, reason)))
    return _lines(odds, answers)


def _lines(odds: pd.DataFrame, answers: Mapping[int, tuple[_Game | None, int | None, str]]) -> Lines:
    hit = [label for label in odds.index if answers[label][1] is not None]
    miss = [label for label in odds.index if answers[label][1] is None]
    found = [(game, player) for game, player, _ in (answers[label] for label in hit) if game is not None]
    matched = odds.loc[hit].assign(
        GAME_DATE=pd.Series([game.date for game, _ in found], index=hit, dtype="datetime64[ns]"),
        GAME_ID=pd.Series([game.game_id for game, _ in found], index=hit, dtype=object),
        PLAYER_ID=pd.Series([player for _, player in found], index=hit, dtype="int64"),
    )
    reasons = pd.Series([answers[label][2] for label in miss], index=miss, dtype=object)
    unmatched = odds.loc[miss].assign(REASON=reasons)
    return Lines(matched=matched.reset_index(drop=True), unmatched=unmatched.reset_index(drop=True))


class _Finder:
    """Games by date and teams, and who was with a team in a season."""

    def __init__(self, games: pd.DataFrame, roster: pd.DataFrame) -> None:
        self.teams = _team_names(roster)
        self.games = {
            (date, frozenset(teams)): rows
            for (date, game_id), rows in games.groupby(["GAME_DATE", "GAME_ID"], sort=False)
            if (teams := str(rows["MATCHUP"].iloc[0]).split(" ")[::2])
        }
        self.days = frozenset(date for date, _ in self.games)
        together = roster[["SEASON", "TEAM_ABBREVIATION", "PLAYER_ID", "PLAYER_NAME"]].drop_duplicates()
        self.rosters = {
            key: {
                int(player): _Name.of(str(name))
                for player, name in rows[["PLAYER_ID", "PLAYER_NAME"]].itertuples(index=False)
            }
            for key, rows in together.groupby(["SEASON", "TEAM_ABBREVIATION"], sort=False)
        }

    def game(self, date: pd.Timestamp, home: str, away: str, stamp: pd.Timestamp) -> tuple[_Game | None, str]:
        """The game, or why there is none."""
        pair = frozenset({self.teams.get(_plain_team(home), home), self.teams.get(_plain_team(away), away)})
        for team in (home, away):
            if _plain_team(team) not in self.teams:
                return None, f"no team {team!r} in the data"
        days = [day for day in (date, date - pd.Timedelta(days=1)) if (day, pair) in self.games]
        if not days:
            return None, f"no game {' - '.join(sorted(pair))} on {date:%Y-%m-%d} or, as that may be UTC, the day before"
        return self._game(self._meant(days, stamp), pair), ""

    def _meant(self, days: Sequence[pd.Timestamp], stamp: pd.Timestamp) -> pd.Timestamp:
        """Of two games on two days running the one that the line's last change is nearer to."""
        if len(days) == 1 or pd.isna(stamp):
            return days[0]
        evening = (stamp.tz_convert("UTC").tz_localize(None) - UTC_TO_EVENING).normalize()
        return evening if evening in days else days[0]

    def _game(self, day: pd.Timestamp, pair: frozenset[str]) -> _Game:
        rows = self.games[day, pair]
        season = str(rows["SEASON"].iloc[0])
        names: dict[int, _Name] = {}
        for team in sorted(pair):
            names |= self.rosters.get((season, team), {})
        playing = frozenset(int(player) for player in rows["PLAYER_ID"])
        return _Game(game_id=str(rows["GAME_ID"].iloc[0]), date=day, playing=playing, roster=names)


def _team_names(games: pd.DataFrame) -> dict[str, str]:
    known = {str(team) for team in games["TEAM_ABBREVIATION"].unique()}
    names = {name: team for name, team in TEAM_NAMES.items() if team in known}
    if "TEAM_NAME" in games:
        pairs = games[["TEAM_NAME", "TEAM_ABBREVIATION"]].dropna().drop_duplicates()
        names |= {_plain_team(str(name)): str(team) for name, team in pairs.itertuples(index=False)}
    return names | {team.lower(): team for team in known}


def _plain_team(name: str) -> str:
    words = plain_name(name)
    return f"los angeles {words.removeprefix('la ')}" if words.startswith("la ") else words


def _player(text: str, game: _Game) -> tuple[int | None, str]:
    """Who is meant, or why nobody is."""
    name = _Name.of(text)
    for means in _MEANINGS if name.words else ():
        found = [player for player, known in game.roster.items() if known.words and means(name, known)]
        if len(found) == 1:
            here = found[0] in game.playing
            return (found[0], "") if here else (None, f"{game.roster[found[0]].text} has no row in the game")
        if found:
            listing = ", ".join(sorted(game.roster[player].text for player in found))
            return None, f"could be any of {listing}"
    return None, "nobody of that name was with either team"


def _same_last(name: _Name, known: _Name) -> bool:
    return name.words[-1] == known.words[-1]


def _short_first(name: _Name, known: _Name) -> bool:
    """``G Antetokounmpo``, ``Nic Claxton`` for Nicolas, in either direction."""
    ours, theirs = name.words[0], known.words[0]
    return _same_last(name, known) and (ours.startswith(theirs) or theirs.startswith(ours))


def _same_initial(name: _Name, known: _Name) -> bool:
    """``Moe Wagner`` for Moritz."""
    return _same_last(name, known) and name.words[0][0] == known.words[0][0]


def _alike(name: _Name, known: _Name) -> bool:
    return difflib.SequenceMatcher(None, " ".join(name.words), " ".join(known.words)).ratio() >= CLOSE


# From sure to likely; the first way in which the name means anyone decides.
_MEANINGS: Final[tuple[Callable[[_Name, _Name], bool], ...]] = (
    lambda name, known: name.plain == known.plain,
    lambda name, known: name.words == known.words,
    lambda name, known: "".join(name.words) == "".join(known.words),
    lambda name, known: sorted(name.words) == sorted(known.words),
    _short_first,
    _same_initial,
    _same_last,
    _alike,
)
