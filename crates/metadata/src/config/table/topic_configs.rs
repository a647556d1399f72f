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
        "What happens to old segments: delete removes them by age and size, compact keeps the last \
         value of each key, both do both, and an empty list keeps everything.",
    )
    .valid(Valid::ItemsOf(&["delete", "compact"]))
    .synonyms(&[same_unit("log.cleanup.policy")]),
    int("compression.gzip.level", "-1", Implemented, "Level for compression.type=gzip; -1 is the library's default.")
        .valid(Valid::OneOrBetween(-1, 1, 9))
        .synonyms(&[same_unit("compression.gzip.level")]),
    int("compression.lz4.level", "9", Implemented, "Level for compression.type=lz4.")
        .valid(Valid::Between(1, 17))
        .synonyms(&[same_unit("compression.lz4.level")]),
    string(
        "compression.type",
        "producer",
        Implemented,
        "How batches are stored: producer keeps them as they were sent, any other value recompresses \
         batches that arrive differently.",
    )
    .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
    .synonyms(&[same_unit("compression.type")]),
    int("compression.zstd.level", "3", Implemented, "Level for compression.type=zstd.")
        .valid(Valid::Between(-131_072, 22))
        .synonyms(&[same_unit("compression.zstd.level")]),
    long(
        "delete.retention.ms",
        "86400000",
        Implemented,
        "How long a compacted topic keeps the marker of a deleted key.",
    )
    .valid(Valid::AtLeast(0))
    .synonyms(&[same_unit("log.cleaner.delete.retention.ms")]),
    long("file.delete.delay.ms", "60000", Implemented, "How long a removed segment's files stay on disk.")
        .valid(Valid::AtLeast(0))
        .synonyms(&[same_unit("log.segment.delete.delay.ms")]),
    long(
        "flush.messages",
        LONG_MAX,
        WithoutEffect,
        "Without effect, as every acknowledged record is flushed already; see write.caching.",
    )
    .valid(Valid::AtLeast(1))
    .synonyms(&[same_unit("log.flush.interval.messages")]),
    long(
        "flush.ms",
        LONG_MAX,
        WithoutEffect,
        "Without effect, as every acknowledged record is flushed already; see write.caching.",
    )
    .valid(Valid::AtLeast(0))
    .synonyms(&[same_unit("log.flush.interval.ms")]),
    list(
        "follower.replication.throttled.replicas",
        "",
        Implemented,
        "Replicas whose fetching is throttled, as partition:broker, or * for all.",
    )
    .valid(Valid::ThrottledReplicas),
    int("index.interval.bytes", "4096", Implemented, "Bytes of log between two entries of the offset index.")
        .valid(Valid::AtLeast(0))
        .synonyms(&[same_unit("log.index.interval.bytes")]),
    list(
        "leader.replication.throttled.replicas",
        "",
        Implemented,
        "Replicas whose being fetched from is throttled, as partition:broker, or * for all.",
    )
    .valid(Valid::ThrottledReplicas),
    long(
        "local.retention.bytes",
        "-2",
        WithoutEffect,
        "With tiered storage, bytes kept locally; -2 follows retention.bytes.",
    )
    .valid(Valid::AtLeast(-2))
    .synonyms(&[same_unit("log.local.retention.bytes")]),
    long("local.retention.ms", "-2", WithoutEffect, "With tiered storage, time kept locally; -2 follows retention.ms.")
        .valid(Valid::AtLeast(-2))
        .synonyms(&[same_unit("log.local.retention.ms")]),
    long(
        "max.compaction.lag.ms",
        LONG_MAX,
        Implemented,
        "A record of a compacted topic is compacted at the latest after this time.",
    )
    .valid(Valid::AtLeast(1))
    .synonyms(&[same_unit("log.cleaner.max.compaction.lag.ms")]),
    int("max.message.bytes", "1048588", Implemented, "Largest record batch taken, after compression.")
        .valid(Valid::AtLeast(0))
        .synonyms(&[same_unit("message.max.bytes")]),
    long(
        "message.timestamp.after.max.ms",
        "3600000",
        Implemented,
        "How far a record's CreateTime may lie in the broker's future.",
    )
    .valid(Valid::AtLeast(0))
    .synonyms(&[same_unit("log.message.timestamp.after.max.ms")]),
    long(
        "message.timestamp.before.max.ms",
        LONG_MAX,
        Implemented,
        "How far a record's CreateTime may lie in the broker's past.",
    )
    .valid(Valid::AtLeast(0))
    .synonyms(&[same_unit("log.message.timestamp.before.max.ms")]),
    string(
        "message.timestamp.type",
        "CreateTime",
        Implemented,
        "Whether a record's timestamp is the producer's (CreateTime) or the time of its append \
         (LogAppendTime).",
    )
    .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
    .synonyms(&[same_unit("log.message.timestamp.type")]),
    double("min.cleanable.dirty.ratio", "0.5", Implemented, "Share of uncompacted log at which compaction begins.")
        .valid(Valid::Ratio)
        .synonyms(&[same_unit("log.cleaner.min.cleanable.ratio")]),
    long(
        "min.compaction.lag.ms",
        "0",
        Implemented,
        "A record of a compacted topic stays uncompacted at least for this time.",
    )
    .valid(Valid::AtLeast(0))
    .synonyms(&[same_unit("log.cleaner.min.compaction.lag.ms")]),
    int(
        "min.insync.replicas",
        "",
        Implemented,
        "In-sync replicas without which acks=all is refused and nothing becomes readable; unless set, \
         half of the replicas rounded up (Kafka: 1), and never more than the replicas.",
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
        "What is read of a producer's batch before it is stored: full is every record, header its header, except \
         in compacted topics and where batches are recompressed. Not a Kafka name.",
    )
    .valid(Valid::OneOf(&["full", "header"]))
    .synonyms(&[same_unit("record.validation")]),
    boolean("remote.storage.enable", "false", WithoutEffect, "Tiered storage; not available.")
        .valid(Valid::OnlyFalse(TIERED)),
    long(
        "retention.bytes",
        "-1",
        Implemented,
        "Bytes per partition above which old segments are deleted; -1 is no limit.",
    )
    .valid(Valid::AtLeast(-1))
    .synonyms(&[same_unit("log.retention.bytes")]),
    long("retention.ms", "604800000", Implemented, "Age at which segments are deleted; -1 is no limit.")
        .valid(Valid::AtLeast(-1))
        .synonyms(&[
            same_unit("log.retention.ms"),
            in_unit("log.retention.minutes", MINUTE_MS),
            in_unit("log.retention.hours", HOUR_MS),
        ]),
    int("segment.bytes", "1073741824", Implemented, "Size at which a new segment begins.")
        .valid(Valid::AtLeast(1_048_576))
        .synonyms(&[same_unit("log.segment.bytes")]),
    int("segment.index.bytes", "10485760", Implemented, "Largest size of a segment's index.")
        .valid(Valid::AtLeast(4))
        .synonyms(&[same_unit("log.index.size.max.bytes")]),
    long(
        "segment.jitter.ms",
        "0",
        Implemented,
        "Random time taken off segment.ms, so that segments do not all roll at once.",
    )
    .valid(Valid::AtLeast(0))
    .synonyms(&[same_unit("log.roll.jitter.ms"), in_unit("log.roll.jitter.hours", HOUR_MS)]),
    long("segment.ms", "604800000", Implemented, "Age at which a new segment begins.")
        .valid(Valid::AtLeast(1))
        .synonyms(&[same_unit("log.roll.ms"), in_unit("log.roll.hours", HOUR_MS)]),
    boolean(
        "unclean.leader.election.enable",
        "false",
        Implemented,
        "Whether a replica that may lack acknowledged records may lead when no other is left.",
    )
    .synonyms(&[same_unit("unclean.leader.election.enable")]),
    boolean(
        "write.caching",
        "false",
        Implemented,
        "With true a record in the page cache counts as written, as in Kafka: faster, and lost where \
         the power fails on all replicas.",
    )
    .synonyms(&[same_unit("write.caching")]),
];
