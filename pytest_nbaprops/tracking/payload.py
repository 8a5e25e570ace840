"""Plain Python values turned into what MLflow stores: params, metrics, tags and the dataset, within its limits.

MLflow would refuse a whole request for one bad entry, so none gets into what is pending.
"""

from __future__ import annotations

import hashlib
import json
import math
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final, TypeVar

import pandas as pd

from pytest_nbaprops.data.schema import KEY_COLUMNS
from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.redaction import redact, redacted
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.quiet import quiet

with quiet():
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

T = TypeVar("T")

METRICS_A_REQUEST: Final = 800  # of 1,000 entries of any kind
ENTRIES_A_REQUEST: Final = 100
_PARAM_CHARACTERS: Final = 6000
_TAG_CHARACTERS: Final = 8000
_DIGEST_CHARACTERS: Final = 36
_NAME: Final = re.compile(r"[/\w.\- :]+")
_NAME_CHARACTERS: Final = 250
_SHOWN_CHARACTERS: Final = 60
_CONTEXT_TAG: Final = "mlflow.data.context"
_KINDS: Final = {"i": "long", "u": "long", "f": "double", "b": "boolean", "M": "datetime"}


def date_timestamp(date: object) -> int:
    """Milliseconds from 1970 to the date's midnight in UTC; 0 for older dates, since MLflow has no negative ones."""
    try:
        stamp = pd.Timestamp(date)  # type: ignore[arg-type]  # text, datetime.date, datetime or Timestamp
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
        return max(0, int(stamp.normalize().timestamp() * 1000))
    except (TypeError, ValueError):
        raise TrackingError(f"a fold's date must be one, such as 2024-01-05, not {date!r:.60}") from None


def finite(metrics: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
    """The metrics that can be stored, as floats, and the names of those that are NaN or infinite.

    MLflow keeps infinity as 1.8e308, which would pass a `>=` threshold when read back.
    """
    values = {}
    for name, value in metrics.items():
        try:
            values[str(name)] = float(value)  # whatever a script takes for a number
        except (TypeError, ValueError):
            raise TrackingError(f"the metric {str(name)!r} must be a number, not {value!r:.60}") from None
    kept = {name: value for name, value in values.items() if math.isfinite(value)}
    return kept, [name for name in values if name not in kept]


def as_params(values: Mapping[str, object]) -> list[Param]:
    """Params of a mapping; nested mappings become dotted names, lists JSON."""
    return [Param(name, shortened(text, _PARAM_CHARACTERS)) for name, text in _flat(values)]


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _told(str(key), value)


def _told(name: str, value: object) -> str:
    """The value as text, without secrets."""
    hidden = redacted({name: value})[name]
    if isinstance(hidden, Mapping | list | tuple):
        return json.dumps(hidden, default=str)
    return redact(str(hidden))


def as_tags(values: Mapping[str, object]) -> list[RunTag]:
    return [RunTag(str(key), shortened(_told(str(key), value), _TAG_CHARACTERS)) for key, value in values.items()]


def shortened(text: str, characters: int) -> str:
    """The text, or its beginning and its SHA-256 where it is too long: equal texts stay equal, others differ."""
    if len(text) <= characters:
        return text
    mark = f"… sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return text[: characters - len(mark)] + mark


def chunks(entries: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The entries in requests of at most `size`."""
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


def batches(
    params: Sequence[Param], entries: Sequence[RunTag], metrics: Sequence[Metric]
) -> Iterator[dict[str, Sequence[Any]]]:
    """All of it as arguments of `log_batch`, in requests of at most 800 metrics, 100 params and 100 tags."""
    parts = (chunks(params, ENTRIES_A_REQUEST), chunks(entries, ENTRIES_A_REQUEST), chunks(metrics, METRICS_A_REQUEST))
    for batch in zip_longest(*parts, fillvalue=()):
        yield dict(zip(("params", "tags", "metrics"), batch, strict=True))


def dataset_input(frame: pd.DataFrame, name: str, source: str, digest: str) -> DatasetInput:
    """The frame as an MLflow dataset input: name, short digest, where it is from, columns and size, but no rows."""
    kinds = [_KINDS.get(getattr(frame[name].dtype, "kind", "O"), "string") for name in frame.columns]
    columns = [{"type": kind, "name": str(name)} for kind, name in zip(kinds, frame.columns, strict=True)]
    profile = json.dumps({"num_rows": len(frame), "num_elements": int(frame.size), "digest": digest})
    dataset = Dataset(
        name=name,
        digest=digest[:_DIGEST_CHARACTERS],
        source_type="local",
        source=json.dumps({"uri": redact(source)}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=profile,
    )
    return DatasetInput(dataset, [InputTag(_CONTEXT_TAG, "validation")])


def frame_digest(frame: pd.DataFrame) -> str:
    """SHA-256 of the content: of game logs the project's own digest, of any other frame one over all its rows."""
    if set(KEY_COLUMNS) <= set(frame.columns):
        from pytest_nbaprops.data.digest import dataset_digest  # noqa: PLC0415  pyarrow, only for whoever needs it

        return dataset_digest(frame).full
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    names = json.dumps([str(column) for column in frame.columns])
    return hashlib.sha256(names.encode() + rows.tobytes()).hexdigest()


class Pending:
    """Metrics, params and tags for the next flush; each call keeps all of its entries or, with an error, none."""

    def __init__(self, stored_params: Mapping[str, str] | None = None) -> None:
        self.metrics: list[Metric] = []
        self._params: dict[str, Param] = {}
        self._tags: dict[str, RunTag] = {}
        self._not_finite: dict[str, int] = {}
        self._known_params = dict(stored_params or {})

    @property
    def params(self) -> list[Param]:
        return list(self._params.values())

    @property
    def tags(self) -> list[RunTag]:
        """With one more that names the metrics that were not finite."""
        names = [f"{name} ({count})" if count > 1 else name for name, count in sorted(self._not_finite.items())]
        return [*self._tags.values(), *as_tags({tags.NOT_FINITE: ", ".join(names)} if names else {})]

    def add_metrics(self, values: Mapping[str, float], *, step: int = 0, timestamp: int = 0) -> None:
        """Keep those that are finite, and the names of the others."""
        check_names("metric", values)
        kept, dropped = finite(values)
        for name in dropped:
            self._not_finite[name] = self._not_finite.get(name, 0) + 1
        self.metrics += [Metric(name, value, timestamp, step) for name, value in kept.items()]

    def add_params(self, values: Mapping[str, object]) -> None:
        """Keep params; the same value again is nothing new."""
        entries = as_params(values)
        check_names("param", [entry.key for entry in entries])
        known = dict(self._known_params)
        for entry in entries:
            if (before := known.setdefault(entry.key, entry.value)) != entry.value:
                raise TrackingError(
                    f"the param {entry.key!r} has the value {_short(before)!r} already and can't become"
                    f" {_short(entry.value)!r}, since MLflow lets no param change: log it under another name, or as a"
                    " tag with set_tags"
                )
        self._params |= {entry.key: entry for entry in entries}
        self._known_params = known

    def add_tags(self, values: Mapping[str, object]) -> None:
        """Keep tags; a later value replaces an earlier one."""
        check_names("tag", values)
        self._tags |= {entry.key: entry for entry in as_tags(values)}

    def sent(self) -> None:
        """Forget what was sent, but not which params have which values."""
        self.metrics, self._params, self._tags = [], {}, {}


def check_names(kind: str, names: Iterable[object]) -> None:
    """Refuse what MLflow would."""
    for name in map(str, names):
        plain = posixpath.normpath(name) == name and name != "." and not name.startswith(("..", "/"))
        if len(name) > _NAME_CHARACTERS or not _NAME.fullmatch(name) or not plain:
            raise TrackingError(
                f"MLflow takes no {kind} of the name {_short(name)!r}: use letters, digits, _ - . : / and blanks,"
                f" at most {_NAME_CHARACTERS} characters, and no path such as /a, a//b or ../a"
            )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
