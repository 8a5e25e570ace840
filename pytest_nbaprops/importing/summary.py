"""What an import did, or would do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_nbaprops.importing.source import LEFT_OUT, NOTED, REPAIRED, Finding

KINDS: Final = (
    "experiments", "runs", "metrics", "metric values", "artifact files", "predictions", "models", "versions", "aliases",
)  # fmt: skip
_LONG_ID: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_ORDER: Final = (LEFT_OUT, REPAIRED, NOTED)


@dataclass
class Summary:
    """Counts of each kind, imported and already there, and every finding."""

    source: str
    target: str
    dry_run: bool
    imported: Counter[str] = field(default_factory=Counter)
    present: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def ordered(self) -> list[Finding]:
        """What was left out first; each thing once."""
        unique = dict.fromkeys(self.findings)
        return sorted(unique, key=lambda finding: _ORDER.index(finding.outcome))

    def rows(self) -> list[tuple[str, int, int, int]]:
        """Kind, imported, already there, left out; kinds that the source does not have are missing."""
        rows = [(kind, self.imported[kind], self.present[kind], self.left_out[kind]) for kind in KINDS]
        return [row for row in rows if any(row[1:]) or row[0] == "runs"]

    def to_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "target": self.target,
            "dry_run": self.dry_run,
            "counts": {
                kind: {"imported": new, "already_there": there, "left_out": out}
                for kind, new, there, out in self.rows()
            },
            "findings": [vars(finding) for finding in self.ordered()],
        }


def grouped(findings: Sequence[Finding], most: int) -> list[tuple[str, str, str, str]]:
    """Rows where, what, outcome, done for people: of many alike only the first ones, then how many more."""
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.outcome, _kind(finding.what), _kind(finding.done)), []).append(finding)
    rows = []
    for group in alike.values():
        rows += [(_brief(one.where), _brief(one.what), one.outcome, _brief(one.done)) for one in group[:most]]
        if len(group) > most:
            rows.append(
                (f"… and {len(group) - most:,} more", _brief(group[0].what), group[0].outcome, "--format json has all")
            )
    return rows


def _brief(text: str) -> str:
    """Ids as the other commands show them."""
    return _LONG_ID.sub(lambda match: match[0][:8], text)


def _kind(text: str) -> str:
    """The text without what differs from case to case: quoted names, numbers, paths."""
    return " ".join("#" if any(sign in "/\\'\"0123456789" for sign in word) else word for word in text.split())
