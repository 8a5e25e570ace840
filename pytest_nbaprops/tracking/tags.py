"""Names of the tags that runs, models and model versions carry; `rollback` and `history` read them back."""

from __future__ import annotations

PREFIX = "nbaprops."
"""What all tags of this tool's own begin with."""

IMPORTED_PREFIX = "nbaprops.imported."

KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Experiment: MLflow's page opens on its runs and metrics, not on traces of language models."""

DESCRIPTION = "mlflow.note.content"
"""Run: what MLflow's page shows as its description, Markdown."""

SOURCE, SOURCE_TYPE, SOURCE_COMMIT = "mlflow.source.name", "mlflow.source.type", "mlflow.source.git.commit"
"""Run: what made it, as MLflow's page shows it."""

CANDIDATE = "nbaprops.candidate"
"""Run: identity of the candidate (settings, data, code), by which a run left RUNNING is found again."""

OWNER_PREFIX = "nbaprops.owner."
"""Run: `nbaprops.owner.<id>`, one JSON object for each session that works on it: machine, process and heartbeat."""

IDENTITY = "nbaprops.identity"
"""Version: identity of the candidate that it came from, as far as that is known before the first fit."""

CONTENT = "nbaprops.content"
"""Model and version: identity of the model, by which a version already registered is found again."""

REQUEST = "nbaprops.request"
"""Run: a number of its own, by which it is found where the answer to its creation was lost."""

MODEL_URI = "nbaprops.model_uri"
"""Run: `models:/m-…` of the final model, written once all of it is stored."""

DATASET = "dataset_digest"
"""Run and version: full SHA-256 of the data, in a name that people filter by."""

VERDICT = "verdict"
"""Run and version: PROMOTE, REJECT, INCONCLUSIVE, ERROR, or none where nothing was decided."""

COMMIT = "git_commit"
"""Run and version: the checkout's commit, with `-dirty` where files differed."""

MODEL_TYPE = "model_type"
"""Run, model and version: the kind of model, as the user calls it."""

DATASET_DIGEST = "nbaprops.dataset_digest"
"""Run: full SHA-256 of the data; MLflow's own field holds 36 characters only."""

N_NEW_FEATURES = "n_new_features"
"""Run: how many columns the champion of the day does not have; no param, since a resumed run may meet another one."""

NOT_FINITE = "nbaprops.not_finite"
"""Run: metrics that were NaN or infinite and therefore not stored."""

BASELINE_RUN = "nbaprops.baseline_run"
"""Run: the run it was compared with."""

FEATURE_VERSION = "feature_version"
"""Run: content id of the feature set."""

RUN = "nbaprops.run_id"
"""Version: the run that decided, also where the model was logged by another one."""

INTENT = "nbaprops.intent"
"""Version: alias it was registered for, until that promotion is complete."""

EVENT_PREFIX = "nbaprops.event."
"""Version: `nbaprops.event.<alias>.<time>-<id>`, one JSON object for each time the alias was
to move here; its `state` is `intended` before the alias is set and `done` after."""

JOURNAL_OF = "nbaprops.journal_of"
"""Registered model: the model whose alias changes it keeps."""

JOURNAL_ENTRY = "nbaprops.entry"
"""Version of a journal: the change as JSON, with the number of the entry before."""

JOURNAL_STATE = "nbaprops.state"
"""Version of a journal: `applied` once the alias is set, `void` where another change was first."""

JOURNAL_SETTER = "nbaprops.setter."
"""Version of a journal: `nbaprops.setter.<id>` with a time, while a session sets the alias as the entry wants it."""

IMPORTED_RUN = "nbaprops.imported.run_id"
"""Imported run or version: the id of the run that it was in the store it came from."""

IMPORTED_FROM = "nbaprops.imported.from"
"""Imported run, experiment, model or version: the store it came from."""

IMPORTED_NAME = "nbaprops.imported.run_name"
"""Imported run: its name there."""

IMPORTED_STATE = "nbaprops.imported.state"
"""Imported run: `complete` once its files are there, too; an import that was interrupted goes on with the others."""

IMPORTED_VERSION = "nbaprops.imported.version"
"""Imported version: its number there."""

IMPORTED_STAGE = "nbaprops.imported.stage"
"""Imported version: its stage there."""

IMPORTED_ALIAS = "nbaprops.imported.alias."
"""Imported model: `nbaprops.imported.alias.<alias>`, the version that it named there; written once it is set here."""

SERVABLE = "nbaprops.servable"
"""Imported version: `true`, or `false: <why>` for a model that loading would have to unpickle."""

IMPORTED_PHASE = "nbaprops.imported.phase"
"""Imported run: its tag `phase` as it was spelt there."""

IMPORTED_METRICS = "nbaprops.imported.metrics"
"""Imported run: JSON object, the name there of each metric that has a standard name here."""
