-- Who touched what: the same events sorted by principal and time.
CREATE TABLE events_by_principal
(
    principal String,
    time DateTime64(6, 'UTC'),
    shard UInt32,
    `index` UInt64,
    pos UInt16,
    action LowCardinality(String),
    outcome LowCardinality(String),
    resource_id LowCardinality(String),
    part String,
    bytes UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (principal, time, shard, `index`, pos);

CREATE MATERIALIZED VIEW events_to_principal TO events_by_principal
AS SELECT principal, time, shard, `index`, pos, action, outcome, resource_id, part, bytes FROM events;
