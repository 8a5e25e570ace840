"""Plain Python values turned into what MLflow stores: params, metrics, tags and the dataset, within its limits."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import pandas as pd

from pytest_nbaprops.data.schema import KEY_COLUMNS
from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.redaction import redact, redacted
from pytest_nbaprops.tracking.quiet import quiet

with quiet():
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

METRICS_A_REQUEST: Final = 800  # of 1,000 entries of any kind
ENTRIES_A_REQUEST: Final = 100
_PARAM_CHARACTERS: Final = 6000
_TAG_CHARACTERS: Final = 8000
_DIGEST_CHARACTERS: Final = 36
_CONTEXT_TAG: Final = "mlflow.data.context"


def date_timestamp(date: object) -> int:
    """Milliseconds from 1970 to the date's midnight in UTC; 0 for older dates, since MLflow has no negative ones."""
    stamp = pd.Timestamp(date)  # type: ignore[arg-type]  # text, datetime.date, datetime or Timestamp
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return max(0, int(stamp.normalize().timestamp() * 1000))


def finite(metrics: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
    """The metrics that can be stored, as floats, and the names of those that are NaN or infinite.

    MLflow keeps infinity as 1.8e308, which would pass a `>=` threshold when read back.

    Raises:
        TrackingError: A value is no number.
    """
    values = {str(name): _number(str(name), value) for name, value in metrics.items()}
    kept = {name: value for name, value in values.items() if math.isfinite(value)}
    return kept, [name for name in values if name not in kept]


def _number(name: str, value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # whatever a script takes for a number
    except (TypeError, ValueError):
        raise TrackingError(f"the metric {name!r} must be a number, not {value!r:.60}") from None


def as_metrics(values: Mapping[str, float], *, step: int, timestamp: int) -> list[Metric]:
    return [Metric(name, value, timestamp, step) for name, value in values.items()]


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


def dataset_input(frame: pd.DataFrame, name: str, source: str, digest: str) -> DatasetInput:
    """The frame as an MLflow dataset input: name, short digest, where it is from, columns and size, but no rows."""
    schema = json.dumps({"mlflow_colspec": [{"type": _kind(frame[c]), "name": str(c)} for c in frame.columns]})
    profile = json.dumps({"num_rows": len(frame), "num_elements": int(frame.size), "digest": digest})
    dataset = Dataset(
        name=name,
        digest=digest[:_DIGEST_CHARACTERS],
        source_type="local",
        source=json.dumps({"uri": redact(source)}),
        schema=schema,
        profile=profile,
    )
    return DatasetInput(dataset, [InputTag(_CONTEXT_TAG, "validation")])


def _kind(column: pd.Series) -> str:
    kinds = {"i": "long", "u": "long", "f": "double", "b": "boolean", "M": "datetime"}
    return kinds.get(getattr(column.dtype, "kind", "O"), "string")


def frame_digest(frame: pd.DataFrame) -> str:
    """SHA-256 of the content: of game logs the project's own digest, of any other frame one over all its rows."""
    if set(KEY_COLUMNS) <= set(frame.columns):
        from pytest_nbaprops.data.digest import dataset_digest  # noqa: PLC0415  pyarrow, only for whoever needs it

        return dataset_digest(frame).full
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    names = json.dumps([str(column) for column in frame.columns])
    return hashlib.sha256(names.encode() + rows.tobytes()).hexdigest()
