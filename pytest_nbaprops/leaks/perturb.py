"""Games as they were known on a cutoff date, with everything else changed: one change at a time, or all at once."""

from __future__ import annotations

from dataclasses import dataclass
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
SHARE_IDLE = 0.2
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
    """One cutoff date: what is known on its morning is kept, the rest can be changed in several ways. Seeded."""

    def __init__(self, games: pd.DataFrame, date: np.datetime64, *, seed: int, unknown: Unknown) -> None:
        self.games = games
        self.date = date
        self.outcomes = unknown.outcomes
        self.lasting = unknown.lasting
        self.seed = seed
        days = games["GAME_DATE"].to_numpy().astype("datetime64[D]")
        self.earlier: Positions = np.flatnonzero(days < date)
        self.tonight: Positions = np.flatnonzero(days == date)
        self.later: Positions = np.flatnonzero(days > date)
        self.soon: Positions = np.flatnonzero((days > date) & (days <= date + LOOK_AHEAD))

    def served(self) -> Scene:
        """The world that ends that morning: earlier rows as they are, tonight's without outcomes, no later ones."""
        scene = self._scene(np.concatenate([self.earlier, self.tonight]))
        tonight = np.arange(len(scene.origin)) >= len(self.earlier)
        emptied = {name: scene.frame[name].mask(tonight) for name in self.outcomes if name in scene.frame}
        emptied |= {name: scene.frame[name].mask(self._this_season(scene)) for name in self.lasting}
        return Scene(frame=scene.frame.assign(**emptied), origin=scene.origin, judged=np.flatnonzero(tonight))

    def all_at_once(self, *, hide: bool, empty: bool) -> Scene:
        """Every change together; `hide` hides other players tonight, `empty` empties outcomes instead of swapping."""
        tonight = self._permuted(self.shown if hide else self.tonight)
        scene = self._scene(np.concatenate([self.earlier, tonight, self._rest]))
        unknown = scene.frame["GAME_DATE"].to_numpy().astype("datetime64[D]") >= self.date
        return self._with_strangers(self._without_knowledge(scene, unknown, empty=empty))

    def all_rows(self) -> Scene:
        return self._everything()

    def future_outcomes(self) -> Scene:
        return self._without_knowledge(self._everything(), self._is(self.later), empty=False)

    def future_rows(self) -> Scene:
        return self._with_strangers(self._scene(np.concatenate([self.earlier, self.tonight, self._rest])))

    def same_day_outcomes(self) -> Scene:
        return self._without_knowledge(self._everything(), self._is(self.tonight), empty=False)

    def same_day_extreme(self, *, high: bool) -> Scene:
        """Every one of tonight's box scores the fullest or the emptiest there is: crosses whatever threshold."""
        rows = self._is(self.tonight) & self.games["MIN"].notna().to_numpy()
        names = [name for name in self.outcomes if name in self.games]
        source = np.arange(len(self.games))
        if len(self._pool):
            size = self.games[["MIN", "PTS", "PF"]].sum(axis=1).to_numpy()[self._pool]
            source[rows] = self._pool[size.argmax() if high else size.argmin()]
        scene = self._everything()
        changed = {name: self.games[name].take(source).reset_index(drop=True) for name in names}
        return Scene(frame=scene.frame.assign(**changed), origin=scene.origin, judged=scene.judged)

    def same_day_presence(self) -> Scene:
        return self._scene(np.concatenate([self.earlier, self.shown, self.later]))

    def row_order(self) -> Scene:
        return self._scene(np.concatenate([self.earlier, self._permuted(self.tonight), self.later]))

    def not_yet_played(self) -> Scene:
        return self._without_knowledge(self._everything(), ~self._is(self.earlier), empty=True)

    def other_ending(self) -> Scene:
        """Every row in its place, the outcomes of tonight's and later ones exchanged."""
        return self._without_knowledge(self._everything(), ~self._is(self.earlier), empty=False)

    def tables(self, group: FeatureGroup, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        """Declared tables with the rows not yet known on the cutoff date thinned out and their values exchanged."""
        return {key: self._changed(table, group.sources[key].as_of) for key, table in tables.items()}

    @cached_property
    def shown(self) -> Positions:
        """Some of tonight's rows: about a third, at least one for each team, since the schedule is public."""
        order = self._rng(1).permutation(self.tonight)
        first = ~self.games[["GAME_ID", "TEAM_ABBREVIATION"]].iloc[order].duplicated().to_numpy()
        wanted = first | (self._rng(2).random(len(order)) < SHARE_SHOWN)
        return np.sort(order[wanted])

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, int(self.date.astype(np.int64)), purpose])

    def _is(self, rows: Positions) -> Mask:
        mask = np.zeros(len(self.games), dtype=bool)
        mask[rows] = True
        return mask

    @cached_property
    def _rest(self) -> Positions:
        """The rows of about half of the next days' games, none of the very next date: who plays then is unknown."""
        games, _ = pd.factorize(self.games["GAME_ID"].iloc[self.soon])
        days = self.games["GAME_DATE"].to_numpy().astype("datetime64[D]").astype(np.int64)[self.soon]
        kept = (self._rng(3).random(len(self.soon)) < 0.5)[games]  # noqa: PLR2004 - a half
        later: Positions = self.soon[kept & (days > days.min(initial=np.iinfo(np.int64).max))]
        return later

    def _permuted(self, rows: Positions) -> Positions:
        return self._rng(4).permutation(rows)

    def _everything(self) -> Scene:
        return self._scene(np.arange(len(self.games)))

    def _scene(self, origin: Positions) -> Scene:
        frame = self.games if len(origin) == len(self.games) and _ascends(origin) else self.games.take(origin)
        known = self._is(self.earlier) | self._is(self.tonight)
        judged = np.flatnonzero(known[origin])
        return Scene(frame=frame.reset_index(drop=True), origin=origin, judged=judged)

    def _without_knowledge(self, scene: Scene, unknown: Mask, *, empty: bool) -> Scene:
        names = [name for name in (*self.outcomes, *self.lasting) if name in scene.frame]
        if empty:
            changed = {name: scene.frame[name].mask(unknown) for name in names}
        else:
            rows = np.flatnonzero(unknown & scene.frame["MIN"].notna().to_numpy())
            donors = self._donors(scene.origin[rows])
            source = np.where(scene.origin < 0, 0, scene.origin)
            source[rows] = donors
            changed = {name: self.games[name].take(source).reset_index(drop=True) for name in names}
        changed |= self._other_lasting(scene)
        return Scene(frame=scene.frame.assign(**changed), origin=scene.origin, judged=scene.judged)

    def _other_lasting(self, scene: Scene) -> dict[str, pd.Series[Any]]:
        """What is one value for a season, or for good, is not known on any date of it: exchanged on all rows so far."""
        if not self.lasting:
            return {}
        now = self._this_season(scene)
        source = np.where(scene.origin < 0, 0, scene.origin)
        source[now] = self._rng(8).choice(len(self.games), int(now.sum()))
        return {name: self.games[name].take(source).reset_index(drop=True) for name in self.lasting}

    def _this_season(self, scene: Scene) -> Mask:
        season = scene.frame["SEASON"].to_numpy()
        now: Mask = season == season[np.searchsorted(scene.frame["GAME_DATE"].to_numpy(), self.date)]
        return now

    def _donors(self, rows: Positions) -> Positions:
        """For each row another played one with another result, other points and other minutes, where there is one.

        Whole box scores are exchanged, so that what honest code makes of them later stays possible.
        """
        pool = self._pool
        if not len(pool):
            return rows
        rng = self._rng(5)
        donors = rng.choice(pool, len(rows))
        for _ in range(ATTEMPTS):
            alike = self._alike(rows, donors)
            donors[alike] = rng.choice(pool, int(alike.sum()))
        return self._with_idle_donors(rows, donors, rng)

    def _with_idle_donors(self, rows: Positions, donors: Positions, rng: np.random.Generator) -> Positions:
        """Some who played did not, where there are such rows to copy: who sat out is an outcome too."""
        minutes = self.games["MIN"].to_numpy()
        idle = self._pool[minutes[self._pool] == 0]
        if len(idle):
            sits = (minutes[rows] > 0) & (rng.random(len(rows)) < SHARE_IDLE)
            donors[sits] = rng.choice(idle, int(sits.sum()))
        return donors

    @cached_property
    def _pool(self) -> Positions:
        played = self.games["MIN"].notna().to_numpy()
        known = self.earlier[played[self.earlier]]
        return known if len(known) else np.flatnonzero(played)

    @cached_property
    def _tellers(self) -> list[NDArray[Any]]:
        names = [name for name in ("WL", "PTS", "MIN") if name in self.games]
        return [pd.factorize(self.games[name])[0] for name in names]

    def _alike(self, rows: Positions, donors: Positions) -> Mask:
        alike = np.zeros(len(rows), dtype=bool)
        for values in self._tellers:
            alike |= values[rows] == values[donors]
        return alike

    def _with_strangers(self, scene: Scene) -> Scene:
        """Later rows of players who were not there: new ones at both ends of the numbers, and known ones."""
        later = np.flatnonzero(scene.frame["GAME_DATE"].to_numpy().astype("datetime64[D]") > self.date)
        if not len(later):
            return scene
        rng = self._rng(6)
        chosen = np.sort(rng.choice(later, max(1, len(later) // 3), replace=False))
        added = scene.frame.iloc[chosen].assign(PLAYER_ID=self._strangers(scene, chosen, rng))
        frame = pd.concat([scene.frame, added], ignore_index=True)
        origin = np.concatenate([scene.origin, np.full(len(chosen), -1)])
        # By date only and stable, so that tonight's rows stay permuted.
        order = np.argsort(frame["GAME_DATE"].to_numpy(), kind="stable")
        place = np.argsort(order)
        return Scene(frame=frame.take(order).reset_index(drop=True), origin=origin[order], judged=place[scene.judged])

    def _strangers(self, scene: Scene, chosen: Positions, rng: np.random.Generator) -> Positions:
        ids = self.games["PLAYER_ID"].to_numpy()
        there = pd.MultiIndex.from_frame(scene.frame[["PLAYER_ID", "GAME_DATE"]])
        players = rng.choice(ids[: max(1, len(self.earlier))], len(chosen))
        taken = pd.MultiIndex.from_arrays([players, scene.frame["GAME_DATE"].iloc[chosen]]).isin(there)
        new = np.where(np.arange(len(chosen)) % 2 == 0, ids.min() - 1, ids.max() + 1)
        new += np.where(new < ids.min(), -1, 1) * np.arange(len(chosen))
        twice = pd.MultiIndex.from_arrays([players, scene.frame["GAME_DATE"].iloc[chosen]]).duplicated()
        make_new = taken | twice | (np.arange(len(chosen)) % 3 == 0)
        return np.where(make_new, new, players).astype(np.int64)

    def _changed(self, table: pd.DataFrame, as_of: str) -> pd.DataFrame:
        unknown = table[as_of].to_numpy().astype("datetime64[D]") >= self.date
        rng = self._rng(7)
        source = np.arange(len(table))
        if len(table):
            source[unknown] = rng.choice(len(table), int(unknown.sum()))
        others = {name: table[name].take(source).to_numpy() for name in table.columns if name != as_of}
        dropped = unknown & (rng.random(len(table)) < 0.5)  # noqa: PLR2004 - a half
        return table.assign(**others).loc[~dropped].reset_index(drop=True)


def _ascends(origin: Positions) -> bool:
    return bool((np.diff(origin) > 0).all())
