"""Which run people mean: a unique prefix of its id, its name, `champion`, `latest`, `v3` or `@staging`.

Of an imported run the id and the name that it had before are as good.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.registry.versions import alias_name, deciding_run, holders, known_version
from pytest_nbaprops.runs.storedrun import started
from pytest_nbaprops.tracking.connection import Store
from pytest_nbaprops.tracking.search import ACTIVE, DELETED, experiments, found, quoted
from pytest_nbaprops.tracking.tags import IMPORTED_NAME, IMPORTED_RUN

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PREFIX: Final = re.compile(r"[0-9a-f]{1,32}")
_VERSION: Final = re.compile(r"v\d+")
_ID_LENGTH: Final = 32
_SHOWN: Final = 5
_SHORTEST: Final = 4
"""Where an alias may be meant as well, one that is called `b`."""
_WAYS: Final = "a run is named by the beginning of its id, its name, champion, latest, v<version> or @<alias>"


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """Where to look: `model_name` is the registered model that `champion`, `v3` and `@staging` speak of."""

    store: Store
    model_name: str
    champion_alias: str | None = None
    experiment: str | None = None

    def experiment_ids(self) -> list[str]:
        """Ids of the experiment asked for, else of all.

        Raises:
            TrackingError: There is none of this name; the line says which there are.
        """
        with self.store.calling("list the experiments") as client:
            known = experiments(client)
        named = [str(one.experiment_id) for one in known if self.experiment in (None, one.name)]
        if self.experiment is not None and not named:
            there = ", ".join(sorted(one.name for one in known)[:20]) or "none"
            raise TrackingError(f"there is no experiment {self.experiment!r} in {self.store.name}; there are: {there}")
        return named

    def runs(self, references: Sequence[str]) -> list[Run]:
        """The run of each reference, in their order.

        Raises:
            TrackingError: A reference means no run, or several; the line says which.
        """
        ids = self.experiment_ids()
        with self.store.calling("look the runs up") as client:
            found_runs = [self._run(client, reference.strip(), ids) for reference in references]
        for run in found_runs:
            if run.info.lifecycle_stage == "deleted":
                raise self._deleted(run)
        return found_runs

    def called(self, text: str) -> Run | None:
        """The run of this name, or whose id begins so with four characters at least; None where there is none.

        Raises:
            TrackingError: There are several, or it was deleted.
        """
        ids = self.experiment_ids()
        with self.store.calling("look the run up") as client:
            matches = _named(client, text, ids, ACTIVE, shortest=_SHORTEST)
            matches = matches or _imported(client, text, ids) or _named(client, text, ids, DELETED, shortest=_SHORTEST)
        if len(matches) > 1:
            raise _several(text, matches)
        if matches and matches[0].info.lifecycle_stage == "deleted":
            raise self._deleted(matches[0])
        return matches[0] if matches else None

    def _deleted(self, run: Run) -> TrackingError:
        return TrackingError(
            f"the run {run.info.run_id[:8]} ({run.info.run_name}) was deleted in {self.store.name}: restore it with"
            f" `mlflow runs restore --run-id {run.info.run_id}`, or name another"
        )

    def _run(self, client: MlflowClient, reference: str, ids: list[str]) -> Run:
        if reference == "champion":
            return self._champion(client)
        if reference == "latest":
            newest = client.search_runs(ids, max_results=1, order_by=["attributes.start_time DESC"]) if ids else []
            if not newest:
                raise TrackingError(f"there is no run yet in {self.store.name}: run pytest --nbaprops-train first")
            return newest[0]
        if reference.startswith("@"):
            alias, holding = alias_name(reference[1:]), holders(client, self.model_name)
            if alias in holding:
                return self._of_version(client, holding[alias])
            there = ", ".join(sorted(holding)) or "none"
            raise TrackingError(f"no version of {self.model_name} has the alias {alias!r}; aliases: {there}")
        if len(reference) == _ID_LENGTH and _PREFIX.fullmatch(reference.lower()):
            run = found(client.get_run, reference.lower())
            matches = [] if run is None else [run]
        else:
            matches = _named(client, reference, ids, ACTIVE)
            if not matches and _VERSION.fullmatch(reference):
                return self._of_version(client, reference)
        matches = matches or _imported(client, reference, ids)
        if len(matches) > 1:
            raise _several(reference, matches)
        if not matches:
            raise self._unknown(client, reference, ids)
        return matches[0]

    def _champion(self, client: MlflowClient) -> Run:
        holding = holders(client, self.model_name)
        names = [self.champion_alias] if self.champion_alias else ["production", "staging"]
        for alias in names:
            if alias in holding:
                return self._of_version(client, holding[alias])
        there = ", ".join(f"{alias} (v{number})" for alias, number in sorted(holding.items())) or "none"
        raise TrackingError(
            f"there is no champion: no version of {self.model_name} has the alias {' or '.join(names)}"
            f" (aliases: {there}); promote one, or name another model with --nbaprops-model-name"
        )

    def _of_version(self, client: MlflowClient, number: str) -> Run:
        version = known_version(client, self.model_name, number)
        run = deciding_run(client, version)
        if run is None:
            raise TrackingError(f"{self.model_name} v{version.version} names no run that there is")
        return run

    def _unknown(self, client: MlflowClient, reference: str, ids: list[str]) -> TrackingError:
        gone = _named(client, reference, ids, DELETED)
        if gone:
            return self._deleted(gone[0])
        recent = client.search_runs(ids, max_results=3, order_by=["attributes.start_time DESC"]) if ids else []
        newest = f"; the newest runs: {_candidates(recent)}" if recent else "; there is no run yet"
        return TrackingError(f"there is no run {reference!r} in {self.store.name}: {_WAYS}{newest}")


def _several(reference: str, matches: Sequence[Run]) -> TrackingError:
    return TrackingError(f"{reference!r} means several runs: {_candidates(matches)}; give more of the id")


def _named(client: MlflowClient, reference: str, ids: list[str], view: int, *, shortest: int = 1) -> list[Run]:
    """Runs of this name, and those whose id begins so."""
    conditions = [f"attributes.run_name = {quoted(reference)}"]
    if _PREFIX.fullmatch(reference.lower()) and len(reference) >= shortest:
        conditions.append(f"attributes.run_id LIKE '{reference.lower()}%'")
    searches = [client.search_runs(ids, text, view, max_results=_SHOWN + 1) for text in conditions] if ids else []
    return list({run.info.run_id: run for search in searches for run in search}.values())


def _imported(client: MlflowClient, reference: str, ids: list[str]) -> list[Run]:
    """Runs that had such an id or name where they were imported from: notes and notebooks name them by it."""
    if not ids:
        return []
    texts = [f"tags.`{IMPORTED_NAME}` = {quoted(reference)}"]
    if _PREFIX.fullmatch(reference.lower()) and len(reference) >= _SHORTEST:
        texts.append(f"tags.`{IMPORTED_RUN}` LIKE '{reference.lower()}%'")
    matches = (client.search_runs(ids, text, ACTIVE, max_results=_SHOWN + 1) for text in texts)
    return next((list(found_runs) for found_runs in matches if found_runs), [])


def _candidates(runs: Sequence[Run]) -> str:
    shown = [f"{run.info.run_id[:8]} ({run.info.run_name}, {started(run)})" for run in runs[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(runs) > _SHOWN else "")
