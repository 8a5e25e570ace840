"""One leak, as it is reported."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

UNDECLARED = "undeclared source"
# What to do, where the kind alone does not say it.
HINTS = {
    "same-day outcomes": "tonight's own outcome is in it: shift(1) within the player (or team) before you add up",
    "future outcomes": "later games are in it: no mean over the whole season, no shift(-1), no bfill, and no values on "
    "other rows (reset_index)",
    "future rows": "it hangs on which games come later: count and rank only what came before; where rows tie, "
    'sort_values(kind="stable")',
    "test outcomes": "it hangs on what it is to predict: learn from fold.train alone",
    "test rows": "a row's prediction hangs on which others are asked for: take medians, scalers, ranks and encodings "
    "from fold.train",
    "row order": "it hangs on where a row stands: sort by date and keys before you count, take PLAYER_ID for codes "
    "(no factorize), and draw for each player from a seed of his own",
    "same-day presence": "it hangs on who else plays that night: take medians, scalers and ranks from earlier games, "
    'or let a group say known_at="tipoff"',
    "needs outcomes": "it has to be there while tonight's outcomes are empty: shift(1) before you add up, and drop no "
    "row for being empty (pivot_table: dropna=False)",
    "future source rows": "a row counts from the day after its date: date the day before what came before tip-off",
}


@dataclass(frozen=True, kw_only=True)
class Leak:
    """One kind of leak in one group or test: which columns, and one value that should not have moved.

    `remedy` is the line that would declare what the answer hangs on: such a leak is not proven, only not known.
    """

    group: str
    columns: tuple[str, ...]
    kind: str
    example: Mapping[str, object]
    remedy: str | None = None

    @classmethod
    def undeclared(cls, group: str, detail: str, remedy: str, columns: tuple[str, ...] = ()) -> Leak:
        """An answer that hangs on something that nothing declares."""
        return cls(group=group, columns=columns, kind=UNDECLARED, example=detail_of(detail), remedy=remedy)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "columns": list(self.columns)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Leak:
        return cls(**{**plain, "columns": tuple(plain["columns"])})


def moved_value(row: Any, before: float, after: float, *, column: str | None = None) -> dict[str, object]:
    """An example: of whose game a value became another one; `row` has the keys of the game."""
    name = row.get("PLAYER_NAME")
    return {
        "player": name if isinstance(name, str) else str(row["PLAYER_ID"]),
        "date": f"{row['GAME_DATE']:%Y-%m-%d}",
        "column": column,
        "before": _plain(before),
        "after": _plain(after),
    }


def _plain(value: float) -> float | str | None:
    """As JSON has it: None where there is none, "inf" and "-inf" as text."""
    return None if math.isnan(value) else float(value) if math.isfinite(value) else str(float(value))


def detail_of(what: str | BaseException) -> dict[str, object]:
    """An example that is not about one value: a text, or an error in a line."""
    text = what if isinstance(what, str) else f"{type(what).__name__}: {' '.join(str(what).split())}"
    return {"player": None, "date": None, "column": None, "before": None, "after": None, "detail": text}


def is_proven(leak: Mapping[str, Any]) -> bool:
    """Whether the leak rejects; what a declaration could settle is only not known."""
    return not leak.get("remedy")


def leak_text(leak: Mapping[str, Any]) -> str:
    """A leak as people read it: `hot_hand: future outcomes (hot_hand_3: LeBron James 2024-02-08, 3.1 became 4.2)`."""
    columns, example = _some(leak.get("columns") or ()), leak.get("example") or {}
    detail = (example.get("detail") or _move(example)) if isinstance(example, Mapping) else str(example)
    inside = ": ".join(part for part in (columns, detail) if part)
    text = f"{leak.get('group', 'a feature')}: {leak.get('kind', 'unknown')}" + (f" ({inside})" if inside else "")
    way_out = leak.get("remedy") or HINTS.get(str(leak.get("kind")))
    return f"{text}; {way_out}" if way_out else text


def _some(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - 3} more" if len(columns) > 3 else ""  # noqa: PLR2004 - a readable line
    return ", ".join(columns[:3]) + more


def _move(example: Mapping[str, object]) -> str:
    if example.get("player") is None:
        return ""
    before, after = (_number(example.get(name)) for name in ("before", "after"))
    return f"{example['player']} {example['date']}, {before} became {after}"


def _number(value: object) -> str:
    return "missing" if value is None else f"{value:.6g}" if isinstance(value, float | int) else str(value)
