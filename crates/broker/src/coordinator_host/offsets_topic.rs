//! The topic that holds groups and their committed offsets, and which of its partitions a group belongs to.

use tidelog_metadata::Image;
use tidelog_wire::Str;
use tidelog_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use tidelog_wire::types::PartitionIndex;

use crate::options::GroupOptions;

pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Where the group lives; `None` while the topic does not exist.
pub(crate) fn partition_of(image: &Image, group: &str) -> Option<PartitionIndex> {
    let partition_count = image.topic(OFFSETS_TOPIC)?.partition_count();
    Some(PartitionIndex((spread(group) as usize % partition_count.max(1)) as i32))
}

/// Kafka's choice: the absolute value of Java's hash of the text, where the one number that has none counts as 0.
fn spread(group: &str) -> u32 {
    let hash = group.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    hash.checked_abs().unwrap_or(0) as u32
}

/// The topic as it is created when the first group asks for its coordinator.
pub(crate) fn creatable(options: &GroupOptions) -> CreatableTopic {
    let config =
        |name, value: String| CreatableTopicConfig { name: Str::from_static(name), value: Some(Str::from(value)) };
    CreatableTopic {
        name: Str::from_static(OFFSETS_TOPIC),
        num_partitions: options.offsets_topic_partitions,
        replication_factor: options.offsets_topic_replication_factor,
        configs: vec![
            config("cleanup.policy", "compact".to_owned()),
            config("compression.type", "producer".to_owned()),
            config("segment.bytes", options.offsets_topic_segment_bytes.to_string()),
        ],
        ..CreatableTopic::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_where_kafka_has_it() {
        // What String.hashCode says in Java, made positive.
        let table =
            [("", 0), ("g", 103), ("group-1", 293_427_299), ("polygenelubricants", 0), ("ünïcode-😀", 1_630_115_430)];
        for (group, expected) in table {
            assert_eq!(spread(group), expected, "{group}");
        }
    }
}
