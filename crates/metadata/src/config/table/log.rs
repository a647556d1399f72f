//! The log.

use super::LONG_MAX;
use crate::config::definition::Effect::{Implemented, WithoutEffect};
use crate::config::definition::{ConfigDefinition, boolean, double, in_unit, int, list, long, string};
use crate::config::value::Valid;

pub(super) const LOG: &[ConfigDefinition] = &[
    string("compression.type", "producer", Implemented, "How batches are stored.")
        .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .cluster_wide(),
    int("compression.gzip.level", "-1", Implemented, "Level for compression.type=gzip.")
        .valid(Valid::OneOrBetween(-1, 1, 9))
        .cluster_wide(),
    int("compression.lz4.level", "9", Implemented, "Level for compression.type=lz4.")
        .valid(Valid::Between(1, 17))
        .cluster_wide(),
    int("compression.zstd.level", "3", Implemented, "Level for compression.type=zstd.")
        .valid(Valid::Between(-131_072, 22))
        .cluster_wide(),
    list("log.cleanup.policy", "delete", Implemented, "What happens to old segments.")
        .valid(Valid::ItemsOf(&["delete", "compact"]))
        .cluster_wide(),
    long("log.cleaner.backoff.ms", "15000", Implemented, "Time between two looks for logs to compact.")
        .valid(Valid::AtLeast(1)),
    long(
        "log.cleaner.dedupe.buffer.size",
        "134217728",
        Implemented,
        "Memory for the keys of a log that is compacted; more keys take several rounds.",
    )
    .valid(Valid::AtLeast(1 << 20)),
    long(
        "log.cleaner.delete.retention.ms",
        "86400000",
        Implemented,
        "How long a compacted topic keeps the marker of a deleted key.",
    )
    .valid(Valid::AtLeast(0))
    .cluster_wide(),
    boolean("log.cleaner.enable", "true", Implemented, "Whether compacted topics are compacted."),
    double(
        "log.cleaner.io.max.bytes.per.second",
        "1.7976931348623157E308",
        Implemented,
        "Bytes a second that compaction may read and write.",
    ),
    long(
        "log.cleaner.max.compaction.lag.ms",
        LONG_MAX,
        Implemented,
        "A record is compacted at the latest after this time.",
    )
    .valid(Valid::AtLeast(1))
    .cluster_wide(),
    double(
        "log.cleaner.min.cleanable.ratio",
        "0.5",
        Implemented,
        "Share of uncompacted log at which compaction begins.",
    )
    .valid(Valid::Ratio)
    .cluster_wide(),
    long("log.cleaner.min.compaction.lag.ms", "0", Implemented, "A record stays uncompacted at least for this time.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    long(
        "log.flush.interval.messages",
        LONG_MAX,
        WithoutEffect,
        "Without effect, as acknowledged records are flushed already.",
    )
    .valid(Valid::AtLeast(1))
    .cluster_wide(),
    long(
        "log.flush.interval.ms",
        LONG_MAX,
        WithoutEffect,
        "Without effect, as acknowledged records are flushed already.",
    )
    .valid(Valid::AtLeast(0))
    .cluster_wide(),
    int("log.index.interval.bytes", "4096", Implemented, "Bytes of log between two entries of the offset index.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    int("log.index.size.max.bytes", "10485760", Implemented, "Largest size of a segment's index.")
        .valid(Valid::AtLeast(4))
        .cluster_wide(),
    long("log.local.retention.bytes", "-2", WithoutEffect, "With tiered storage, bytes kept locally.")
        .valid(Valid::AtLeast(-2))
        .cluster_wide(),
    long("log.local.retention.ms", "-2", WithoutEffect, "With tiered storage, time kept locally.")
        .valid(Valid::AtLeast(-2))
        .cluster_wide(),
    long(
        "log.message.timestamp.after.max.ms",
        "3600000",
        Implemented,
        "How far a record's CreateTime may lie in the future.",
    )
    .valid(Valid::AtLeast(0))
    .cluster_wide(),
    long(
        "log.message.timestamp.before.max.ms",
        LONG_MAX,
        Implemented,
        "How far a record's CreateTime may lie in the past.",
    )
    .valid(Valid::AtLeast(0))
    .cluster_wide(),
    string("log.message.timestamp.type", "CreateTime", Implemented, "Whose timestamp a record carries.")
        .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
        .cluster_wide(),
    boolean("log.preallocate", "false", WithoutEffect, "Without effect: segments are always preallocated in steps.")
        .cluster_wide(),
    long("log.retention.bytes", "-1", Implemented, "Bytes per partition above which old segments are deleted.")
        .valid(Valid::AtLeast(-1))
        .cluster_wide(),
    long("log.retention.check.interval.ms", "300000", Implemented, "Time between two checks for segments to delete.")
        .valid(Valid::AtLeast(1)),
    int("log.retention.hours", "168", Implemented, "Age at which segments are deleted, in hours."),
    int(
        "log.retention.minutes",
        "",
        Implemented,
        "Age at which segments are deleted, in minutes; stronger than log.retention.hours.",
    )
    .without_default()
    .synonyms(&[in_unit("log.retention.hours", 60)]),
    long(
        "log.retention.ms",
        "",
        Implemented,
        "Age at which segments are deleted; stronger than log.retention.minutes.",
    )
    .without_default()
    .valid(Valid::AtLeast(-1))
    .synonyms(&[in_unit("log.retention.minutes", 60_000), in_unit("log.retention.hours", 3_600_000)])
    .cluster_wide(),
    int("log.roll.hours", "168", Implemented, "Age at which a new segment begins, in hours.").valid(Valid::AtLeast(1)),
    long("log.roll.ms", "", Implemented, "Age at which a new segment begins; stronger than log.roll.hours.")
        .without_default()
        .valid(Valid::AtLeast(1))
        .synonyms(&[in_unit("log.roll.hours", 3_600_000)])
        .cluster_wide(),
    int("log.roll.jitter.hours", "0", Implemented, "Random time taken off log.roll.hours.").valid(Valid::AtLeast(0)),
    long("log.roll.jitter.ms", "", Implemented, "Random time taken off log.roll.ms.")
        .without_default()
        .valid(Valid::AtLeast(0))
        .synonyms(&[in_unit("log.roll.jitter.hours", 3_600_000)])
        .cluster_wide(),
    int("log.segment.bytes", "1073741824", Implemented, "Size at which a new segment begins.")
        .valid(Valid::AtLeast(1_048_576))
        .cluster_wide(),
    long("log.segment.delete.delay.ms", "60000", Implemented, "How long a removed segment's files stay on disk.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    int("message.max.bytes", "1048588", Implemented, "Largest record batch taken, after compression.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    int("num.recovery.threads.per.data.dir", "2", WithoutEffect, "Threads that check logs after a crash.")
        .valid(Valid::AtLeast(1))
        .cluster_wide(),
    string(
        "record.validation",
        "full",
        Implemented,
        "What is read of a producer's batch before it is stored: full is every record, header its header. Not a Kafka name.",
    )
    .valid(Valid::OneOf(&["full", "header"]))
    .cluster_wide(),
    boolean(
        "write.caching",
        "false",
        Implemented,
        "With true a record in the page cache counts as written, as in Kafka. Not a Kafka name.",
    )
    .cluster_wide(),
];
