"""What plain values, tables and estimators say of themselves, the same in every process."""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from pathlib import PurePath
from types import FunctionType
from typing import Any

import numpy as np
import pandas as pd

READABLE = sys.stdlib_module_names | {"numpy", "pandas"}  # what their objects say of themselves (repr) is all
TIMES = re.compile("time|^cv_results_$")  # of what a search or a fit took
LONG_TEXT = 10_000  # counts by its digest
SCALARS = (type(None), bool, int, float, complex, str, bytes)
PLAIN = (*SCALARS, tuple, list, set, frozenset, dict, np.ndarray, pd.DataFrame, pd.Series)


def scalar_text(value: Any) -> str:
    if isinstance(value, str | bytes) and len(value) > LONG_TEXT:
        return hashlib.sha256(value.encode(errors="surrogatepass") if isinstance(value, str) else value).hexdigest()
    return repr(value)


def text_of(value: Any) -> str:
    """A text that is the same in every process, to tell parts apart that have no order; of objects the class."""
    if isinstance(value, SCALARS) or (isinstance(value, tuple) and all(isinstance(part, SCALARS) for part in value)):
        return repr(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(text_of, value))})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(text_of, value)))}}}"
    text = repr(value) if type(value).__module__.partition(".")[0] in READABLE else ""
    if text and " at 0x" not in text:
        return text
    return str(getattr(value, "__qualname__", type(value).__qualname__))


def has_parameters(obj: Any) -> bool:
    """Whether a value is an estimator, as scikit-learn asks for its parameters."""
    asked = inspect.getattr_static(type(obj), "get_params", None)
    takes = inspect.signature(asked).parameters.values() if isinstance(asked, FunctionType) else ()
    return any(one.name == "deep" or one.kind is inspect.Parameter.VAR_KEYWORD for one in takes)


def learnt_by(estimator: Any) -> dict[str, Any]:
    """What an estimator holds that an unfitted copy of it does not: what it has learnt, but for the time it took."""
    clone = getattr(sys.modules.get("sklearn.base"), "clone", None)
    try:
        state, fresh = _state_of(estimator), _state_of(clone(estimator, safe=False)) if clone is not None else {}
    except Exception:  # noqa: BLE001 - a project's own may not be copied so
        state, fresh = dict(getattr(estimator, "__dict__", {})), {}
    new = {name: value for name, value in state.items() if name not in fresh or name == "_Booster"}
    told = new if fresh else {name: new[name] for name in new if name.endswith("_") and name[0] != "_"}
    told |= {name: True for name in told if name == "__model"}  # CatBoost's bytes hold when they were made
    return {name: value for name, value in told.items() if value is not None and not TIMES.search(name)}


def _state_of(estimator: Any) -> dict[str, Any]:
    state = estimator.__getstate__() if hasattr(estimator, "__getstate__") else vars(estimator)
    return dict(state) if isinstance(state, dict) else dict(vars(estimator))


def is_data(obj: Any) -> bool:
    """Whether a value counts by its digest (`data_digest`): paths, tables, and arrays of anything but objects."""
    if isinstance(obj, np.ndarray):
        return bool(obj.dtype != object)
    return isinstance(obj, PurePath | pd.DataFrame | pd.Series | pd.Index)


def data_digest(obj: Any) -> Any:
    """A JSON value that stands for the content of a value that `is_data`."""
    if isinstance(obj, PurePath):  # where the project lies must not count
        return ["path", obj.name]
    if isinstance(obj, np.ndarray):
        return ["array", str(obj.dtype), list(obj.shape), hashlib.sha256(obj.tobytes()).hexdigest()]
    try:
        rows = pd.util.hash_pandas_object(obj).to_numpy().tobytes()
    except TypeError:  # lists or sets in its cells
        rows = repr(obj.to_numpy().tolist()).encode()
    names = list(map(str, getattr(obj, "columns", [getattr(obj, "name", None)])))
    kinds = list(map(str, obj.dtypes)) if isinstance(obj, pd.DataFrame) else [str(obj.dtype)]
    return ["table", names, kinds, hashlib.sha256(rows).hexdigest()]
