"""What leaving out a feature group does to a candidate, as it is reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What one group brings: the candidate's MAE minus that of the variant, on the same player-games.

    Attributes:
        change: `added`, `changed` or `removed` since the champion, or `kept`. Of a removed group the variant has it
            again, so that the difference is what its removal brings; of all others the variant lacks it.
        mae_variant: MAE of the variant, in the target's units.
        difference: below 0 where the change helps; `low` and `high` are its paired 95% interval.
        reason: why there is no interval, or nothing at all.
    """

    group: str
    change: str
    mae_variant: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    @property
    def said(self) -> str:
        """`helps`, `hurts`, or `not clear` where the interval holds 0."""
        if self.low is None or self.high is None:
            return self.reason or "unknown"
        return "helps" if self.high < 0 else "hurts" if self.low > 0 else "not clear"

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "said": self.said}


def effect_text(effect: Mapping[str, Any]) -> str:
    """`-0.0412 [-0.0611, -0.0205] helps`."""
    if effect["difference"] is None:
        return str(effect["reason"])
    inside = "" if effect["low"] is None else f" [{effect['low']:+.4f}, {effect['high']:+.4f}]"
    return f"{effect['difference']:+.4f}{inside} {effect['said']}"
