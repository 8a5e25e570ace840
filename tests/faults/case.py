"""One case: a session that meets a fault, and the session after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.faults.aftermath import Harm, after_the_next, right_after
from tests.faults.project import Project, Story, Template
from tests.faults.session import Session, aside


@dataclass(kw_only=True)
class Case:
    """What to do and what came of it.

    Attributes:
        fault: the row of the table.
        meet: lets a session meet the fault in the project; gives those that met it.
        around: what is there while the session meets the fault, and what is there afterwards (a server, say).
        uri: the tracking store's address, where it is not the project's own.
        said: what is particular about this case.
        damaged: entries of the fold store that are not whole.
        at_once: sessions that may all come to the verdict.
    """

    fault: str
    story: Story
    meet: Callable[[Project, Story], Sequence[Session]]
    around: Callable[[Project], AbstractContextManager[Any]] = lambda _: nullcontext()
    afterwards: Callable[[Project], AbstractContextManager[Any]] = lambda _: nullcontext()
    uri: str | None = None
    said: str = ""
    damaged: int = 0
    at_once: int = 1
    harms: list[Harm] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    older: dict[str, Any] = field(default_factory=dict)

    def run(self, template: Template) -> None:
        """Meet the fault, look, go on, look again."""
        expected = template.predictions(self.story)
        project = template.project(champion=self.story.champion, uri=self.uri)
        before, self.older = project.kept(), project.decision
        try:
            with self.around(project):
                sessions = self.meet(project, self.story)
            self.codes = [session.wait() for session in sessions]
            with self.afterwards(project):
                kept = len(project.kept() - before) - self.damaged
                self._look(project, sessions, kept, expected)
        except Exception as error:  # noqa: BLE001 - one case that breaks must not end the others
            self.harms.append(Harm(kind="not mended", said=f"{type(error).__name__}: {error}"))

    def _look(self, project: Project, sessions: Sequence[Session], kept: int, expected: bytes) -> None:
        story = self.story
        for session in sessions:
            now = partial(right_after, project, story, session, self.older, at_once=self.at_once)
            self.harms += aside(partial(_listed, now))
        again = project.run(story)
        again.wait()
        everyone = [*sessions, again]
        look = partial(after_the_next, project, story, everyone, kept=kept, expected=expected, at_once=self.at_once)
        self.harms += aside(partial(_listed, look))

    def __str__(self) -> str:
        return f"{self.fault} ({self.story.name}) {self.said} -> {self.codes}"


def _listed(look: Callable[..., Iterator[Harm]], *arguments: object) -> list[Harm]:
    return list(look(*arguments))
