"""One leak, as it is reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_EXAMPLE: dict[str, object] = {"player": None, "date": None, "column": None, "before": None, "after": None}


@dataclass(frozen=True, kw_only=True)
class Leak:
    """One kind of leak in one group or test: which columns, and one value that should not have moved.

    `remedy` is the line that would declare what the answer hangs on: such a leak is not proven, only not known.
    """

    group: str
    columns: tuple[str, ...]
    kind: str
    example: Mapping[str, object] | None
    remedy: str | None = None

    @classmethod
    def undeclared(cls, group: str, detail: str, remedy: str) -> Leak:
        """An answer that hangs on something that nothing declares."""
        example = {**NO_EXAMPLE, "detail": detail}
        return cls(group=group, columns=(), kind="undeclared source", example=example, remedy=remedy)

    def to_dict(self) -> dict[str, Any]:
        return {
            "group": self.group,
            "columns": [str(name) for name in self.columns],
            "kind": self.kind,
            "example": None if self.example is None else dict(self.example),
            "remedy": self.remedy,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Leak:
        return cls(**{**plain, "columns": tuple(plain["columns"])})


def is_proven(leak: Mapping[str, Any]) -> bool:
    """Whether the leak rejects; what a declaration could settle is only not known."""
    return not leak.get("remedy")


def leak_text(leak: Mapping[str, Any]) -> str:
    """A leak as people read it: `hot_hand: future outcomes (hot_hand_3: LeBron James 2024-02-08, 3.1 became 4.2)`."""
    columns, example = _some(leak.get("columns") or ()), leak.get("example") or {}
    detail = (example.get("detail") or _move(example)) if isinstance(example, Mapping) else str(example)
    inside = ": ".join(part for part in (columns, detail) if part)
    text = f"{leak.get('group', 'a feature')}: {leak.get('kind', 'unknown')}" + (f" ({inside})" if inside else "")
    return f"{text}; {leak['remedy']}" if leak.get("remedy") else text


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
