"""Sessions that meet everything else: a disk, a server, a clock, a user, another session."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from tests.faults import conditions
from tests.faults.case import Case
from tests.faults.kills import SESSION_SECONDS, WITH_WORKERS_SECONDS, moment, serve
from tests.faults.moments import Moments
from tests.faults.project import STORIES, Project, Story
from tests.faults.server import HOW, Trouble, free_port
from tests.faults.session import Session

ROOM = 1 << 20  # bytes: as much as a session writes, about
LOCKED_SECONDS = 30.0
SOMEBODY = 12345
FEWEST = 3  # entries, of which some are damaged
DAMAGED = {"store entries truncated": 3, "store entries swapped": 2, "store entries of another version": 3}
MOST_REQUESTS = 82

Made = tuple[Callable[[Project, Story], Sequence[Session]], str]


def troubles(count: int, rng: random.Random) -> Iterator[Case]:
    """So many cases; each trouble comes before any comes again."""
    here = [fault for fault in KINDS if "disk" not in fault or conditions.can_mount()]
    everything = [*here, *(f"server: {how.replace('_', ' ')}" for how in (*HOW, "expired_token"))]
    rng.shuffle(everything)
    for number in range(count):
        fault = everything[number % len(everything)]
        yield _server(fault, rng) if fault.startswith("server") else _trouble(fault, rng)


def _trouble(fault: str, rng: random.Random) -> Case:
    story = rng.choice(STORIES)
    meet, said = KINDS[fault](rng)
    at_once = 1 + fault.startswith("two")
    return Case(fault=fault, story=story, meet=meet, said=said, damaged=DAMAGED.get(fault, 0), at_once=at_once)


def _server(fault: str, rng: random.Random) -> Case:
    how = fault.removeprefix("server: ").replace(" ", "_")
    port, at = free_port(), rng.randint(1, MOST_REQUESTS)
    times = 10**6 if how == "expired_token" else rng.choice((1, 1, 4)) if how != "after_30_s" else 1
    trouble = Trouble(how=how, at=at, times=times)
    return Case(
        fault=fault,
        story=rng.choice(STORIES),
        meet=partial(_waited, under=bool),
        around=partial(serve, port=port, trouble=trouble),
        afterwards=partial(serve, port=port),
        uri=f"http://127.0.0.1:{port}",
        said=f"at request {at}, {times} times",
    )


# limits and disks


def _file_size(rng: random.Random) -> Made:
    size = int(10 ** rng.uniform(2, 6.1))
    return partial(_waited, under=partial(conditions.no_file_larger_than, size)), f"{size} bytes"


def _handles(rng: random.Random) -> Made:
    more = rng.randint(3, 40)
    return partial(_waited, under=partial(conditions.so_many_files, more)), f"after {more} more"


def _no_space(rng: random.Random) -> Made:
    at = moment("write", STORIES[0], rng)
    moments = Moments(kind="write", at=at, do=conditions.no_space)
    return partial(_waited, under=moments.install), f"at write {at}"


def _waited(project: Project, story: Story, *, under: Callable[[], object]) -> list[Session]:
    session = project.run(story, under=under)
    session.wait()
    return [session]


def _disk_full(rng: random.Random) -> Made:
    room = rng.randint(0, ROOM)
    return partial(_on_a_disk, room=room, read_only=False), f"{room} bytes left"


def _disk_read_only(_: random.Random) -> Made:
    return partial(_on_a_disk, room=ROOM, read_only=True), ""


def _on_a_disk(project: Project, story: Story, *, room: int, read_only: bool) -> list[Session]:
    """The project on a disk of its own for this session; what it left there is taken back."""
    beside = project.folder.with_name("beside")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(project.folder, beside)
    used = sum(-(-path.stat().st_size // 4096) * 4096 for path in beside.rglob("*") if path.is_file())
    with conditions.mounted(project.folder, used + 4096 + room):
        shutil.copytree(beside, project.folder, dirs_exist_ok=True)
        if read_only:
            conditions.remount(project.folder, "ro")
        (session,) = _waited(project, story, under=bool)
        shutil.rmtree(beside)
        shutil.copytree(project.folder, beside)
    shutil.rmtree(project.folder)
    beside.rename(project.folder)
    return [session]


# signals


def _signal(number: signal.Signals, rng: random.Random, *, times: int = 1, workers: bool = False) -> Made:
    after = rng.uniform(0, WITH_WORKERS_SECONDS if workers else SESSION_SECONDS)
    arguments = ("-n", "2") if workers else ()
    meet = partial(_signalled, number=number, after=after, times=times, arguments=arguments)
    return meet, f"after {after:.2f} s{', with workers' if workers else ''}"


def _signalled(
    project: Project, story: Story, *, number: signal.Signals, after: float, times: int, arguments: tuple[str, ...]
) -> list[Session]:
    session = project.run(story, *arguments)
    session.work(after)
    for _ in range(times):
        session.send(number, everyone=number == signal.SIGINT)
        session.sleep(0.2)
    session.wait()
    return [session]


# clocks, locks and others


def _clock(rng: random.Random) -> Made:
    at, days = moment("call", STORIES[0], rng), rng.choice((0.05, 1, 400))
    moments = Moments(kind="call", at=at, do=partial(conditions.set_back, days))
    return partial(_waited, under=moments.install), f"by {days} days at call {at}"


def _killed_then_set_back(rng: random.Random) -> Made:
    after = rng.uniform(0, SESSION_SECONDS)

    def meet(project: Project, story: Story) -> list[Session]:
        first = project.run(story)
        first.work(after)
        first.send(signal.SIGKILL)
        first.wait()
        second = project.run(story, under=partial(conditions.set_back, 1))
        second.wait()
        return [first, second]

    return meet, f"killed after {after:.2f} s"


def _locked(rng: random.Random) -> Made:
    after = rng.uniform(0, SESSION_SECONDS)

    def meet(project: Project, story: Story) -> list[Session]:
        session = project.run(story)
        session.work(after)
        with closing(sqlite3.connect(project.folder / "mlflow.db", timeout=30)) as database:
            database.execute("BEGIN EXCLUSIVE")
            session.sleep(LOCKED_SECONDS)
            database.rollback()
        session.wait()
        return [session]

    return meet, f"after {after:.2f} s"


def _two_in_one_folder(rng: random.Random) -> Made:
    apart = rng.uniform(0, SESSION_SECONDS)

    def meet(project: Project, story: Story) -> list[Session]:
        first = project.run(story)
        first.work(apart)
        second = project.run(story)
        first.wait()
        second.wait()
        return [first, second]

    return meet, f"{apart:.2f} s apart"


def _two_folders_on_one_store(rng: random.Random) -> Made:
    apart = rng.uniform(0, SESSION_SECONDS)

    def meet(project: Project, story: Story) -> list[Session]:
        other = Project(folder=project.folder.with_name("other"), uri=project.uri)
        shutil.rmtree(other.folder, ignore_errors=True)
        shutil.copytree(project.folder, other.folder, ignore=shutil.ignore_patterns("mlflow.db", "mlruns"))
        first = project.run(story)
        first.work(apart)
        second = other.run(story)
        first.wait()
        second.wait()
        return [first]

    return meet, f"{apart:.2f} s apart"


# the fold store


def _entries(change: Callable[[Sequence[Path], random.Random], None], rng: random.Random) -> Made:
    def meet(project: Project, story: Story) -> list[Session]:
        before = project.kept()
        first = project.run(story)
        first.until(lambda: len(project.kept() - before) > FEWEST)
        first.send(signal.SIGKILL)
        first.wait()
        change(sorted(project.kept() - before), rng)
        return [first]

    return meet, ""


def _truncate(entries: Sequence[Path], rng: random.Random) -> None:
    for entry in rng.sample(list(entries), 3):
        os.truncate(entry, rng.randrange(entry.stat().st_size))


def _swap(entries: Sequence[Path], rng: random.Random) -> None:
    one, other = rng.sample(list(entries), 2)
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def _another_version(entries: Sequence[Path], rng: random.Random) -> None:
    """What a version without seals wrote."""
    for entry in rng.sample(list(entries), 3):
        entry.write_bytes(entry.read_bytes().partition(b"\n")[2])


def _another_user(_: random.Random) -> Made:
    def meet(project: Project, story: Story) -> list[Session]:
        store = project.folder / ".nbaprops"
        os.chown(store, SOMEBODY, SOMEBODY)
        session = project.run(story)
        session.wait()
        os.chown(store, os.geteuid(), os.getegid())
        return [session]

    return meet, ""


KINDS: dict[str, Callable[[random.Random], Made]] = {
    "files cannot grow": _file_size,
    "no file handles left": _handles,
    "no space at a write": _no_space,
    "disk full": _disk_full,
    "disk read-only": _disk_read_only,
    "SIGTERM": partial(_signal, signal.SIGTERM),
    "SIGHUP": partial(_signal, signal.SIGHUP, workers=True),
    "SIGTERM with workers": partial(_signal, signal.SIGTERM, workers=True),
    "Ctrl-C": partial(_signal, signal.SIGINT),
    "Ctrl-C twice": partial(_signal, signal.SIGINT, times=2),
    "Ctrl-C twice with workers": partial(_signal, signal.SIGINT, times=2, workers=True),
    "clock set back": _clock,
    "killed, then the clock set back": _killed_then_set_back,
    "sqlite locked for 30 s": _locked,
    "two sessions in one folder": _two_in_one_folder,
    "two folders on one store": _two_folders_on_one_store,
    "store entries truncated": partial(_entries, _truncate),
    "store entries swapped": partial(_entries, _swap),
    "store entries of another version": partial(_entries, _another_version),
    "store of another user": _another_user,
}
