-- What the sealer signed: the newest note of each log at each size, and every leaf of the root log.
CREATE TABLE checkpoints
(
    origin String,
    size UInt64,
    root FixedString(32),
    note String,
    time DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (origin, size, root)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 1024;

CREATE TABLE root_leaves
(
    `index` UInt64,
    leaf String
)
ENGINE = ReplacingMergeTree
ORDER BY (`index`, leaf)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 1024;
