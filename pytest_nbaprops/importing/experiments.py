"""The experiments that runs are written to: found by their names, made where there is none."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from pytest_nbaprops.importing.source import DEFAULT_EXPERIMENT, Source, SourceExperiment
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.runs import ensure_experiment
from pytest_nbaprops.tracking.search import ALL, experiments

if TYPE_CHECKING:
    from mlflow.entities import Experiment

    from pytest_nbaprops.importing.summary import Summary
    from pytest_nbaprops.tracking.connection import Store

_CHARACTERS: Final = 200


class Experiments:
    """Those of one import. `ids` are the ids in the store by the keys in the source."""

    def __init__(self, source: Source, store: Store | None, summary: Summary) -> None:
        self.source, self.store, self.summary = source, store, summary
        self.ids: dict[str, str] = {}

    @cached_property
    def _existing(self) -> dict[str, Experiment]:
        if self.store is None:
            return {}
        with self.store.calling("list the experiments") as client:
            return {one.name: one for one in experiments(client, ALL)}

    def open(self, experiment: SourceExperiment, runs: int) -> None:
        """The experiment of the same name, made where there is none, unless this is a dry run."""
        name, there = self._target_name(experiment)
        if there is not None or name == DEFAULT_EXPERIMENT:  # every store has it from the start
            self.summary.present["experiments"] += 1
        elif runs or not experiment.deleted:
            self.summary.imported["experiments"] += 1
        if experiment.deleted:
            where = f"experiment {experiment.name[:80]}"
            self.source.findings.noted(where, "deleted", "imported as deleted: restore it there")
        if self.summary.dry_run or self.store is None:
            return
        if there is None:
            self.ids[experiment.key] = self._made(self.store, name, experiment)
            return
        if there.lifecycle_stage == "deleted" and self.store.is_remote:
            with self.store.calling(f"restore the experiment {name!r}") as client:
                client.restore_experiment(there.experiment_id)
        self.ids[experiment.key] = str(there.experiment_id)

    def _target_name(self, experiment: SourceExperiment) -> tuple[str, Experiment | None]:
        """Its name here, and the experiment that has it. One that somebody deleted here is not written to."""
        name = " ".join(experiment.name.split())[:_CHARACTERS] or f"imported {experiment.key}"
        there = self._existing.get(name)
        if there is not None and there.lifecycle_stage == "deleted":
            is_twin = experiment.deleted and tags.IMPORTED_FROM in there.tags
            if not is_twin:
                name = f"{name} (imported)"
                there = self._existing.get(name)
        return name, there

    def _made(self, store: Store, name: str, experiment: SourceExperiment) -> str:
        experiment_id = ensure_experiment(store, name)
        kept = {key: value for key, value in experiment.tags.items() if key and not key.startswith(tags.PREFIX)}
        with store.calling(f"describe the experiment {name!r}") as client:
            for key, value in {**kept, tags.IMPORTED_FROM: self.source.place}.items():
                client.set_experiment_tag(experiment_id, key[:250], value[:5000])
            self._existing[name] = client.get_experiment(experiment_id)
        return experiment_id

    def close(self, experiment: SourceExperiment) -> None:
        """Delete here what was deleted there, unless it is an experiment that others use."""
        if not experiment.deleted or self.store is None or experiment.key not in self.ids:
            return
        with self.store.calling(f"delete the experiment {experiment.name!r}") as client:
            there = client.get_experiment(self.ids[experiment.key])
            ours = tags.IMPORTED_FROM in there.tags and there.lifecycle_stage == "active"
            if ours and not client.search_runs([there.experiment_id], max_results=1):
                client.delete_experiment(there.experiment_id)
