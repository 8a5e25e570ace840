"""Promotions that are killed after each call to the registry in turn: run by test_crashes.py as a process of its own.

Every attempt is a forked child that opens its own copy of the store, so that MLflow is imported only once; the child
ends with `os._exit` right after its k-th call, as a killed session would.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.tracking.connection import connect

KILLED, FINISHED = 9, 0
OVERTAKEN = "overtaken"
VERBS = ("promote", "rollback", OVERTAKEN)


class Mortal:
    """An MLflow client with so many calls to live, counted from when it set an alias if `meanwhile` is to come before.

    `meanwhile` is what others do while this one stalls, just before it sets an alias for the first time.
    """

    def __init__(self, client: Any, calls: int, *, meanwhile: Callable[[], object] | None = None) -> None:
        self.client, self.left, self.meanwhile = client, calls, meanwhile

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if self.meanwhile is not None and name == "set_registered_model_alias":
                meanwhile, self.meanwhile = self.meanwhile, None
                meanwhile()
            answer = method(*arguments, **named)
            self.left -= self.meanwhile is None
            if self.left == 0:
                os._exit(KILLED)
            return answer

        return call


def act(registry: ModelRegistry, verb: str, model_uri: str) -> None:
    if verb != "rollback":
        version = registry.register_model(model_uri, "League", alias="staging")
        registry.promote_model("League", version, "staging", reason="because", expected_version="2")
    else:
        registry.rollback_model("League", "staging", "it was worse")


def attempt(database: Path, verb: str, model_uri: str, calls: int) -> int:
    """Let a child die after so many calls; whether it did."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    store = connect(f"sqlite:///{database}")
    if verb == OVERTAKEN:
        other = ModelRegistry(f"sqlite:///{database}")
        store.client = Mortal(store.client, calls, meanwhile=lambda: other.promote_model("League", "1", "staging"))
    else:
        store.client = Mortal(store.client, calls)
    act(ModelRegistry(store=store), verb, model_uri)
    os._exit(FINISHED)


def killed(source: Path, folder: Path, verb: str, model_uri: str) -> list[str]:
    """A database for every call after which an attempt was killed; the last attempt finishes."""
    databases: list[str] = []
    while True:
        database = shutil.copyfile(source, folder / f"{verb}-{len(databases) + 1}.db")
        outcome = attempt(database, verb, model_uri, len(databases) + 1)
        if outcome == FINISHED:
            return databases
        if outcome != KILLED:
            raise SystemExit(f"{verb} {len(databases) + 1} ended with {outcome}")
        databases.append(str(database))


def main(source: Path, folder: Path, model_uri: str) -> None:
    """Print, as JSON, the databases that killed promotions, killed rollbacks and overtaken promotions left."""
    warm = ModelRegistry(f"sqlite:///{shutil.copyfile(source, folder / 'warm.db')}")
    for verb in VERBS:  # what is imported and compiled now, no child has to
        act(warm, verb, model_uri)
    print(json.dumps({verb: killed(source, folder, verb, model_uri) for verb in VERBS}))  # noqa: T201 - the answer


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
