//! The log.

use super::LONG_MAX;
use crate::config::definition::Effect::{Implemented, WithoutEffect};
use crate::config::definition::{ConfigDefinition, boolean, double, in_unit, int, list, long, string};
use crate::config::value::Valid;

pub(super) const LOG: &[ConfigDefinition] = &[
    string("compression.type", "producer", Implemented, "The default of a topic's compression.type.")
        .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .cluster_wide(),
    int("compression.gzip.level", "-1", Implemented, "The default of a topic's compression.gzip.level.")
        .valid(Valid::OneOrBetween(-1, 1, 9))
        .cluster_wide(),
    int("compression.lz4.level", "9", Implemented, "The default of a topic's compression.lz4.level.")
        .valid(Valid::Between(1, 17))
        .cluster_wide(),
    int("compression.zstd.level", "3", Implemented, "The default of a topic's compression.zstd.level.")
        .valid(Valid::Between(-131_072, 22))
        .cluster_wide(),
    list("log.cleanup.policy", "delete", Implemented, "The default of a topic's cleanup.policy.")
        .valid(Valid::ItemsOf(&["delete", "compact"]))
        .cluster_wide(),
    long("log.cleaner.backoff.ms", "15000", Implemented, "How long the cleaner waits when no log needs compaction.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    long(
        "log.cleaner.dedupe.buffer.size",
        "134217728",
        Implemented,
        "The memory for the keys of the log being compacted. More keys take several passes.",
    )
    .valid(Valid::AtLeast(1 << 20))
    .cluster_wide(),
    long("log.cleaner.delete.retention.ms", "86400000", Implemented, "The default of a topic's delete.retention.ms.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    boolean("log.cleaner.enable", "true", Implemented, "Whether the broker compacts topics."),
    double(
        "log.cleaner.io.max.bytes.per.second",
        "1.7976931348623157E308",
        Implemented,
        "The most bytes per second that the cleaner reads and writes.",
    )
    .valid(Valid::AboveZero)
    .cluster_wide(),
    long("log.cleaner.max.compaction.lag.ms", LONG_MAX, Implemented, "The default of a topic's max.compaction.lag.ms.")
        .valid(Valid::AtLeast(1))
        .cluster_wide(),
    double(
        "log.cleaner.min.cleanable.ratio",
        "0.5",
        Implemented,
        "The default of a topic's min.cleanable.dirty.ratio.",
    )
    .valid(Valid::Ratio)
    .cluster_wide(),
    long("log.cleaner.min.compaction.lag.ms", "0", Implemented, "The default of a topic's min.compaction.lag.ms.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    long(
        "log.flush.interval.messages",
        LONG_MAX,
        WithoutEffect,
        "Without effect: acknowledged records are on disk already.",
    )
    .valid(Valid::AtLeast(1))
    .cluster_wide(),
    long("log.flush.interval.ms", LONG_MAX, WithoutEffect, "Without effect: acknowledged records are on disk already.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    int("log.index.interval.bytes", "4096", Implemented, "The default of a topic's index.interval.bytes.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    int("log.index.size.max.bytes", "10485760", Implemented, "The default of a topic's segment.index.bytes.")
        .valid(Valid::AtLeast(4))
        .cluster_wide(),
    long("log.local.retention.bytes", "-2", WithoutEffect, "The default of a topic's local.retention.bytes.")
        .valid(Valid::AtLeast(-2))
        .cluster_wide(),
    long("log.local.retention.ms", "-2", WithoutEffect, "The default of a topic's local.retention.ms.")
        .valid(Valid::AtLeast(-2))
        .cluster_wide(),
    long(
        "log.message.timestamp.after.max.ms",
        "3600000",
        Implemented,
        "The default of a topic's message.timestamp.after.max.ms.",
    )
    .valid(Valid::AtLeast(0))
    .cluster_wide(),
    long(
        "log.message.timestamp.before.max.ms",
        LONG_MAX,
        Implemented,
        "The default of a topic's message.timestamp.before.max.ms.",
    )
    .valid(Valid::AtLeast(0))
    .cluster_wide(),
    string("log.message.timestamp.type", "CreateTime", Implemented, "The default of a topic's message.timestamp.type.")
        .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
        .cluster_wide(),
    boolean("log.preallocate", "false", WithoutEffect, "Without effect: segments are always preallocated in steps.")
        .cluster_wide(),
    long("log.retention.bytes", "-1", Implemented, "The default of a topic's retention.bytes.")
        .valid(Valid::AtLeast(-1))
        .cluster_wide(),
    long(
        "log.retention.check.interval.ms",
        "300000",
        Implemented,
        "The time between two checks for segments to delete.",
    )
    .valid(Valid::AtLeast(1)),
    int("log.retention.hours", "168", Implemented, "The default of a topic's retention.ms, in hours."),
    int(
        "log.retention.minutes",
        "",
        Implemented,
        "The default of a topic's retention.ms, in minutes. Takes precedence over log.retention.hours.",
    )
    .without_default()
    .synonyms(&[in_unit("log.retention.hours", 60)]),
    long(
        "log.retention.ms",
        "",
        Implemented,
        "The default of a topic's retention.ms. Takes precedence over log.retention.minutes.",
    )
    .without_default()
    .valid(Valid::AtLeast(-1))
    .synonyms(&[in_unit("log.retention.minutes", 60_000), in_unit("log.retention.hours", 3_600_000)])
    .cluster_wide(),
    int("log.roll.hours", "168", Implemented, "The default of a topic's segment.ms, in hours.")
        .valid(Valid::AtLeast(1)),
    long("log.roll.ms", "", Implemented, "The default of a topic's segment.ms. Takes precedence over log.roll.hours.")
        .without_default()
        .valid(Valid::AtLeast(1))
        .synonyms(&[in_unit("log.roll.hours", 3_600_000)])
        .cluster_wide(),
    int("log.roll.jitter.hours", "0", Implemented, "The default of a topic's segment.jitter.ms, in hours.")
        .valid(Valid::AtLeast(0)),
    long(
        "log.roll.jitter.ms",
        "",
        Implemented,
        "The default of a topic's segment.jitter.ms. Takes precedence over log.roll.jitter.hours.",
    )
    .without_default()
    .valid(Valid::AtLeast(0))
    .synonyms(&[in_unit("log.roll.jitter.hours", 3_600_000)])
    .cluster_wide(),
    int("log.segment.bytes", "1073741824", Implemented, "The default of a topic's segment.bytes.")
        .valid(Valid::AtLeast(1_048_576))
        .cluster_wide(),
    long("log.segment.delete.delay.ms", "60000", Implemented, "The default of a topic's file.delete.delay.ms.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    int("message.max.bytes", "1048588", Implemented, "The default of a topic's max.message.bytes.")
        .valid(Valid::AtLeast(0))
        .cluster_wide(),
    int("num.recovery.threads.per.data.dir", "2", WithoutEffect, "Without effect: the disk threads recover logs.")
        .valid(Valid::AtLeast(1))
        .cluster_wide(),
    string(
        "record.validation",
        "full",
        Implemented,
        "The default of a topic's record.validation. Not a Kafka property.",
    )
    .valid(Valid::OneOf(&["full", "header"]))
    .cluster_wide(),
    boolean("write.caching", "false", Implemented, "The default of a topic's write.caching. Not a Kafka property.")
        .cluster_wide(),
];
