"""The names of all attributes of a pair span.

`flags.export.spans` writes them, `comparison.pairs.reader` reads them.

`feature_flag.*` and `error.*` come from the OpenTelemetry semantic conventions for feature flag
evaluation (https://opentelemetry.io/docs/specs/semconv/feature-flags/feature-flags-events/). There
is no convention for pairs of predictions, so the rest lives in the namespace `migration`.
"""

import functools
from typing import Final

SCOPE: Final = "bentoml-flags"
"""Name of the instrumentation scope of every span that this project writes."""

PAIR_SPAN: Final = "migration.pair"
WORKER_SPAN: Final = "migration.worker"
OUTCOME_SPAN: Final = "migration.outcome"
"""Span names: one `migration.pair` per accepted request; a `migration.worker` when a worker's
record starts and when it closes; a `migration.outcome` for each outcome that is tracked."""

# --- resource ---------------------------------------------------------------------------------
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
PROCESS_PID: Final = "process.pid"
HOST_NAME: Final = "host.name"

# --- assignment: what the flag said -----------------------------------------------------------
FLAG_KEY: Final = "feature_flag.key"
FLAG_VARIANT: Final = "feature_flag.result.variant"
FLAG_REASON: Final = "feature_flag.result.reason"
FLAG_PROVIDER: Final = "feature_flag.provider.name"
FLAG_CONTEXT_ID: Final = "feature_flag.context.id"
FLAG_ERROR_MESSAGE: Final = "feature_flag.error.message"
ERROR_TYPE: Final = "error.type"
"""On the pair span: why the flag could not be evaluated (OpenFeature error code, lower case)."""

# --- pair -------------------------------------------------------------------------------------
REQUEST_ID: Final = "migration.request.id"
API: Final = "migration.api"
ACTIVE: Final = "migration.active"
SERVED: Final = "migration.served"
"""`primary` or `candidate`; absent if the caller got no answer."""
FALLBACK: Final = "migration.fallback"
ROLLOUT: Final = "migration.rollout"
"""Rollout percentage of the flag as this worker last saw it, 0-100; absent if unknown."""
STICKINESS: Final = "migration.stickiness"
"""Context field that the flag hashes to assign a side, e.g. `requestId`; absent if unknown."""
UNIT: Final = "migration.unit"
"""Keyed hash of who or what the request belongs to; absent if the request is its own unit."""
DRAWN: Final = "migration.drawn"
"""Keyed hash of the value of the stickiness field, if that is neither the unit nor the request."""
WORKER_ID: Final = "migration.worker.id"
SEQUENCE: Final = "migration.sequence"
"""1, 2, 3, ... per worker, assigned when the pair is created: a gap is a lost pair."""

# --- how the shadow was scored ----------------------------------------------------------------
SHADOW_BATCH: Final = "migration.shadow.batch"
"""Number of shadows that were scored in the same call, including this one (1: it was alone). Absent
if shadows are not scored in batches."""
SHADOW_AGREES: Final = "migration.shadow.batch_agrees"
"""Only on shadows that were scored both in a batch and in a call of their own: whether both calls
gave the same result. The recorded duration is that of the call of its own."""
SHADOW_BATCH_ERROR: Final = "migration.shadow.batch_error"
"""Exception type of the batch call; the shadow was then scored in a call of its own."""
SHADOW_SKIPPED: Final = "migration.shadow.skipped"
"""Why a shadow was skipped: `flag` (the shadow flag is off for the request) or `budget`."""
SHADOW_SHARE: Final = "migration.shadow.share"
"""Share of the units whose shadows were scored at that time; set if SHADOW_MAX_SHARE is in use."""

# --- worker records ---------------------------------------------------------------------------
WORKER_EVENT: Final = "migration.worker.event"
"""`start` or `stop`."""
WORKER_PAIRS: Final = "migration.worker.pairs"
"""On the stop record: the last sequence number assigned to a pair."""
WORKER_DROPPED: Final = "migration.worker.dropped"
"""On the stop record: pairs that could not be written."""

WORKER_OUTCOMES: Final = "migration.worker.outcomes"
"""On the stop record: the last sequence number assigned to an outcome."""

# --- tracked outcomes -------------------------------------------------------------------------
OUTCOME_METRIC: Final = "migration.outcome.metric"
OUTCOME_VALUE: Final = "migration.outcome.value"
OUTCOME_SEQUENCE: Final = "migration.outcome.sequence"
"""1, 2, 3, ... per worker; outcomes and pairs are numbered separately."""

# --- per side: `migration.<side>.<field>` -----------------------------------------------------
STATUS: Final = "status"
"""`ok`, `error`, `timeout`, `shed` or `skipped`."""
DURATION: Final = "duration"
"""Seconds from the start of the side's call to its answer; for a stream, to its last item. Absent
for a shadow that was scored only in a batch."""
MODEL: Final = "model"
SIDE_ERROR: Final = "error"
"""Exception type, never its message: messages may quote the input."""
ITEMS: Final = "items"
LENGTH: Final = "length"
FIRST_ITEM: Final = "first_item"
DIGEST: Final = "digest"
"""For a stream: the number of items, their bytes, the seconds to the first item, and the SHA-256 of
the bytes in hexadecimal (only if the stream reached its end). For an image, a file or bytes: length
and digest."""
SCORE: Final = "score"
THRESHOLD: Final = "threshold"
DECISION: Final = "decision"
"""`migration.<side>.score.<output>` (double), `.threshold.<output>` (double) and
`.decision.<output>` (bool: an alarm or not; absent without a threshold).

Outputs of other kinds have `migration.<side>.<column>.<output>`; `COLUMNS` in the kind's module in
`flags.pairing.kinds` lists the columns."""

TEXT: Final = "text"
"""`migration.<side>.text.<output>` (string): a side's answer; only if texts are recorded."""
INPUT_MESSAGES: Final = "gen_ai.input.messages"
"""The prompt, recorded with the texts: JSON in the format of the OpenTelemetry conventions for
generative AI (https://github.com/open-telemetry/semantic-conventions-genai). They define no
attribute for two answers to one prompt."""

SEGMENT: Final = "migration.segment"
FEATURE: Final = "migration.feature"
"""`migration.segment.<name>` (string) and `migration.feature.<name>` (double)."""


@functools.cache
def side(side_name: str, field: str, output: str | None = None) -> str:
    """Return an attribute name of a side, e.g. `migration.primary.score.probability`."""
    return f"migration.{side_name}.{field}" + (f".{output}" if output else "")
