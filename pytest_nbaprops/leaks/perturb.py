"""Games as they were known on a cutoff date, with everything else changed: one change at a time, or all at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_nbaprops.features.group import FeatureGroup
    from pytest_nbaprops.leaks.columns import Unknown

    Mask = NDArray[np.bool_]
    Positions = NDArray[np.int64]

# Rows later than this after the cutoff only cost time: whatever looks ahead also looks at their absence.
LOOK_AHEAD = np.timedelta64(4, "D")
SHARE_SHOWN = 0.35
ATTEMPTS = 4


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Games to hand over; `origin` is each row's position in the true games, -1 for a row that was made up.

    `judged` are the positions in `frame` whose values must not have moved: true rows up to the cutoff.
    """

    frame: pd.DataFrame
    origin: Positions
    judged: Positions


class Cutoff:
    """One cutoff date: what is known on its morning is kept, the rest can be changed in several ways. Seeded.

    Every public method that takes nothing is one change.
    """

    def __init__(self, games: pd.DataFrame, date: np.datetime64, *, seed: int, unknown: Unknown) -> None:
        self.games, self.date, self.seed = games, date, seed
        self._outcomes = [name for name in unknown.outcomes if name in games]
        self._lasting = [name for name in unknown.lasting if name in games]
        days = days_of(games)
        self.earlier: Positions = np.flatnonzero(days < date)
        self.tonight: Positions = np.flatnonzero(days == date)
        self.later: Positions = np.flatnonzero(days > date)
        self._soon: Positions = np.flatnonzero((days > date) & (days <= date + LOOK_AHEAD))

    def served(self) -> Scene:
        """The world that ends that morning: earlier rows as they are, tonight's without outcomes, no later ones."""
        scene = self._scene([self.earlier, self.tonight])
        tonight = np.arange(len(scene.origin)) >= len(self.earlier)
        return replace(self._emptied(scene, tonight), judged=np.flatnonzero(tonight))

    def served_early(self) -> Scene:
        """The same without a third of tonight's players: who plays is not known in the morning."""
        there = np.isin(self.tonight, self._shown_of(1 - SHARE_SHOWN))
        whole = self.served()
        kept = np.concatenate([np.ones(len(self.earlier), dtype=bool), there])
        origin = whole.origin[kept]
        frame = whole.frame[kept].reset_index(drop=True)
        return Scene(frame=frame, origin=origin, judged=np.arange(len(self.earlier), len(origin)))

    def combined(self) -> Scene:
        """Every change together, other players of tonight hidden."""
        return self._all_at_once(self._shown)

    def combined_all_there(self) -> Scene:
        """Every change together; for who knows tonight's players."""
        return self._all_at_once(self.tonight)

    def source_rows(self) -> Scene:
        """The games as they are: the change is in the declared tables."""
        return self._everything()

    def future_outcomes(self) -> Scene:
        return self._exchanged(self._everything(), self._is(self.later))

    def future_rows(self) -> Scene:
        return self._with_strangers(self._scene([self.earlier, self.tonight, self._rest]))

    def same_day_outcomes(self) -> Scene:
        return self._exchanged(self._everything(), self._is(self.tonight))

    def same_day_highest(self) -> Scene:
        return self._same_day_extreme(high=True)

    def same_day_lowest(self) -> Scene:
        return self._same_day_extreme(high=False)

    def same_day_presence(self) -> Scene:
        return self._scene([self.earlier, self._shown, self.later])

    def row_order(self) -> Scene:
        return self._scene([self.earlier, self._permuted(self.tonight), self.later])

    def not_yet_played(self) -> Scene:
        return self._emptied(self._everything(), ~self._is(self.earlier))

    def other_ending(self) -> Scene:
        """Every row in its place, the outcomes of tonight's and later ones exchanged."""
        return self._exchanged(self._everything(), ~self._is(self.earlier))

    def tables(self, group: FeatureGroup, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        """Declared tables with half of the rows not yet known on the cutoff date, each on another one's as-of date.

        Whole rows change places, so that keys that are unique stay so.
        """
        return {key: self._changed(table, group.sources[key].as_of) for key, table in tables.items()}

    def _all_at_once(self, tonight: Positions) -> Scene:
        scene = self._scene([self.earlier, self._permuted(tonight), self._rest])
        return self._with_strangers(self._exchanged(scene, days_of(scene.frame) >= self.date))

    def _same_day_extreme(self, *, high: bool) -> Scene:
        """Every one of tonight's box scores the fullest or the emptiest there is: crosses whatever threshold."""
        size = self.games[["MIN", "PTS", "PF"]].sum(axis=1).to_numpy()[self._pool]
        donor = self._pool[size.argmax() if high else size.argmin()]
        source = np.arange(len(self.games))
        source[self._is(self.tonight) & self._played] = donor
        return self._taken(self._everything(), source, self._outcomes)

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, int(self.date.astype(np.int64)), purpose])

    def _is(self, rows: Positions) -> Mask:
        mask = np.zeros(len(self.games), dtype=bool)
        mask[rows] = True
        return mask

    def _permuted(self, rows: Positions) -> Positions:
        return self._rng(4).permutation(rows)

    @cached_property
    def _played(self) -> Mask:
        played: Mask = self.games["MIN"].notna().to_numpy()
        return played

    @cached_property
    def _pool(self) -> Positions:
        """Whose box scores are handed to others: whole ones, so that what honest code makes of them stays possible."""
        known = self.earlier[self._played[self.earlier]]
        return known if len(known) else np.flatnonzero(self._played)

    @cached_property
    def _shown(self) -> Positions:
        return self._shown_of(SHARE_SHOWN)

    def _shown_of(self, share: float) -> Positions:
        """Some of tonight's rows: about this share, at least one for each team, since the schedule is public."""
        order = self._rng(1).permutation(self.tonight)
        first = ~self.games[["GAME_ID", "TEAM_ABBREVIATION"]].iloc[order].duplicated().to_numpy()
        return np.sort(order[first | (self._rng(2).random(len(order)) < share)])

    @cached_property
    def _rest(self) -> Positions:
        """The rows of about half of the next days' games, none of the very next date: who plays then is unknown."""
        games, _ = pd.factorize(self.games["GAME_ID"].iloc[self._soon])
        days = days_of(self.games)[self._soon]
        kept = (self._rng(3).random(len(self._soon)) < 0.5)[games]  # noqa: PLR2004 - a half
        return self._soon[kept & (days > days.min())] if len(days) else self._soon

    def _everything(self) -> Scene:
        return self._scene([np.arange(len(self.games))])

    def _scene(self, parts: list[Positions]) -> Scene:
        origin = np.concatenate(parts)
        known = self._is(self.earlier) | self._is(self.tonight)
        frame = self.games if len(parts) == 1 else self.games.take(origin).reset_index(drop=True)
        return Scene(frame=frame, origin=origin, judged=np.flatnonzero(known[origin]))

    def _emptied(self, scene: Scene, unknown: Mask) -> Scene:
        empty = {name: scene.frame[name].mask(unknown) for name in self._outcomes}
        empty |= {name: scene.frame[name].mask(self._this_season(scene)) for name in self._lasting}
        return replace(scene, frame=scene.frame.assign(**empty))

    def _exchanged(self, scene: Scene, unknown: Mask) -> Scene:
        """Other games' outcomes where they are not known; what lasts for a season is not known on any date of it."""
        source = np.maximum(scene.origin, 0)
        played = unknown & scene.frame["MIN"].notna().to_numpy()
        source[played] = self._donors(source[played])
        scene = self._taken(scene, source, self._outcomes)
        if not self._lasting:
            return scene
        season = self._this_season(scene)
        source[season] = self._rng(8).choice(len(self.games), int(season.sum()))
        return self._taken(scene, source, self._lasting)

    def _donors(self, rows: Positions) -> Positions:
        """For each row another played one with another result, other points and other minutes, where there is one."""
        rng = self._rng(5)
        donors: Positions = rng.choice(self._pool, len(rows)) if len(self._pool) else rows
        telling = self.games[[name for name in ("WL", "PTS", "MIN") if name in self.games]]
        for _ in range(ATTEMPTS if len(self._pool) else 0):
            alike = (telling.iloc[rows].to_numpy() == telling.iloc[donors].to_numpy()).any(axis=1)
            donors[alike] = rng.choice(self._pool, int(alike.sum()))
        return donors

    def _taken(self, scene: Scene, source: Positions, names: Collection[str]) -> Scene:
        others = {name: self.games[name].take(source).set_axis(scene.frame.index) for name in names}
        return replace(scene, frame=scene.frame.assign(**others))

    def _this_season(self, scene: Scene) -> Mask:
        season = scene.frame["SEASON"].to_numpy()
        now: Mask = season == season[np.searchsorted(scene.frame["GAME_DATE"].to_numpy(), self.date)]
        return now

    def _with_strangers(self, scene: Scene) -> Scene:
        """Later rows of players who were not there, with numbers below and above all others."""
        later = np.flatnonzero(days_of(scene.frame) > self.date)
        chosen = np.sort(self._rng(6).permutation(later)[: (len(later) + 2) // 3])
        ids, count = self.games["PLAYER_ID"], np.arange(len(chosen))
        new = np.where(count % 2 == 0, ids.min() - 1 - count, ids.max() + 1 + count)
        frame = pd.concat([scene.frame, scene.frame.iloc[chosen].assign(PLAYER_ID=new)], ignore_index=True)
        origin = np.concatenate([scene.origin, np.full(len(chosen), -1)])
        # By date only and stable, so that tonight's rows stay permuted.
        order = np.argsort(frame["GAME_DATE"].to_numpy(), kind="stable")
        judged = np.argsort(order)[scene.judged]
        return Scene(frame=frame.take(order).reset_index(drop=True), origin=origin[order], judged=judged)

    def _changed(self, table: pd.DataFrame, as_of: str) -> pd.DataFrame:
        unknown = days_of(table, as_of) >= self.date
        rng, source = self._rng(7), np.arange(len(table))
        source[unknown] = rng.permutation(np.flatnonzero(unknown))
        others = {name: table[name].take(source).to_numpy() for name in table.columns if name != as_of}
        dropped = unknown & (rng.random(len(table)) < 0.5)  # noqa: PLR2004 - a half
        return table.assign(**others).loc[~dropped].reset_index(drop=True)


def days_of(frame: pd.DataFrame, column: str = "GAME_DATE") -> NDArray[Any]:
    """The dates of rows, without a time."""
    return frame[column].to_numpy().astype("datetime64[D]")
