"""The model under an alias, loaded for use: the only place that does so, and it never unpickles."""

from __future__ import annotations

import json
import logging
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from pytest_nbaprops.data.problems import listed
from pytest_nbaprops.errors import FeatureError, TrackingError
from pytest_nbaprops.gate.verdict import Champion
from pytest_nbaprops.metrics.point import Floats
from pytest_nbaprops.registry.record import VersionRecord
from pytest_nbaprops.registry.registry import ModelRegistry
from pytest_nbaprops.registry.versions import alias_name, record_of
from pytest_nbaprops.runs.storedrun import stored_run
from pytest_nbaprops.tracking import skops_loader
from pytest_nbaprops.tracking.connection import Store, as_store, connect
from pytest_nbaprops.tracking.explain import one_line
from pytest_nbaprops.tracking.quiet import quiet
from pytest_nbaprops.tracking.registering import download_model, model_flavors
from pytest_nbaprops.tracking.search import found

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 30.0
SHOWN_NAMES: Final = 5
_XGBOOST_FORMATS: Final = ("ubj", "json")
_REGRESSORS: Final = ("XGBRegressor", "XGBRFRegressor")


class BoosterFeatures:
    """An XGBoost regressor that is given its training columns, in their order, as float32 as in training."""

    def __init__(self, model: Any, names: list[str]) -> None:
        self.model, self.names = model, names

    def predict(self, frame: pd.DataFrame) -> Floats:
        return np.asarray(self.model.predict(frame[self.names].astype(np.float32)), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """One version, loaded.

    Attributes:
        champion: the version, its run and its tags.
        model: predicts a frame that has `columns`.
        columns: the features in training order.
    """

    champion: Champion
    model: Any
    columns: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"{self.champion.name} {self.champion.label}"

    @property
    def record(self) -> VersionRecord:
        """What the version says of itself: target, lineage, through which date it was trained."""
        return record_of(self.champion)

    def predict(self, frame: pd.DataFrame) -> Floats:
        """Predictions (rows,) in the target's units for a frame with the model's columns; others are ignored.

        Raises:
            FeatureError: a column is missing or holds no numbers.
        """
        missing = [name for name in self.columns if name not in frame.columns]
        if missing:
            raise FeatureError(
                f"the frame lacks {len(missing)} of the {len(self.columns)} feature columns of {self.label}: "
                f"{listed(missing, SHOWN_NAMES)}; build them with predict_upcoming or with the groups of its lineage"
            )
        chosen = frame.loc[:, list(self.columns)]
        texts = [name for name in self.columns if not pd.api.types.is_numeric_dtype(chosen[name].dtype)]
        if texts:
            raise FeatureError(
                f"the frame's columns {listed(texts, SHOWN_NAMES)} do not hold numbers, as {self.label} needs"
            )
        if chosen.empty:
            return np.empty(0)
        return np.asarray(self.model.predict(chosen), dtype=np.float64)

    def info(self) -> dict[str, Any]:
        """Exact builtins: who and what this is."""
        record = self.record
        return {
            "model_name": self.champion.name,
            "alias": self.champion.alias,
            "version": self.champion.version,
            "run_id": self.champion.run_id,
            "target": record.target,
            "trained_through": record.trained_through,
            "dataset_digest": record.dataset_digest,
            "metrics": dict(record.metrics) or None,
            "feature_version": record.lineage.feature_version if record.lineage else None,
            "features": list(self.columns),
        }


class ProductionModelLoader:
    """The model that holds an alias, always the one that holds it now.

    Every `predict` first asks the registry (one small request) whether the alias moved, and loads the new version if
    it did. While the registry does not answer, or the new version cannot be loaded, the last one serves on: that is
    logged as a warning, stands in `get_model_info()` and is tried again every 30 seconds. Threads may share a loader.
    """

    # MLflow is told where things are through the process's environment: one registry call at a time, in all loaders.
    _registry_lock = threading.RLock()

    def __init__(  # noqa: PLR0913 - where the model is, and how it is followed
        self,
        model_name: str = "NBAPropsModel",
        alias: str = "production",
        *,
        tracking_uri: str | None = None,
        store: Store | None = None,
        check_seconds: float = 0.0,
        trusted_types: Iterable[str] = (),
    ) -> None:
        """Connect and load.

        Args:
            model_name: Registered model.
            alias: Alias to follow; `Production` and other stage names mean the alias in lower case.
            tracking_uri: The store; None: what MLflow is set to.
            store: An open store, instead of `tracking_uri`.
            check_seconds: Ask at most this often whether the alias moved; 0: at every call.
            trusted_types: Types that a skops model may hold beyond the reviewed list.

        Raises:
            TrackingError: no store, no such version, or a model that could only be unpickled.
        """
        self.model_name, self.alias = model_name, alias_name(alias)
        self.check_seconds, self.trusted_types = check_seconds, tuple(trusted_types)
        with self._registry_lock:
            self._registry = ModelRegistry(store=as_store(store, tracking_uri, create=False))
            self._served = self._load()
        self._problem: str | None = None
        self._next_check = time.monotonic() + check_seconds

    # in use

    def predict(self, frame: pd.DataFrame) -> Floats:
        """Predictions (rows,) of the version that holds the alias now; the frame needs the model's feature columns.

        Raises:
            FeatureError: a column is missing or holds no numbers; one line that names it.
            TrackingError: the alias was taken away.
        """
        return self.current().predict(frame)

    def get_model_info(self) -> dict[str, Any]:
        """Model name, alias, version, run id, target, trained_through, dataset digest, metrics, feature columns.

        `registry_problem` says why it could not be checked that this is still the version, else None.
        """
        return {**self.current().info(), "registry_problem": self._problem}

    def current(self) -> ServedModel:
        """The loaded version, after a look at the alias if one is due; others do not wait for the one who looks."""
        if time.monotonic() >= self._next_check and self._registry_lock.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._registry_lock.release()
        return self._served

    def reload(self) -> bool:
        """Look now, and load the alias's version again; whether it is another one.

        Raises:
            TrackingError: the registry does not answer, or the version cannot be loaded; the last one stays in use.
        """
        with self._registry_lock:
            before = self._served.champion.version
            self._reconnect()
            self._served = self._load()
            self._checked()
            return self._served.champion.version != before

    def past_predictions(self, served: ServedModel) -> pd.DataFrame:
        """The version's out-of-sample predictions (`actual`, `predicted`, ...), as its run kept them.

        Raises:
            TrackingError: it kept none, or the store does not answer.
        """
        with self._registry_lock:
            return self._registry.load_predictions(served.champion)

    # the registry

    def _refresh(self) -> None:
        try:
            self._reconnect()
            holder = self._registry.aliases(self.model_name).get(self.alias)
            if holder is not None and holder != self._served.champion.version:
                self._served = self._load()
        except TrackingError as error:
            if self._problem is None:
                logger.warning("%s serves on: %s", self._served.label, str(error))
            self._problem = str(error)
            self._next_check = time.monotonic() + max(self.check_seconds, RETRY_SECONDS)
            return
        if holder is None:
            raise TrackingError(
                f"no version of {self.model_name} has the alias {self.alias!r} any more; promote one, "
                f"or load another alias than {self.alias!r}"
            )
        self._checked()

    def _checked(self) -> None:
        self._problem = None
        self._next_check = time.monotonic() + self.check_seconds

    def _reconnect(self) -> None:
        """A store that was given up is opened anew."""
        if self._registry.store.lost is not None:
            self._registry = ModelRegistry(store=connect(self._registry.store.uri))

    def _load(self) -> ServedModel:
        champion = self._registry.champion(self.model_name, self.alias)
        if champion is None or not champion.is_known:
            if champion is None:
                raise TrackingError(
                    f"{self.model_name} has no promoted version: train one with --nbaprops-promote=enforce, or check"
                    " the model's name"
                )
            others = ", ".join(sorted(self._registry.aliases(self.model_name))) or "none"
            raise TrackingError(
                f"{champion.unavailable} (aliases there: {others}); promote one with nbaprops promote, or name another"
                " alias"
            )
        with tempfile.TemporaryDirectory(prefix="nbaprops-") as folder:
            what = f"load {champion.name} {champion.label}"
            path = download_model(self._registry.store, champion.name, str(champion.version), what, Path(folder))
            model, names = read_model(path, champion, self.trusted_types)
        champion = replace(champion, tags=_from_run(self._registry.store, champion) | dict(champion.tags))
        return ServedModel(champion=champion, model=model, columns=tuple(names))


def _from_run(store: Store, champion: Champion) -> dict[str, str]:
    """Target, data and metrics as the version's run tells them, for a version that a script registered without tags."""
    with store.calling(f"read the run of {champion.name} {champion.label}") as client:
        run = found(client.get_run, champion.run_id) if champion.run_id else None
    if run is None:
        return {}
    stored = stored_run(run)
    record = VersionRecord(
        target=stored.params.get("target") or None, dataset_digest=stored.digest or None, metrics=stored.metrics
    )
    return record.to_tags()


def read_model(folder: Path, champion: Champion, trusted: Iterable[str] = ()) -> tuple[Any, list[str]]:
    """The regressor in an MLflow model folder and its feature names; XGBoost's UBJ or JSON, or our skops files.

    Raises:
        TrackingError: it is of another kind, which MLflow would unpickle, or it cannot be read.
    """
    label = f"{champion.name} {champion.label}"
    try:
        with quiet():
            flavors = model_flavors(folder)
            generic = flavors.get("python_function", {})
            if generic.get("loader_module") == skops_loader.__name__:
                data = _inside(folder, str(generic["data"]))
                features = json.loads((data / skops_loader.FEATURES_FILE).read_text(encoding="utf-8"))
                return skops_loader.load(data, trusted), [str(name) for name in features["names"]]
            plain = flavors.get("xgboost", {})
            package, _, kind = str(plain.get("model_class", "")).rpartition(".")
            named = package.partition(".")[0] == "xgboost" and kind in _REGRESSORS
            if named and plain.get("model_format") in _XGBOOST_FORMATS:
                return _booster(folder, kind, str(plain["data"]))
    except TrackingError as error:
        raise TrackingError(f"{label} cannot be loaded: {error}") from None
    except Exception as error:
        raise TrackingError(f"{label} cannot be loaded, its files are damaged: {one_line(error)}") from error
    kind = generic.get("loader_module") or ", ".join(sorted(flavors)) or "of no known kind"
    raise TrackingError(
        f"{label} is not loaded: it is stored as {kind}, where loading may unpickle and so run any code; store an "
        "XGBoost regressor or a scikit-learn model with StandardNBAPropsTracker.log_model (UBJ, skops) and promote that"
    )


def _booster(folder: Path, kind: str, data: str) -> tuple[BoosterFeatures, list[str]]:
    import xgboost  # noqa: PLC0415  1.6 s, and skops models do without

    model = getattr(xgboost, kind)()
    model.load_model(_inside(folder, data))
    names = model.get_booster().feature_names
    if not names:
        raise TrackingError("it does not know its features' names; fit it on a DataFrame")
    return BoosterFeatures(model, list(names)), list(names)


def _inside(folder: Path, name: str) -> Path:
    """A file of the folder; a description that points elsewhere is not followed."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise TrackingError(f"its description points to {name!r}, outside of the model")
    return path
