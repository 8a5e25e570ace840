"""One leak, as it is reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_EXAMPLE: dict[str, object] = {"player": None, "date": None, "column": None, "before": None, "after": None}


@dataclass(frozen=True, kw_only=True)
class Leak:
    """One kind of leak in one group: which columns, and one value that should not have moved."""

    group: str
    columns: tuple[str, ...]
    kind: str
    example: Mapping[str, object] | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "group": self.group,
            "columns": [str(name) for name in self.columns],
            "kind": self.kind,
            "example": None if self.example is None else dict(self.example),
        }
