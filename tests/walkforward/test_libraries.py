"""Versions of the libraries that are part of every fold's key."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from pytest_nbaprops.walkforward import candidate


def test_xgboost_without_its_parts_for_gpus_has_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """`xgboost-cpu` is the same package under another name: "unknown" would share folds between its versions."""
    installed = {"xgboost-cpu": "3.4.1"}

    def version(name: str) -> str:
        if name not in installed:
            raise PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(candidate, "version", version)
    found = candidate.libraries.__wrapped__()
    assert found["xgboost"] == "3.4.1"
    assert found["numpy"] == "unknown"
