"""A group's answer as numbers, and where it moved against another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_nbaprops.data.schema import KEY_COLUMNS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Positions = NDArray[np.int64]

# Sums in another order differ in their last bits. Features are float32, which holds 6e-8 and better: a difference
# below this never reaches a model except as a flipped last bit.
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a group returned: `numbers` in float64, or why it has none; `rows` says how it changed rows."""

    numbers: NDArray[np.float64]
    columns: tuple[str, ...] = ()
    precision: float = 0.0
    problem: str | None = None
    rows: dict[str, object] | None = None

    @classmethod
    def failed(cls, problem: str, rows: dict[str, object] | None = None) -> Answer:
        return cls(numbers=np.empty((0, 0)), problem=problem, rows=rows)

    @classmethod
    def of(cls, raw: Any, games: pd.DataFrame) -> Answer:
        """Read a group's own answer to `games`."""
        rows = row_changes(games, raw)
        if rows is not None:
            return cls.failed("changed the rows", rows)
        try:
            parts = [raw[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in raw.columns]
        except (TypeError, ValueError, AttributeError) as problem:
            return cls.failed(f"{type(problem).__name__}: {problem}")
        values = np.column_stack(parts) if parts else np.empty((len(games), 0))
        return cls(numbers=values, columns=tuple(map(str, raw.columns)), precision=_precision(raw))

    @classmethod
    def of_features(cls, values: NDArray[np.float32], columns: tuple[str, ...]) -> Answer:
        """Read a built table, which holds float32."""
        return cls(numbers=values.astype(np.float64), columns=columns, precision=float(np.finfo(np.float32).eps))

    @property
    def float32(self) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):
            return self.numbers.astype(np.float32)


def moved(values: NDArray[Any], others: NDArray[Any]) -> Mask:
    """Where two tables differ at all; missing is equal to missing."""
    same: Mask = (values == others) | (np.isnan(values) & np.isnan(others))
    return ~same


def moved_beyond_rounding(answer: Answer, rows: Positions, other: Answer, others: Positions) -> Mask:
    """Where rows of one answer differ from rows of another by more than sums in another order do."""
    left, right = answer.numbers[rows], other.numbers[others]
    share = max(ROUNDING, 4 * answer.precision, 4 * other.precision)
    with np.errstate(invalid="ignore"):
        size = np.maximum(np.abs(left), np.abs(right))
        return moved(left, right) & ~(np.abs(left - right) <= share * size)


def example(  # noqa: PLR0913, PLR0917 - two tables, their rows and a column
    games: pd.DataFrame, true: Answer, origin: Positions, answer: Answer, rows: Positions, column: str
) -> dict[str, object]:
    """The largest move in a column: whose, when, from what, to what."""
    place = true.columns.index(column)
    before, after = true.numbers[origin, place], answer.numbers[rows, place]
    changed = moved_beyond_rounding(answer, rows, true, origin)[:, place]
    with np.errstate(invalid="ignore"):
        size = np.where(changed, np.nan_to_num(np.abs(after - before), nan=1e-300), -1.0)
    worst = int(size.argmax())
    row = games.iloc[int(origin[worst])]
    return {
        "player": _name(row),
        "date": f"{row['GAME_DATE']:%Y-%m-%d}",
        "column": column,
        "before": _number(before[worst]),
        "after": _number(after[worst]),
    }


def row_changes(games: pd.DataFrame, answer: Any) -> dict[str, object] | None:
    """None where the answer has the games' rows in their order, else an example that names a key of a changed row."""
    if not isinstance(answer, pd.DataFrame | pd.Series):
        return None
    if len(answer) == len(games) and answer.index.equals(games.index):
        return None
    position, text = _first_change(games, answer.index)
    keys = games.iloc[position]
    named = ", ".join(
        f"{name} {keys[name]:%Y-%m-%d}" if name == "GAME_DATE" else f"{name} {keys[name]}" for name in KEY_COLUMNS
    )
    return {
        "player": _name(keys),
        "date": f"{keys['GAME_DATE']:%Y-%m-%d}",
        "column": None,
        "before": float(len(games)),
        "after": float(len(answer)),
        "detail": f"{len(answer)} rows for {len(games)} games; {text} {named}",
    }


def _first_change(games: pd.DataFrame, index: pd.Index) -> tuple[int, str]:
    lost = ~games.index.isin(index)
    if lost.any():
        return int(lost.argmax()), "lost"
    twice = index[index.duplicated()]
    if len(twice) and twice[0] in games.index:
        return int((games.index == twice[0]).argmax()), "twice"
    if len(index) == len(games):
        place = int((index.to_numpy() != games.index.to_numpy()).argmax())
        return place, "out of order from"
    # A merge numbers its rows anew, and which one it added cannot be told from the answer.
    return min(len(games), len(index)) - 1, "up to"


def _precision(raw: pd.DataFrame) -> float:
    narrow = [dtype for dtype in raw.dtypes if str(dtype).lower() in ("float32", "float16")]
    return max((float(np.finfo(str(dtype).lower()).eps) for dtype in narrow), default=0.0)


def _name(row: pd.Series[Any]) -> str:
    name = row.get("PLAYER_NAME")
    return str(row["PLAYER_ID"]) if name is None or pd.isna(name) else str(name)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
