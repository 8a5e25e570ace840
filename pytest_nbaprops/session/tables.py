"""Tables that take long to make and seldom change: games as read, groups' features, targets. Kept in the fold store.

And where that store is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pytest_nbaprops.data import load
from pytest_nbaprops.data.arrow import release_memory
from pytest_nbaprops.data.digest import DatasetDigest, dataset_digest
from pytest_nbaprops.data.files import find_files
from pytest_nbaprops.data.load import load_games
from pytest_nbaprops.data.remarks import remarks_of
from pytest_nbaprops.data.schema import parse_target
from pytest_nbaprops.errors import SettingsError, StoreError
from pytest_nbaprops.features.build import FeatureTable, build_features, compute_group
from pytest_nbaprops.features.catalog import builtin_groups
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.features.history import shared_history
from pytest_nbaprops.features.lineage import lineage_of
from pytest_nbaprops.settings import Settings
from pytest_nbaprops.walkforward.candidate import content_key, libraries
from pytest_nbaprops.walkforward.dataset import targets_of
from pytest_nbaprops.walkforward.remote import RemoteFolder, is_url
from pytest_nbaprops.walkforward.store import KINDS, STORE_FOLDER, FoldStore

reading_key = pytest.StashKey["Future[Games]"]()
FEW_ROWS = 500_000  # a group takes up to a kilobyte of memory a row while it is made


def open_store(settings: Settings) -> FoldStore:
    """The session's fold store: a folder, or `.nbaprops` in the rootdir as the mirror of one behind a URL."""
    if is_url(settings.store):
        return FoldStore(Path(settings.rootdir) / STORE_FOLDER, RemoteFolder(settings.store))
    folder = Path(settings.store)
    if folder.is_dir():
        others = sorted({path.name for path in folder.iterdir()} - {*KINDS, "sessions", ".gitignore"})
        if others:
            raise SettingsError(
                f"--nbaprops-store: {folder} holds other things ({others[0]}), and a store is cleaned up by itself; "
                "name an empty folder, or one that does not exist yet"
            )
    return FoldStore(folder)


def read_ahead(config: pytest.Config, settings: Settings) -> None:
    """Begin to read the games where they come from files, which MLflow and scikit-learn can be imported beside."""
    asked = "data" in settings.from_command_line or not config.hook.pytest_nbaprops_load_games.get_hookimpls()
    if settings.data is None or not asked:
        return

    def read() -> Games:
        return KeptTables(open_store(settings), settings, parse_target(settings.target)).games(str(settings.data))

    pool = ThreadPoolExecutor(1, thread_name_prefix="nbaprops-read")
    config.stash[reading_key] = pool.submit(read)
    config.add_cleanup(pool.shutdown)  # a session that ends before has its files to itself


def games_read(config: pytest.Config) -> Games | None:
    """What `read_ahead` has read, or raises; None where it did not begin."""
    reading = config.stash.get(reading_key, None)
    if reading is None:
        return None
    del config.stash[reading_key]  # the table is large
    return reading.result()


@dataclass(frozen=True, kw_only=True)
class Games:
    """Games in canonical form, their digest, and what was odd about them and yet read."""

    frame: pd.DataFrame
    digest: DatasetDigest
    remarks: tuple[str, ...]


def digested(games: pd.DataFrame) -> Games:
    """Games from a hook or the sample league."""
    return Games(frame=games, digest=dataset_digest(games), remarks=remarks_of(games))


class KeptTables:
    """Makes tables, or takes them from the store where nothing that they are made of has changed."""

    def __init__(self, store: FoldStore, settings: Settings, target_columns: Sequence[str]) -> None:
        self.store, self.settings, self.target_columns = store, settings, tuple(target_columns)
        self.root = Path(settings.rootdir)

    def games(self, source: str) -> Games:
        """The games of a file, folder or glob, as `load_games` reads them."""
        settings, before = self.settings, _contents(source)
        key = _key(
            files=before,
            columns=dict(settings.columns),
            target=self.target_columns,
            kinds=settings.games,
            code=_code_of_reading(),
        )
        frame, facts = self._found(key), self.store.check(key)
        if frame is not None and facts is not None:
            return Games(frame=frame, digest=DatasetDigest.from_dict(facts["digest"]), remarks=tuple(facts["remarks"]))
        games = digested(
            load_games(source, column_map=settings.columns, target_columns=self.target_columns, kinds=settings.games)
        )
        if _contents(source) != before:  # other files were read than those that the key names
            return games
        with suppress(StoreError):
            self.store.keep_check(key, {"digest": games.digest.to_dict(), "remarks": list(games.remarks)})
        return replace(games, frame=self._kept(key, games.frame))

    def targets(self, games: Games) -> pd.DataFrame:
        """Actual value and baseline of every row."""
        key = _key(targets=self.target_columns, data=games.digest.full, code=_code_of_reading())
        return self._made(key, lambda: targets_of(games.frame, self.target_columns))

    def features(
        self, games: Games, groups: Sequence[FeatureGroup], files: Mapping[str, str], *, threads: int
    ) -> FeatureTable:
        """All groups' columns; of few games the package's own groups are made side by side, else one after the other.

        `files` are the SHA-256 of the declared files, which any group may read. Raises FeatureError as
        `build_features` does, except that groups that change rows are `broken`.
        """
        release_memory(len(games.frame))  # of reading them
        own = {group.name for group in builtin_groups(self.target_columns)}
        # Here and not beside one another: Python 3.11 cannot parse code in two threads at once.
        lines = lineage_of(groups, {group.name: () for group in groups}, self.root).groups
        what = {line.name: {"group": line.to_dict(), "files": dict(files), "data": games.digest.full} for line in lines}
        keys = {name: _key(**parts, code=_code_of_reading()) for name, parts in what.items()}

        def compute(frame: pd.DataFrame, group: FeatureGroup, *, root: Path | None = None) -> pd.DataFrame:
            return self._made(keys[group.name], lambda: compute_group(frame, group, root=root))

        at_once = threads if len(games.frame) <= FEW_ROWS else 1
        with shared_history(games.frame), ThreadPoolExecutor(at_once) as pool:
            begun: dict[str, Future[pd.DataFrame]] = {
                group.name: pool.submit(compute, games.frame, group, root=self.root)
                for group in groups
                if group.name in own
            }

            def waited(frame: pd.DataFrame, group: FeatureGroup, *, root: Path | None = None) -> pd.DataFrame:
                return begun[group.name].result() if group.name in begun else compute(frame, group, root=root)

            return build_features(games.frame, groups, root=self.root, keep_going=True, compute=waited)

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


def _key(**parts: Any) -> str:
    return content_key({**parts, "libraries": libraries()})


def _contents(source: str) -> dict[str, str]:
    """SHA-256 of every file of a source, by its path; nothing where one cannot be read, which `load_games` will say."""
    with suppress(OSError):
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in find_files(source)}
    return {}


@cache
def _code_of_reading() -> str:
    """SHA-256 of the rooms that read and build: what an edited checkout of this package makes is something else."""
    package = Path(load.__file__).parents[1]
    files = sorted([*(package / "data").glob("*.py"), *(package / "features").glob("*.py")])
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()
