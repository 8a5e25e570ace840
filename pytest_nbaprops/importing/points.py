"""Metric files: `timestamp value step` a line, as they were written, or half, or twice."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Final

from pytest_nbaprops.importing.source import Point

_MAX: Final = 2**63 - 1
_SECONDS: Final = (10**8, 10**11)
_OLD_WIDTH: Final = 2
_NAMED_WIDTH: Final = 5  # with the name and digest of a dataset
_WIDTHS: Final = (3, _NAMED_WIDTH)


@dataclass(frozen=True, kw_only=True)
class History:
    """The points of one metric in the order of their steps, and how many lines were not as they should be."""

    points: list[Point]
    broken: int = 0
    repeated: int = 0
    unsorted: bool = False
    seconds: bool = False


def read_history(content: bytes) -> History:
    """The history in a metric file.

    Lines have two columns before MLflow 1.0, three after, more where a dataset was named. A line that is shorter than
    most was not written to its end: its last number may lack digits, so it is not taken.
    """
    if (whole := _whole(content)) is not None:
        return History(points=whole)
    rows = [line.split() for line in content.decode("utf-8-sig", errors="replace").splitlines() if line.strip()]
    wide = any(len(row) > _OLD_WIDTH for row in rows)
    read = [_point(row, wide=wide) for row in rows]
    parsed = [point for point in read if point is not None]
    is_torn = wide and not content.endswith(b"\n") and read[-1] is not None
    if is_torn and not _is_complete([point.step for point in parsed]):
        del parsed[-1]
    # By its text where it is not finite, since NaN is not equal to itself.
    values = [point.value if math.isfinite(point.value) else str(point.value) for point in parsed]
    keys = [(point.timestamp, value, point.step) for point, value in zip(parsed, values, strict=True)]
    points = list(dict(zip(keys, parsed, strict=True)).values())
    ordered = sorted(points, key=lambda point: (point.step, point.timestamp))
    in_seconds = bool(ordered) and all(_SECONDS[0] < point.timestamp < _SECONDS[1] for point in ordered)
    if in_seconds:
        ordered = [point._replace(timestamp=point.timestamp * 1000) for point in ordered]
    return History(
        points=ordered,
        broken=len(rows) - len(parsed),
        repeated=len(parsed) - len(points),
        unsorted=ordered != points and not in_seconds,
        seconds=in_seconds,
    )


def _is_complete(steps: list[int]) -> bool:
    """Whether a last line without its end can be believed: 10 torn apart is 1, but the next step is the next step."""
    return len(steps) < 2 or steps[-1] in (0, steps[-2] + 1, 2 * steps[-2] - steps[max(-3, -len(steps))])  # noqa: PLR2004


def _whole(content: bytes) -> list[Point] | None:
    """The points of a file that is as it should be, nine of ten; None for any other. Four times as fast."""
    words, lines = content.split(), content.count(b"\n")
    if lines == 0 or len(words) != _WIDTHS[0] * lines or content.count(b" ") != 2 * lines:
        return None
    try:
        timestamps = list(map(int, words[0::3]))
        steps = list(map(int, words[2::3]))
        values = list(map(float, words[1::3]))
    except (ValueError, OverflowError):
        return None
    rising = all(map(operator.lt, steps, steps[1:]))
    if not rising or min(timestamps) < _SECONDS[1] or max(timestamps) > _MAX or max(map(abs, steps)) > _MAX:
        return None
    return list(map(Point, timestamps, values, steps))


def _point(row: list[str], *, wide: bool) -> Point | None:
    if len(row) not in (_WIDTHS if wide else (_OLD_WIDTH,)) or (len(row) == _NAMED_WIDTH and _is_number(row[3])):
        return None  # half a line, or two that ran into each other
    try:
        timestamp, value = int(row[0]), float(row[1])
        step = int(row[2]) if wide else 0
    except (ValueError, OverflowError):
        return None
    if abs(step) > _MAX or not 0 <= timestamp <= _MAX:
        return None
    return Point(timestamp, value, step)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
