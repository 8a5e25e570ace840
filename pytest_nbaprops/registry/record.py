"""What a version keeps of its candidate: to compare with it, walk it forward again and serve it.

No other place knows the names of these tags. Versions of before, and those of a script with some tags, are read too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from pytest_nbaprops.features.lineage import Lineage
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.walkforward.candidate import made_of

_SPEC, _RECIPE, _LINEAGE, _TARGET = "spec", "recipe", "lineage", "target"
_TRAINED_THROUGH, _TESTED, _DATA_DIGESTS = "trained_through", "tested", "data_digests"
_LIBRARIES = "libraries"
_METRICS, _CRITERIA, _CHAMPION = "metrics", "criteria", "champion_version"
_EVENT_DETAILS: Final = (tags.VERDICT, _METRICS, _CHAMPION, _CRITERIA)


@dataclass(frozen=True, kw_only=True)
class VersionRecord:
    """A version's own account of itself; None or empty is what it does not say.

    Attributes:
        identity: of the candidate that it came from, as far as that is known before the first fit.
        spec: `CandidateSpec.to_dict()`.
        recipe: `Recipe.identity()`; None too where the estimator was a test's own.
        target: `PTS+REB+AST`.
        dataset_digest: SHA-256 of all the data.
        trained_through: ISO date of the last game that the model was fitted on.
        tested: first and last test date.
        data_digests: for each tested date a digest of all data through it.
        criteria: what it was judged by, rows as in decision.json.
        champion_version: number of the version that it was compared with, "" for none.
        commit: the checkout's.
        libraries: versions of what computed its predictions.
    """

    identity: str | None = None
    spec: Mapping[str, Any] | None = None
    recipe: Mapping[str, Any] | None = None
    lineage: Lineage | None = None
    target: str | None = None
    dataset_digest: str | None = None
    trained_through: str | None = None
    tested: tuple[date, date] | None = None
    data_digests: Mapping[str, str] = field(default_factory=dict)
    verdict: str | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    criteria: Sequence[Mapping[str, Any]] | None = None
    champion_version: str | None = None
    commit: str | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)

    def to_tags(self) -> dict[str, str]:
        """Only what it says."""
        texts = {
            tags.IDENTITY: self.identity,
            _TARGET: self.target,
            tags.DATASET: self.dataset_digest,
            _TRAINED_THROUGH: self.trained_through,
            tags.VERDICT: self.verdict,
            _CHAMPION: self.champion_version,
            tags.COMMIT: self.commit,
        }
        documents = {
            _SPEC: self.spec,
            _LINEAGE: self.lineage.to_dict() if self.lineage else None,
            _TESTED: [day.isoformat() for day in self.tested] if self.tested else None,
            _DATA_DIGESTS: dict(self.data_digests) or None,
            _METRICS: dict(self.metrics) or None,
            _LIBRARIES: dict(self.libraries) or None,
            _CRITERIA: list(self.criteria) if self.criteria is not None else None,
        }
        kept = {name: text for name, text in texts.items() if text is not None}
        kept |= {name: json.dumps(document) for name, document in documents.items() if document is not None}
        return kept if self.spec is None else {**kept, _RECIPE: json.dumps(self.recipe)}

    @classmethod
    def from_tags(cls, values: Mapping[str, str]) -> VersionRecord:
        """What cannot be read is not said."""
        criteria = _document(values, _CRITERIA)
        return cls(
            identity=values.get(tags.IDENTITY),
            spec=_mapping(values, _SPEC) or None,
            recipe=_mapping(values, _RECIPE) or None,
            lineage=_lineage(values),
            target=values.get(_TARGET),
            dataset_digest=values.get(tags.DATASET),
            trained_through=values.get(_TRAINED_THROUGH),
            tested=_span(_document(values, _TESTED)),
            data_digests={day: str(digest) for day, digest in _mapping(values, _DATA_DIGESTS).items()},
            verdict=values.get(tags.VERDICT),
            metrics=numbers(values.get(_METRICS)),
            criteria=criteria if isinstance(criteria, list) else None,
            champion_version=values.get(_CHAMPION),
            commit=values.get(tags.COMMIT),
            libraries={name: str(found) for name, found in _mapping(values, _LIBRARIES).items()},
        )

    @property
    def made_of(self) -> str | None:
        """What it is, as candidates are told apart; None where it does not say."""
        if self.spec is None or self.target is None or self.lineage is None:
            return None
        return made_of(self.spec, self.target, self.lineage, self.recipe)

    @property
    def expressions(self) -> tuple[str, ...] | None:
        """The criteria that it was judged by; None where nobody wrote them down, or they cannot be read."""
        try:
            return None if self.criteria is None else tuple(str(row["expression"]) for row in self.criteria)
        except (KeyError, TypeError):
            return None

    def overlaps(self, first: date, last: date) -> bool:
        """Whether it was tested on dates of this span; one that does not say was on none."""
        return self.tested is not None and self.tested[0] <= last and self.tested[1] >= first

    def event_details(self) -> dict[str, str]:
        """What of it the event of its promotion repeats: a version may be promoted again, judged by others."""
        return {name: text for name, text in self.to_tags().items() if name in _EVENT_DETAILS}


def numbers(text: str | None) -> dict[str, float]:
    """Metrics as JSON; what is no finite number is left out."""
    try:
        plain = json.loads(text or "{}")
        return {
            str(name): float(value)
            for name, value in plain.items()
            if isinstance(value, int | float) and math.isfinite(value)
        }
    except (ValueError, AttributeError):
        return {}


def _document(values: Mapping[str, str], name: str) -> Any:
    try:
        return json.loads(values.get(name) or "null")
    except ValueError:
        return None


def _mapping(values: Mapping[str, str], name: str) -> dict[str, Any]:
    document = _document(values, name)
    return document if isinstance(document, dict) else {}


def _lineage(values: Mapping[str, str]) -> Lineage | None:
    try:
        return Lineage.from_dict(_mapping(values, _LINEAGE))
    except (ValueError, KeyError, TypeError):
        return None


def _span(document: Any) -> tuple[date, date] | None:
    try:
        first, *_, last = document
        return date.fromisoformat(first), date.fromisoformat(last)
    except (ValueError, TypeError):
        return None
