//! `replication-offset-checkpoint`: high watermarks in Kafka's own text form, written now and then.
//!
//! A high watermark that is too low costs a little time after a restart and never correctness, so this file is not
//! synced and a damaged one is ignored.
//!
//! ```text
//! 0                          version
//! 2                          entries
//! topic partition offset     one line each
//! ```

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tidelog_commitlog::LogId;
use tidelog_wire::Str;
use tidelog_wire::types::{Offset, PartitionIndex};
use tokio::time::sleep;
use tracing::warn;

use crate::shard::Shard;

const FILE_NAME: &str = "replication-offset-checkpoint";
const INTERVAL: Duration = Duration::from_secs(5);
const VERSION: &str = "0";

/// Writes the file whenever a high watermark has moved, until the shard ends.
pub(crate) async fn keep(shard: Rc<Shard>) {
    loop {
        sleep(INTERVAL).await;
        if shard.turn.take_high_watermarks_moved() {
            write(&shard).await;
        }
    }
}

pub(crate) async fn write(shard: &Shard) {
    let partitions = shard.partitions.all();
    let mut text = format!("{VERSION}\n{}\n", partitions.len());
    for partition in partitions {
        let id = &partition.id;
        let _ = writeln!(text, "{} {} {}", id.topic, id.index, partition.high_watermark());
    }
    let path = path(shard);
    let written = shard.disk.run(move || {
        let temporary = path.with_extension("tmp");
        fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, &path))
    });
    if let Ok(Err(error)) = written.await
        && let Some(suppressed) = shard.storage_log.permit()
    {
        warn!(%error, suppressed, "cannot write {FILE_NAME}");
    }
}

/// What the last run wrote, for topics that the local image knows.
pub(crate) fn read(shard: &Shard) -> HashMap<LogId, Offset> {
    let text = fs::read_to_string(path(shard)).unwrap_or_default();
    let image = shard.image();
    let entry = |(topic, index, offset): (Str, PartitionIndex, Offset)| {
        let topic_id = image.topic_id(&topic)?;
        Some((LogId { topic, partition: index, topic_id }, offset))
    };
    parse(&text).into_iter().filter_map(entry).collect()
}

fn path(shard: &Shard) -> PathBuf {
    shard.log_dir.path().join(FILE_NAME)
}

fn parse(text: &str) -> Vec<(Str, PartitionIndex, Offset)> {
    let mut lines = text.lines();
    if lines.next() != Some(VERSION) {
        return Vec::new();
    }
    lines.skip(1).filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<(Str, PartitionIndex, Offset)> {
    let mut words = line.split_ascii_whitespace();
    let topic = Str::from(words.next()?.to_owned());
    let index = PartitionIndex(words.next()?.parse().ok()?);
    let offset = Offset(words.next()?.parse().ok()?);
    words.next().is_none().then_some((topic, index, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_lines_are_left_out() {
        let entries = parse("0\n3\na 0 17\nb x 1\nc 2\nd 1 -3\n");
        let offsets: Vec<_> = entries.iter().map(|(topic, _, offset)| (topic.as_str(), offset.get())).collect();
        assert_eq!(offsets, [("a", 17), ("d", -3)]);
        assert!(parse("1\n1\na 0 17\n").is_empty());
    }
}
