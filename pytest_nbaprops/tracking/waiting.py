"""What a run has logged but not sent: MLflow would refuse a whole request for one bad entry, so none gets in here."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.tracking import payload, tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlflow.entities import Metric, Param, RunTag

_NAME: Final = re.compile(r"[/\w.\- :]+")
_NAME_CHARACTERS: Final = 250
_SHOWN_CHARACTERS: Final = 60


class Waiting:
    """Metrics, params and tags for the next flush; each call keeps all of its entries or, with an error, none."""

    def __init__(self, stored_params: Mapping[str, str] | None = None) -> None:
        self.metrics: list[Metric] = []
        self._params: dict[str, Param] = {}
        self._tags: dict[str, RunTag] = {}
        self._not_finite: dict[str, int] = {}
        self._told = dict(stored_params or {})

    @property
    def params(self) -> list[Param]:
        return list(self._params.values())

    @property
    def tags(self) -> list[RunTag]:
        """With one more that names the metrics that were not finite."""
        return [*self._tags.values(), *payload.as_tags(self._dropped())]

    def _dropped(self) -> dict[str, str]:
        if not self._not_finite:
            return {}
        names = (f"{name} ({count})" if count > 1 else name for name, count in sorted(self._not_finite.items()))
        return {tags.NOT_FINITE: ", ".join(names)}

    def add_metrics(self, values: Mapping[str, float], *, step: int = 0, timestamp: int = 0) -> None:
        """Keep those that are finite, and the names of the others.

        Raises:
            TrackingError: A name that MLflow refuses, or a value that is no number.
        """
        check_names("metric", values)
        kept, dropped = payload.finite(values)
        for name in dropped:
            self._not_finite[name] = self._not_finite.get(name, 0) + 1
        self.metrics.extend(payload.as_metrics(kept, step=step, timestamp=timestamp))

    def add_params(self, values: Mapping[str, object]) -> None:
        """Keep params; the same value again is nothing new.

        Raises:
            TrackingError: A name that MLflow refuses, or another value than the param has already.
        """
        entries = payload.as_params(values)
        check_names("param", [entry.key for entry in entries])
        told = dict(self._told)
        for entry in entries:
            if told.setdefault(entry.key, entry.value) != entry.value:
                raise TrackingError(_conflict(entry.key, told[entry.key], entry.value))
        self._params |= {entry.key: entry for entry in entries}
        self._told = told

    def add_tags(self, values: Mapping[str, object]) -> None:
        """Keep tags; a later value replaces an earlier one.

        Raises:
            TrackingError: A name that MLflow refuses.
        """
        check_names("tag", values)
        self._tags |= {entry.key: entry for entry in payload.as_tags(values)}

    def sent(self) -> None:
        """Forget what was sent, but not which params have which values."""
        self.metrics, self._params, self._tags = [], {}, {}


def check_names(kind: str, names: Iterable[object]) -> None:
    """Refuse what MLflow would.

    Raises:
        TrackingError: It names the first bad one and what is allowed.
    """
    for name in map(str, names):
        if len(name) > _NAME_CHARACTERS or not _NAME.fullmatch(name) or not _is_plain_path(name):
            raise TrackingError(
                f"MLflow takes no {kind} of the name {_short(name)!r}: use letters, digits, _ - . : / and blanks,"
                f" at most {_NAME_CHARACTERS} characters, and no path such as /a, a//b or ../a"
            )


def _is_plain_path(name: str) -> bool:
    """MLflow's file names: none that a file system would read as another one."""
    return posixpath.normpath(name) == name and name != "." and not name.startswith(("..", "/"))


def _conflict(name: str, before: str, now: str) -> str:
    return (
        f"the param {name!r} has the value {_short(before)!r} already and can't become {_short(now)!r}, since MLflow"
        " lets no param change: log it under another name, or as a tag with set_tags"
    )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
