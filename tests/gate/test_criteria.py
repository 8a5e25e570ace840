from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.gate.criteria import (
    DEFAULT_CRITERIA,
    Criterion,
    asked_criteria,
    parse_criteria,
    parse_criterion,
    refuse_unknown_metric,
    weaker_than,
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("mae <= 6.2", ("mae", None, None, "<=", None, 6.2)),
        ("r2 >= 0.55", ("r2", None, None, ">=", None, 0.55)),
        ("mae<baseline", ("mae", None, None, "<", "baseline", 0.0)),
        ("mae <= champion + 0.02", ("mae", None, None, "<=", "champion", 0.02)),
        ("mae < champion - .5", ("mae", None, None, "<", "champion", -0.5)),
        ("mae[minutes>=24] <= 7.5", ("mae", None, "minutes>=24", "<=", None, 7.5)),
        ("roi.low > 0", ("roi", "low", None, ">", None, 0.0)),
        ("roi[line > 20].low > -1e-1", ("roi", "low", "line > 20", ">", None, -0.1)),
        ("roi.low[line > 20] > +2", ("roi", "low", "line > 20", ">", None, 2.0)),
        ("mae[GAME_ID == 'a]b' or not 1 < rest <= -2] < market", None),
        ("bias >= -0.0", ("bias", None, None, ">=", None, 0.0)),
    ],
)
def test_the_grammar_is_read(text: str, parts: tuple[object, ...] | None) -> None:
    """Metric, interval end, slice, operator, reference and number are taken apart as the design has them."""
    read = parse_criterion(text)
    if parts is not None:
        assert (read.metric, read.bound, read.slice, read.operator, read.reference, read.number) == parts


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not have that shape"),
        ("mae", "does not have that shape"),
        ("mae 6.2", "does not have that shape"),
        ("mae = 6", "does not have that shape"),
        ("mae == 6", "does not have that shape"),
        ("mae =< 6", "does not have that shape"),
        ("6.2 > mae", "does not have that shape"),
        ("mae <= 6 <= 7", "neither a number nor a reference"),
        ("mae < 6; import os", "neither a number nor a reference"),
        ("mae < 2 * baseline", "neither a number nor a reference"),
        ("mae < nan", "nan is not a finite number"),
        ("mae < inf", "inf is not a finite number"),
        ("mae < -inf", "neither a number nor a reference"),
        ("mae < 1e999", "1e999 is not a finite number"),
        ("mae < champion + 1e999", "1e999 is not a finite number"),
        ("mae < champoin", "did you mean champion?"),
        ("mae.mid < 3", ".mid is not an end of the interval"),
        ("mae.low[home].high < 3", "at once"),
        ("mae.high < champion", "goes with a number"),
        ("n_predictions >= champion", "both predict the same player-games"),
        ("mae > baseline", "less mae is better: who beats baseline has mae < baseline"),
        ("bias < baseline", "neither less nor more bias is better than that of baseline"),
        ("coverage80 >= champion", "neither less nor more coverage80 is better"),
        ("mae[line] >= market - 0.2", "who beats market has mae < market"),
        ("r2 < champion", "more r2 is better: who beats champion has r2 > champion"),
        ("mae.low <= 6.2", "the end of the interval that flatters; what is known is mae.high"),
        ("roi.high > 0", "what is known is roi.low"),
        ("n_predictions.low >= 3", "has no interval"),
        ("mae[] < 3", "is not an expression like"),
        ("mae[minutes >=] < 3", "is not an expression like"),
        ("mae[__import__('os').system('x')] < 3", "Call is none"),
        ("mae[minutes.real > 3] < 3", "Attribute is none"),
        ("mae[minutes + 1 > 3] < 3", "BinOp is none"),
        ("mae[lambda: 0] < 3", "Lambda is none"),
        ("mae[minutes and 3] < 3", "is not a comparison"),
        ("mae[(minutes > 3) > 2] < 3", "is not a name, a number or a text"),
        ("mae[minutes > -home] < 3", "is not a number"),
        ("mae[minutes > 3j] < 3", "has no place in a slice"),
        ("mae[minutes > 1e999] < 3", "finite numbers"),
        ("mae[actual > 3] < 3", "known before the game"),
        ("mae[predicted > 3] < 3", "known before the game"),
        ("mae[" + "(" * 900 + "] < 3", "at most 500 characters"),
        ("mae[" + "(" * 230 + "minutes > 3" + ")" * 230 + "] < 3", "is not an expression like"),
    ],
)
def test_what_is_no_criterion_is_one_clear_line(text: str, why: str) -> None:
    """The error names the option, the value, why and the grammar, in one line."""
    with pytest.raises(SettingsError, match=re.escape(why)) as caught:
        parse_criterion(text)
    message = str(caught.value)
    assert message.startswith("--nbaprops-criterion ")
    assert "METRIC[SLICE] OP TERM" in message
    assert "\n" not in message


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Any text is a criterion or a SettingsError of one line."""
    try:
        assert isinstance(parse_criterion(text), Criterion)
    except SettingsError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - both ends are fine


@pytest.mark.parametrize(
    ("texts", "added"),
    [
        (["mae <= 6", "bias <= 1"], "add 'bias >= -1'"),
        (["bias[home].low > -0.5", "bias < 1", "bias > -1"], "add 'bias[home] <= 0.5'"),
        (["bias <= 1", "bias.low >= -1"], None),
    ],
)
def test_a_bias_is_bounded_on_both_sides(texts: list[str], added: str | None) -> None:
    """A model that predicts nothing but 0 has a bias of -27."""
    if added is None:
        assert len(asked_criteria(texts)) == len(texts)
        return
    with pytest.raises(SettingsError, match=re.escape(added)):
        asked_criteria(texts)


def test_the_expression_is_as_typed() -> None:
    """People find their criterion in the report as they typed it, on one line."""
    assert parse_criterion(" mae[minutes>=24]\n<=  7.50 ").expression == "mae[minutes>=24] <= 7.50"


def test_the_same_criterion_counts_once() -> None:
    """Two spellings of one criterion are one, the first."""
    texts = ["mae < 6.0", "mae<6", "mae[home and rest>1] < 6", "mae[home  and rest > 1]<6.00", "mae <= 6"]
    assert [c.expression for c in parse_criteria(texts)] == ["mae < 6.0", "mae[home and rest>1] < 6", "mae <= 6"]


def test_nan_holds_nowhere() -> None:
    """No operator lets a NaN through."""
    assert not any(parse_criterion(f"mae {op} 6").holds(float("nan"), 6.0) for op in ("<", "<=", ">", ">="))


@pytest.mark.parametrize(
    ("now", "before", "weaker"),
    [
        ("mae <= 6.2", "mae <= 6.2", False),
        ("mae < 6.2", "mae <= 6.2", False),
        ("mae <= 6.1", "mae <= 6.2", False),
        ("mae <= 6.2", "mae < 6.2", True),
        ("mae <= 6.3", "mae <= 6.2", True),
        ("r2 >= 0.5", "r2 >= 0.4", False),
        ("r2 >= 0.4", "r2 >= 0.5", True),
        ("mae <= champion + 0.02", "mae < champion", True),
        ("mae <= 6.2", "mae[home] <= 6.2", True),
        ("rmse <= 6.2", "mae <= 6.2", True),
    ],
)
def test_weaker_criteria_are_named(now: str, before: str, *, weaker: bool) -> None:
    """What was demanded and is no more, or less of it, is named."""
    assert weaker_than(parse_criteria([now]), parse_criteria([before])) == ((before,) if weaker else ())


def test_the_defaults_are_the_designs() -> None:
    """The default criteria parse to superiority over the baseline and non-inferiority to the champion."""
    first, second = parse_criteria(DEFAULT_CRITERIA)
    assert (first.reference, first.strict, second.reference, second.number) == ("baseline", True, "champion", 0.02)


def test_reading_criteria_is_light() -> None:
    """Criteria are read before anything heavy is imported."""
    code = "import sys, pytest_nbaprops.gate.criteria; print([m for m in ('numpy', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "own", "meant"),
    [
        ("mea < baseline", True, "did you mean mae?"),
        ("mea.high < 6", True, "did you mean mae?"),
        ("mea[home] <= 6", True, "did you mean mae?"),
        ("mea <= 6", False, "did you mean mae?"),
        ("mae_minute <= 6", False, "did you mean mae_minutes"),
    ],
)
def test_a_metric_that_nobody_can_bring_is_refused(text: str, *, own: bool, meant: str) -> None:
    """With a reference, an interval or a slice it can only be one of ours; else a test or hook may bring it."""
    with pytest.raises(SettingsError, match=re.escape(meant)):
        refuse_unknown_metric(parse_criterion(text), ["mae_minutes"], own=own)


@pytest.mark.parametrize("text", ["mae < baseline", "mae_minutes <= 6", "roi >= 0", "my_own <= 6"])
def test_a_metric_that_somebody_may_bring_is_not(text: str) -> None:
    """Ours, the recipe's, the market's, and what a test logs."""
    refuse_unknown_metric(parse_criterion(text), ["mae_minutes"], own=True)
