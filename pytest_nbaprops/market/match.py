"""Sportsbooks' names and dates to the player-games they mean, always inside the game's two teams."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from pytest_nbaprops.data.names import bare_name, plain_name

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
EVENT: Final = ["EVENT_ID", "EVENT_DATE", "HOME_TEAM", "AWAY_TEAM"]
SURE: Final = 4  # of the ways in which a name can mean somebody, the first that leave no doubt
# Kinds of reasons for no match.
NO_GAME: Final = "no such game in the data"
NOT_IN_GAME: Final = "did not play"
ELSEWHERE: Final = "of another team"
NOBODY: Final = "unknown name"
UNCLEAR: Final = "more than one could be meant"
BRACKETS: Final = re.compile(r"\([^)]*\)")


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Odds with the games they belong to.

    Attributes:
        matched: the odds' rows with GAME_DATE, GAME_ID, PLAYER_ID.
        unmatched: the others, with REASON, and PLAYED: whether it is known of nobody that he did not play.
    """

    matched: pd.DataFrame
    unmatched: pd.DataFrame

    @property
    def share(self) -> float:
        """Of the lines on games of the data whose player played, or may have, the share that was matched."""
        lost = int(self.unmatched["PLAYED"].sum())
        return len(self.matched) / (len(self.matched) + lost) if len(self.matched) + lost else np.nan

    def reasons(self) -> pd.Series[int]:
        """Unmatched lines by kind of reason."""
        return self.unmatched["KIND"].value_counts()


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


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """Who a name means in a game, or why nobody; `sure` where the names are the same but for spelling."""

    player: int | None = None
    sure: bool = False
    kind: str = ""
    reason: str = ""


def match_players(odds: pd.DataFrame, games: pd.DataFrame, *, roster: pd.DataFrame | None = None) -> Lines:
    """Each line's game and player.

    A game is found by its two teams, in whichever order, on the event's date or, that being a UTC date, the one
    before. The player is looked for among everyone who was with one of the two teams that season, so that a missing
    player's line does not go to his brother: the plain name, without suffix, first and last name swapped, initial or
    short first name, a last name that only one of them has, at last a small typing error. A name that is somebody
    else's in the league is never bent to fit, and where one book has two names for one player only a sure one counts.

    `odds` is what `read_odds` gives, `games` the canonical rows, played or not, of the games that lines may be for, and
    `roster` those that say who is with which team (None: the same).
    """
    finder = _Finder(games, games if roster is None else pd.concat([roster, games], ignore_index=True))
    event = odds.groupby(EVENT, sort=False, dropna=False).ngroup()
    times = odds[["TIPOFF", "TIMESTAMP"]].groupby(event).max()
    firsts = odds[~event.duplicated()].assign(_event=event).set_index("_event")[EVENT]
    names: dict[int, dict[str, set[str]]] = {}
    pairs = odds[["PLAYER", "BOOKMAKER"]].assign(_event=event).drop_duplicates()
    for player, book, number in pairs.itertuples(index=False):
        names.setdefault(number, {}).setdefault(str(player), set()).add(str(book))
    found: list[tuple[int, str, _Game | None, _Answer]] = []
    for number, (_, date, home, away) in zip(firsts.index, firsts.itertuples(index=False), strict=True):
        tipoff, stamp = times.loc[number]
        game = finder.game(date, str(home), str(away), tipoff, stamp)
        if isinstance(game, _Answer):
            found += [(number, name, None, game) for name in names[number]]
        else:
            found += [(number, name, game, answer) for name, answer in _answers(finder, game, names[number]).items()]
    return _lines(odds.assign(_event=event), found)


def _answers(finder: _Finder, game: _Game, names: Mapping[str, set[str]]) -> dict[str, _Answer]:
    """Who each of an event's names means; `names` has the books that use it."""
    answers = {name: finder.player(name, game) for name in names}
    by_player: dict[int, list[str]] = {}
    for name, answer in answers.items():
        if answer.player is not None:
            by_player.setdefault(answer.player, []).append(name)
    for name, answer in answers.items():
        if answer.player is None or answer.sure:
            continue
        # Two names that one book has side by side are two players: of these only the sure one keeps the player.
        others = [other for other in by_player[answer.player] if other != name and names[other] & names[name]]
        if others:
            reason = f"would be the player of {', '.join(others)}, at the same book"
            answers[name] = _Answer(kind=UNCLEAR, reason=reason)
    return answers


def _lines(odds: pd.DataFrame, found: Sequence[tuple[int, str, _Game | None, _Answer]]) -> Lines:
    answers = pd.DataFrame(
        {
            "_event": pd.Series([number for number, *_ in found], dtype="int64"),
            "PLAYER": pd.Series([name for _, name, *_ in found], dtype=object),
            "GAME_DATE": pd.Series([game.date if game else pd.NaT for *_, game, _ in found], dtype="datetime64[ns]"),
            "GAME_ID": pd.Series([game.game_id if game else "" for *_, game, _ in found], dtype=object),
            "PLAYER_ID": pd.Series([answer.player or 0 for *_, answer in found], dtype="int64"),
            "KIND": pd.Series([answer.kind for *_, answer in found], dtype=object),
            "REASON": pd.Series([answer.reason for *_, answer in found], dtype=object),
        }
    )
    both = (
        odds.astype({"PLAYER": object})
        .merge(answers, on=["_event", "PLAYER"], how="left", validate="many_to_one")
        .drop(columns="_event")
    )
    hit = both["PLAYER_ID"] > 0
    matched = both[hit].drop(columns=["KIND", "REASON"]).reset_index(drop=True)
    unmatched = both[~hit].drop(columns=["GAME_DATE", "GAME_ID", "PLAYER_ID"]).reset_index(drop=True)
    return Lines(matched=matched, unmatched=unmatched.assign(PLAYED=unmatched["KIND"].isin([UNCLEAR, NOBODY])))


class _Finder:
    """Games by date and teams, and who was with a team in a season."""

    def __init__(self, games: pd.DataFrame, roster: pd.DataFrame) -> None:
        self.teams = _team_names(roster)
        first = games.drop_duplicates("GAME_ID")[["GAME_DATE", "MATCHUP", "GAME_ID", "SEASON"]]
        self.games = {
            (date, frozenset(str(matchup).split(" ")[::2])): (str(game_id), str(season))
            for date, matchup, game_id, season in first.itertuples(index=False)
        }
        self.playing: dict[str, set[int]] = {}
        for game_id, player in games[["GAME_ID", "PLAYER_ID"]].itertuples(index=False):
            self.playing.setdefault(str(game_id), set()).add(int(player))
        together = roster[["SEASON", "TEAM_ABBREVIATION", "PLAYER_ID", "PLAYER_NAME"]].drop_duplicates()
        names = {str(name): _Name.of(str(name)) for name in together["PLAYER_NAME"].unique()}
        self.rosters: dict[Any, dict[int, _Name]] = {
            key: {
                int(player): names[str(name)]
                for player, name in rows[["PLAYER_ID", "PLAYER_NAME"]].itertuples(index=False)
            }
            for key, rows in together.groupby(["SEASON", "TEAM_ABBREVIATION"], sort=False)
        }
        self.league = {" ".join(name.words): name.text for name in names.values()}

    def game(
        self, date: pd.Timestamp, home: str, away: str, tipoff: pd.Timestamp, stamp: pd.Timestamp
    ) -> _Game | _Answer:
        """The game, or why there is none."""
        for team in (home, away):
            if _plain_team(team) not in self.teams:
                return _Answer(kind=NO_GAME, reason=f"no team {team!r} in the data")
        pair = frozenset({self.teams[_plain_team(home)], self.teams[_plain_team(away)]})
        days = [day for day in (date, date - pd.Timedelta(days=1)) if (day, pair) in self.games]
        if not days:
            said = f"no game {' - '.join(sorted(pair))} on {date:%Y-%m-%d} or, as that may be UTC, the day before"
            return _Answer(kind=NO_GAME, reason=said)
        day, when = days[0], stamp if pd.isna(tipoff) else tipoff
        if len(days) > 1 and not pd.isna(when):
            # Of two games on two days running the one of the tip-off or else of the line's last change.
            evening = (when.tz_convert("UTC").tz_localize(None) - UTC_TO_EVENING).normalize()
            day = evening if evening in days else day
        game_id, season = self.games[day, pair]
        names: dict[int, _Name] = {}
        for team in sorted(pair):
            names |= self.rosters.get((season, team), {})
        return _Game(game_id=game_id, date=day, playing=frozenset(self.playing[game_id]), roster=names)

    def player(self, text: str, game: _Game) -> _Answer:
        """Who is meant, or why nobody is."""
        name = _Name.of(text)
        elsewhere = self.league.get(" ".join(name.words))
        roster = {player: known for player, known in game.roster.items() if known.words and name.words}
        ways = zip(*(_meanings(name, known) for known in roster.values()), strict=True)
        for position, means in enumerate(ways):  # the first way in which the name means anyone decides
            found = [player for player, meant in zip(roster, means, strict=True) if meant]
            if found and position >= SURE and elsewhere is not None:
                break
            if len(found) == 1:
                if found[0] in game.playing:
                    return _Answer(player=found[0], sure=position < SURE)
                return _Answer(kind=NOT_IN_GAME, reason=f"{game.roster[found[0]].text} has no row in the game")
            if found:
                listing = ", ".join(sorted(game.roster[player].text for player in found))
                return _Answer(kind=UNCLEAR, reason=f"could be any of {listing}")
        if elsewhere is not None:
            return _Answer(kind=ELSEWHERE, reason=f"{elsewhere} was with neither team that season")
        return _Answer(kind=NOBODY, reason="nobody of that name was with either team")


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


def _meanings(name: _Name, known: _Name) -> Iterator[bool]:
    """Whether the name means the known one, in one way after the other, from sure to likely."""
    ours, theirs = name.words, known.words
    yield name.plain == known.plain
    yield ours == theirs
    yield "".join(ours) == "".join(theirs)
    yield sorted(ours) == sorted(theirs)
    same_last = ours[-1] == theirs[-1]
    # G Antetokounmpo, Nic Claxton for Nicolas, in either direction.
    yield same_last and (ours[0].startswith(theirs[0]) or theirs[0].startswith(ours[0]))
    # Moe Wagner for Moritz, Gregory Jackson for GG; Jeff is not Jalen.
    alike = ours[0][:2] == theirs[0][:2] or len(theirs[0]) == 2  # noqa: PLR2004 - letters: GG, CJ
    yield same_last and ours[0][0] == theirs[0][0] and alike
    # Adebayo, Edrice Femi Adebayo: no first name, or the longer name of a passport.
    yield same_last and len(ours) != 2  # noqa: PLR2004 - first and last name
    # Alfred Joel Horford Reynoso for Al Horford: his last name inside a longer one, his first name's start.
    whole = len(theirs) == 2  # noqa: PLR2004 - first and last name
    yield whole and theirs[-1] in ours[1:] and ours[0].startswith(theirs[0])
    yield difflib.SequenceMatcher(None, " ".join(ours), " ".join(theirs)).ratio() >= CLOSE
