"""The content-addressed fold store: how workers hand over results, a killed session resumes and a fold costs nothing.

It keeps folds, fitted models and the findings of leak checks.

One file per entry, named by its key, written beside its place and moved there, so that an entry is
either complete or absent. Its first line holds the SHA-256 of kind, key and content; what does not match, because it
was cut short, changed or put in another's place, counts as absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa

from pytest_nbaprops.data.arrow import map_arrow, read_arrow, write_arrow
from pytest_nbaprops.errors import DataError, SettingsError, StoreError
from pytest_nbaprops.walkforward.remote import RemoteFolder
from pytest_nbaprops.walkforward.result import FoldResult
from pytest_nbaprops.wholefile import PREFIX, remove_leftovers, write_whole

STORE_FOLDER = ".nbaprops"
SIZE_LIMIT = 2 * 1024**3  # bytes: a season is about 100 MB, most of it fitted models
DETAILS = b"nbaprops"
TABLES_LIMIT = SIZE_LIMIT // 2  # bytes: each new day of games leaves a set of tables behind
KINDS = ("folds", "models", "checks", "tables")
SEAL = ".sha256"
T = TypeVar("T")
GITIGNORE = "# Written by pytest-nbaprops: fold results that can be computed again.\n*\n"


class FoldStore:
    """Fold results and fitted models below one folder.

    With a `remote` it keeps them there, too, and what the folder does not have is taken from there; tables that can be
    mapped stay in the folder.

    Raises:
        SettingsError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path, remote: RemoteFolder | None = None) -> None:
        self.folder, self.remote = folder, remote
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)  # it holds the data's outcomes and models
            if hasattr(os, "geteuid"):
                # What lies in the store is believed, so it has to be this user's (under sudo: of who called it).
                owner, me = folder.stat().st_uid, os.geteuid()
                if owner not in (me, int(os.environ.get("SUDO_UID") or me)):
                    raise SettingsError(
                        f"the fold store {folder} belongs to another user (uid {owner}), and whoever owns it can "
                        "change results: remove it, or make it yours with chown"
                    )
            if not (folder / ".gitignore").exists():
                write_whole(folder / ".gitignore", GITIGNORE.encode())
        except OSError as error:
            raise not_writable(folder, error) from None

    def has_fold(self, key: str) -> bool:
        return self._has("folds", key)

    def fold(self, key: str) -> FoldResult | None:
        """The result under this key; None where there is none that is whole."""
        payload = self._read("folds", key)
        if payload is None:
            return None
        table = pa.ipc.open_file(pa.BufferReader(payload)).read_all()
        return FoldResult(predictions=table.to_pandas(), details=json.loads(table.schema.metadata[DETAILS]), key=key)

    def keep_fold(self, key: str, result: FoldResult) -> None:
        table = pa.Table.from_pandas(result.predictions, preserve_index=False)
        details = json.dumps(dict(result.details)).encode()
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), DETAILS: details})
        sink = io.BytesIO()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        self._write("folds", key, sink.getvalue())

    def has_model(self, key: str) -> bool:
        return self._has("models", key)

    def model(self, key: str) -> bytes | None:
        return self._read("models", key)

    def keep_model(self, key: str, content: bytes) -> None:
        self._write("models", key, content)

    def check(self, key: str) -> dict[str, Any] | None:
        """What a leak check found under this key; None where it was not made."""
        payload = self._read("checks", key)
        found: dict[str, Any] | None = None if payload is None else json.loads(payload)
        return found

    def keep_check(self, key: str, found: Mapping[str, Any]) -> None:
        self._write("checks", key, json.dumps(found).encode())

    def table(self, key: str) -> pd.DataFrame | None:
        """The frame under this key, mapped into memory; None where there is none that is whole."""
        return self._mapped(key, read_arrow)

    def arrow_table(self, key: str) -> pa.Table | None:
        """The same as an Arrow table."""
        return self._mapped(key, map_arrow)

    def _mapped(self, key: str, read: Callable[[Path], T]) -> T | None:
        path = self._path("tables", key)
        try:
            sealed = path.with_suffix(SEAL).read_bytes()
            if sealed != _seal_of_table(key, path):
                return None
            table = read(path)
        except (OSError, DataError):
            return None
        self._used(path)
        self._used(path.with_suffix(SEAL))
        return table

    def keep_table(self, key: str, table: pd.DataFrame | pa.Table) -> None:
        """Keep a table, or a frame with a RangeIndex, as a file that can be mapped: its seal lies beside it."""
        path = self._path("tables", key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_arrow(table, path)
            write_whole(path.with_suffix(SEAL), _seal_of_table(key, path))
        except OSError as error:
            raise self._unwritable(error) from None

    def forget(self, *, fold: str, fit: str | None) -> None:
        """Remove a fold, and the model that it is of, from the folder."""
        self._path("folds", fold).unlink(missing_ok=True)
        if fit is not None:
            self._path("models", fit).unlink(missing_ok=True)

    def size(self) -> int:
        return sum(size for _, _, size in self._entries())

    def counts(self) -> dict[str, int]:
        """Entries by kind: folds, models, leak checks and tables."""
        kinds = [path.parent.parent.name for _, path, _ in self._entries() if path.suffix != SEAL]
        return {kind: kinds.count(kind) for kind in KINDS}

    def evict(self, limit: int = SIZE_LIMIT) -> int:
        """Remove the entries that were used longest ago until the rest fits; returns how many went.

        What killed sessions left half written goes, too.
        """
        for folder in (path for kind in KINDS for path in (self.folder / kind).glob("??")):
            remove_leftovers(folder)
        removed = 0
        for kinds, most in ((("tables",), min(limit, TABLES_LIMIT)), (KINDS, limit)):
            entries = sorted(self._entries(kinds))
            total = sum(size for _, _, size in entries)
            for _, path, size in entries:
                if total <= most:
                    break
                path.unlink(missing_ok=True)
                total, removed = total - size, removed + 1
        return removed

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / _name(kind, key)

    def _has(self, kind: str, key: str) -> bool:
        return self._path(kind, key).exists() or (self.remote is not None and self.remote.has(_name(kind, key)))

    def _entries(self, kinds: Sequence[str] = KINDS) -> Iterator[tuple[float, Path, int]]:
        for kind in kinds:
            for path in (self.folder / kind).glob("??/*"):
                if path.name.startswith(PREFIX):
                    continue
                with contextlib.suppress(FileNotFoundError):  # another session may be cleaning up
                    status = path.stat()
                    yield status.st_mtime, path, status.st_size

    def _read(self, kind: str, key: str) -> bytes | None:
        path = self._path(kind, key)
        payload = None
        with contextlib.suppress(OSError):
            payload = _unsealed(kind, key, path.read_bytes())
        if payload is not None:
            self._used(path)
        if payload is not None or self.remote is None:
            return payload
        content = self.remote.read(_name(kind, key))
        payload = None if content is None else _unsealed(kind, key, content)
        if content is not None and payload is not None:
            with contextlib.suppress(OSError):  # it is there the next time, too
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, content)
        return payload

    def _used(self, path: Path) -> None:
        """Used now, for `evict`; a read-only store is fine."""
        with contextlib.suppress(OSError):
            os.utime(path)

    def _write(self, kind: str, key: str, payload: bytes) -> None:
        path = self._path(kind, key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = _seal(kind, key, payload) + b"\n" + payload
            write_whole(path, content)
        except OSError as error:
            raise self._unwritable(error) from None
        if self.remote is not None:
            self.remote.write(_name(kind, key), content)

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(f"the fold store {self.folder} cannot be written ({error.strerror})")


def not_writable(folder: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"the fold store {folder} cannot be written ({error.strerror}); make the rootdir writable "
        "or name another folder with --nbaprops-store"
    )


def _name(kind: str, key: str) -> str:
    return f"{kind}/{key[:2]}/{key}"


def _unsealed(kind: str, key: str, content: bytes) -> bytes | None:
    """What a file holds, if it is whole and lies under its own key."""
    digest, _, payload = content.partition(b"\n")
    return payload if digest == _seal(kind, key, payload) else None


def _seal(kind: str, key: str, payload: bytes) -> bytes:
    return hashlib.sha256(f"{kind} {key}\n".encode() + payload).hexdigest().encode()


def _seal_of_table(key: str, path: Path) -> bytes:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.sha256(f"tables {key}\n".encode()))
    return digest.hexdigest().encode()
