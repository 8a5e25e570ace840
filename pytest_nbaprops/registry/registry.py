"""Registered models: register, check, promote by alias, roll back, and who the champion is and was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from pytest_nbaprops.errors import TrackingError
from pytest_nbaprops.gate.verdict import Champion
from pytest_nbaprops.registry import moves, recovery
from pytest_nbaprops.registry.evaluation import Requirements, all_pass, as_its_session_said, evaluate_version
from pytest_nbaprops.registry.events import PROMOTE
from pytest_nbaprops.registry.history import Tenure, read_history
from pytest_nbaprops.registry.moves import Move, Promotion
from pytest_nbaprops.registry.versions import (
    alias_name,
    champion_of,
    deciding_run,
    holders,
    known_version,
    run_of,
    version_as_champion,
)
from pytest_nbaprops.tracking import tags
from pytest_nbaprops.tracking.artifacts import CHAMPION, PREDICTIONS, read_predictions
from pytest_nbaprops.tracking.connection import Store, as_store
from pytest_nbaprops.tracking.registering import register, version_of_content

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


class ModelRegistry:
    """The registry of a tracking store; every failure is a TrackingError of one line."""

    def __init__(self, tracking_uri: str | None = None, *, store: Store | None = None) -> None:
        """Connect.

        Raises:
            TrackingError: The store can't be used.
        """
        self.store = as_store(store, tracking_uri)

    # -- reading ------------------------------------------------------------------------------------------------

    def aliases(self, model_name: str) -> dict[str, str]:
        """Version of each alias; empty where there is no such model."""
        with self.store.calling(f"read the aliases of {model_name}") as client:
            return holders(client, model_name)

    def champion(self, model_name: str, alias: str) -> Champion | None:
        """As `champion_of`: None only if there is no version at all, one that is not known if none has the alias."""
        alias = alias_name(alias)
        with self.store.calling(f"find {alias} of {model_name}") as client:
            return champion_of(client, model_name, alias)

    def find_version(self, model_name: str, content: str) -> str | None:
        """Number of the newest version registered with this content, if there is one."""
        return version_of_content(self.store, model_name, content)

    def load_predictions(self, champion: Champion) -> pd.DataFrame:
        """The predictions that the version's run kept (`predictions.parquet`).

        Raises:
            TrackingError: It kept none, they can't be read, are not those that it stored, or an old run's may be
                another model's.
        """
        if champion.run_id is None:
            raise TrackingError(f"{champion.name} {champion.label} names no run, so its predictions are unknown")
        with self.store.calling(f"read the predictions of {champion.name} {champion.label}", artifacts=True) as client:
            if (doubt := client.get_run(champion.run_id).data.tags.get(tags.IMPORTED_DOUBT)) is not None:
                raise TrackingError(f"whether the predictions of {champion.label} are its own is not known: {doubt}")
            return read_predictions(client, champion.run_id)

    def walked_again(self, model_name: str, version: str, champion: str | None) -> pd.DataFrame | None:
        """What the champion predicts for the version's player-games, where the version's session walked it again."""
        with self.store.calling(f"list the files of {model_name} v{version}", artifacts=True) as client:
            run_id, name = run_of(known_version(client, model_name, version)), CHAMPION.format(champion)
            if run_id is None or all(file.path != name for file in client.list_artifacts(run_id)):
                return None
            return read_predictions(client, run_id, name)

    def history(self, model_name: str, alias: str | None = None) -> list[Tenure]:
        """Who had the alias (None: any alias) when, the newest first; told by the versions' own tags."""
        return read_history(self.store, model_name, alias)

    # -- changing -----------------------------------------------------------------------------------------------

    def register_model(  # noqa: PLR0913  the version's whole identity
        self,
        model_uri: str,
        model_name: str,
        *,
        content: str | None = None,
        run_id: str | None = None,
        alias: str | None = None,
        version_tags: Mapping[str, str] | None = None,
    ) -> str:
        """Number of the version of this model, a new one only if there is none yet.

        Args:
            model_uri: `models:/m-…` from `log_model`, or the id of the run that logged it.
            model_name: Registered model, created if need be.
            content: Identity of what was fitted; None: the model's own tag, else its URI.
            run_id: The run that decided, where it is not the one that logged the model.
            alias: Alias that it is registered for, if a promotion follows: an interrupted one is then recognised.
            version_tags: More tags, written together with the version.
        """
        intent = {} if alias is None else {tags.INTENT: alias_name(alias)}
        values = {**(version_tags or {}), **intent}
        return register(self.store, model_uri, model_name, content=content, run_id=run_id, version_tags=values)

    def promote_model(  # noqa: PLR0913  who, where to, why, against whom
        self,
        model_name: str,
        version: str | int,
        stage: str,
        *,
        reason: str | None = None,
        expected_version: str | None = "any",
        expected_aliases: Mapping[str, str | None] | None = None,
        details: Mapping[str, str] | None = None,
    ) -> Promotion:
        """Give the alias to the version; of two at once that expect the same holder exactly one goes through.

        Args:
            model_name: Registered model.
            version: Its version.
            stage: The alias; `Staging`, `Production` and `Archived` mean the aliases of that name in lower case.
            reason: Why, kept on the version.
            expected_version: Version that must hold the alias now, None for no one; "any": whoever does.
            expected_aliases: Other aliases and the versions that must hold them, such as the champion's.
            details: More to keep in the version's event (verdict, metrics as JSON, git_commit, ...); what is left out
                is taken from the version's run.

        Raises:
            ChampionMovedError: Another holder than expected.
            TrackingError: No such version, a reserved alias, or the alias does not stay.
        """
        alias = alias_name(stage)
        conditions = {alias_name(name): holder for name, holder in (expected_aliases or {}).items()}
        if expected_version != "any":
            conditions[alias] = expected_version
        move = Move(
            name=model_name,
            alias=alias,
            version=str(version).removeprefix("v"),
            kind=PROMOTE,
            reason=reason,
            conditions=conditions,
            details=details or {},
        )
        return moves.carry_out(self.store, move)

    def rollback_model(self, model_name: str, stage: str, reason: str) -> Promotion:
        """Give the alias back to the version that had it before; twice goes two back.

        Raises:
            ChampionMovedError: Somebody else moved the alias meanwhile.
            TrackingError: No reason, nobody has the alias, there is nothing before, or it was deleted.
        """
        if not reason.strip():
            raise TrackingError(f"a rollback of {model_name} needs a reason: say why")
        return moves.roll_back(self.store, model_name, alias_name(stage), reason)

    def recover(self, model_name: str) -> None:
        """Finish an alias change that a killed session had entered, and take back one that it made too late."""
        self.store.check_writable()
        with self.store.calling(f"finish what was left of {model_name}") as client:
            recovery.recover(client, model_name)

    def evaluate_for_production(  # noqa: PLR0913  what is checked, and against whom
        self,
        model_name: str,
        version: str | int,
        criteria: Requirements,
        *,
        champion: Champion | None = None,
        never_a_champion: bool = False,
        seed: int = 42,
    ) -> dict[str, Any]:
        """Check a version against criteria, from what its own run has kept.

        Args:
            model_name: Registered model.
            version: Its version.
            criteria: Expressions (`["mae <= 6.2", "r2 >= 0.55"]`), or thresholds by metric (`{"mae": 6.2}`: at most
                for errors, at least for the others; `{"bias": "<= 0.5"}` says which).
            champion: The version to beat with its predictions; None: criteria on the champion do not pass.
            never_a_champion: There never was one, so that these criteria do not apply.
            seed: Of the intervals.

        Returns:
            `model_name`, `version`, `run_id`, `passed` and `criteria`, a list with `expression`, `metric`, `value`,
            `threshold`, `passed`, `outcome`, `reason`. Where the run kept its predictions, intervals and references
            are judged as in a session, else only what its metrics can tell. No criteria, a missing, NaN or infinite
            metric, and what cannot be told never pass.
        """
        with self.store.calling(f"read the metrics of {model_name} v{version}") as client:
            target = known_version(client, model_name, str(version))
            run = deciding_run(client, target)
        label, metrics = f"{model_name} v{target.version}", run.data.metrics if run is not None else {}
        predictions = self._kept_predictions(target) if run is not None else None
        results = evaluate_version(
            label, metrics, predictions, criteria, champion=champion, never_a_champion=never_a_champion, seed=seed
        )
        if run is not None:
            results = as_its_session_said(results, run.data.tags.get(tags.VERDICT))
        return {
            "model_name": model_name,
            "version": str(target.version),
            "run_id": run_of(target),
            "passed": all_pass(results),
            "criteria": results,
        }

    def _kept_predictions(self, version: ModelVersion) -> pd.DataFrame | None:
        """None where its run kept none: its metrics still tell something."""
        with self.store.calling(f"list the files of {version.name} v{version.version}", artifacts=True) as client:
            kept = any(file.path == PREDICTIONS for file in client.list_artifacts(run_of(version)))
        return self.load_predictions(version_as_champion(version, "")) if kept else None
