"""The fold store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.walkforward.result import FoldResult
from pytest_nbaprops.walkforward.store import KINDS, SEAL, FoldStore

KEY, OTHER = "a" * 64, "b" * 64
ENTRY = FoldResult(
    predictions=pd.DataFrame({"GAME_ID": ["0022300001"], "actual": [1.0], "predicted": [0.1 + 0.2]}),
    details={"seconds_fit": 1.5},
)


@pytest.fixture
def store(tmp_path: Path) -> FoldStore:
    return FoldStore(tmp_path / ".nbaprops")


def test_an_entry_comes_back_bit_for_bit(store: FoldStore) -> None:
    """Predictions and details survive."""
    store.keep_fold(KEY, ENTRY)
    found = store.fold(KEY)
    assert found is not None
    pd.testing.assert_frame_equal(found.predictions, ENTRY.predictions, check_exact=True)
    assert found.details == ENTRY.details


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX only")
def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns it can change results; a new one is for its user alone."""
    folder = tmp_path / ".nbaprops"
    FoldStore(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    monkeypatch.delenv("SUDO_UID", raising=False)
    with pytest.raises(SettingsError, match="belongs to another user"):
        FoldStore(folder)


def test_what_is_not_there_is_none(store: FoldStore) -> None:
    """An unknown key is no error."""
    assert store.fold(KEY) is None
    assert store.model(KEY) is None


@pytest.mark.parametrize("damage", ["cut", "short", "empty", "changed"])
def test_a_damaged_entry_counts_as_absent(store: FoldStore, damage: str) -> None:
    """Cut short, emptied or changed."""
    store.keep_fold(KEY, ENTRY)
    path = store.folder / "folds" / KEY[:2] / KEY
    content = path.read_bytes()
    damaged = {
        "cut": content[:-1],
        "short": content[:70],
        "empty": b"",
        "changed": content[:100] + b"x" + content[101:],
    }
    path.write_bytes(damaged[damage])
    assert store.fold(KEY) is None


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_in_the_place_of_another_counts_as_absent(store: FoldStore, kind: str) -> None:
    """An entry says which key it belongs to, and of what kind it is."""
    keep: dict[str, Any] = {"folds": store.keep_fold, "models": store.keep_model, "checks": store.keep_check}
    keep |= {"tables": store.keep_table}
    read: dict[str, Any] = {"folds": store.fold, "models": store.model, "checks": store.check}
    read |= {"tables": store.table}
    content: dict[str, Any] = {"folds": ENTRY, "models": b"booster", "checks": {"leaks": []}}
    content |= {"tables": ENTRY.predictions}
    keep[kind](KEY, content[kind])
    moved = store.folder / kind / OTHER[:2] / OTHER
    moved.parent.mkdir()
    for beside in (store.folder / kind / KEY[:2]).iterdir():
        (moved.parent / beside.name.replace(KEY, OTHER)).write_bytes(beside.read_bytes())
    assert read[kind](KEY) is not None
    assert read[kind](OTHER) is None


def test_eviction_keeps_what_was_used_last(store: FoldStore) -> None:
    """The entry that was not read for the longest time goes first."""
    for index, key in enumerate((KEY, OTHER)):
        store.keep_model(key, b"x" * 1000)
        os.utime(store.folder / "models" / key[:2] / key, (index, index))
    assert store.model(KEY) == b"x" * 1000
    assert store.evict(1200) == 1
    assert store.model(KEY) is not None
    assert store.model(OTHER) is None
    assert store.counts() == {"folds": 0, "models": 1, "checks": 0, "tables": 0}


def test_a_table_comes_back_as_it_was_or_not_at_all(store: FoldStore) -> None:
    """It is mapped from a file that its seal vouches for; without either there is none."""
    store.keep_table(KEY, ENTRY.predictions)
    found = store.table(KEY)
    assert found is not None
    pd.testing.assert_frame_equal(found, ENTRY.predictions, check_exact=True)
    path = store.folder / "tables" / KEY[:2] / KEY
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # `found` is still mapped from what was there
    assert store.table(KEY) is None
    path.write_bytes(content)
    assert store.table(KEY) is None
    store.keep_table(KEY, ENTRY.predictions)
    path.with_suffix(SEAL).unlink()
    assert store.table(KEY) is None


def test_the_store_keeps_itself_out_of_git(store: FoldStore) -> None:
    """It writes a .gitignore of its own."""
    assert "*" in (store.folder / ".gitignore").read_text()


def test_a_store_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """A file in the way is named, with the way out."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(SettingsError, match="taken cannot be written"):
        FoldStore(tmp_path / "taken")
