//! Topic configs. Where a default differs from Kafka's the sentence says so.

use super::LONG_MAX;
use crate::config::definition::Effect::{Implemented, WithoutEffect};
use crate::config::definition::{ConfigDefinition, boolean, double, in_unit, int, list, long, same_unit, string};
use crate::config::value::Valid;

const TIERED: &str = "tiered storage is not available in this cluster";

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// Every topic config, by name.
pub const TOPIC_CONFIGS: &[ConfigDefinition] = &[
    list(
        "cleanup.policy",
        "delete",
        Implemented,
        "What happens to old segments: delete removes them by age and size, compact keeps the last value of \
         each key. Both may be set; an empty list keeps everything.",
    )
    .valid(Valid::ItemsOf(&["delete", "compact"]))
    .synonyms(&[same_unit("log.cleanup.policy")]),
    int(
        "compression.gzip.level",
        "-1",
        Implemented,
        "The level for compression.type=gzip; -1 is the default of the library.",
    )
    .valid(Valid::OneOrBetween(-1, 1, 9))
    .synonyms(&[same_unit("compression.gzip.level")]),
    int("compression.lz4.level", "9", Implemented, "The level for compression.type=lz4.")
        .valid(Valid::Between(1, 17))
        .synonyms(&[same_unit("compression.lz4.level")]),
    string(
        "compression.type",
        "producer",
        Implemented,
        "How batches are stored: producer keeps them as sent, any other value recompresses those that differ.",
    )
    .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
    .synonyms(&[same_unit("compression.type")]),
    int("compression.zstd.level", "3", Implemented, "The level for compression.type=zstd.")
        .valid(Valid::Between(-131_072, 22))
        .synonyms(&[same_unit("compression.zstd.level")]),
    long(
        "delete.retention.ms",
        "86400000",
        Implemented,
        "How long a compacted topic keeps the tombstone of a deleted key.",
    )
    .valid(Valid::AtLeast(0))
    .synonyms(&[same_unit("log.cleaner.delete.retention.ms")]),
    long("file.delete.delay.ms", "60000", Implemented, "How long the files of a deleted segment stay on disk.")
        .valid(Valid::AtLeast(0))
        .synonyms(&[same_unit("log.segment.delete.delay.ms")]),
    long(
        "flush.messages",
        LONG_MAX,
        WithoutEffect,
        "Without effect: acknowledged records are on disk already, unless write.caching is set.",
    )
    .valid(Valid::AtLeast(1))
    .synonyms(&[same_unit("log.flush.interval.messages")]),
    long(
        "flush.ms",
        LONG_MAX,
        WithoutEffect,
        "Without effect: acknowledged records are on disk already, unless write.caching is set.",
    )
    .valid(Valid::AtLeast(0))
    .synonyms(&[same_unit("log.flush.interval.ms")]),
    list(
        "follower.replication.throttled.replicas",
        "",
        Implemented,
        "The replicas whose fetching is throttled, as partition:broker, or * for all.",
    )
    .valid(Valid::ThrottledReplicas),
    int(
        "index.interval.bytes",
        "4096",
        Implemented,
        "How many bytes of the log lie between two entries of the offset index.",
    )
    .valid(Valid::AtLeast(0))
    .synonyms(&[same_unit("log.index.interval.bytes")]),
    list(
        "leader.replication.throttled.replicas",
        "",
        Implemented,
        "The replicas from which fetching is throttled, as partition:broker, or * for all.",
    )
    .valid(Valid::ThrottledReplicas),
    long(
        "local.retention.bytes",
        "-2",
        WithoutEffect,
        "With tiered storage, how many bytes stay local; -2 follows retention.bytes. Tiered storage is not \
         supported yet.",
    )
    .valid(Valid::AtLeast(-2))
    .synonyms(&[same_unit("log.local.retention.bytes")]),
    long(
        "local.retention.ms",
        "-2",
        WithoutEffect,
        "With tiered storage, how long records stay local; -2 follows retention.ms. Tiered storage is not \
         supported yet.",
    )
    .valid(Valid::AtLeast(-2))
    .synonyms(&[same_unit("log.local.retention.ms")]),
    long("max.compaction.lag.ms", LONG_MAX, Implemented, "How long a record may wait for compaction.")
        .valid(Valid::AtLeast(1))
        .synonyms(&[same_unit("log.cleaner.max.compaction.lag.ms")]),
    int("max.message.bytes", "1048588", Implemented, "The largest record batch, after compression.")
        .valid(Valid::AtLeast(0))
        .synonyms(&[same_unit("message.max.bytes")]),
    long(
        "message.timestamp.after.max.ms",
        "3600000",
        Implemented,
        "How far the timestamp of a record may lie in the future.",
    )
    .valid(Valid::AtLeast(0))
    .synonyms(&[same_unit("log.message.timestamp.after.max.ms")]),
    long(
        "message.timestamp.before.max.ms",
        LONG_MAX,
        Implemented,
        "How far the timestamp of a record may lie in the past.",
    )
    .valid(Valid::AtLeast(0))
    .synonyms(&[same_unit("log.message.timestamp.before.max.ms")]),
    string(
        "message.timestamp.type",
        "CreateTime",
        Implemented,
        "Whether a record carries the time of its creation by the producer or of its append to the log.",
    )
    .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
    .synonyms(&[same_unit("log.message.timestamp.type")]),
    double(
        "min.cleanable.dirty.ratio",
        "0.5",
        Implemented,
        "The share of the log that must be uncompacted before compaction begins.",
    )
    .valid(Valid::Ratio)
    .synonyms(&[same_unit("log.cleaner.min.cleanable.ratio")]),
    long("min.compaction.lag.ms", "0", Implemented, "How long a record stays uncompacted at least.")
        .valid(Valid::AtLeast(0))
        .synonyms(&[same_unit("log.cleaner.min.compaction.lag.ms")]),
    int(
        "min.insync.replicas",
        "",
        Implemented,
        "How many in-sync replicas acks=all requires, and consumers before they see a record. Unless set, \
         half of the replicas, rounded up (Kafka: 1); never more than there are.",
    )
    .without_default()
    .valid(Valid::AtLeast(1))
    .synonyms(&[same_unit("min.insync.replicas")]),
    boolean("preallocate", "false", WithoutEffect, "Without effect: segments are always preallocated in steps.")
        .synonyms(&[same_unit("log.preallocate")]),
    string(
        "record.validation",
        "full",
        Implemented,
        "How much of a produced batch is validated: full reads every record, header only the batch header, except in \
         compacted topics and where batches are recompressed. Not a Kafka property.",
    )
    .valid(Valid::OneOf(&["full", "header"]))
    .synonyms(&[same_unit("record.validation")]),
    boolean(
        "remote.storage.enable",
        "false",
        WithoutEffect,
        "Whether the topic uses tiered storage. Tiered storage is not supported yet.",
    )
    .valid(Valid::OnlyFalse(TIERED)),
    long(
        "retention.bytes",
        "-1",
        Implemented,
        "How many bytes a partition keeps; older segments are deleted. -1 means no limit.",
    )
    .valid(Valid::AtLeast(-1))
    .synonyms(&[same_unit("log.retention.bytes")]),
    long(
        "retention.ms",
        "604800000",
        Implemented,
        "How long records are kept; older segments are deleted. -1 means no limit.",
    )
    .valid(Valid::AtLeast(-1))
    .synonyms(&[
        same_unit("log.retention.ms"),
        in_unit("log.retention.minutes", MINUTE_MS),
        in_unit("log.retention.hours", HOUR_MS),
    ]),
    int("segment.bytes", "1073741824", Implemented, "The size at which the log starts a new segment.")
        .valid(Valid::AtLeast(1_048_576))
        .synonyms(&[same_unit("log.segment.bytes")]),
    int("segment.index.bytes", "10485760", Implemented, "The largest size of a segment's index.")
        .valid(Valid::AtLeast(4))
        .synonyms(&[same_unit("log.index.size.max.bytes")]),
    long(
        "segment.jitter.ms",
        "0",
        Implemented,
        "A random time of up to this much is taken off segment.ms, so that segments do not all roll at once.",
    )
    .valid(Valid::AtLeast(0))
    .synonyms(&[same_unit("log.roll.jitter.ms"), in_unit("log.roll.jitter.hours", HOUR_MS)]),
    long("segment.ms", "604800000", Implemented, "The age at which the log starts a new segment.")
        .valid(Valid::AtLeast(1))
        .synonyms(&[same_unit("log.roll.ms"), in_unit("log.roll.hours", HOUR_MS)]),
    boolean(
        "unclean.leader.election.enable",
        "false",
        Implemented,
        "Whether a replica that may lack acknowledged records can become leader if no other is left.",
    )
    .synonyms(&[same_unit("unclean.leader.election.enable")]),
    boolean(
        "write.caching",
        "false",
        Implemented,
        "Whether a record counts as written once it is in the page cache, as in Kafka. Faster, but a power \
         failure of all replicas loses records. Not a Kafka property.",
    )
    .synonyms(&[same_unit("write.caching")]),
];
