"""Names of the tags that runs, models and model versions carry; `rollback` and `history` read them back."""

from __future__ import annotations

PREFIX = "nbaprops."  # of all tags of this tool's own
IMPORTED_PREFIX = "nbaprops.imported."

# experiment: MLflow's page opens on its runs and metrics, not on traces of language models
KIND = {"mlflow.experimentKind": "custom_model_development"}

# run, as MLflow's page shows it: what it says of it (Markdown), and what made it
DESCRIPTION = "mlflow.note.content"
SOURCE, SOURCE_TYPE, SOURCE_COMMIT = "mlflow.source.name", "mlflow.source.type", "mlflow.source.git.commit"

# run
CANDIDATE = "nbaprops.candidate"  # its identity (settings, data, code), by which a run left RUNNING is found again
MADE_OF = "nbaprops.made_of"  # recipe, features and settings, whatever the data and the dates
OWNER_PREFIX = "nbaprops.owner."  # <id>: JSON of each session that works on it: machine, process and heartbeat
REQUEST = "nbaprops.request"  # a number of its own, by which it is found where the answer to its creation was lost
MODEL_URI = "nbaprops.model_uri"  # `models:/m-…` of the final model, written once all of it is stored
DATASET_DIGEST = "nbaprops.dataset_digest"  # full SHA-256 of the data; MLflow's own field holds 36 characters only
FEATURE_VERSION = "feature_version"  # content id of the feature set
# columns that the champion of the day does not have; no param, since a resumed run may meet another champion
N_NEW_FEATURES = "n_new_features"
NOT_FINITE = "nbaprops.not_finite"  # metrics that were NaN or infinite and therefore not stored
FILE_DIGEST = "nbaprops.sha256."  # <file>: SHA-256 of predictions as they were stored
BASELINE_RUN = "nbaprops.baseline_run"  # the run it was compared with

# run and version
DATASET = "dataset_digest"  # full SHA-256 of the data, in a name that people filter by
VERDICT = "verdict"  # PROMOTE, REJECT, INCONCLUSIVE, ERROR, or none where nothing was decided
COMMIT = "git_commit"  # the checkout's, with `-dirty` where files differed
MODEL_DIGEST = f"{FILE_DIGEST}model"  # of a model and its versions: SHA-256 of its files
MODEL_TYPE = "model_type"  # the kind of model, as the user calls it; of a model, too

# version
IDENTITY = "nbaprops.identity"  # of the candidate that it came from, as far as that is known before the first fit
CONTENT = "nbaprops.content"  # identity of the model, by which a version is found again; of a model, too
RUN = "nbaprops.run_id"  # the run that decided, also where the model was logged by another one
INTENT = "nbaprops.intent"  # alias it was registered for, until that promotion is complete
# <alias>.<time>-<id>: JSON for each time the alias was to move here; its `state` is `intended`, and `done` once it is
EVENT_PREFIX = "nbaprops.event."

# journal: a registered model of its own, whose versions are the changes
JOURNAL_OF = "nbaprops.journal_of"  # the model whose alias changes it keeps
JOURNAL_ENTRY = "nbaprops.entry"  # of a version: the change as JSON, with the number of the entry before
JOURNAL_STATE = "nbaprops.state"  # of a version: `applied` once the alias is set, `void` where another was first
JOURNAL_SETTER = "nbaprops.setter."  # of a version, <id>: a time, while a session sets the alias as the entry wants it

# imported: what it was in the store that it came from
IMPORTED_FROM = "nbaprops.imported.from"  # that store; of runs, experiments, models and versions
IMPORTED_RUN = "nbaprops.imported.run_id"  # the run's id; of runs and versions
IMPORTED_NAME = "nbaprops.imported.run_name"
IMPORTED_STATE = "nbaprops.imported.state"  # `complete` once its files are here, too; else the next import goes on
IMPORTED_PHASE = "nbaprops.imported.phase"  # the run's tag `phase` as it was spelt there
IMPORTED_METRICS = "nbaprops.imported.metrics"  # JSON, the name there of each metric that has a standard name here
# of runs: why its predictions may be those of another model than the one that was measured
IMPORTED_DOUBT = "nbaprops.imported.doubt"
IMPORTED_VERSION = "nbaprops.imported.version"  # the version's number
IMPORTED_STAGE = "nbaprops.imported.stage"  # the version's stage
# of a model, <alias>: the version that it named there; written once it is set here
IMPORTED_ALIAS = "nbaprops.imported.alias."
SERVABLE = "nbaprops.servable"  # of a version: `true`, or `false: <why>` where loading would have to unpickle
