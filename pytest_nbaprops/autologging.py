"""MLflow's autologging is off around every fit: the session logs its runs itself. Standard library only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def autologging_off() -> Iterator[None]:
    """No run for a fit of the block, and nothing that such a run would read; where MLflow is not loaded, nothing.

    A project's `mlflow.autolog()` is for its scripts: here every fit of a test or a rehearsal would be a stray run.
    MLflow's own switch is thrown back by the first block that ends, so that an inner block leaves it alone.
    """
    module = sys.modules.get("mlflow.utils.autologging_utils")
    if module is None or getattr(module, "_AUTOLOGGING_GLOBALLY_DISABLED", False):
        yield
        return
    with module.disable_autologging():
        yield
