"""The fold plan."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.walkforward.plan import Fold, plan
from pytest_nbaprops.walkforward.windows import GameDate, parse_test_window, parse_train_window


def season(first_year: int, count: int) -> list[GameDate]:
    """`count` game dates in a row from 20 October on."""
    name = f"{first_year}-{(first_year + 1) % 100:02d}"
    return [GameDate(day=date(first_year, 10, 20) + timedelta(days=n), season=name) for n in range(count)]


DATES = [*season(2020, 30), *season(2021, 30), *season(2022, 30)]


def make(test: str = "2022-23", *, step: int = 1, refit: int = 7, window: str = "1 season") -> tuple[Fold, ...]:
    return plan(DATES, test=parse_test_window(test), step=step, refit=refit, train_window=parse_train_window(window))


def test_every_date_is_tested_once_in_order() -> None:
    """The folds cover the window, numbered from 1."""
    folds = make()
    assert [fold.number for fold in folds] == list(range(1, 31))
    assert [day for fold in folds for day in fold.dates] == [d.day for d in DATES[60:]]


def test_a_fit_serves_until_it_is_refit_days_old() -> None:
    """With refit 7 the eighth day gets a new fit."""
    folds = make()
    assert {fold.fitted_at for fold in folds[:7]} == {date(2022, 10, 20)}
    assert folds[7].fitted_at == folds[7].cutoff == date(2022, 10, 27)


@pytest.mark.parametrize("refit", [3, 7, 1000])
def test_a_window_that_moves_on_keeps_its_fits(refit: int) -> None:
    """Tomorrow's `last 20 dates` has one fit of its own, that of its first date; all others are today's or are due."""
    test, train = parse_test_window("last 20 dates"), parse_train_window("1 season")
    today, tomorrow = (
        {fold.fitted_at for fold in plan(dates, step=1, refit=refit, test=test, train_window=train)}
        for dates in (DATES[:-1], DATES)
    )
    assert len(tomorrow - today) <= 2
    assert min(tomorrow) == DATES[-20].day
    whole = {fold.fitted_at for fold in make(refit=refit)}
    assert tomorrow - {min(tomorrow)} == {day for day in whole if day > min(tomorrow)}


def test_training_never_reaches_the_cutoff() -> None:
    """Everything used is older than the first test date."""
    assert all(fold.train_start < fold.fitted_at <= fold.cutoff for fold in make(step=4, refit=3))


@pytest.mark.parametrize(
    ("window", "start"),
    [
        ("expanding", date(2020, 10, 20)),
        ("2 seasons", date(2020, 10, 20)),
        ("1 season", date(2021, 10, 20)),
        ("10 days", date(2022, 11, 8)),
    ],
)
def test_training_windows(window: str, start: date) -> None:
    """N seasons are those before the current one plus the current one; N days count back from the fit."""
    assert make("last 1 dates", window=window)[0].train_start == start


def test_no_seasons_before_means_the_current_one_only() -> None:
    """'0 seasons' trains on the current season up to the cutoff."""
    assert make("last 1 dates", window="0 seasons")[0].train_start == date(2022, 10, 20)


def test_steps_put_dates_together_and_the_last_fold_may_be_short() -> None:
    """Thirty dates by eight are four folds."""
    assert [len(fold.dates) for fold in make(step=8)] == [8, 8, 8, 6]


@pytest.mark.parametrize("text", ["1999-00", "2019-01-01..2019-02-01"])
def test_an_empty_test_window_says_what_there_is(text: str) -> None:
    """The error names the option, the value and the extent of the data."""
    with pytest.raises(SettingsError, match=r"--nbaprops-test: .* holds no game date; the data runs from 2020-10-20"):
        make(text)


@pytest.mark.parametrize(("test", "window"), [("2020-21", "expanding"), ("2022-23", "5 days")])
def test_a_fit_without_training_data_is_refused(test: str, window: str) -> None:
    """The first dates there are, or a window that ends in the summer, cannot be trained for."""
    with pytest.raises(SettingsError, match="holds no game before that"):
        make(test, window=window)


@pytest.mark.parametrize("text", ["", "last", "last 0 dates", "2023-25", "2023", "2024-13-01..2024-14-01", "b..a"])
def test_unreadable_test_windows(text: str) -> None:
    """Each is refused with the option's name."""
    with pytest.raises(SettingsError, match="--nbaprops-test"):
        parse_test_window(text)


@pytest.mark.parametrize("text", ["", "3", "3 years", "0 days", "-1 seasons", "1.5 seasons"])
def test_unreadable_train_windows(text: str) -> None:
    """Each is refused with the option's name."""
    with pytest.raises(SettingsError, match="--nbaprops-train-window"):
        parse_train_window(text)


def test_a_fold_travels_as_builtins() -> None:
    """to_dict and from_dict are inverse."""
    fold = make(step=3)[2]
    assert Fold.from_dict(fold.to_dict()) == fold
