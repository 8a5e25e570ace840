"""What features are made of: computed from code, versions, columns and source tables, never typed in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_nbaprops.code.reached import code_digest
from pytest_nbaprops.errors import FeatureError
from pytest_nbaprops.features.group import FeatureGroup
from pytest_nbaprops.features.sources import source_path

VERSION_LENGTH = 12


@dataclass(frozen=True, kw_only=True)
class GroupLineage:
    """One group: its columns, the SHA-256 of its code, and of the content of its source tables by argument name."""

    name: str
    tier: str
    known_at: str
    version: str
    columns: tuple[str, ...]
    code: str
    sources: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in ("name", "tier", "known_at", "version", "code")}
        return {**plain, "columns": list(self.columns), "sources": dict(self.sources)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> GroupLineage:
        return cls(**{**plain, "columns": tuple(plain["columns"]), "sources": dict(plain["sources"])})


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """All groups of a candidate, and the SHA-256 of the declared files; `feature_version` is a short id of it all."""

    groups: tuple[GroupLineage, ...]
    feature_version: str
    files: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        plain = {"feature_version": self.feature_version, "groups": [group.to_dict() for group in self.groups]}
        # Only where there are some: the keys of fits and folds without any are what they were.
        return {**plain, "files": dict(self.files)} if self.files else plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Lineage:
        groups = tuple(GroupLineage.from_dict(group) for group in plain["groups"])
        return cls(groups=groups, feature_version=plain["feature_version"], files=dict(plain.get("files", {})))


def lineage_of(
    groups: Sequence[FeatureGroup],
    columns: Mapping[str, tuple[str, ...]],
    root: Path | None = None,
    files: Mapping[str, str] | None = None,
) -> Lineage:
    """The lineage of groups whose `columns` are those that `build_features` made; `files` are the declared ones.

    Raises FeatureError when a declared source cannot be read.
    """
    lines = tuple(
        GroupLineage(
            name=group.name,
            tier=group.tier,
            known_at=group.known_at,
            version=group.version,
            columns=tuple(columns[group.name]),
            code=code_digest(group.function, lasts=True),
            sources=_source_digests(group, root),
        )
        for group in groups
    )
    content = json.dumps([*(line.to_dict() for line in lines), *([dict(files)] if files else [])], sort_keys=True)
    version = hashlib.sha256(content.encode()).hexdigest()[:VERSION_LENGTH]
    return Lineage(groups=lines, feature_version=version, files=dict(files or {}))


def lineage_difference(lineage: Lineage, champion: Lineage | None) -> dict[str, list[str]]:
    """Groups and declared files that were `added`, `removed` and `changed` against the champion's, by name."""
    mine: dict[str, object] = {group.name: group for group in lineage.groups} | dict(lineage.files)
    theirs: dict[str, object] = (
        {group.name: group for group in champion.groups} | dict(champion.files) if champion else {}
    )
    return {
        "added": sorted(mine.keys() - theirs.keys()),
        "removed": sorted(theirs.keys() - mine.keys()),
        "changed": sorted(name for name in mine.keys() & theirs.keys() if mine[name] != theirs[name]),
    }


def _source_digests(group: FeatureGroup, root: Path | None) -> dict[str, str]:
    digests = {}
    for key, source in sorted(group.sources.items()):
        path = source_path(source, root)
        try:
            digests[key] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as problem:
            raise FeatureError(
                f"feature group {group.name!r}, source {key!r}: {path} cannot be read "
                f"({problem.strerror}); mend the path"
            ) from problem
    return digests
