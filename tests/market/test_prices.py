"""Prices, chances without the margin, stakes: what must hold whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest
import shin
from hypothesis import given
from hypothesis import strategies as st

from pytest_nbaprops.market.prices import (
    expected_return,
    fair_over,
    fair_price,
    from_american,
    from_fractional,
    is_possible,
    kelly_fraction,
    margin,
    to_american,
)

prices = st.floats(1.01, 50)
chances = st.floats(0.02, 0.97)
american = st.integers(100, 5000).flatmap(lambda size: st.sampled_from([size, -size]))


@given(american)
def test_american_prices_come_back(price: int) -> None:
    """To decimal and back; -100 and +100 are the same price."""
    back = float(to_american(from_american(price)))
    assert back == pytest.approx(100 if price == -100 else price)


@given(american)
def test_a_decimal_price_is_what_a_unit_brings_back(price: int) -> None:
    """Stake 100 at +150 wins 150; stake 110 at -110 wins 100: recounted in money."""
    staked, won = (100, price) if price > 0 else (-price, 100)
    assert float(from_american(price)) == pytest.approx((staked + won) / staked)


@given(st.floats(-99.9, 99.9))
def test_no_american_price_is_smaller_than_100(price: float) -> None:
    """Nor possible."""
    assert not is_possible(from_american(price))


@given(st.integers(1, 200), st.integers(1, 200))
def test_fractions_are_profit_over_stake(profit: int, stake: int) -> None:
    """10/11 is 1.909."""
    assert from_fractional(f"{profit}/{stake}") == pytest.approx(1 + profit / stake)
    assert from_fractional("evens") == 2
    assert from_fractional("1/0") is None


@given(prices, prices)
def test_chances_without_margin_add_up(over: float, under: float) -> None:
    """To one, in the ratio of the inverse prices; a fair book's are the inverse prices themselves."""
    above, below = float(fair_over(over, under)), float(fair_over(under, over))
    assert above + below == pytest.approx(1)
    assert above / below == pytest.approx(under / over)
    assert float(fair_over(fair_price(above, below), fair_price(below, above))) == pytest.approx(above)


@given(st.floats(1.7, 2.1), st.floats(1.7, 2.1))
def test_near_even_money_shins_method_says_the_same(over: float, under: float) -> None:
    """Within 0.4 of a percentage point at a book's usual margins, which moves no Brier score."""
    if 0.02 < float(margin(over, under)) < 0.12:
        theirs = shin.calculate_implied_probabilities([over, under])
        assert float(fair_over(over, under)) == pytest.approx(theirs[0], abs=0.004)


@given(chances, st.floats(0, 0.2), prices)
def test_kelly_is_where_growth_is_highest(win: float, push: float, price: float) -> None:
    """Against a search over all stakes of the mean log growth with a push; nothing where no stake grows."""
    win *= 1 - push
    lose = 1 - push - win
    share = float(kelly_fraction(win, lose, price))
    stakes = np.linspace(0, 0.999, 4001)
    growth = win * np.log1p(stakes * (price - 1)) + lose * np.log1p(-stakes)
    assert share == pytest.approx(stakes[np.argmax(growth)], abs=0.001)
    assert (share > 0) == (float(expected_return(win, lose, price)) > 0)


@given(chances, st.floats(0, 0.2))
def test_at_the_fair_price_nothing_is_won_or_lost(win: float, push: float) -> None:
    """Whatever the chance of a push."""
    win *= 1 - push
    lose = 1 - push - win
    assert float(expected_return(win, lose, fair_price(win, lose))) == pytest.approx(0, abs=1e-12)
