"""Recipes to try the leak guard on, as a user's module: those in LEAKING with what should be found, and honest ones."""

from __future__ import annotations

import logging
import os
import pickle
import random
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, OrthogonalMatchingPursuit, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler, scale
from xgboost import XGBRegressor

HERE = Path(__file__).parent
RATINGS = pd.Series(np.linspace(9.0, 11.0, 200))
FITTED = LinearRegression().fit([[0.0], [30.0]], [0.0, 3.0])


class Base(RegressorMixin, BaseEstimator):
    """A ridge to build on."""

    def fit(self, X: Any, y: Any) -> Any:
        self.model_ = Ridge(10.0).fit(np.nan_to_num(X), y)
        return self

    def predict(self, X: Any) -> Any:
        return self.model_.predict(np.nan_to_num(X)) + self.extra(np.nan_to_num(X))

    def extra(self, X: Any) -> Any:
        return 0.0


class NormalisesTheNight(Base):
    def extra(self, X: Any) -> Any:
        return (X[:, 0] - X[:, 0].mean()) / (X[:, 0].std() + 1.0)


class RanksTheNight(Base):
    def extra(self, X: Any) -> Any:
        return pd.Series(X[:, 1]).rank(pct=True).to_numpy()


class ImputesFromTheNight(Base):
    def predict(self, X: Any) -> Any:
        return (
            self.model_.predict(pd.DataFrame(X).fillna(pd.DataFrame(X).median()).fillna(0.0).to_numpy()) + X[:, 2].max()
        )


class LabelsTheNight(Base):
    def predict(self, X: Any) -> Any:
        X = np.nan_to_num(X)
        return Ridge(1.0).fit(X, np.round(self.model_.predict(X))).predict(X)


class ReadsInFit(Base):
    def fit(self, X: Any, y: Any) -> Any:
        self.mean_ = float(pd.read_csv(HERE / "answers.csv")["PTS"].mean())
        return super().fit(X, y)

    def extra(self, X: Any) -> Any:
        return self.mean_


class ReadsInPredict(Base):
    def extra(self, X: Any) -> Any:
        return float((HERE / "answers.csv").read_text().split()[1])


class ReadsAPickle(Base):
    def extra(self, X: Any) -> Any:
        return pickle.loads((HERE / "answers.pickle").read_bytes())


class ReadsADatabase(Base):
    def extra(self, X: Any) -> Any:
        with sqlite3.connect(HERE / "answers.db") as database:
            return float(pd.read_sql("select PTS from answers", database)["PTS"].mean())


class ReadsCompiled(Base):
    def extra(self, X: Any) -> Any:
        return float(pyarrow.parquet.ParquetFile(str(HERE / "answers.parquet")).read().to_pandas()["PTS"].mean())


class HoldsATable(Base):
    def extra(self, X: Any) -> Any:
        return RATINGS.iloc[3]


class HoldsAModel(Base):
    def extra(self, X: Any) -> Any:
        return FITTED.predict(X[:, :1])


class AsksTheEnvironment(Base):
    def extra(self, X: Any) -> Any:
        return float(os.environ["NBAPROPS_LEVEL"])


class RollsDice(Base):
    def fit(self, X: Any, y: Any) -> Any:
        keep = np.random.default_rng().random(len(y)) < 0.8
        return super().fit(X[keep], y[keep])


def predict_beside_the_night(self: Any, X: Any) -> Any:
    return real_predict(self, X) + X[:, 0].mean() * 0.01


real_predict = OrthogonalMatchingPursuit.predict
OrthogonalMatchingPursuit.predict = predict_beside_the_night

LEAKING = {
    "scales_the_night": (make_pipeline(FunctionTransformer(scale), Ridge()), "test rows"),
    "patches_the_library": (OrthogonalMatchingPursuit(), "test rows"),
    "normalises_the_night": (NormalisesTheNight(), "test rows"),
    "ranks_the_night": (RanksTheNight(), "test rows"),
    "imputes_from_the_night": (ImputesFromTheNight(), "test rows"),
    "labels_the_night": (LabelsTheNight(), "test rows"),
    "reads_in_fit": (ReadsInFit(), "undeclared source"),
    "reads_in_predict": (ReadsInPredict(), "undeclared source"),
    "reads_a_pickle": (ReadsAPickle(), "undeclared source"),
    "reads_a_database": (ReadsADatabase(), "undeclared source"),
    "reads_compiled": (ReadsCompiled(), "undeclared source"),
    "holds_a_table": (HoldsATable(), "undeclared source"),
    "holds_a_model": (HoldsAModel(), "undeclared source"),
    "asks_the_environment": (AsksTheEnvironment(), "undeclared source"),
    "rolls_dice": (RollsDice(), None),
}


class StopsEarly(Base):
    def fit(self, X: Any, y: Any) -> Any:
        cut = int(len(y) * 0.8)
        self.model_ = XGBRegressor(n_estimators=40, max_depth=2, n_jobs=1, early_stopping_rounds=3, random_state=0)
        self.model_.fit(np.nan_to_num(X[:cut]), y[:cut], eval_set=[(np.nan_to_num(X[cut:]), y[cut:])], verbose=False)
        return self


class EncodesTheTarget(Base):
    def fit(self, X: Any, y: Any) -> Any:
        self.cuts_ = np.quantile(np.nan_to_num(X[:, 0]), [0.2, 0.4, 0.6, 0.8])
        bins = np.digitize(np.nan_to_num(X[:, 0]), self.cuts_)
        self.codes_ = pd.Series(np.asarray(y)).groupby(bins).mean().reindex(range(5)).fillna(0.0).to_numpy()
        return super().fit(np.column_stack([X, self.codes_[bins]]), y)

    def predict(self, X: Any) -> Any:
        return super().predict(np.column_stack([X, self.codes_[np.digitize(np.nan_to_num(X[:, 0]), self.cuts_)]]))


class Clips(TransformerMixin, BaseEstimator):
    def fit(self, X: Any, y: Any = None) -> Any:
        self.low_, self.high_ = np.quantile(np.nan_to_num(X), [0.01, 0.99], axis=0)
        return self

    def transform(self, X: Any) -> Any:
        return np.clip(np.nan_to_num(X), self.low_, self.high_)


class LeavesOutBadGames(Base):
    def fit(self, X: Any, y: Any) -> Any:
        return super().fit(X[np.asarray(y) > 5], y[np.asarray(y) > 5])


class TwoStages(Base):
    def fit(self, X: Any, y: Any) -> Any:
        super().fit(X, y)
        self.second_ = Ridge().fit(self.model_.predict(np.nan_to_num(X))[:, None], y)
        return self

    def predict(self, X: Any) -> Any:
        return self.second_.predict(super().predict(X)[:, None])


class KeepsATemporaryFile(Base):
    def fit(self, X: Any, y: Any) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder, "x.npy"), np.nan_to_num(X))
            return super().fit(np.load(Path(folder, "x.npy")), y)


class TalksALot(Base):
    def fit(self, X: Any, y: Any) -> Any:
        started = time.time()
        super().fit(X, y)
        logging.getLogger(__name__).info("%s s, %s", time.time() - started, os.environ.get("NBAPROPS_LEVEL"))
        print(len((HERE / "answers.csv").read_text()))
        return self


class DrawsWithASeed(Base):
    def fit(self, X: Any, y: Any) -> Any:
        random.seed(5)
        np.random.seed(5)
        rows = np.random.permutation(len(y))[: len(y) // 2]
        return super().fit(X[rows], np.asarray(y)[rows])


class ReadsItsConfiguration(Base):
    def fit(self, X: Any, y: Any) -> Any:
        self.level_ = float((HERE / "level.txt").read_text())
        return super().fit(X, y)

    def extra(self, X: Any) -> Any:
        return self.level_


class UsesEveryCore(Base):
    def fit(self, X: Any, y: Any) -> Any:
        self.model_ = RandomForestRegressor(5, max_depth=3, n_jobs=2, random_state=0).fit(np.nan_to_num(X), y)
        return self


class OrdersASet(Base):
    def fit(self, X: Any, y: Any) -> Any:
        columns = sorted({0, 1, 2, *range(X.shape[1])})
        return super().fit(X[:, columns], y)


class RemembersTheLastFit(Base):
    last: Any = None

    def fit(self, X: Any, y: Any) -> Any:
        RemembersTheLastFit.last = clone(Ridge()).fit(np.nan_to_num(X), y)
        return super().fit(X, y)


HONEST = {
    "stops_early": StopsEarly(),
    "encodes_the_target": EncodesTheTarget(),
    "clips": make_pipeline(Clips(), StandardScaler(), Ridge()),
    "leaves_out_bad_games": LeavesOutBadGames(),
    "two_stages": TwoStages(),
    "keeps_a_temporary_file": KeepsATemporaryFile(),
    "talks_a_lot": TalksALot(),
    "draws_with_a_seed": DrawsWithASeed(),
    "reads_its_configuration": ReadsItsConfiguration(),
    "uses_every_core": UsesEveryCore(),
    "orders_a_set": OrdersASet(),
    "remembers_the_last_fit": RemembersTheLastFit(),
    "takes_the_root": TransformedTargetRegressor(Base(), func=np.sqrt, inverse_func=np.square),
}
