"""How MLflow's pyfunc loads a model that we stored with skops: nothing is unpickled, no code comes from the file.

MLflow finds this module by its name in the stored model, so it must keep it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.tracking.trusted_types import ENVIRONMENT, REVIEWED_TYPES, environment_types, refused_types

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

MODEL_FILE: Final = "model.skops"
FEATURES_FILE: Final = "features.json"


class NamedFeatures:
    """A regressor that is given its training columns, in their order and float width, whatever frame comes in."""

    def __init__(self, model: Any, names: list[str], dtype: str) -> None:
        self.model = model
        self._names = names
        self._dtype = np.dtype(dtype)

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> npt.NDArray[np.float64]:
        """Predictions (rows,) in the target's units; MLflow passes params, which a regressor has none of."""
        del params
        # One memory layout for every frame: matrix products round differently in another.
        values = np.ascontiguousarray(frame[self._names].to_numpy(dtype=self._dtype))
        rows = pd.DataFrame(values, columns=self._names, index=frame.index)
        return np.asarray(self.model.predict(rows), dtype=np.float64).reshape(-1)


def load(path: str | Path, trusted: Iterable[str] = ()) -> NamedFeatures:
    """The model in the folder.

    Raises:
        TrackingError: It holds a type that nobody trusts.
    """
    import skops.io  # noqa: PLC0415  1 s, and the module's names are needed without it

    folder = Path(path)
    trusted = frozenset(trusted) | environment_types()
    found = skops.io.get_untrusted_types(file=folder / MODEL_FILE)
    if refused := refused_types(found, trusted):
        raise TrackingError(
            f"the stored model holds {', '.join(refused)}, not in the reviewed list of types: if you trust them,"
            f" name them in the environment variable {ENVIRONMENT} (separated by commas) where the model is loaded"
        )
    features = json.loads((folder / FEATURES_FILE).read_text(encoding="utf-8"))
    model = skops.io.load(folder / MODEL_FILE, trusted=sorted(trusted | (set(found) & REVIEWED_TYPES)))
    return NamedFeatures(model, list(features["names"]), str(features["dtype"]))


def _load_pyfunc(path: str) -> NamedFeatures:
    return load(path)
