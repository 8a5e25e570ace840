"""Places that other machines wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_nbaprops.importing.places import Places, local_parts, run_and_path


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("file:///C:/Users/J%C3%B6rg%20K/mlruns/0/r/files", ("C:", "Users", "Jörg K", "mlruns", "0", "r", "files")),
        (r"C:\old stuff\mlruns\0\r\artifacts", ("C:", "old stuff", "mlruns", "0", "r", "artifacts")),
        ("./mlruns/0/r/artifacts", ("mlruns", "0", "r", "artifacts")),
        ("mlflow-artifacts:/0/r/artifacts", ("0", "r", "artifacts")),
        ("s3://bucket/0/r/artifacts", None),
        ("file:///a/../../etc", None),
    ],
)  # fmt: skip
def test_paths_of_any_system(uri: str, parts: tuple[str, ...] | None) -> None:
    """Buckets are no folders, and nothing climbs."""
    assert local_parts(uri) == parts


def test_runs_in_sources() -> None:
    """Of a run's artifacts the path below, of anything else nothing."""
    assert run_and_path("runs:/abc/my/model") == ("abc", "my/model")
    assert run_and_path(r"file:///C:\x\0\abc\artifacts\model") == ("abc", "model")
    assert run_and_path("models:/m-1") == (None, "")


def test_only_a_runs_own_folder_is_taken_from_outside(tmp_path: Path) -> None:
    """The shape that MLflow gives it; whatever else a store names is left alone."""
    store, away = tmp_path / "mlruns", tmp_path / "away" / "abc" / "artifacts"
    store.mkdir()
    away.mkdir(parents=True)
    places = Places(store, [store])
    assert places.run_files(away.as_uri(), "abc") == away
    assert places.run_files(away.as_uri(), "other") is None
    assert places.run_files(away.parent.as_uri(), "abc") is None
    (tmp_path / "trap").mkdir()
    link = tmp_path / "trap" / "artifacts"
    link.symlink_to(tmp_path)
    assert places.run_files(link.as_uri(), "trap") is None
