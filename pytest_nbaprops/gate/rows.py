"""Which player-games were predicted: exactly the planned ones, once each, or nothing is judged."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pytest_nbaprops.data.schema import KEY_COLUMNS
from pytest_nbaprops.errors import InconclusiveError
from pytest_nbaprops.gate.verdict import Champion
from pytest_nbaprops.metrics.point import Floats, date_sums, moments

KEYS = list(KEY_COLUMNS)


def checked_rows(predictions: pd.DataFrame | None, expected: pd.DataFrame | None) -> pd.DataFrame:
    """The predictions in canonical order; InconclusiveError unless they are exactly the expected rows, all finite."""
    if expected is None or expected.empty:
        raise InconclusiveError("which player-games were planned is not known")
    if predictions is None or predictions.empty:
        raise InconclusiveError("there are no predictions")
    planned = keyed(expected, "planned rows", numbers=("actual",))
    rows = keyed(predictions, "predictions", numbers=("actual", "predicted"))
    if not rows[KEYS].equals(planned[KEYS]):
        lost, added = _only_in(planned, rows), _only_in(rows, planned)
        if len(lost):
            of = f"{_count(len(lost), 'planned player-game')} of {len(planned):,}"
            raise InconclusiveError(f"{of} without a prediction: {_example(lost)}")
        raise InconclusiveError(f"{_count(len(added), 'prediction')} of player-games not planned: {_example(added)}")
    _refuse_other_actuals(rows, planned, "the planned rows")
    return rows


def champion_predicted(rows: pd.DataFrame, champion: Champion) -> pd.Series[float]:
    """The champion's predictions of exactly these rows, in their order; InconclusiveError where it has others."""
    label = f"the champion {champion.name}" + (f" v{champion.version}" if champion.version else "")
    if champion.unavailable or champion.predictions is None:
        raise InconclusiveError(champion.unavailable or f"{label} has no stored predictions")
    theirs = keyed(champion.predictions, f"{label}'s predictions", numbers=("actual", "predicted"))
    # Other dates than ours may be there; other player-games of our dates would be another version of the data.
    theirs = theirs[theirs["GAME_DATE"].isin(rows["GAME_DATE"])].reset_index(drop=True)
    if not theirs[KEYS].equals(rows[KEYS]):
        lost, added = _only_in(rows, theirs), _only_in(theirs, rows)
        if len(lost):
            of = f"{len(lost):,} of {len(rows):,} player-games"
            raise InconclusiveError(f"{label} has no prediction for {of}: {_example(lost)}")
        raise InconclusiveError(
            f"{label} predicted {len(added):,} player-games of these dates that are not in this data"
        )
    _refuse_other_actuals(rows, theirs, f"those {label} was scored on")
    return theirs["predicted"]


def keyed(frame: pd.DataFrame, what: str, *, numbers: tuple[str, ...]) -> pd.DataFrame:
    """A copy with keys of one type in canonical order and float64 numbers; InconclusiveError where that cannot be."""
    absent = [name for name in (*KEYS, *numbers) if name not in frame.columns]
    if absent:
        raise InconclusiveError(f"the {what} lack {', '.join(absent)}")
    if frame.columns.has_duplicates:
        raise InconclusiveError(f"the {what} have a column twice")
    if frame[KEYS].isna().any(axis=None):
        raise InconclusiveError(f"the {what} have rows without a key")
    try:
        rows = with_plain_keys(frame).assign(**{name: frame[name].astype("float64") for name in numbers})
    except (TypeError, ValueError, OverflowError) as error:
        raise InconclusiveError(f"the {what} cannot be read: {error}") from error
    rows = rows.sort_values(KEYS, kind="stable", ignore_index=True)
    if rows.duplicated(KEYS).any():
        raise InconclusiveError(f"the {what} have one player-game twice: {_example(rows[rows.duplicated(KEYS)])}")
    for name in numbers:
        if len(bad := rows[~np.isfinite(rows[name].to_numpy())]):
            raise InconclusiveError(
                f"{_count(len(bad), 'player-game')} of the {what} with {name} missing or not finite: {_example(bad)}"
            )
    return rows


def with_plain_keys(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy with keys of one type, dates as midnights."""
    return frame.assign(
        GAME_DATE=pd.to_datetime(frame["GAME_DATE"]).astype("datetime64[ns]").dt.normalize(),
        GAME_ID=frame["GAME_ID"].astype(str),
        PLAYER_ID=frame["PLAYER_ID"].astype("int64"),
    )


def _refuse_other_actuals(rows: pd.DataFrame, others: pd.DataFrame, whose: str) -> None:
    moved = rows[rows["actual"].to_numpy() != others["actual"].to_numpy()]
    if len(moved):
        count = _count(len(moved), "player-game")
        raise InconclusiveError(f"outcomes are not {whose}: {count} differ, {_example(moved)}")


def _only_in(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    there = pd.MultiIndex.from_frame(left[KEYS]).isin(pd.MultiIndex.from_frame(right[KEYS]))
    return left[~there]


def _example(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    return f"{first['GAME_DATE']:%Y-%m-%d} game {first['GAME_ID']} player {first['PLAYER_ID']}"


def error_sums(rows: pd.DataFrame, predicted: str = "predicted") -> Floats:
    """Array (dates, MOMENTS) of the rows' errors by one of their columns."""
    return date_sums(rows["GAME_DATE"].to_numpy(), moments(rows["actual"], rows[predicted]))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
