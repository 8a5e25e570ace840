"""Whose run it is: a run left RUNNING is only taken over from a session that lives no more.

Every session that works on a run says so in a tag of its own: machine, process and a heartbeat. Of two sessions that
want to take over the same run at once, each finds the other's tag after it has written its own, and at most one stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from pytest_nbaprops.processes import is_alive, stat_of
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.connection import Store
from pytest_nbaprops.tracking.runs import find_running

if TYPE_CHECKING:
    from mlflow.entities import Run

BEAT_SECONDS: Final = 30.0
STALE_SECONDS: Final = 600.0  # a session elsewhere whose folds take longer is given the time of several
_DIGEST: Final = 16


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A session's claim to a run.

    Attributes:
        machine: names no host: a digest of its name, its boot and the processes' namespace.
        born: when the process started, in the system's own unit: process ids are used again.
        at: the last heartbeat, in seconds since 1970.
    """

    machine: str
    pid: int
    born: str
    at: float
    key: str = field(default_factory=lambda: f"{tags.OWNER_PREFIX}{secrets.token_hex(4)}")

    @classmethod
    def myself(cls) -> Self:
        """This process, now; each call is another claim, since two candidates never share a run."""
        pid = os.getpid()
        return cls(machine=_machine(), pid=pid, born=_born(pid), at=time.time())

    def beat(self) -> Owner:
        """The same claim a moment later."""
        return replace(self, at=time.time())

    def to_tag(self) -> dict[str, str]:
        plain = {"machine": self.machine, "pid": self.pid, "born": self.born, "at": round(self.at, 3)}
        return {self.key: json.dumps(plain)}

    @classmethod
    def from_tag(cls, key: str, value: str) -> Self | None:
        """None where the tag says nothing of the kind."""
        try:
            plain: dict[str, Any] = json.loads(value)
            machine, born = str(plain["machine"]), str(plain["born"])
            return cls(machine=machine, pid=int(plain["pid"]), born=born, at=float(plain["at"]), key=key)
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def lives(self) -> bool:
        """On this machine: whether the process is there; elsewhere: whether its heartbeat is recent."""
        if self.machine != _machine():
            return time.time() - self.at < STALE_SECONDS
        return is_alive(self.pid) and _born(self.pid) == self.born


def owners(values: Mapping[str, str]) -> list[Owner]:
    """Those of a run's tags."""
    plain = [Owner.from_tag(key, value) for key, value in values.items() if key.startswith(tags.OWNER_PREFIX)]
    return [owner for owner in plain if owner is not None]


def take_over(store: Store, experiment_id: str, candidate: str, claim: Owner) -> str | None:
    """Id of the newest run of this candidate that a killed session left RUNNING, claimed; None where there is none."""
    for run in find_running(store, experiment_id, candidate):
        if not any(owner.lives for owner in owners(run.data.tags)) and _claimed(store, run, claim):
            return str(run.info.run_id)
    return None


def _claimed(store: Store, run: Run, claim: Owner) -> bool:
    """Write the claim, and withdraw it where another session did the same or has finished the run meanwhile."""
    run_id = run.info.run_id
    with store.calling(f"take over the run {run_id}") as client:
        for key, value in claim.to_tag().items():
            client.set_tag(run_id, key, value)
        now = client.get_run(run_id)
        others = [owner for owner in owners(now.data.tags) if owner.key != claim.key]
        ours = now.info.status == "RUNNING" and not any(owner.lives for owner in others)
        for key in [owner.key for owner in others if not owner.lives] if ours else [claim.key]:
            client.delete_tag(run_id, key)
    return ours


@cache
def _machine() -> str:
    """Where process ids mean the same process: a container's are its own, and a new boot counts anew."""
    boot = processes = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii", errors="replace").strip()
    with suppress(OSError):
        processes = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - the link leads to no path
    return hashlib.sha256(f"{socket.gethostname()}\n{boot}\n{processes}".encode()).hexdigest()[:_DIGEST]


def _born(pid: int) -> str:
    """Start time of the process in ticks since boot; empty where the system does not tell, and for a dead one.

    Fields 3 and 22 of proc(5). A process that was killed stays in the table until its parent asks for it, in containers
    for ever.
    """
    fields = stat_of(pid)
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""  # noqa: PLR2004 - see above
