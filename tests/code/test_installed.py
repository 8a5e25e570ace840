"""Installed packages that are somebody's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_nbaprops.code.installed import own_packages
from pytest_nbaprops.leaks.reads import is_harmless, is_library_file

FROM_A_FOLDER = {"dir_info": {}, "url": "file:///home/me/ratings"}
FROM_A_REPOSITORY = {"vcs_info": {"vcs": "git", "commit_id": "1" * 40}, "url": "https://example.com/ratings"}
FROM_A_WHEEL = {"archive_info": {}, "url": "file:///wheels/ratings-1.0-py3-none-any.whl"}


@pytest.fixture
def libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages."""
    folder = tmp_path / "site-packages"
    for name in ("ratings", "ratings-1.0.dist-info"):
        (folder / name).mkdir(parents=True)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr("pytest_nbaprops.leaks.reads._library_folders", lambda: (f"{folder}/",))
    yield folder
    for cached in (own_packages, is_library_file):
        cached.cache_clear()


def install(libraries: Path, told: object, installer: str = "pip") -> None:
    (libraries / "ratings" / "__init__.py").touch()
    info = libraries / "ratings-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ratings\nVersion: 1.0\n")
    (info / "RECORD").write_text("ratings/__init__.py,,\nratings-1.0.dist-info/METADATA,,\n")
    (info / "INSTALLER").write_text(f"{installer}\n")
    if told is not None:
        (info / "direct_url.json").write_text(told if isinstance(told, str) else json.dumps(told))
    own_packages.cache_clear()


@pytest.mark.parametrize(
    ("told", "installer", "own"),
    [
        pytest.param(FROM_A_FOLDER, "pip", True, id="folder"),
        pytest.param(FROM_A_REPOSITORY, "uv", True, id="repository"),
        pytest.param(FROM_A_WHEEL, "pip", False, id="wheel"),
        pytest.param(None, "pip", False, id="index"),
        pytest.param(FROM_A_FOLDER, "conda", False, id="conda"),
        pytest.param("no json", "pip", False, id="broken"),
    ],
)
def test_a_package_from_a_folder_is_somebodys_own(libraries: Path, told: object, installer: str, *, own: bool) -> None:
    """Its code is the project's, and what lies in it may tell something."""
    install(libraries, told, installer)
    assert is_library_file(str(libraries / "ratings" / "__init__.py")) is not own
    assert is_harmless(str(libraries / "ratings" / "levels.json")) is not own


@pytest.mark.parametrize(
    ("name", "harmless"),
    [("zone.tab", True), ("style.json", True), ("tz.tar.gz", True), ("levels.csv", False), ("levels.csv.gz", False)],
)
def test_tables_tell_something_wherever_they_lie(libraries: Path, name: str, *, harmless: bool) -> None:
    """Whose package it is does not matter for them."""
    assert is_harmless(str(libraries / "ratings" / name)) is harmless
