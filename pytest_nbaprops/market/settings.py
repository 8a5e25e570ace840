"""How the market is judged: which snapshot, which bets, which stakes. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, cast

from pytest_nbaprops.errors import SettingsError

Snapshot = Literal["last", "first"]
Rule = Literal["best-value", "best-line", "one-book"]

SNAPSHOTS: Final = ("last", "first")
RULES: Final = "best-value, best-line or one-book=NAME"
STAKES: Final = "flat, kelly or a fraction of it such as 'kelly 0.25'"
HIGHEST_EDGE: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class MarketSettings:
    """What counts and what is bet.

    Attributes:
        snapshot: Which of a book's snapshots before tip-off counts: `last` or `first`.
        rule: `best-value`: of all offers of a player-game the one worth most; `best-line`: the best line for a side,
            then the best price; `one-book`: only what `book` offers.
        book: The one book; None under the other rules.
        min_edge: Lowest expected return per unit staked that is bet on, 0.02 for 2%; above 0 in any case.
        kelly: Share of the Kelly stake, of a bankroll of 100 units that is not compounded; None: one unit a bet.
        seed: Of the coin and of the intervals.
        known_good: Whether a model may be right about more lines than anybody is.
    """

    snapshot: Snapshot = "last"
    rule: Rule = "best-value"
    book: str | None = None
    min_edge: float = 0.0
    kelly: float | None = None
    seed: int = 42
    known_good: bool = False

    @classmethod
    def read(
        cls,
        *,
        rule: str = "best-value",
        min_edge: str = "0",
        stake: str = "flat",
        snapshot: str = "last",
        seed: int = 42,
    ) -> MarketSettings:
        """From the texts of options.

        Raises:
            SettingsError: one of them cannot be used; it names the option.
        """
        kind, book = read_rule(rule)
        return cls(
            snapshot=read_snapshot(snapshot),
            rule=kind,
            book=book,
            min_edge=read_min_edge(min_edge),
            kelly=read_kelly(stake),
            seed=seed,
        )


def read_rule(text: str, *, option: str = "--nbaprops-bet-rule") -> tuple[Rule, str | None]:
    kind, sign, book = (part.strip() for part in text.partition("="))
    if kind not in ("best-value", "best-line", "one-book") or (kind == "one-book") != bool(sign and book):
        raise SettingsError(f"{option}: {text!r} is not one of {RULES}")
    return cast("Rule", kind), book or None


def read_snapshot(text: str, *, option: str = "--nbaprops-snapshot") -> Snapshot:
    if text not in SNAPSHOTS:
        raise SettingsError(f"{option}: {text!r} is not one of {', '.join(SNAPSHOTS)}")
    return cast("Snapshot", text)


def read_min_edge(text: str, *, option: str = "--nbaprops-min-edge") -> float:
    percent = text.strip().endswith("%")
    try:
        edge = float(text.strip().removesuffix("%")) / (100 if percent else 1)
    except ValueError:
        edge = math.nan
    if not 0 <= edge < HIGHEST_EDGE:
        raise SettingsError(f"{option}: {text!r} is not an expected return from 0 to below 1, such as 0.02 or 2%")
    return edge


def read_kelly(text: str, *, option: str = "--nbaprops-stake") -> float | None:
    """The share of the Kelly stake; None for a flat one."""
    words = text.split()
    if words == ["flat"]:
        return None
    try:
        share = float(words[1]) if len(words) > 1 else 1.0
    except ValueError:
        share = math.nan
    if words[:1] != ["kelly"] or len(words) > 2 or not 0 < share <= 1:  # noqa: PLR2004 - the word and its fraction
        raise SettingsError(f"{option}: {text!r} is not one of {STAKES}, the fraction above 0 and at most 1")
    return share
