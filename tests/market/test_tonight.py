"""Lines of games to come: priced by the same code, warned of where the model was never right."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.market.judge import judge
from pytest_nbaprops.market.tonight import COLUMNS, Experience, priced
from pytest_nbaprops.metrics.intervals import learn_errors
from tests.market.frames import market_of, season

KEYS = ["GAME_DATE", "GAME_ID", "PLAYER_ID"]


@pytest.mark.parametrize(
    ("knows", "dates", "warning"),
    [(1.0, 80, None), (0.0, 80, "has never been right against lines: on 1,600 of them"), (1.0, 12, "300 are needed")],
)
def test_earlier_lines_say_whether_a_model_was_ever_right(knows: float, dates: int, warning: str | None) -> None:
    """Too few lines and no slope are warned of; without any lines, too."""
    predictions, matched = season(knows=knows, dates=dates)
    found = Experience.of(judge(predictions, market_of(matched)))
    assert (found.warning is None) == (warning is None)
    assert (warning or "") in (found.warning or "")
    assert (found.recalibration is None) == (dates == 12)
    assert "never been held against lines" in (Experience.of(None).warning or "")


def test_tonights_chances_are_those_of_the_session() -> None:
    """A date predicted as tonight, from the dates before it, has the bets that a session made on it."""
    predictions, matched = season(dates=60, knows=0.5)
    session = judge(predictions, market_of(matched))
    tonight = predictions["GAME_DATE"].max()
    before = predictions[predictions["GAME_DATE"] < tonight]
    experience = Experience.of(judge(before, market_of(matched)))
    # The session learns errors anew each week; tonight it learns them tonight.
    errors = learn_errors(before["actual"], before["predicted"])
    rows = predictions.loc[predictions["GAME_DATE"] == tonight, [*KEYS, "predicted"]]
    found = priced(rows, market_of(matched[matched["GAME_DATE"] == tonight]), errors, experience.recalibration)
    assert tuple(found.columns) == COLUMNS
    theirs = session.rows[session.rows["GAME_DATE"] == tonight]
    over = found["over"].to_numpy()
    assert over == pytest.approx(theirs["over"].to_numpy(), abs=0.02)
    assert (found["chance"] == "recalibrated").all()
    assert ((found["over_low"] < over) & (over < found["over_high"])).all()
    bets = session.bets[session.bets["GAME_DATE"] == tonight].merge(rows.join(found), on=KEYS)
    assert len(bets) > 3
    agree = (bets["SIDE"] == bets["bet"]) & (bets["BOOKMAKER"] == bets["book"]) & (bets["LINE"] == bets["bet_line"])
    assert agree.mean() > 0.8
    assert bets["value_y"].to_numpy() == pytest.approx(bets["value_x"].to_numpy(), abs=0.05)


def test_a_row_without_a_line_has_nothing() -> None:
    """Nor has any row without an error model more than line and edge."""
    predictions, matched = season(dates=5)
    rows = predictions[[*KEYS, "predicted"]]
    market = market_of(matched[matched["PLAYER_ID"] != 3])
    found = priced(rows, market, None, None)
    missing = (rows["PLAYER_ID"] == 3).to_numpy()
    assert found["line"].isna().to_numpy().tolist() == missing.tolist()
    assert np.isfinite(found["edge"].to_numpy()[~missing]).all()
    assert found[["over", "fair_over", "price", "value"]].isna().all(axis=None)
    assert found["bet"].isna().all()
    assert pd.isna(found["books"][rows.index[missing][0]])
