//! File and directory names, Kafka's but for [`MARKS`].

use tidelog_wire::types::{Offset, PartitionIndex};

pub(crate) const LOG: &str = "log";
pub(crate) const INDEX: &str = "index";
pub(crate) const TIME_INDEX: &str = "timeindex";
pub(crate) const SNAPSHOT: &str = "snapshot";
/// Suffix of a deleted segment's files until `file.delete.delay.ms` is over.
pub(crate) const DELETED: &str = ".deleted";
pub(crate) const DELETED_LOG: &str = "log.deleted";
/// Suffix of a segment's files while compaction writes them.
pub(crate) const CLEANED: &str = ".cleaned";
/// Suffix of a compacted segment that is complete and about to take its place.
pub(crate) const SWAP: &str = ".swap";
pub(crate) const SWAP_LOG: &str = "log.swap";
/// Suffix of a deleted log's directory.
pub(crate) const DELETE_DIR: &str = "-delete";
/// Suffix of a file that is written before it takes its name.
pub(crate) const TEMPORARY: &str = ".tmp";

pub(crate) const EPOCHS: &str = "leader-epoch-checkpoint";
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";
pub(crate) const CLEANER_CHECKPOINT: &str = "cleaner-offset-checkpoint";
pub(crate) const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
/// Tidelog's own: durable marks and log starts of all logs of a directory.
pub(crate) const MARKS: &str = "tidelog-marks";

/// `00000000000000000042.log`
pub(crate) fn segment_file(base_offset: Offset, extension: &str) -> String {
    format!("{base_offset:020}.{extension}")
}

/// The offset and the extension of a segment's file; what is marked deleted has the extension `log.deleted`.
pub(crate) fn parse_segment_file(name: &str) -> Option<(Offset, &str)> {
    let (offset, extension) = name.split_once('.')?;
    if offset.len() != 20 || !offset.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((Offset(offset.parse().ok()?), extension))
}

/// Whether a file was being written when its writer ended.
pub(crate) fn is_unfinished(name: &str) -> bool {
    name.ends_with(TEMPORARY) || name.ends_with(CLEANED)
}

/// `topic-3`
pub(crate) fn log_dir(topic: &str, partition: PartitionIndex) -> String {
    format!("{topic}-{partition}")
}

/// Topic and partition of a log's directory, of a deleted one too (`topic-3.9-delete`).
pub(crate) fn parse_log_dir(name: &str) -> Option<(&str, PartitionIndex)> {
    let name = match name.strip_suffix(DELETE_DIR) {
        Some(deleted) => deleted.rsplit_once('.')?.0,
        None => name,
    };
    let (topic, partition) = name.rsplit_once('-')?;
    let partition: i32 = partition.parse().ok()?;
    (!topic.is_empty() && partition >= 0).then_some((topic, PartitionIndex(partition)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip() {
        assert_eq!(segment_file(Offset(42), LOG), "00000000000000000042.log");
        assert_eq!(parse_segment_file("00000000000000000042.log"), Some((Offset(42), "log")));
        assert_eq!(parse_segment_file("00000000000000000042.log.deleted"), Some((Offset(42), "log.deleted")));
        assert_eq!(parse_segment_file("42.log"), None);
        assert_eq!(parse_log_dir("my-topic-7"), Some(("my-topic", PartitionIndex(7))));
        assert_eq!(parse_log_dir("my.topic-7.3-delete"), Some(("my.topic", PartitionIndex(7))));
        assert_eq!(parse_log_dir("lost+found"), None);
        assert_eq!(parse_log_dir("-7"), None);
    }
}
