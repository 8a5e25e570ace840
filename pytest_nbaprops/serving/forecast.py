"""Tomorrow's players in, predictions with intervals out, by the code that made the training features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from pytest_nbaprops.data.digest import dataset_digest
from pytest_nbaprops.data.schedulefile import read_schedule, schedule_of
from pytest_nbaprops.data.schema import KEY_COLUMNS, matchup_parts, parse_target
from pytest_nbaprops.data.upcoming import Upcoming, upcoming_rows
from pytest_nbaprops.errors import DataError, TrackingError
from pytest_nbaprops.features.baseline import baseline_predictions
from pytest_nbaprops.features.build import build_as_of
from pytest_nbaprops.features.catalog import builtin_groups
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.features.lineage import lineage_of
from pytest_nbaprops.market.board import make_board
from pytest_nbaprops.market.judge import judge
from pytest_nbaprops.market.match import EVENT, NO_GAME, match_players
from pytest_nbaprops.market.odds import ODDS_COLUMNS, of_target
from pytest_nbaprops.market.opening import Market, open_market
from pytest_nbaprops.market.report import MarketReport
from pytest_nbaprops.market.settings import MarketSettings
from pytest_nbaprops.market.tonight import Experience, priced
from pytest_nbaprops.metrics.intervals import ErrorModel, learn_errors
from pytest_nbaprops.serving.loader import ProductionModelLoader, ServedModel
from pytest_nbaprops.wholefile import file_digest

LEVEL: Final = 0.8
DEFAULT_TARGET: Final = "PTS+REB+AST"
NAMED: Final = 3
LOST: Final = 0.5  # of the rows of the last date played had a value
_REGISTERED_BY_HAND: Final = (
    "; a session with --nbaprops-train writes it, a script gives it as version_tags= to register_model"
)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Predictions and what they rest on.

    Attributes:
        rows: one row per player-game in the schedule's order: date, game_id, player_id (empty for a new player),
            player, team, opponent, home, predicted, low, high, baseline; with odds also `market.tonight.COLUMNS`.
        model: `ProductionModelLoader.get_model_info()` without the feature columns.
        data_digest: SHA-256 of all games before the first date; the model's own `dataset_digest` if nothing came since.
        data_through: ISO date of the last game used.
        level: probability of the interval low..high.
        stale: why the model should not be used on this data, where that was overruled.
        notes: what else a user should know, one line each.
        warnings: why its chances should not be bet on, one line each.
    """

    rows: pd.DataFrame
    model: Mapping[str, Any]
    data_digest: str
    data_through: str
    level: float
    stale: tuple[str, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def table(self) -> pd.DataFrame:
        """The rows with model, version, data digest and the stale flag in every one of them."""
        return self.rows.assign(
            model=self.model["model_name"],
            model_version=self.model["version"],
            data_digest=self.data_digest,
            stale=bool(self.stale),
        )

    def to_dict(self) -> dict[str, Any]:
        """Exact builtins, NaN as None."""
        plain = self.rows.astype(object).where(self.rows.notna(), None)
        return {
            "model": dict(self.model),
            "data_digest": self.data_digest,
            "data_through": self.data_through,
            "interval": self.level,
            "stale": list(self.stale),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "predictions": plain.to_dict("records"),
        }


def predict_upcoming(  # noqa: PLR0913 - everything that a prediction rests on
    schedule: Upcoming | pd.DataFrame | str | Path,
    games: pd.DataFrame,
    loader: ProductionModelLoader,
    *,
    groups: Sequence[FeatureGroup] = (),
    root: Path | None = None,
    odds: pd.DataFrame | None = None,
    earlier_odds: pd.DataFrame | None = None,
    bets: MarketSettings | None = None,
    level: float = LEVEL,
    allow_stale: bool = False,
    allow_new_players: bool = False,
) -> Forecast:
    """Predict players of games not yet played with the version that holds the loader's alias.

    Args:
        schedule: A file or frame with player (or player_id), team, opponent, date, home; or what `upcoming_rows` or
            `unplayed_rows` gave.
        games: Canonical games (`load_games`); only those before the schedule's first date are used.
        loader: Follows the alias.
        groups: The project's own feature groups, beside the built-in ones.
        root: Folder that relative paths of declared sources start from.
        odds: What `read_odds` gave for the games to come, perhaps with earlier ones: line, chances and the best offer.
        earlier_odds: Lines of games that the version predicted out of sample, to recalibrate its chances on.
        bets: Which offers are looked at.
        level: Probability of the interval.
        allow_stale: Predict although the data or the code is not what the model was trained on.
        allow_new_players: Take unknown names for debutants.

    Raises:
        DataError: the schedule or the data cannot be used, or is not what `load_games` and `read_odds` give.
        TrackingError: the model is newer than the data or its features were made by other code, unless allowed.
        FeatureError: a feature group fails.
    """
    _refuse_raw("games", games, (*KEY_COLUMNS, "PLAYER_NAME", "SEASON"), "load_games(path)")
    for name, lines in (("odds", odds), ("earlier_odds", earlier_odds)):
        if lines is not None:
            _refuse_raw(name, lines, ODDS_COLUMNS, "read_odds(path)")
    served = loader.current()
    if not isinstance(schedule, Upcoming):
        read = schedule_of(schedule) if isinstance(schedule, pd.DataFrame) else read_schedule(schedule)
        schedule = upcoming_rows(read, games, allow_new_players=allow_new_players)
    first = schedule.rows["GAME_DATE"].min()
    past = games[games["GAME_DATE"] < first]
    if past.empty:
        raise DataError(f"the data has no game before {first:%Y-%m-%d}, the first date to predict; give older games")
    bets, notes = bets or MarketSettings(), [*schedule.notes]
    basis = _Basis(loader=loader, served=served, upcoming=schedule, games=games, past=past, bets=bets, notes=notes)
    available = {group.name: group for group in (*builtin_groups(parse_target(basis.target)), *groups)}
    stale = _staleness(served, past, available, root, allowed=allow_stale)
    others = _other_files(served, root, code=False)
    notes += [f"the declared {path} is not what it was in the model's training" for path in others]
    features = _features(basis, available, root)
    errors = _error_model(basis)
    rows = _predicted(basis, features, errors, level)
    warnings = _emptied(basis, available, features, root)
    if odds is not None:
        rows, of_offers = _with_offers(basis, rows, errors, odds, earlier_odds)
        warnings += of_offers
    return Forecast(
        rows=rows,
        model={name: value for name, value in served.info().items() if name != "features"},
        data_digest=dataset_digest(past).full,
        data_through=f"{past['GAME_DATE'].max():%Y-%m-%d}",
        level=level,
        stale=stale,
        notes=tuple(notes),
        warnings=warnings,
    )


def _refuse_raw(what: str, given: Any, needed: Sequence[str], made_by: str) -> None:
    """DataError for what was read in another way: its dates are texts, its columns are called otherwise."""
    columns = getattr(given, "columns", ())
    missing = [name for name in needed if name not in columns]
    texts = [name for name in needed if name in columns and name.endswith("_DATE") and given[name].dtype.kind != "M"]
    if missing or texts:
        why = f"has no column {missing[0]}" if missing else f"has no dates in {texts[0]}"
        raise DataError(f"{what} {why}: give what {made_by} returns")


@dataclass(frozen=True, kw_only=True)
class _Basis:
    """What a forecast rests on.

    Attributes:
        upcoming: the player-games to come, in the schedule's order.
        past: those of the games that were played before the first of them.
        notes: what a user should know, collected on the way.
    """

    loader: ProductionModelLoader
    served: ServedModel
    upcoming: Upcoming
    games: pd.DataFrame
    past: pd.DataFrame
    bets: MarketSettings
    notes: list[str]

    @property
    def rows(self) -> pd.DataFrame:
        return self.upcoming.rows

    @property
    def target(self) -> str:
        return self.served.record.target or DEFAULT_TARGET

    @cached_property
    def known(self) -> pd.DataFrame:
        """The games played, and after them those to come."""
        return pd.concat([self.past, self.rows], ignore_index=True)


def _staleness(
    served: ServedModel, past: pd.DataFrame, available: Mapping[str, FeatureGroup], root: Path | None, *, allowed: bool
) -> tuple[str, ...]:
    """Why the model does not belong to this data and code, a line each; empty if it does.

    `past` are the games that the features will be made of, `available` every feature group there is.

    Raises:
        TrackingError: it does not, and that is not allowed.
    """
    trained = served.record.trained_through
    played = past.loc[past["MIN"].notna(), "GAME_DATE"]
    last = f"{played.max():%Y-%m-%d}" if len(played) else "0000-00-00"
    reasons = _other_code(served, available, root)
    if trained is None:
        why = f"it does not say through which date it was trained (no tag trained_through{_REGISTERED_BY_HAND})"
        reasons = [why, *reasons]
    elif last < trained:
        why = (
            f"it was trained through {trained}, but the data before the first game to predict ends on {last}: that "
            "game has been played, or the data is older than the model"
        )
        reasons = [why, *reasons]
    if reasons and not allowed:
        raise TrackingError(
            f"{served.label} is not used: {'; '.join(reasons)}; bring data and code up to date, train anew, "
            "or overrule this with --allow-stale (allow_stale=True)"
        )
    return tuple(reasons)


def _other_code(served: ServedModel, available: Mapping[str, FeatureGroup], root: Path | None) -> list[str]:
    lineage = served.record.lineage
    if lineage is None:
        return [f"it does not say what its features are made of (no tag lineage{_REGISTERED_BY_HAND})"]
    there = {line.name: line for line in lineage.groups if line.name in available}
    found = lineage_of([available[n] for n in there], {n: line.columns for n, line in there.items()}, root)
    changed = [line.name for line in found.groups if line.code != there[line.name].code]
    missing = [line.name for line in lineage.groups if line.name not in available]
    reasons = [f"the code of the feature group(s) {', '.join(changed)} is not that of its training"] if changed else []
    if files := _other_files(served, root, code=True):
        reasons.append(f"the declared code {', '.join(files)} is not that of its training")
    if missing:
        reasons.append(f"the feature group(s) {', '.join(missing)} of its training do not exist here")
    return reasons


def _emptied(
    basis: _Basis, available: Mapping[str, FeatureGroup], features: pd.DataFrame, root: Path | None
) -> tuple[str, ...]:
    """A warning where what the model learnt from is missing in all rows, and was not on the last date played."""
    lineage, warnings = basis.served.record.lineage, []
    empty = {name for name in features.columns if features[name].isna().all()}
    last = basis.past["GAME_DATE"].max()
    for line in lineage.groups if lineage is not None else ():
        names = [name for name in line.columns if name in empty]
        if names and line.name in available:
            before = build_as_of(basis.past, [available[line.name]], dates=[last], root=root)
            if lost := [name for name in names if name in before and before[name].notna().mean() > LOST]:
                shown = f"{', '.join(lost[:NAMED])}{' …' if len(lost) > NAMED else ''}"
                why = "the schedule lacks a column of your own or game_id, or a table ends too early"
                warnings.append(f"{shown} (group {line.name}): empty in all rows, not so on {last:%Y-%m-%d}: {why}")
    return tuple(warnings)


def _other_files(served: ServedModel, root: Path | None, *, code: bool) -> list[str]:
    """Declared files, those of code or all others, that are not what they were in training, as paths from the root."""
    files = served.record.lineage.files if served.record.lineage is not None else {}
    asked = ((path, was) for path, was in files.items() if path.endswith(".py") is code)
    return [path for path, was in asked if file_digest((root or Path()) / path) != was]


def _features(basis: _Basis, available: Mapping[str, FeatureGroup], root: Path | None) -> pd.DataFrame:
    """The model's columns for the rows, in the rows' order; columns that no group makes are empty, and noted."""
    served, rows = basis.served, basis.rows
    lineage = served.record.lineage
    names = [line.name for line in lineage.groups if line.name in available] if lineage else list(available)
    dates = [pd.Timestamp(day) for day in sorted(rows["GAME_DATE"].unique())]
    built = build_as_of(basis.known, [available[name] for name in names], dates=dates, root=root)
    built.index = rows.sort_values(list(KEY_COLUMNS)).index  # build_as_of answers in canonical order
    absent = [name for name in served.columns if name not in built.columns]
    if absent:
        shown = ", ".join(absent[:NAMED])
        basis.notes.append(f"{len(absent)} feature columns are empty, as nothing makes them: {shown}")
    empty = pd.DataFrame(np.nan, index=built.index, columns=absent, dtype=np.float32)
    return pd.concat([built, empty], axis=1).loc[rows.index, list(served.columns)]


def _baseline(basis: _Basis) -> pd.Series[float]:
    ordered = basis.known.assign(_row=[-1] * len(basis.past) + list(basis.rows.index))
    ordered = ordered.sort_values(list(KEY_COLUMNS), ignore_index=True)
    values = baseline_predictions(ordered, parse_target(basis.target))
    chosen = ordered["_row"] >= 0
    return pd.Series(values[chosen].to_numpy(), index=ordered.loc[chosen, "_row"].to_numpy()).loc[basis.rows.index]


def _predicted(basis: _Basis, features: pd.DataFrame, errors: ErrorModel | None, level: float) -> pd.DataFrame:
    """Who plays, with prediction, interval (NaN where nobody knows how the version errs) and baseline."""
    rows, parts = basis.rows, matchup_parts(basis.rows)
    predicted = pd.DataFrame(
        {
            "date": rows["GAME_DATE"].dt.strftime("%Y-%m-%d"),
            "game_id": rows["GAME_ID"],
            "player_id": rows["PLAYER_ID"].astype("Int64").mask(rows["PLAYER_ID"].isin(basis.upcoming.new_players)),
            "player": rows["PLAYER_NAME"],
            "team": rows["TEAM_ABBREVIATION"],
            "opponent": parts["OPPONENT"],
            "home": parts["HOME"].astype(bool),
            "predicted": basis.served.predict(features),
            "low": np.nan,
            "high": np.nan,
        }
    )
    if errors is not None:
        predicted[["low", "high"]] = errors.interval(predicted["predicted"].to_numpy(), level).to_numpy()
    return predicted.assign(baseline=_baseline(basis))


def _error_model(basis: _Basis) -> ErrorModel | None:
    """How the version erred out of sample; None, and a note, where its run does not tell."""
    try:
        past = basis.loader.past_predictions(basis.served)
        errors = learn_errors(past["actual"], past["predicted"])
    except (TrackingError, KeyError) as error:
        basis.notes.append(f"no interval: {error}")
        return None
    if errors is None:
        run = f"the run of {basis.served.label}"
        basis.notes.append(f"no interval: {run} kept only {len(past)} out-of-sample predictions")
    return errors


def _with_offers(
    basis: _Basis, rows: pd.DataFrame, errors: ErrorModel | None, odds: pd.DataFrame, earlier_odds: pd.DataFrame | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows with line, chances and the best offer, and why these chances should not be bet on."""
    market = _market(basis, odds)
    every = odds if earlier_odds is None else pd.concat([odds, earlier_odds], ignore_index=True)
    experience = Experience.of(_judged(basis, every, market))
    keyed = basis.rows[list(KEY_COLUMNS)].assign(predicted=rows["predicted"])
    rows = rows.join(priced(keyed, market, errors, experience.recalibration))
    if experience.warning is None or rows["line"].isna().all():
        return rows, ()
    return rows, (f"{basis.served.label} {experience.warning}",)


def _market(basis: _Basis, odds: pd.DataFrame) -> Market:
    """The lines on the scheduled games; those whose player is not in them are noted."""
    rows, target = basis.rows, basis.target
    season = basis.games[basis.games["SEASON"].isin(rows["SEASON"].unique())]
    first, last = rows["GAME_DATE"].min(), rows["GAME_DATE"].max() + pd.Timedelta(days=1)  # a night game's UTC date
    near = of_target(odds[odds["EVENT_DATE"].between(first, last)], target)
    found = match_players(near, rows, roster=season)
    lost = found.unmatched[found.unmatched["KIND"] != NO_GAME].drop_duplicates(["PLAYER", "EVENT_ID"])
    if len(lost):
        examples = "; ".join(f"{p}: {r}" for p, r in lost[["PLAYER", "REASON"]].head(NAMED).itertuples(index=False))
        basis.notes.append(f"{len(lost)} player(s) of the odds are in no row of the schedule ({examples})")
    if found.matched.empty:
        way_out = ": check the dates" if near.empty else ""  # else the note before names the players
        basis.notes.append(f"no line of the odds is for a player of the schedule{way_out}")
    board = make_board(found.matched, target, snapshot=basis.bets.snapshot)
    market = Market(target=target, settings=basis.bets, lines=found, board=board)
    basis.notes.extend(market.board_problems())
    return market


def _judged(basis: _Basis, odds: pd.DataFrame, market: Market) -> MarketReport | None:
    """The version's out-of-sample predictions of earlier dates against the lines on them; None where there are none."""
    try:
        predictions = basis.loader.past_predictions(basis.served)
        last = basis.past["GAME_DATE"].max()
        earlier = predictions[pd.to_datetime(predictions["GAME_DATE"]) <= last]
        tonight = market.lines.matched[EVENT].drop_duplicates()
        of_tonight = pd.MultiIndex.from_frame(odds[EVENT]).isin(pd.MultiIndex.from_frame(tonight))
        known = odds[~of_tonight & (odds["EVENT_DATE"] <= last + pd.Timedelta(days=1))]
        if earlier.empty or known.empty:
            return None
        settings = replace(market.settings, rule="best-value", book=None)
        return judge(earlier, open_market(known, basis.past, market.target, settings))
    except (TrackingError, KeyError) as error:
        basis.notes.append(f"earlier lines were not looked at: {error}")
        return None
