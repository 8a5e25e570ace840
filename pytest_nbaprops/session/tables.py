"""Tables that take long to make and seldom change: games as read, groups' features, targets. Kept in the fold store.

And where that store is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pytest_nbaprops.code.reached import code_digest
from pytest_nbaprops.data.arrow import release_memory
from pytest_nbaprops.data.digest import DatasetDigest, dataset_digest
from pytest_nbaprops.data.files import find_files
from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.data.remarks import remarks_of
from pytest_nbaprops.data.rows import Part
from pytest_nbaprops.data.schema import parse_target
from pytest_nbaprops.errors import NBAPropsError, SettingsError, StoreError
from pytest_nbaprops.features.build import FeatureTable, build_features, compute_group
from pytest_nbaprops.features.catalog import builtin_groups
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.features.history import shared_history
from pytest_nbaprops.features.lineage import lineage_of
from pytest_nbaprops.session.around import BUILDING, patches
from pytest_nbaprops.session.sources import declared_files
from pytest_nbaprops.settings import Settings
from pytest_nbaprops.walkforward.candidate import content_key, libraries
from pytest_nbaprops.walkforward.dataset import targets_of
from pytest_nbaprops.walkforward.remote import RemoteFolder, is_url
from pytest_nbaprops.walkforward.store import KINDS, STORE_FOLDER, FoldStore

tables_key = pytest.StashKey["KeptTables"]()
FEW_ROWS = 500_000  # a group takes up to a kilobyte of memory a row while it is made


def open_store(settings: Settings) -> FoldStore:
    """The session's fold store: a folder, or `.nbaprops` in the rootdir as the mirror of one behind a URL."""
    if is_url(settings.store):
        return FoldStore(Path(settings.rootdir) / STORE_FOLDER, RemoteFolder(settings.store))
    folder = Path(settings.store)
    others: list[str] = []
    with suppress(OSError):  # what cannot be looked into is no store, as is said there
        others = sorted({path.name for path in folder.iterdir()} - {*KINDS, "sessions", ".gitignore"})
    if others:
        raise SettingsError(
            f"--nbaprops-store: {folder} holds other things ({others[0]}), and a store is cleaned up by itself; "
            "name an empty folder, or one that does not exist yet"
        )
    return FoldStore(folder)


def begin_tables(config: pytest.Config, settings: Settings, *, threads: int) -> None:
    """Begin to read games that come from files and to build our own groups: MLflow can be imported beside that."""
    asked = "data" in settings.from_command_line or not config.hook.pytest_nbaprops_load_games.get_hookimpls()
    if settings.data is None or not asked:
        return
    with suppress(NBAPropsError):  # which whoever takes them will find, too
        kept = config.stash[tables_key] = KeptTables(open_store(settings), settings, threads=threads)
        config.add_cleanup(kept.close)  # a session that ends before has its files to itself
        kept.begin(settings.data)


def take_tables(config: pytest.Config, settings: Settings, *, threads: int) -> KeptTables:
    """What `begin_tables` has begun, once, since tables are large; else all is still to do."""
    if tables_key not in config.stash:
        return KeptTables(open_store(settings), settings, threads=threads)
    kept = config.stash[tables_key]
    del config.stash[tables_key]
    return kept


@dataclass(frozen=True, kw_only=True)
class Games:
    """Games in canonical form, their digest, and what was odd about them and yet read."""

    frame: pd.DataFrame
    digest: DatasetDigest
    remarks: tuple[str, ...]


def digested(games: pd.DataFrame) -> Games:
    """Games from a hook or the sample league."""
    return Games(frame=games, digest=dataset_digest(games), remarks=remarks_of(games))


KeyOf = Callable[[FeatureGroup, Games], str]


class KeptTables:
    """Makes tables, or takes them from the store where nothing that they are made of has changed."""

    def __init__(self, store: FoldStore, settings: Settings, *, threads: int) -> None:
        self.store, self.settings, self.threads = store, settings, threads
        self.target_columns = parse_target(settings.target)
        self.root = Path(settings.rootdir)
        self._reading: Future[Games] | None = None
        self._building: dict[str, Future[pd.DataFrame]] = {}
        self._open = ExitStack()
        self._closed = False
        self._patched, self._code = False, ""  # of the targets

    def begin(self, source: str) -> None:
        """Begin to read the games, and then to build the package's own groups unless the command line chooses some."""
        groups = () if "features" in self.settings.from_command_line else builtin_groups(self.target_columns)
        keys = self._keys(groups)

        def read() -> Games:
            games = self._read(source)
            if not self._closed:
                self._build(games, groups, keys)
            return games

        self._reading = self._open.enter_context(ThreadPoolExecutor(1, thread_name_prefix="nbaprops-read")).submit(read)

    def close(self) -> None:
        """Wait for what is at work; what has not begun yet will not."""
        self._closed = True
        self._open.close()
        self._building.clear()
        self._reading = None

    def games(self, source: str) -> Games:
        """The games of a file, folder or glob, as `load_games` reads them."""
        return self._reading.result() if self._reading is not None else self._read(source)

    def _read(self, source: str) -> Games:
        settings, before = self.settings, _contents(source)
        how = {"columns": dict(settings.columns), "target": self.target_columns, "kinds": settings.games}
        key = self._key(files=before, **how)
        frame, facts = self._found(key), self.store.check(key)
        if frame is not None and facts is not None:
            return Games(frame=frame, digest=DatasetDigest.from_dict(facts["digest"]), remarks=tuple(facts["remarks"]))

        def part_of(path: Path, read: Callable[[], Part]) -> Part:
            content = before.get(str(path))
            if len(before) == 1:  # and its part all that there is
                return read()
            return self._part(path, read, content, self._key(file=[str(path), content], **how))

        games = digested(
            load_games(
                source,
                column_map=settings.columns,
                target_columns=self.target_columns,
                kinds=settings.games,
                part_of=part_of,
            )
        )
        if _contents(source) != before:  # other files were read than those that the key names
            return games
        with suppress(StoreError):
            self.store.keep_check(key, {"digest": games.digest.to_dict(), "remarks": list(games.remarks)})
        return replace(games, frame=self._kept(key, games.frame))

    def _part(self, path: Path, read: Callable[[], Part], content: str | None, key: str) -> Part:
        """One file's rows, which stay what they are where another file has a new day of games."""
        if self.settings.use_cache:
            table, facts = self.store.arrow_table(key), self.store.check(key)
            if table is not None and facts is not None:
                return Part.known(str(path), table, facts, read)
        part = read()
        with suppress(StoreError, OSError):
            if _sha256(path) == content:  # else it is another one by now
                self.store.keep_check(key, part.facts())
                self.store.keep_table(key, part.table)
        return part

    def targets(self, games: Games) -> pd.DataFrame:
        """Actual value and baseline of every row."""
        key = self._key(targets=self.target_columns, code=self._code, data=games.digest.full)
        return self._made(key, lambda: targets_of(games.frame, self.target_columns))

    def features(self, games: Games, groups: Sequence[FeatureGroup]) -> FeatureTable:
        """All groups' columns; of few games the package's own groups are made side by side, else one after the other.

        Raises FeatureError as `build_features` does, except that groups that change rows are `broken`.
        """
        wait(self._building.values())
        self._open.close()  # a history that is shared is data that the groups' code refers to, and so in its digest
        ours = {group.name for group in builtin_groups(self.target_columns)}
        key_of = self._keys(groups)
        self._build(games, [group for group in groups if group.name in ours], key_of)

        def compute(frame: pd.DataFrame, group: FeatureGroup, *, root: Path | None = None) -> pd.DataFrame:
            key = key_of(group, games)
            if group.name in ours:
                return self._building[key].result()
            return self._made(key, lambda: compute_group(frame, group, root=root))

        return build_features(games.frame, groups, root=self.root, keep_going=True, compute=compute)

    def _keys(self, groups: Sequence[FeatureGroup]) -> KeyOf:
        """Made in the main thread: Python 3.11 cannot parse code in two at once."""
        self._patched = bool(patches(*BUILDING))  # what is made so is for nobody else
        self._code = code_digest(targets_of)
        files = declared_files(self.settings)  # any group may read them
        lines = lineage_of(groups, {group.name: () for group in groups}, self.root).groups
        plain = {line.name: line.to_dict() for line in lines}
        return lambda group, games: self._key(group=plain[group.name], files=files, data=games.digest.full)

    def _key(self, **parts: Any) -> str:
        patched = {"patched": True} if self._patched else {}
        return content_key({**parts, "libraries": libraries(), **patched})

    def _build(self, games: Games, groups: Sequence[FeatureGroup], key_of: KeyOf) -> None:
        """Begin to make the columns of groups of the package's own, where that has not begun."""
        new = {key: group for group in groups if (key := key_of(group, games)) not in self._building}
        if not new:
            return
        release_memory(len(games.frame))  # of reading them
        self._open.enter_context(shared_history(games.frame))
        pool = ThreadPoolExecutor(self.threads if len(games.frame) <= FEW_ROWS else 1)
        self._open.callback(pool.shutdown, cancel_futures=True)
        for key, group in new.items():
            make = partial(compute_group, games.frame, group, root=self.root)
            self._building[key] = pool.submit(self._made, key, make)

    def _made(self, key: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        found = self._found(key)
        return self._kept(key, make()) if found is None else found

    def _found(self, key: str) -> pd.DataFrame | None:
        return self.store.table(key) if self.settings.use_cache else None

    def _kept(self, key: str, table: pd.DataFrame) -> pd.DataFrame:
        """The same table mapped from its file: it takes no memory where nobody looks at it."""
        try:
            self.store.keep_table(key, table)
        except StoreError:  # a full disk costs the next session time, and this one nothing
            return table
        mapped = self._found(key)
        if mapped is None:
            return table
        del table
        release_memory(len(mapped))  # making it took several times as much
        return mapped


def _contents(source: str) -> dict[str, str]:
    """SHA-256 of every file of a source, by its path; nothing where one cannot be read, which `load_games` will say."""
    with suppress(OSError):
        return {str(path): _sha256(path) for path in find_files(source)}
    return {}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
