"""A project in which a real session takes two seconds: a small league, a fast recipe and a store that is migrated."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from pytest_nbaprops.data.sample import write_sample
from pytest_nbaprops.tracking.connection import connect
from tests.end_to_end.conftest import CONFTEST, INI
from tests.faults.session import PLUGINS, Session, aside

MODEL, ALIAS, FOLDS = "NBAPropsModel", "staging", 12
ENFORCE = ("--nbaprops-promote=enforce", f"--nbaprops-test=last {FOLDS} dates")


@dataclass(frozen=True, kw_only=True)
class Story:
    """What a session is to do: with which arguments, whether there is a champion, and what must come of it."""

    name: str
    arguments: tuple[str, ...] = ()
    champion: bool = False
    code: int = 0
    holder: str | None = "1"
    versions: int = 1

    @property
    def command(self) -> tuple[str, ...]:
        return (*ENFORCE, *self.arguments)


CHALLENGER = "--nbaprops-param=max_depth=2"
STORIES = (
    Story(name="first"),
    Story(name="challenger", arguments=(CHALLENGER,), champion=True, holder="2", versions=2),
    Story(name="rejected", arguments=(CHALLENGER, "--nbaprops-criterion=mae <= 0.1"), champion=True, code=1),
)


@dataclass(frozen=True, kw_only=True)
class Project:
    """The folder that sessions run in, and the store that they log to."""

    folder: Path
    uri: str

    @property
    def decision(self) -> dict[str, Any]:
        """decision.json; empty where there is none."""
        file = self.folder / "nbaprops-report" / "decision.json"
        document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        return document

    def kept(self, kind: str = "folds") -> set[Path]:
        """The fold store's entries of a kind."""
        return {path for path in (self.folder / ".nbaprops" / kind).glob("??/*") if not path.name.startswith(".")}

    def client(self, uri: str | None = None) -> MlflowClient:
        return MlflowClient(tracking_uri=uri or self.uri, registry_uri=uri or self.uri)

    def run(self, story: Story, *arguments: str, **conditions: Any) -> Session:
        """Start `pytest --nbaprops-train`, to do what the story says."""
        command = ("--nbaprops-train", f"--nbaprops-tracking-uri={self.uri}", *story.command, *arguments)
        return Session.start(self.folder, command, **conditions)


def warm_up(folder: Path) -> None:
    """A session here: what is imported and compiled now, no fork has to, and what the leak guard finds is there."""
    before, cores = Path.cwd(), os.sched_getaffinity(0)
    os.chdir(folder)
    os.sched_setaffinity(0, {min(cores)})  # or OpenMP keeps a team of threads, which no fork gets
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            code = pytest.main(["--nbaprops-train", *ENFORCE, *PLUGINS])
    finally:
        os.chdir(before)
        os.sched_setaffinity(0, cores)
    if code:
        raise RuntimeError(f"a session without a fault ended with {code}:\n{said.getvalue()}")


class Template:
    """Projects with and without a champion, made once; always copied to the same place, which their stores name."""

    def __init__(self, root: Path) -> None:
        self.root, self.place = root, root / "project"
        root.mkdir(parents=True, exist_ok=True)
        write_sample(root / "league.csv", seasons=1, players=60)
        self.place.mkdir()
        (self.place / "conftest.py").write_text(CONFTEST)
        (self.place / "pytest.ini").write_text(INI.format(data=root / "league.csv"))
        aside(lambda: connect(f"sqlite:///{self.place / 'mlflow.db'}") is None)
        shutil.copytree(self.place, root / "warm")
        warm_up(root / "warm")
        shutil.copytree(root / "warm" / ".nbaprops" / "checks", self.place / ".nbaprops" / "checks")
        shutil.copytree(self.place, root / "without")
        self._predictions: dict[str, bytes] = {}

    def project(self, *, champion: bool, uri: str | None = None) -> Project:
        """A fresh copy."""
        if champion and not (self.root / "with").exists():
            self._without_a_fault(STORIES[0])
            shutil.copytree(self.place, self.root / "with")
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.root / ("with" if champion else "without"), self.place)
        return Project(folder=self.place, uri=uri or f"sqlite:///{self.place / 'mlflow.db'}")

    def predictions(self, story: Story) -> bytes:
        """predictions.parquet of a session that meets no fault."""
        if story.name not in self._predictions:
            self._without_a_fault(story)
        return self._predictions[story.name]

    def _without_a_fault(self, story: Story) -> None:
        session = self.project(champion=story.champion).run(story)
        if session.wait() != story.code:
            raise RuntimeError(f"a session without a fault ended with {session.code}:\n{session.output}")
        file = self.place / "nbaprops-report" / "predictions.parquet"
        self._predictions[story.name] = file.read_bytes()
