"""The promotion criteria's little language: `METRIC[SLICE] OP TERM`, read without any heavy import."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

from pytest_nbaprops.errors import SettingsError, did_you_mean

Bound = Literal["low", "high"]
Operator = Literal["<", "<=", ">", ">="]
Reference = Literal["baseline", "champion", "market"]

POINT_METRICS = ("mae", "rmse", "r2", "bias", "within_3_pct", "within_5_pct", "within_10_pct", "n_predictions")
MARKET_METRICS = (
    "roi", "win_rate", "n_bets", "profit", "drawdown", "brier", "log_loss", "crps", "coverage50", "coverage80",
    "coverage95", "market_mae", "market_brier", "clv", "beyond_line", "blend",
)  # fmt: skip
LESS_IS_BETTER: Final = ("mae", "rmse", "brier", "log_loss", "ece", "max_drawdown", "drawdown", "crps", "blend")
MORE_IS_BETTER: Final = (
    "r2", "within_3_pct", "within_5_pct", "within_10_pct", "roi", "win_rate", "clv", "profit", "beyond_line",
    "n_predictions",
)  # fmt: skip
SIGNED: Final = "bias"  # best at 0
REFERENCES = ("baseline", "champion", "market")
DEFAULT_CRITERIA = ("mae < baseline", "mae <= champion + 0.02")
GRAMMAR = "METRIC[SLICE] OP TERM with OP one of < <= > >= and TERM a number or baseline|champion|market ± a number"
EXAMPLES = "mae <= 6.2, mae < baseline, mae <= champion + 0.02 or mae[minutes>=24] <= 7.5"

# Known only after the game, or made by the candidate itself: rows picked by them are not the rows that were bet on.
OUTCOME_NAMES = frozenset({"actual", "predicted"})

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_BOUND = r"\.(?P<{}>[A-Za-z_]\w*)"
_CRITERION = re.compile(
    r"\s*(?P<metric>[A-Za-z_]\w*)"
    rf"\s*(?:{_BOUND.format('bound_before')})?"
    r"\s*(?:\[(?P<slice>(?:[^\[\]'\"]|'[^']*'|\"[^\"]*\")*)\])?"
    rf"\s*(?:{_BOUND.format('bound_after')})?"
    r"\s*(?P<operator><=|>=|<|>)(?!=)\s*(?P<term>\S.*?)\s*",
    re.DOTALL | re.ASCII,
)
_TERM_NUMBER = re.compile(rf"(?P<sign>[+-]?)\s*(?P<number>{_NUMBER})", re.ASCII)
_TERM_REFERENCE = re.compile(rf"(?P<reference>[A-Za-z_]\w*)\s*(?:(?P<sign>[+-])\s*(?P<number>{_NUMBER}))?", re.ASCII)
_LONGEST = 500  # deep nesting of a pasted text would otherwise end in the parser's recursion limit
_SLICE_NODES = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.Compare, ast.Lt, ast.LtE, ast.Gt,
    ast.GtE, ast.Eq, ast.NotEq, ast.Name, ast.Load, ast.Constant,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One promotion criterion as typed, and its parts; `number` is the threshold, or the margin on the reference."""

    expression: str
    metric: str
    bound: Bound | None
    slice: str | None
    operator: Operator
    reference: Reference | None
    number: float

    @property
    def meaning(self) -> tuple[object, ...]:
        """Equal for two spellings of the same criterion."""
        slice_ = self.slice and ast.unparse(ast.parse(self.slice, mode="eval"))
        return self.metric, self.bound, slice_, self.reference, self.operator, self.number

    @property
    def wants_more(self) -> bool:
        return self.operator in (">", ">=")

    @property
    def needs_interval(self) -> bool:
        """The verdict hangs on an interval, not on the point estimate."""
        return self.bound is not None or self.reference is not None

    @property
    def strict(self) -> bool:
        return self.operator in ("<", ">")

    def holds(self, value: float, threshold: float) -> bool:
        """`value OP threshold`; never true for NaN."""
        if self.wants_more:
            return value > threshold if self.strict else value >= threshold
        return value < threshold if self.strict else value <= threshold


OPTION = "--nbaprops-criterion"


def parse_criterion(text: str, *, option: str = OPTION) -> Criterion:
    """The criterion that `text` spells; SettingsError, one line that names `option`, where it spells none."""
    try:
        return _parsed(text)
    except _UnreadableError as error:
        shown = " ".join((text if isinstance(text, str) else repr(text)).split())
        shown = shown if len(shown) <= 100 else f"{shown[:97]}..."  # noqa: PLR2004 - one readable line of an error
        raise SettingsError(f"{option} {shown!r}: {error}; expected {GRAMMAR}, such as {EXAMPLES}") from None


class _UnreadableError(Exception):
    """What is wrong with the text of a criterion."""


def _parsed(text: str) -> Criterion:
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise _UnreadableError(f"at most {_LONGEST} characters of text")
    match = _CRITERION.fullmatch(text)
    if match is None:
        raise _UnreadableError("it does not have that shape")
    bound = _bound(match["bound_before"], match["bound_after"])
    reference, number = _term(match["term"])
    _refuse_pointless(match["metric"], bound, reference)
    _refuse_backwards(match["metric"], bound, match["operator"], reference)
    return Criterion(
        expression=" ".join(text.split()),
        metric=match["metric"],
        bound=bound,
        slice=None if match["slice"] is None else _slice(match["slice"].strip()),
        operator=cast("Operator", match["operator"]),
        reference=reference,
        number=number,
    )


def asked_criteria(texts: Iterable[str], *, option: str = OPTION) -> tuple[Criterion, ...]:
    """The criteria that somebody asks for; SettingsError, one line, where one cannot be read or bounds half a bias."""
    parsed = tuple(parse_criterion(text, option=option) for text in texts)
    for one in (criterion for criterion in parsed if criterion.metric == SIGNED):
        ends = {other.wants_more for other in parsed if (other.metric, other.slice) == (SIGNED, one.slice)}
        if len(ends) == 1:
            rows = f"[{one.slice}]" if one.slice else ""
            other_end = f"{SIGNED}{rows} {'<=' if one.wants_more else '>='} {-one.number:g}"
            raise SettingsError(
                f"{option} {one.expression!r}: a model that is far off the other way passes, since the bias has a sign;"
                f" add {other_end!r}"
            )
    return parsed


def parse_criteria(texts: Iterable[str]) -> tuple[Criterion, ...]:
    """All criteria in the order given, repeated ones once."""
    parsed = tuple(parse_criterion(text) for text in texts)
    first = {criterion.meaning: criterion for criterion in reversed(parsed)}
    return tuple(criterion for criterion in parsed if first[criterion.meaning] is criterion)


def refuse_unknown_metric(criterion: Criterion, known: Iterable[str], *, own: bool, option: str = OPTION) -> None:
    """SettingsError for a metric that cannot be there; `own` is whether a test or a hook may still bring it.

    Only a metric of the plugin has an interval, slices and a reference: with one of these it is never the test's own.
    """
    names = [*POINT_METRICS, *MARKET_METRICS, *known]
    ours_only = criterion.reference is not None or criterion.bound is not None or criterion.slice is not None
    is_another_case = criterion.metric.lower() in names
    if criterion.metric in names or (own and not ours_only and not is_another_case):
        return
    why = f"there is no metric {criterion.metric!r}{did_you_mean(criterion.metric.lower(), names)}"
    if own:
        why += ", and a metric of your own is one number, without interval, slice or reference"
    raise SettingsError(f"{option} {criterion.expression!r}: {why}; known: {', '.join(names)}")


def weaker_than(now: Sequence[Criterion], before: Sequence[Criterion]) -> tuple[str, ...]:
    """What `before` demanded and `now` does not, or less of it: allowed, but to be said in the report."""
    return tuple(old.expression for old in before if not any(_at_least_as_strict(new, old) for new in now))


def slice_names(expression: str) -> tuple[str, ...]:
    """Names of the columns that a parsed slice reads, in the order of appearance."""
    names = (node.id for node in ast.walk(ast.parse(expression, mode="eval")) if isinstance(node, ast.Name))
    return tuple(dict.fromkeys(names))


def _bound(before: str | None, after: str | None) -> Bound | None:
    bound = before or after
    if before and after:
        raise _UnreadableError(f".{before} and .{after} at once")
    if bound not in (None, "low", "high"):
        raise _UnreadableError(f".{bound} is not an end of the interval, allowed: .low, .high")
    return cast("Bound | None", bound)


def _term(term: str) -> tuple[Reference | None, float]:
    if match := _TERM_NUMBER.fullmatch(term):
        return None, _number(match["sign"], match["number"])
    match = _TERM_REFERENCE.fullmatch(term)
    if match is None:
        raise _UnreadableError(f"{term!r} is neither a number nor a reference with a margin")
    if (name := match["reference"]) not in REFERENCES:
        if name.lower() in ("nan", "inf", "infinity"):
            raise _UnreadableError(f"{name} is not a finite number")
        raise _UnreadableError(f"{name!r} is not a reference{did_you_mean(name, REFERENCES)}")
    margin = 0.0 if match["number"] is None else _number(match["sign"], match["number"])
    return cast("Reference", name), margin


def _number(sign: str, digits: str) -> float:
    value = float(sign + digits)
    if not math.isfinite(value):
        raise _UnreadableError(f"{digits} is not a finite number")
    return value


def _refuse_pointless(metric: str, bound: Bound | None, reference: Reference | None) -> None:
    if metric == "n_predictions" and bound is not None:
        raise _UnreadableError("n_predictions is counted, not estimated, and has no interval")
    if reference is None:
        return
    if bound is not None:
        raise _UnreadableError(f".{bound} goes with a number, a comparison with {reference} uses the interval anyway")
    if metric == "n_predictions":
        raise _UnreadableError(f"n_predictions is always that of {reference}, both predict the same player-games")


def _refuse_backwards(metric: str, bound: Bound | None, operator: str, reference: Reference | None) -> None:
    """What asks for a worse model than the reference, or trusts in the end of an interval that flatters."""
    if metric not in (*LESS_IS_BETTER, *MORE_IS_BETTER):
        if reference is not None and metric in (*POINT_METRICS, *MARKET_METRICS):
            raise _UnreadableError(
                f"neither less nor more {metric} is better than that of {reference}; bound it by numbers"
            )
        return
    less = metric in LESS_IS_BETTER
    better, sure = ("<", "high") if less else (">", "low")
    if operator[0] == better and bound not in (None, sure):
        raise _UnreadableError(f".{bound} is the end of the interval that flatters; what is known is {metric}.{sure}")
    if operator[0] != better and reference is not None:
        raise _UnreadableError(
            f"{'less' if less else 'more'} {metric} is better: who beats {reference} has {metric} {better} {reference}"
        )


def _slice(expression: str) -> str:
    try:
        tree = ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _UnreadableError(f"the slice [{expression}] is not an expression like minutes >= 24 and home") from None
    for node in ast.walk(tree):
        if not isinstance(node, _SLICE_NODES):
            said = f"comparisons of names, numbers and texts with and, or, not; {type(node).__name__} is none"
            raise _UnreadableError(f"a slice is {said}")
        if isinstance(node, ast.Constant) and not isinstance(node.value, str | int | float):
            raise _UnreadableError(f"{node.value!r} has no place in a slice")
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and not math.isfinite(node.value):
            raise _UnreadableError("a slice compares with finite numbers")
        if isinstance(node, ast.Name) and node.id in OUTCOME_NAMES:
            raise _UnreadableError(f"a slice may only use what is known before the game, and {node.id} is not")
    _check_truth(tree.body)
    return expression


def _check_truth(node: ast.expr) -> None:
    """Every leaf of and/or/not is a comparison or a column of yes and no: `minutes and 3` means nothing."""
    if isinstance(node, ast.BoolOp):
        for value in node.values:
            _check_truth(value)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _check_truth(node.operand)
    elif isinstance(node, ast.Compare):
        for operand in (node.left, *node.comparators):
            _check_operand(operand)
    elif not isinstance(node, ast.Name):
        raise _UnreadableError(f"{ast.unparse(node)!r} in the slice is not a comparison")


def _check_operand(node: ast.expr) -> None:
    inner = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else node
    if not isinstance(inner, ast.Name | ast.Constant):
        raise _UnreadableError(f"{ast.unparse(node)!r} in the slice is not a name, a number or a text")
    if inner is not node and not (isinstance(inner, ast.Constant) and type(inner.value) in (int, float)):
        raise _UnreadableError(f"{ast.unparse(node)!r} in the slice is not a number")


def _at_least_as_strict(new: Criterion, old: Criterion) -> bool:
    if new.meaning[:4] != old.meaning[:4] or new.wants_more != old.wants_more:
        return False
    if new.number == old.number:
        return new.strict or not old.strict
    return new.number > old.number if old.wants_more else new.number < old.number
