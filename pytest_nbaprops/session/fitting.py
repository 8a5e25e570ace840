"""Where a session's fits are made ahead of its tests: on this machine's cores or on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

from pytest_nbaprops.session.context import Context
from pytest_nbaprops.session.evidence import Evidence
from pytest_nbaprops.tracking.explain import one_line
from pytest_nbaprops.walkforward.candidate import Candidate
from pytest_nbaprops.walkforward.cluster import DaskExecutor, remote_fit, share
from pytest_nbaprops.walkforward.evaluate import fits_to_make, local_fit
from pytest_nbaprops.walkforward.executor import local_executor
from pytest_nbaprops.walkforward.plan import Fold
from pytest_nbaprops.walkforward.windows import parse_train_window


def fit_ahead(context: Context, evidence: Evidence, *, tell: Callable[[str], object]) -> None:
    """Begin the built-in suite's fits in the order of the tests, and expect those of other tests.

    On the cluster that the settings name: what goes wrong there is told once, and the fit made here. Else one on each
    core; with a single core each fit is made where it is needed.

    Raises:
        SettingsError: nobody answers at the cluster's address.
    """
    resources, said = context.resources, set[str]()

    def fell_back(error: Exception) -> None:
        line = f"a fit comes back from the cluster ({type(error).__name__}: {one_line(error)}) and is made here"
        if line not in said:
            said.add(line)
            tell(line)

    if context.settings.dask is not None:
        executor = DaskExecutor(context.settings.dask)
        data = share(context.folder, resources.store, resources.dataset.target_columns)
        resources.ahead.run_on(executor, partial(remote_fit, data=data), elsewhere=fell_back)
    elif context.threads > 1:
        resources.ahead.run_on(local_executor(context.threads), lambda fit: partial(local_fit, fit, resources))
    else:
        return
    enforced = context.settings.promote == "enforce" and len(evidence.candidates) == 1 and not evidence.is_part
    for candidate in evidence.candidates:
        folds = [state.fold for state in candidate.folds if state.collected]
        after = [final_fold(context, candidate)] if enforced else []  # the model to register, if it comes to that
        resources.ahead.expect(fits_to_make(candidate, [*folds, *after], resources))
    resources.ahead.start(*(candidate.name for candidate in evidence.candidates if candidate.spec.code is None))


def final_fold(context: Context, candidate: Candidate) -> Fold:
    """The fold after the last game date: its fit is the model that is registered."""
    dates = context.dataset.game_dates
    after = dates[-1].day + timedelta(days=1)
    start = parse_train_window(candidate.spec.train_window).start(dates, replace(dates[-1], day=after))
    return Fold(number=len(candidate.folds) + 1, dates=(after,), fitted_at=after, train_start=start)
