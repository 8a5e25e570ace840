"""The session's lines: read before the first fold, every candidate judged against them at the end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
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
    from pytest_nbaprops.registry.publication import Publication
    from pytest_nbaprops.session.context import Context

BETS = "bets.csv"


class SessionMarket:
    """Player-prop lines of a session; without any, everything it is asked is nothing.

    `notes` say what could not be judged, a line each.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.notes: list[str] = []
        self._odds: pd.DataFrame | None = None
        self._markets: dict[str, Market] = {}
        self._reports: dict[str, MarketReport | None] = {}
        if context.settings.odds is not None:
            self._odds = read_odds(context.settings.odds)
            self._market(context.settings.target)  # what is wrong with the lines is known before the first fold

    def _market(self, target: str) -> Market | None:
        if self._odds is None:
            return None
        if target not in self._markets:
            settings = self.context.settings.market
            self._markets[target] = open_market(self._odds, self.context.dataset.games, target, settings)
        return self._markets[target]

    def report(self, name: str, predictions: pd.DataFrame | None) -> MarketReport | None:
        """A candidate against the market; None without lines or predictions, or where that breaks, which is noted."""
        market = self._market(self.context.settings.target)
        if market is None or predictions is None:
            return None
        if name not in self._reports:
            try:
                self._reports[name] = judge(predictions, market)
            except Exception as error:  # noqa: BLE001 - a candidate's predictions may hold anything; criteria then say so
                self._reports[name] = None
                self.notes.append(
                    f"{name} was not judged against the market: {type(error).__name__}: {one_line(error)}"
                )
        return self._reports[name]

    def with_lines(self, predictions: pd.DataFrame | None) -> pd.DataFrame | None:
        """The predictions with the median line, for `mae[line] < market`."""
        market = self._market(self.context.settings.target)
        return predictions if market is None or predictions is None else with_lines(predictions, market)

    def metrics(self, name: str, predictions: pd.DataFrame | None) -> dict[str, float]:
        """The candidate's market metrics, those that are known."""
        report = self.report(name, predictions)
        return {} if report is None else report.metrics

    def to_dict(self, name: str) -> dict[str, Any] | None:
        """`market` of the candidate in decision.json."""
        report = self._reports.get(name)
        return None if report is None else report.to_dict()

    def warnings(self) -> list[str]:
        """What is wrong with the lines, and what could not be judged."""
        said = [line for market in self._markets.values() for line in market.problems()]
        return [*said, *self.notes]

    def write(self, folder: Path, names: Sequence[str]) -> None:
        """bets.csv: every bet of every candidate."""
        found = {name: report.bets for name in names if (report := self._reports.get(name)) is not None}
        if found:
            table = pd.concat([bets.assign(candidate=name) for name, bets in found.items()], ignore_index=True)
            table.insert(0, "candidate", table.pop("candidate"))
            folder.mkdir(parents=True, exist_ok=True)
            without_formulas(table).to_csv(folder / BETS, index=False)

    def log(self, name: str, publication: Publication) -> None:
        """bets.csv into the candidate's run."""
        if self._reports.get(name) is not None:
            folder = self.context.folder / "market" / str(len(list(self.context.folder.glob("market/*"))))
            self.write(folder, [name])
            publication.attempt(partial(publication.tracker(name).log_artifacts, folder))
