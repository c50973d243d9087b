-- Pairs in narrow columns, kept as the collector's exporter writes `otel_traces`: the gate reads them
-- by clickhouse://HOST/DATABASE?table=pairs, with the verdict of `otel_traces` at a fraction of its
-- cost. Written by deploy/clickhouse/pairs_sql.py; run it for your own outputs and segments.
-- Counts by the hour are not kept here: a span that is delivered twice, as a collector may after an
-- outage, would count twice in them, while the gate leaves the second one out of these rows.

CREATE TABLE IF NOT EXISTS pairs (
    span_id String,
    trace_id String,
    time Int64 CODEC(Delta, ZSTD(1)), -- nanoseconds since 1970
    `flag_error` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `flag` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `reason` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `variant` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `active` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `api` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `candidate_decision.fraud_probability` Nullable(Bool) CODEC(ZSTD(1)),
    `candidate_duration` Nullable(Float64) CODEC(ZSTD(1)),
    `candidate_error` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `candidate_model` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `candidate_score.fraud_probability` Nullable(Float64) CODEC(ZSTD(1)),
    `candidate_status` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `candidate_threshold.fraud_probability` Nullable(Float64) CODEC(ZSTD(1)),
    `fallback` Nullable(Bool) CODEC(ZSTD(1)),
    `feature.tx_amount` Nullable(Float64) CODEC(ZSTD(1)),
    `primary_decision.fraud_probability` Nullable(Bool) CODEC(ZSTD(1)),
    `primary_duration` Nullable(Float64) CODEC(ZSTD(1)),
    `primary_error` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `primary_model` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `primary_score.fraud_probability` Nullable(Float64) CODEC(ZSTD(1)),
    `primary_status` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `primary_threshold.fraud_probability` Nullable(Float64) CODEC(ZSTD(1)),
    `request_id` Nullable(String) CODEC(ZSTD(1)),
    `rollout` Nullable(Float64) CODEC(ZSTD(1)),
    `segment.period` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `sequence` Nullable(Int64) CODEC(ZSTD(1)),
    `served` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `unit` Nullable(String) CODEC(ZSTD(1)),
    `worker` LowCardinality(Nullable(String)) CODEC(ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toDate(fromUnixTimestamp64Nano(time))
ORDER BY (ifNull(flag, ''), time)
-- TTL toDate(fromUnixTimestamp64Nano(time)) + INTERVAL 90 DAY
;

CREATE MATERIALIZED VIEW IF NOT EXISTS pairs_as_they_come TO pairs AS
SELECT
    SpanId AS span_id,
    TraceId AS trace_id,
    toUnixTimestamp64Nano(Timestamp) AS time,
    nullIf(SpanAttributes['error.type'], '') AS `flag_error`,
    nullIf(SpanAttributes['feature_flag.key'], '') AS `flag`,
    nullIf(SpanAttributes['feature_flag.result.reason'], '') AS `reason`,
    nullIf(SpanAttributes['feature_flag.result.variant'], '') AS `variant`,
    nullIf(SpanAttributes['migration.active'], '') AS `active`,
    nullIf(SpanAttributes['migration.api'], '') AS `api`,
    if(SpanAttributes['migration.candidate.decision.fraud_probability'] = '', NULL, SpanAttributes['migration.candidate.decision.fraud_probability'] = 'true') AS `candidate_decision.fraud_probability`,
    toFloat64OrNull(SpanAttributes['migration.candidate.duration']) AS `candidate_duration`,
    nullIf(SpanAttributes['migration.candidate.error'], '') AS `candidate_error`,
    nullIf(SpanAttributes['migration.candidate.model'], '') AS `candidate_model`,
    toFloat64OrNull(SpanAttributes['migration.candidate.score.fraud_probability']) AS `candidate_score.fraud_probability`,
    nullIf(SpanAttributes['migration.candidate.status'], '') AS `candidate_status`,
    toFloat64OrNull(SpanAttributes['migration.candidate.threshold.fraud_probability']) AS `candidate_threshold.fraud_probability`,
    if(SpanAttributes['migration.fallback'] = '', NULL, SpanAttributes['migration.fallback'] = 'true') AS `fallback`,
    toFloat64OrNull(SpanAttributes['migration.feature.tx_amount']) AS `feature.tx_amount`,
    if(SpanAttributes['migration.primary.decision.fraud_probability'] = '', NULL, SpanAttributes['migration.primary.decision.fraud_probability'] = 'true') AS `primary_decision.fraud_probability`,
    toFloat64OrNull(SpanAttributes['migration.primary.duration']) AS `primary_duration`,
    nullIf(SpanAttributes['migration.primary.error'], '') AS `primary_error`,
    nullIf(SpanAttributes['migration.primary.model'], '') AS `primary_model`,
    toFloat64OrNull(SpanAttributes['migration.primary.score.fraud_probability']) AS `primary_score.fraud_probability`,
    nullIf(SpanAttributes['migration.primary.status'], '') AS `primary_status`,
    toFloat64OrNull(SpanAttributes['migration.primary.threshold.fraud_probability']) AS `primary_threshold.fraud_probability`,
    nullIf(SpanAttributes['migration.request.id'], '') AS `request_id`,
    toFloat64OrNull(SpanAttributes['migration.rollout']) AS `rollout`,
    nullIf(SpanAttributes['migration.segment.period'], '') AS `segment.period`,
    toInt64OrNull(SpanAttributes['migration.sequence']) AS `sequence`,
    nullIf(SpanAttributes['migration.served'], '') AS `served`,
    nullIf(SpanAttributes['migration.unit'], '') AS `unit`,
    nullIf(SpanAttributes['migration.worker.id'], '') AS `worker`
FROM otel_traces
WHERE ScopeName = 'bentoml-flags' AND SpanName = 'migration.pair';

-- What workers record of themselves, and outcomes that an application tracked: few rows, by which
-- the gate knows what is missing.
CREATE TABLE IF NOT EXISTS pairs_records (
    Timestamp DateTime64(9),
    TraceId String,
    SpanId String,
    SpanName LowCardinality(String),
    ServiceName LowCardinality(String),
    ScopeName LowCardinality(String),
    SpanAttributes Map(LowCardinality(String), String)
) ENGINE = MergeTree
ORDER BY (SpanName, Timestamp);

CREATE MATERIALIZED VIEW IF NOT EXISTS pairs_records_as_they_come TO pairs_records AS
SELECT Timestamp, TraceId, SpanId, SpanName, ServiceName, ScopeName, SpanAttributes
FROM otel_traces
WHERE ScopeName = 'bentoml-flags' AND SpanName IN ('migration.worker', 'migration.outcome');

-- What was there before: once, and only spans from before the views.
-- INSERT INTO pairs SELECT SpanId AS span_id, TraceId AS trace_id, toUnixTimestamp64Nano(Timestamp) AS time, nullIf(SpanAttributes['error.type'], '') AS `flag_error`, nullIf(SpanAttributes['feature_flag.key'], '') AS `flag`, nullIf(SpanAttributes['feature_flag.result.reason'], '') AS `reason`, nullIf(SpanAttributes['feature_flag.result.variant'], '') AS `variant`, nullIf(SpanAttributes['migration.active'], '') AS `active`, nullIf(SpanAttributes['migration.api'], '') AS `api`, if(SpanAttributes['migration.candidate.decision.fraud_probability'] = '', NULL, SpanAttributes['migration.candidate.decision.fraud_probability'] = 'true') AS `candidate_decision.fraud_probability`, toFloat64OrNull(SpanAttributes['migration.candidate.duration']) AS `candidate_duration`, nullIf(SpanAttributes['migration.candidate.error'], '') AS `candidate_error`, nullIf(SpanAttributes['migration.candidate.model'], '') AS `candidate_model`, toFloat64OrNull(SpanAttributes['migration.candidate.score.fraud_probability']) AS `candidate_score.fraud_probability`, nullIf(SpanAttributes['migration.candidate.status'], '') AS `candidate_status`, toFloat64OrNull(SpanAttributes['migration.candidate.threshold.fraud_probability']) AS `candidate_threshold.fraud_probability`, if(SpanAttributes['migration.fallback'] = '', NULL, SpanAttributes['migration.fallback'] = 'true') AS `fallback`, toFloat64OrNull(SpanAttributes['migration.feature.tx_amount']) AS `feature.tx_amount`, if(SpanAttributes['migration.primary.decision.fraud_probability'] = '', NULL, SpanAttributes['migration.primary.decision.fraud_probability'] = 'true') AS `primary_decision.fraud_probability`, toFloat64OrNull(SpanAttributes['migration.primary.duration']) AS `primary_duration`, nullIf(SpanAttributes['migration.primary.error'], '') AS `primary_error`, nullIf(SpanAttributes['migration.primary.model'], '') AS `primary_model`, toFloat64OrNull(SpanAttributes['migration.primary.score.fraud_probability']) AS `primary_score.fraud_probability`, nullIf(SpanAttributes['migration.primary.status'], '') AS `primary_status`, toFloat64OrNull(SpanAttributes['migration.primary.threshold.fraud_probability']) AS `primary_threshold.fraud_probability`, nullIf(SpanAttributes['migration.request.id'], '') AS `request_id`, toFloat64OrNull(SpanAttributes['migration.rollout']) AS `rollout`, nullIf(SpanAttributes['migration.segment.period'], '') AS `segment.period`, toInt64OrNull(SpanAttributes['migration.sequence']) AS `sequence`, nullIf(SpanAttributes['migration.served'], '') AS `served`, nullIf(SpanAttributes['migration.unit'], '') AS `unit`, nullIf(SpanAttributes['migration.worker.id'], '') AS `worker` FROM otel_traces WHERE ScopeName = 'bentoml-flags' AND SpanName = 'migration.pair';
-- INSERT INTO pairs_records SELECT Timestamp, TraceId, SpanId, SpanName, ServiceName, ScopeName, SpanAttributes FROM otel_traces WHERE ScopeName = 'bentoml-flags' AND SpanName IN ('migration.worker', 'migration.outcome');
