"""MLflow kept quiet: telemetry off, no log lines, no warnings. To be imported before MLflow is."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# Read by MLflow when it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")


@contextmanager
def quiet() -> Iterator[None]:
    """No log line and no warning gets out, not even as an error; migrations also rewire the root logger."""
    root, disabled = logging.getLogger(), logging.root.manager.disable
    handlers, level = list(root.handlers), root.level
    logging.disable(max(disabled, logging.ERROR))  # what is an error comes out as TrackingError
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        root.handlers[:] = handlers
        root.setLevel(level)
