-- The history. Rows are a pure function of the Kafka partition: written twice, they collapse; rows that differ stay side by side,
-- since the leaf is in the sorting key. Hashes are FixedString(32): read them with hex(), a cast to String strips trailing NULs.
CREATE TABLE ledger_entries
(
    shard UInt32,
    `index` UInt64,
    entry String CODEC(ZSTD(1)),
    leaf FixedString(32),
    chain FixedString(32),
    kind UInt8 MATERIALIZED reinterpretAsUInt8(substring(entry, 2, 1)),
    generation UInt32 MATERIALIZED reinterpretAsUInt32(reverse(substring(entry, 7, 4))),
    offset UInt64 MATERIALIZED reinterpretAsUInt64(reverse(substring(entry, 11, 8))),
    append_time DateTime64(3, 'UTC') MATERIALIZED fromUnixTimestamp64Milli(reinterpretAsInt64(reverse(substring(entry, 19, 8))), 'UTC'),
    verdict UInt8 MATERIALIZED reinterpretAsUInt8(substring(entry, 27, 1)),
    header String MATERIALIZED substring(entry, 32, reinterpretAsUInt32(reverse(substring(entry, 28, 4)))) CODEC(ZSTD(1)),
    agent LowCardinality(String) MATERIALIZED JSONExtractString(substring(entry, 32, reinterpretAsUInt32(reverse(substring(entry, 28, 4)))), 'agent'),
    key LowCardinality(String) MATERIALIZED JSONExtractString(substring(entry, 32, reinterpretAsUInt32(reverse(substring(entry, 28, 4)))), 'key'),
    run LowCardinality(String) MATERIALIZED JSONExtractString(substring(entry, 32, reinterpretAsUInt32(reverse(substring(entry, 28, 4)))), 'run'),
    n UInt64 MATERIALIZED JSONExtractUInt(substring(entry, 32, reinterpretAsUInt32(reverse(substring(entry, 28, 4)))), 'n'),
    first UInt64 MATERIALIZED JSONExtractUInt(substring(entry, 32, reinterpretAsUInt32(reverse(substring(entry, 28, 4)))), 'first'),
    count UInt16 MATERIALIZED toUInt16(JSONExtractUInt(substring(entry, 32, reinterpretAsUInt32(reverse(substring(entry, 28, 4)))), 'count')),
    epoch Int64 MATERIALIZED JSONExtractInt(substring(entry, 32, reinterpretAsUInt32(reverse(substring(entry, 28, 4)))), 'epoch')
)
ENGINE = ReplacingMergeTree
ORDER BY (shard, `index`, leaf)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 1024;

-- What was refused, kept apart; bounded by the notary.
CREATE TABLE rejected
(
    shard UInt32,
    `index` UInt64,
    raw String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (shard, `index`, raw)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 1024;

CREATE TABLE notary_snapshots
(
    shard UInt32,
    `index` UInt64,
    epoch Int64,
    state String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(`index`)
ORDER BY shard
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
