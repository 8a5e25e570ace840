"""What a session has to say beside its verdict: one list, to which everybody adds who comes across something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TOPICS = ("criteria", "games", "leaks", "champion", "candidates", "test dates", "market", "session")
"""In this order they are told; those of one topic in the order in which they came."""


@dataclass(frozen=True, kw_only=True)
class Remark:
    """One line: a `problem` keeps every candidate from being promoted, a `warning` is only told."""

    level: Literal["problem", "warning"]
    about: str
    text: str


class Remarks:
    """The remarks of one session."""

    def __init__(self) -> None:
        self.all: list[Remark] = []

    def problem(self, text: str) -> None:
        self.all.append(Remark(level="problem", about="session", text=text))

    def warn(self, about: str, *texts: str) -> None:
        """Add one remark for each text; `about` is one of TOPICS."""
        self.all += [Remark(level="warning", about=about, text=text) for text in texts]

    def texts(self, level: Literal["problem", "warning"]) -> list[str]:
        ordered = sorted(self.all, key=lambda remark: TOPICS.index(remark.about))
        return [remark.text for remark in ordered if remark.level == level]
