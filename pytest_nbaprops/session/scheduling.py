"""The xdist scheduler: folds that share a fit go to the same worker, and a crashed fold is not tried again.

Builds on LoadScopeScheduling, whose scope becomes the fit. xdist's own schedulers either hang when a worker crashes
(loadgroup) or run the crasher again in every new worker (loadscope).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController


class FitScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist's base is seen as Any where stubs are skipped
    """One unit of work per fit."""

    def __init__(self, config: pytest.Config, log: Any, scope_of: Callable[[str], str]) -> None:
        super().__init__(config, log)
        self._split_scope = scope_of

    def _assign_work_unit(self, node: WorkerController) -> None:
        """Hand the next unit out; a worker that was killed and not yet missed gets none, and the unit stays."""
        scope, unit = next(iter(self.workqueue.items()))
        try:
            super()._assign_work_unit(node)
        except OSError:  # execnet's "cannot send (already closed?)"
            del self.assigned_work[node][scope]
            self.workqueue[scope] = unit
            self.workqueue.move_to_end(scope, last=False)

    def remove_node(self, node: WorkerController) -> str | None:
        """Hand the crashed worker's other folds on; the one that it died in is done, with a failed report."""
        workload = self.assigned_work.pop(node)
        pending = ((unit, nodeid) for unit in workload.values() for nodeid, done in unit.items() if not done)
        unit, crashed = next(pending, (None, None))
        if unit is not None and crashed is not None:
            unit[crashed] = True  # before anyone else is given the rest of its unit
        self.workqueue.update({scope: unit for scope, unit in workload.items() if not all(unit.values())})
        for other in self.assigned_work:
            self._reschedule(other)
        return crashed
