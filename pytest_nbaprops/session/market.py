"""The session's lines: read before the first fold, every candidate judged against them at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pytest_nbaprops.market.judge import judge, with_lines
from pytest_nbaprops.market.odds import read_odds
from pytest_nbaprops.market.opening import Market, open_market
from pytest_nbaprops.spreadsheet import without_formulas
from pytest_nbaprops.tracking.explain import one_line

if TYPE_CHECKING:
    from pytest_nbaprops.market.report import MarketReport
    from pytest_nbaprops.session.context import Context
    from pytest_nbaprops.session.remarks import Remarks

BETS = "bets.csv"


class SessionMarket:
    """Player-prop lines of a session; without any, everything it is asked is nothing."""

    def __init__(self, context: Context, remarks: Remarks) -> None:
        self.context, self.remarks = context, remarks
        self._market: Market | None = None
        self._reports: dict[str, MarketReport | None] = {}
        settings = context.settings
        if settings.odds is not None:  # what is wrong with the lines is known before the first fold
            odds = read_odds(settings.odds)
            self._market = open_market(odds, context.dataset.games, settings.target, settings.market)
            remarks.warn("market", *self._market.problems())

    def report(self, name: str, predictions: pd.DataFrame | None) -> MarketReport | None:
        """A candidate against the market; None without lines or predictions, or where that breaks, which is noted."""
        if self._market is None or predictions is None:
            return None
        if name not in self._reports:
            try:
                judged = self._reports[name] = judge(predictions, self._market)
                if judged.impossible and not self._market.board.impossible:  # else it is said of the lines already
                    self.remarks.warn("market", f"{name}: {judged.impossible}")
            except Exception as error:  # noqa: BLE001 - a candidate's predictions may hold anything; criteria then say so
                self._reports[name] = None
                why = f"{type(error).__name__}: {one_line(error)}"
                self.remarks.warn("market", f"{name} was not judged against the market: {why}")
        return self._reports[name]

    def with_lines(self, predictions: pd.DataFrame | None) -> pd.DataFrame | None:
        """The predictions with the median line, for `mae[line] < market`."""
        return predictions if self._market is None or predictions is None else with_lines(predictions, self._market)

    def to_dict(self, name: str) -> dict[str, Any] | None:
        """`market` of the candidate in decision.json."""
        report = self._reports.get(name)
        return None if report is None else report.to_dict()

    def write(self, folder: Path, names: Sequence[str]) -> bool:
        """bets.csv: every bet of every candidate, if there was one judged."""
        found = {name: report.bets for name in names if (report := self._reports.get(name)) is not None}
        if found:
            table = pd.concat([bets.assign(candidate=name) for name, bets in found.items()], ignore_index=True)
            table.insert(0, "candidate", table.pop("candidate"))
            folder.mkdir(parents=True, exist_ok=True)
            without_formulas(table).to_csv(folder / BETS, index=False)
        return bool(found)
