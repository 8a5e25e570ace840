"""A small simulated season with a fitted model, registered the way a training session does it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd
from xgboost import XGBRegressor

from pytest_nbaprops.data.digest import dataset_digest
from pytest_nbaprops.data.sample import sample_league
from pytest_nbaprops.data.schema import KEY_COLUMNS, target_values
from pytest_nbaprops.features.build import build_features
from pytest_nbaprops.features.catalog import builtin_groups, select_groups
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.features.lineage import lineage_of
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.tracking.tracker import StandardNBAPropsTracker

if TYPE_CHECKING:
    from pytest_nbaprops.tracking.connection import Store

TARGET = ("PTS", "REB", "AST")
NAME = "League"


@dataclass(frozen=True, kw_only=True)
class World:
    """Games, features, and a model that was fitted on the games before `tonight`."""

    games: pd.DataFrame
    groups: tuple[FeatureGroup, ...]
    features: pd.DataFrame
    columns: Mapping[str, tuple[str, ...]]
    model: XGBRegressor
    tonight: pd.Timestamp

    @property
    def past(self) -> pd.DataFrame:
        return self.games[self.games["GAME_DATE"] < self.tonight]

    @property
    def rows(self) -> pd.DataFrame:
        return self.games[self.games["GAME_DATE"] == self.tonight]

    def schedule(self) -> pd.DataFrame:
        """Tonight's players as a user writes them."""
        sides = self.rows["MATCHUP"].str.split(" ", expand=True)
        return pd.DataFrame(
            {
                "player": self.rows["PLAYER_NAME"].to_numpy(),
                "team": self.rows["TEAM_ABBREVIATION"].to_numpy(),
                "opponent": sides[2].to_numpy(),
                "date": f"{self.tonight:%Y-%m-%d}",
                "home": (sides[1] == "vs.").astype(int).to_numpy(),
            }
        )

    def tags(self) -> dict[str, str]:
        """What a promoted version carries."""
        played = self.past["GAME_DATE"].max()
        return {
            "verdict": "PROMOTE",
            "metrics": json.dumps({"mae": 6.0}),
            "dataset_digest": dataset_digest(self.past).full,
            "lineage": json.dumps(lineage_of(self.groups, self.columns).to_dict()),
            "target": "PTS+REB+AST",
            "trained_through": f"{played:%Y-%m-%d}",
        }

    def out_of_sample(self) -> pd.DataFrame:
        """Predictions of the rows from `tonight` on, which the model has not seen."""
        later = self.games["GAME_DATE"] >= self.tonight
        keys = self.games.loc[later, list(KEY_COLUMNS)]
        actual = target_values(self.games, TARGET)[later]
        return keys.assign(actual=actual, predicted=self.model.predict(self.features[later]).astype(float))


@cache
def world() -> World:
    games = sample_league(seasons=1, players=60)
    groups = select_groups(builtin_groups(), "production,venue,rest,minutes", ())
    table = build_features(games, groups)
    tonight = games["GAME_DATE"].drop_duplicates().iloc[100]
    before = games["GAME_DATE"] < tonight
    model = XGBRegressor(n_estimators=20, max_depth=3, n_jobs=1)
    model.fit(table.frame[before], target_values(games, TARGET)[before])
    return World(games=games, groups=groups, features=table.frame, columns=table.columns, model=model, tonight=tonight)


def promote(
    store: Store,
    *,
    model: Any = None,
    tags: Mapping[str, str] | None = None,
    name: str = NAME,
    alias: str = "production",
    content: str = "c1",
    predictions: pd.DataFrame | None = None,
) -> str:
    """Log, register and promote as a session does; the version."""
    league = world()
    with StandardNBAPropsTracker("League/Phase1", store=store) as tracker:
        tracker.start_run(content)
        tracker.log_predictions(league.out_of_sample() if predictions is None else predictions)
        fitted = league.model if model is None else model
        uri = tracker.log_model(fitted, "advanced", input_example=league.features.head(), content=content)
    registry = ModelRegistry(store=store)
    chosen = league.tags() if tags is None else tags
    version = registry.register_model(uri, name, content=content, alias=alias, version_tags=chosen)
    registry.promote_model(name, version, alias, reason="test")
    return version
