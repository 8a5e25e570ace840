"""History primitives: what was known of a player, a team or an opponent before the date of each row.

A primitive only sees events on *earlier dates*. Games not yet played have no outcome and are no events, except in
`schedule`, since the schedule is public. To the last bit, no value depends on rows of the same or later dates, on
other keys, or on the order in which rows were handed over.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from pytest_nbaprops.data.schema import matchup_parts
from pytest_nbaprops.errors import FeatureError
from pytest_nbaprops.features.past import Past, day_numbers
from pytest_nbaprops.features.teams import TeamGames
from pytest_nbaprops.features.windows import decayed_means, shifted, window_means, window_median, window_std

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_nbaprops.features.windows import Floats, Integers

    Columns = str | Sequence[str] | pd.DataFrame


class Track:
    """The earlier events of one kind of key, for every row of the games.

    `columns` are names of columns of `events` or a DataFrame of one's own with one row per event. All results have
    the index of the games; column names are `<prefix>_<column>_<statistic>`, in lower case.
    """

    def __init__(self, *, prefix: str, past: Past, events: pd.DataFrame, index: pd.Index) -> None:
        self.prefix = prefix
        self.past = past
        self.events = events
        self.index = index

    def lag(self, columns: Columns, *lags: int) -> pd.DataFrame:
        """The value of the last event (lag 1), the one before (lag 2), ..."""
        names, values = self._values(columns)
        return self._frame(names, [(f"lag{lag}", self.past.at(values, lag)) for lag in lags])

    def mean(self, columns: Columns, *windows: int) -> pd.DataFrame:
        """Mean over the last so many events; fewer where there are fewer."""
        names, values = self._values(columns)
        means = window_means(values, self.past.rank, sorted(windows))
        return self._frame(names, [(f"mean{window}", self.past.at(mean)) for window, mean in means])

    def std(self, columns: Columns, *windows: int) -> pd.DataFrame:
        """Sample standard deviation over the last so many events; NaN for fewer than two."""
        names, values = self._values(columns)
        spreads = ((window, window_std(values, self.past.rank, window)) for window in windows)
        return self._frame(names, [(f"std{window}", self.past.at(spread)) for window, spread in spreads])

    def median(self, columns: Columns, *windows: int) -> pd.DataFrame:
        """Median over the last so many events; fewer where there are fewer."""
        names, values = self._values(columns)
        medians = ((window, window_median(values, self.past.rank, window)) for window in windows)
        return self._frame(names, [(f"median{window}", self.past.at(median)) for window, median in medians])

    def ewm(self, columns: Columns, *halflives: float) -> pd.DataFrame:
        """Mean over all events, weighing half as much for every `halflife` events of age."""
        names, values = self._values(columns)
        means = ((life, decayed_means(values, self.past.rank, 0.5 ** (1.0 / life))) for life in halflives)
        return self._frame(names, [(f"ewm{life:g}", self.past.at(mean)) for life, mean in means])

    def running_mean(self, columns: Columns) -> pd.DataFrame:
        """Mean over all events."""
        names, values = self._values(columns)
        return self._frame(names, [("mean", self.past.at(decayed_means(values, self.past.rank, 1.0)))])

    def trend(self, columns: Columns, short: int = 5, long: int = 20) -> pd.DataFrame:
        """Mean over the last `short` events minus the mean over the last `long` ones."""
        names, values = self._values(columns)
        means = dict(window_means(values, self.past.rank, sorted({short, long})))
        return self._frame(names, [(f"trend{short}_{long}", self.past.at(means[short] - means[long]))])

    def change(self, columns: Columns, lag: int = 1) -> pd.DataFrame:
        """The last event's value minus that of `lag` events before it."""
        names, values = self._values(columns)
        return self._frame(names, [(f"change{lag}", self.past.at(values - shifted(values, self.past.rank, lag)))])

    def count(self) -> pd.Series[float]:
        """How many events there are."""
        return self._series("count", self.past.seen.astype(np.float64))

    def count_within(self, days: int) -> pd.Series[float]:
        """How many events there were in the `days` days before the row's date."""
        return self._series(f"count_{days}d", self.past.count_within(days))

    def rest(self) -> pd.Series[float]:
        """Days since the last event (1 on a back-to-back); NaN before the first."""
        return self._series("rest", self.past.days_since())

    def _values(self, columns: Columns) -> tuple[list[str], Floats]:
        own = isinstance(columns, pd.DataFrame)
        frame = columns if isinstance(columns, pd.DataFrame) else self._named(columns)
        if own and len(frame) != len(self.events):
            raise FeatureError(
                f"History.{self.prefix}: got a table of {len(frame)} rows for {len(self.events)} events; "
                f"derive it from History.{self.prefix}.events"
            )
        return [str(name) for name in frame.columns], self.past.sorted(frame.to_numpy(dtype=np.float64))

    def _named(self, columns: str | Sequence[str]) -> pd.DataFrame:
        names = [columns] if isinstance(columns, str) else list(columns)
        missing = [name for name in names if name not in self.events.columns]
        if missing:
            allowed = ", ".join(str(name) for name in self.events.columns)
            raise FeatureError(f"History.{self.prefix}: no column {missing[0]!r}; it has {allowed}")
        return self.events[names]

    def _frame(self, names: list[str], parts: list[tuple[str, Floats]]) -> pd.DataFrame:
        columns = [f"{self.prefix}_{name}_{label}".lower() for label, _ in parts for name in names]
        values = [part for _, part in parts] or [np.empty((len(self.index), 0))]
        return pd.DataFrame(np.hstack(values), index=self.index, columns=columns)

    def _series(self, label: str, values: Floats) -> pd.Series[float]:
        return pd.Series(values, index=self.index, name=f"{self.prefix}_{label}")


class History:
    """The tracks of a games frame: `player`, `player_season`, `player_team`, `team`, `opponent` and `schedule`.

    Everything is made when it is first asked for; inside `shared_history` once for all who ask for the same frame's.
    """

    def __new__(cls, games: pd.DataFrame) -> Self:
        shared = _SHARED.get(id(games))
        return shared if isinstance(shared, cls) and shared.games is games else super().__new__(cls)

    def __init__(self, games: pd.DataFrame) -> None:
        self.games = games

    @cached_property
    def days(self) -> Integers:
        """Day number of each row."""
        return day_numbers(self.games["GAME_DATE"])

    @cached_property
    def played(self) -> NDArray[np.bool_]:
        """Whether the row's player has played."""
        played: NDArray[np.bool_] = self.games["MIN"].notna().to_numpy()
        return played

    @cached_property
    def players(self) -> Integers:
        """Code of each row's player, in the order of their ids."""
        return pd.factorize(self.games["PLAYER_ID"], sort=True)[0].astype(np.int64)

    @cached_property
    def player(self) -> Track:
        """The player's games."""
        return self._of_players("player", self.players)

    @cached_property
    def player_season(self) -> Track:
        """The player's games of the same season."""
        return self._of_players("season", _pairs(self.players, self.games["SEASON"]))

    @cached_property
    def player_team(self) -> Track:
        """The player's games with the same team."""
        return self._of_players("tenure", _pairs(self.players, self.games["TEAM_ABBREVIATION"]))

    @cached_property
    def team(self) -> Track:
        """The games of the player's team; events are `team_games.frame`."""
        return self._of_teams("team", self.teams[0])

    @cached_property
    def opponent(self) -> Track:
        """The games of the opponent of the day: OPP_ columns of `team_games.frame` are what it allowed."""
        return self._of_teams("opponent", self.teams[1])

    @cached_property
    def schedule(self) -> Track:
        """The dates on which the player's team plays, played or not."""
        return self._of_schedule("schedule", self.teams[0])

    @cached_property
    def opponent_schedule(self) -> Track:
        """The dates on which the opponent plays, played or not."""
        return self._of_schedule("opponent_schedule", self.teams[1])

    @cached_property
    def matchups(self) -> pd.DataFrame:
        """HOME and OPPONENT of each row."""
        return matchup_parts(self.games)

    @cached_property
    def teams(self) -> tuple[Integers, Integers]:
        """Codes of the row's team and of its opponent."""
        both = [
            self.games["TEAM_ABBREVIATION"].to_numpy(dtype=object),
            self.matchups["OPPONENT"].to_numpy(dtype=object),
        ]
        codes = pd.factorize(np.concatenate(both))[0].astype(np.int64)
        return codes[: len(self.games)], codes[len(self.games) :]

    @cached_property
    def team_games(self) -> TeamGames:
        """All team games with a box score."""
        team, opponent = self.teams
        order = np.lexsort((self.ties, self.games["PLAYER_ID"].to_numpy(), self.days))
        return TeamGames(self.games, teams=team, opponents=opponent, days=self.days, order=order)

    @cached_property
    def ties(self) -> Integers:
        """An order of the rows that does not depend on how they were handed over."""
        by_player_and_day = self.players * (1 << 20) + self.days
        if pd.Index(by_player_and_day).is_unique:
            return np.zeros(len(self.games), dtype=np.int64)
        return pd.factorize(self.games["GAME_ID"], sort=True)[0].astype(np.int64)

    def _of_players(self, prefix: str, keys: Integers) -> Track:
        past = Past(
            row_keys=keys,
            row_days=self.days,
            event_keys=keys[self.played],
            event_days=self.days[self.played],
            ties=self.ties[self.played],
        )
        return Track(prefix=prefix, past=past, events=self.games.loc[self.played], index=self.games.index)

    def _of_teams(self, prefix: str, row_keys: Integers) -> Track:
        events = self.team_games
        past = self._past_of(row_keys, events.keys, events.days)
        return Track(prefix=prefix, past=past, events=events.frame, index=self.games.index)

    def _of_schedule(self, prefix: str, row_keys: Integers) -> Track:
        moments = np.unique(self.teams[0] * (1 << 20) + self.days)
        past = self._past_of(row_keys, moments >> 20, moments & ((1 << 20) - 1))
        return Track(prefix=prefix, past=past, events=pd.DataFrame(index=range(len(moments))), index=self.games.index)

    def _past_of(self, row_keys: Integers, event_keys: Integers, event_days: Integers) -> Past:
        return Past(
            row_keys=row_keys,
            row_days=self.days,
            event_keys=event_keys,
            event_days=event_days,
            ties=np.zeros(len(event_keys), dtype=np.int64),
        )


_SHARED: dict[int, History] = {}


@contextmanager
def shared_history(games: pd.DataFrame) -> Iterator[None]:
    """As long as this lasts there is one `History` of these very games, which nobody may change meanwhile."""
    if id(games) in _SHARED:
        yield
        return
    _SHARED[id(games)] = History(games)
    try:
        yield
    finally:
        del _SHARED[id(games)]


def _pairs(players: Integers, other: pd.Series[str]) -> Integers:
    return players * (1 << 16) + pd.factorize(other)[0]
