"""Slices of the predictions: `minutes >= 24 and home`, evaluated without ever running the user's text."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pytest_nbaprops.data.schema import KEY_COLUMNS, OUTCOME_COLUMNS
from pytest_nbaprops.errors import InconclusiveError, SettingsError, did_you_mean
from pytest_nbaprops.features.baseline import SLICE_COLUMNS
from pytest_nbaprops.gate.criteria import OUTCOME_NAMES, Criterion, slice_names

Mask = npt.NDArray[np.bool_]

# The standard error of a MAE is about 0.5 points with this many player-games: less says nothing about a slice.
MIN_SLICE_ROWS = 100
BOOKKEEPING = ("candidate", "fold")  # how the session is organised, nothing that a bet could be picked by
KNOWN = (*SLICE_COLUMNS, *KEY_COLUMNS, "baseline", "line", "market")

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def refuse_unknown_slice(criterion: Criterion, option: str) -> None:
    """SettingsError for a slice by a column that no predictions have; before anything is fitted."""
    for name in slice_names(criterion.slice or "0"):
        if name not in KNOWN:
            raise SettingsError(
                f"{option} {criterion.expression!r}: there is no column {name!r} to slice by"
                f"{did_you_mean(name, KNOWN)}; known: {', '.join(KNOWN)}"
            )


def slice_mask(expression: str, columns: pd.DataFrame) -> Mask:
    """Boolean (rows,): where a parsed slice holds; a row that lacks a value the slice reads belongs to no slice.

    InconclusiveError for unknown columns, comparisons of unlike things and fewer than MIN_SLICE_ROWS rows.
    """
    names = slice_names(expression)
    hidden = {*OUTCOME_NAMES, *OUTCOME_COLUMNS, *BOOKKEEPING}
    allowed = [name for name in columns.columns if name not in hidden]
    for name in names:
        if name in OUTCOME_COLUMNS or name in OUTCOME_NAMES:
            raise InconclusiveError(f"the slice reads {name}, which is known only after the game")
        if name not in allowed:
            raise InconclusiveError(
                f"no column {name} to slice by{did_you_mean(name, allowed)}; known: {', '.join(allowed)}"
            )
    mask = _truth(ast.parse(expression, mode="eval").body, columns)
    mask = mask & ~columns[list(names)].isna().to_numpy().any(axis=1)
    if mask.sum() < MIN_SLICE_ROWS:
        raise InconclusiveError(f"the slice has {mask.sum()} player-games, fewer than {MIN_SLICE_ROWS}")
    return mask


def _truth(node: ast.expr, columns: pd.DataFrame) -> Mask:
    if isinstance(node, ast.BoolOp):
        parts = [_truth(value, columns) for value in node.values]  # noqa: PD011 - a syntax tree, not a frame
        joined = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return np.asarray(joined.reduce(parts), dtype=np.bool_)
    if isinstance(node, ast.UnaryOp):
        return ~_truth(node.operand, columns)
    if isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
        pairs = zip(operands, node.ops, operands[1:], strict=False)
        compared = [_compared(left, how, right, columns) for left, how, right in pairs]
        return np.asarray(np.logical_and.reduce(compared), dtype=np.bool_)
    name = ast.unparse(node)
    values = columns[name]
    if not (pd.api.types.is_bool_dtype(values) or values.dropna().isin([True, False]).all()):
        raise InconclusiveError(f"{name} is not yes or no, compare it with something")
    return values.isin([True]).to_numpy(dtype=np.bool_)


def _compared(left: ast.expr, comparison: ast.cmpop, right: ast.expr, columns: pd.DataFrame) -> Mask:
    first, second = (
        columns[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node) for node in (left, right)
    )
    first, second = _dated(first, second), _dated(second, first)
    if _kind(first) != _kind(second):
        raise InconclusiveError(f"the slice compares {ast.unparse(left)} with {ast.unparse(right)}, which are unlike")
    answer = _COMPARISONS[type(comparison)](first, second)
    if isinstance(answer, pd.Series):
        return answer.fillna(value=False).to_numpy(dtype=np.bool_)
    return np.full(len(columns), bool(answer))


def _dated(value: Any, other: Any) -> Any:
    """A text is a date where it stands against a column of dates."""
    if not isinstance(value, str) or _kind(other) != "date":
        return value
    try:
        return pd.Timestamp(value)
    except ValueError:
        raise InconclusiveError(f"{value!r} in the slice is not a date like 2024-01-31") from None


def _kind(value: Any) -> str:
    if isinstance(value, pd.Timestamp) or (isinstance(value, pd.Series) and value.dtype.kind == "M"):
        return "date"
    if isinstance(value, str):
        return "text"
    if isinstance(value, pd.Series) and not pd.api.types.is_numeric_dtype(value):
        return "text"
    return "number"
