from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from pytest_nbaprops.tracking import payload


@pytest.mark.parametrize(
    "date",
    ["2024-01-05", dt.date(2024, 1, 5), pd.Timestamp("2024-01-05"), np.datetime64("2024-01-05"), "2024-01-05 19:30"],
)  # fmt: skip
def test_a_date_is_its_midnight_in_utc(date: object) -> None:
    """Whatever type the date has, the timestamp is that of its midnight."""
    assert payload.date_timestamp(date) == 1_704_412_800_000


def test_dates_before_1970_are_zero() -> None:
    """The first game of all was in 1946, and MLflow knows no time before 1970."""
    assert payload.date_timestamp("1946-11-01") == 0


def test_what_is_not_finite_is_named_not_kept() -> None:
    """NaN and infinity never reach the store."""
    kept, dropped = payload.finite({"a": 1, "b": float("nan"), "c": float("inf"), "d": -float("inf")})
    assert kept == {"a": 1.0}
    assert dropped == ["b", "c", "d"]


def test_nested_params_get_dotted_names() -> None:
    """Mappings are flattened, lists become JSON, passwords are masked."""
    params = payload.as_params({"a": {"b": {"c": 1}, "d": [1, "x"]}, "e": None, "uri": "http://u:pw@h", "f": {}})
    assert {p.key: p.value for p in params} == {
        "a.b.c": "1", "a.d": '[1, "x"]', "e": "None", "uri": "http://u:***@h", "f": "{}",
    }  # fmt: skip


def test_long_texts_are_shortened_to_something_as_different() -> None:
    """Texts over the limit keep their beginning and their digest, so that different ones stay different."""
    one, two = payload.shortened("x" * 9000 + "a", 6000), payload.shortened("x" * 9000 + "b", 6000)
    assert len(one) == len(two) == 6000
    assert one != two
    assert payload.shortened("short", 6000) == "short"


def test_a_frame_without_games_has_a_digest_of_all_its_rows() -> None:
    """Any frame can be told from one that differs in its last row or in a name."""
    frame = pd.DataFrame({"a": np.arange(20_000), "b": "x"})
    changed = frame.copy()
    changed.loc[19_999, "b"] = "y"
    digests = {payload.frame_digest(f) for f in (frame, changed, frame.rename(columns={"a": "c"}), frame.copy())}
    assert len(digests) == 3
    assert all(len(digest) == 64 for digest in digests)
