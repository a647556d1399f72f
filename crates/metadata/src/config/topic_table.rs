//! Topic configs. Where a default differs from Kafka's the sentence says so.

use super::definition::ConfigType::{Boolean, Double, Int, List, Long, String};
use super::definition::{ConfigDefinition, Synonym};
use super::value::Valid;

const MAX: &str = "9223372036854775807";
const TIERED: &str = "tiered storage is not available in this cluster";

const fn same_unit(name: &'static str) -> Synonym {
    Synonym { name, factor: 1 }
}

const fn in_minutes(name: &'static str) -> Synonym {
    Synonym { name, factor: 60_000 }
}

const fn in_hours(name: &'static str) -> Synonym {
    Synonym { name, factor: 3_600_000 }
}

/// Every topic config, by name.
pub const TOPIC_CONFIGS: &[ConfigDefinition] = &[
    ConfigDefinition::new("cleanup.policy", List, "delete",
        "What happens to old segments: delete removes them by age and size, compact keeps the last value of each key, both do both, and an empty list keeps everything.")
        .valid(Valid::ItemsOf(&["delete", "compact"])).synonyms(&[same_unit("log.cleanup.policy")]),
    ConfigDefinition::new("compression.gzip.level", Int, "-1",
        "Level for compression.type=gzip; -1 is the library's default.")
        .valid(Valid::OneOrBetween(-1, 1, 9)).synonyms(&[same_unit("compression.gzip.level")]),
    ConfigDefinition::new("compression.lz4.level", Int, "9",
        "Level for compression.type=lz4.")
        .valid(Valid::Between(1, 17)).synonyms(&[same_unit("compression.lz4.level")]),
    ConfigDefinition::new("compression.type", String, "producer",
        "How batches are stored: producer keeps them as they were sent, any other value recompresses batches that arrive differently.")
        .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])).synonyms(&[same_unit("compression.type")]),
    ConfigDefinition::new("compression.zstd.level", Int, "3",
        "Level for compression.type=zstd.")
        .valid(Valid::Between(-131_072, 22)).synonyms(&[same_unit("compression.zstd.level")]),
    ConfigDefinition::new("delete.retention.ms", Long, "86400000",
        "How long a compacted topic keeps the marker of a deleted key.")
        .valid(Valid::AtLeast(0)).synonyms(&[same_unit("log.cleaner.delete.retention.ms")]),
    ConfigDefinition::new("file.delete.delay.ms", Long, "60000",
        "How long a removed segment's files stay on disk.")
        .valid(Valid::AtLeast(0)).synonyms(&[same_unit("log.segment.delete.delay.ms")]),
    ConfigDefinition::new("flush.messages", Long, MAX,
        "Without effect, as every acknowledged record is flushed already; see write.caching.")
        .valid(Valid::AtLeast(1)).synonyms(&[same_unit("log.flush.interval.messages")]).without_effect(),
    ConfigDefinition::new("flush.ms", Long, MAX,
        "Without effect, as every acknowledged record is flushed already; see write.caching.")
        .valid(Valid::AtLeast(0)).synonyms(&[same_unit("log.flush.interval.ms")]).without_effect(),
    ConfigDefinition::new("follower.replication.throttled.replicas", List, "",
        "Replicas whose fetching is throttled, as partition:broker, or * for all.")
        .valid(Valid::ThrottledReplicas),
    ConfigDefinition::new("index.interval.bytes", Int, "4096",
        "Bytes of log between two entries of the offset index.")
        .valid(Valid::AtLeast(0)).synonyms(&[same_unit("log.index.interval.bytes")]),
    ConfigDefinition::new("leader.replication.throttled.replicas", List, "",
        "Replicas whose being fetched from is throttled, as partition:broker, or * for all.")
        .valid(Valid::ThrottledReplicas),
    ConfigDefinition::new("local.retention.bytes", Long, "-2",
        "With tiered storage, bytes kept locally; -2 follows retention.bytes.")
        .valid(Valid::AtLeast(-2)).synonyms(&[same_unit("log.local.retention.bytes")]).without_effect(),
    ConfigDefinition::new("local.retention.ms", Long, "-2",
        "With tiered storage, time kept locally; -2 follows retention.ms.")
        .valid(Valid::AtLeast(-2)).synonyms(&[same_unit("log.local.retention.ms")]).without_effect(),
    ConfigDefinition::new("max.compaction.lag.ms", Long, MAX,
        "A record of a compacted topic is compacted at the latest after this time.")
        .valid(Valid::AtLeast(1)).synonyms(&[same_unit("log.cleaner.max.compaction.lag.ms")]),
    ConfigDefinition::new("max.message.bytes", Int, "1048588",
        "Largest record batch taken, after compression.")
        .valid(Valid::AtLeast(0)).synonyms(&[same_unit("message.max.bytes")]),
    ConfigDefinition::new("message.timestamp.after.max.ms", Long, "3600000",
        "How far a record's CreateTime may lie in the broker's future.")
        .valid(Valid::AtLeast(0)).synonyms(&[same_unit("log.message.timestamp.after.max.ms")]),
    ConfigDefinition::new("message.timestamp.before.max.ms", Long, MAX,
        "How far a record's CreateTime may lie in the broker's past.")
        .valid(Valid::AtLeast(0)).synonyms(&[same_unit("log.message.timestamp.before.max.ms")]),
    ConfigDefinition::new("message.timestamp.type", String, "CreateTime",
        "Whether a record's timestamp is the producer's (CreateTime) or the time of its append (LogAppendTime).")
        .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"])).synonyms(&[same_unit("log.message.timestamp.type")]),
    ConfigDefinition::new("min.cleanable.dirty.ratio", Double, "0.5",
        "Share of uncompacted log at which compaction begins.")
        .valid(Valid::Ratio).synonyms(&[same_unit("log.cleaner.min.cleanable.ratio")]),
    ConfigDefinition::new("min.compaction.lag.ms", Long, "0",
        "A record of a compacted topic stays uncompacted at least for this time.")
        .valid(Valid::AtLeast(0)).synonyms(&[same_unit("log.cleaner.min.compaction.lag.ms")]),
    ConfigDefinition::new("min.insync.replicas", Int, "",
        "In-sync replicas without which acks=all is refused and nothing becomes readable; unless set, half of the replicas rounded up (Kafka: 1), and never more than the replicas.")
        .without_default().valid(Valid::AtLeast(1)).synonyms(&[same_unit("min.insync.replicas")]),
    ConfigDefinition::new("preallocate", Boolean, "false",
        "Without effect: segments are always preallocated in steps.")
        .synonyms(&[same_unit("log.preallocate")]).without_effect(),
    ConfigDefinition::new("remote.storage.enable", Boolean, "false",
        "Tiered storage; not available.")
        .valid(Valid::OnlyFalse(TIERED)),
    ConfigDefinition::new("retention.bytes", Long, "-1",
        "Bytes per partition above which old segments are deleted; -1 is no limit.")
        .valid(Valid::AtLeast(-1)).synonyms(&[same_unit("log.retention.bytes")]),
    ConfigDefinition::new("retention.ms", Long, "604800000",
        "Age at which segments are deleted; -1 is no limit.")
        .valid(Valid::AtLeast(-1))
        .synonyms(&[same_unit("log.retention.ms"), in_minutes("log.retention.minutes"), in_hours("log.retention.hours")]),
    ConfigDefinition::new("segment.bytes", Int, "1073741824",
        "Size at which a new segment begins.")
        .valid(Valid::AtLeast(1_048_576)).synonyms(&[same_unit("log.segment.bytes")]),
    ConfigDefinition::new("segment.index.bytes", Int, "10485760",
        "Largest size of a segment's index.")
        .valid(Valid::AtLeast(4)).synonyms(&[same_unit("log.index.size.max.bytes")]),
    ConfigDefinition::new("segment.jitter.ms", Long, "0",
        "Random time taken off segment.ms, so that segments do not all roll at once.")
        .valid(Valid::AtLeast(0)).synonyms(&[same_unit("log.roll.jitter.ms"), in_hours("log.roll.jitter.hours")]),
    ConfigDefinition::new("segment.ms", Long, "604800000",
        "Age at which a new segment begins.")
        .valid(Valid::AtLeast(1)).synonyms(&[same_unit("log.roll.ms"), in_hours("log.roll.hours")]),
    ConfigDefinition::new("unclean.leader.election.enable", Boolean, "false",
        "Whether a replica that may lack acknowledged records may lead when no other is left.")
        .synonyms(&[same_unit("unclean.leader.election.enable")]),
    ConfigDefinition::new("write.caching", Boolean, "false",
        "With true a record in the page cache counts as written, as in Kafka: faster, and lost where the power fails on all replicas.")
        .synonyms(&[same_unit("write.caching")]),
];
