//! `replication-offset-checkpoint`: high watermarks in Kafka's own text form, written now and then. The topic's id is ours:
//! a name alone would give the high watermark of a deleted topic to the one that was made anew just before a crash.
//!
//! A high watermark that is too low costs a little time after a restart and never correctness, so this file is not
//! synced and a damaged one is ignored.
//!
//! ```text
//! 0                          version
//! 2                          entries
//! topic partition offset id  one line each
//! ```

use std::collections::HashMap;
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
        text.push_str(&format_line(&id.log_id(), partition.high_watermark()));
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

/// What the last run wrote.
pub(crate) fn read(shard: &Shard) -> HashMap<LogId, Offset> {
    parse(&fs::read_to_string(path(shard)).unwrap_or_default())
}

fn path(shard: &Shard) -> PathBuf {
    shard.log_dir.path().join(FILE_NAME)
}

fn format_line(id: &LogId, high_watermark: Offset) -> String {
    format!("{} {} {high_watermark} {}\n", id.topic, id.partition, id.topic_id)
}

fn parse(text: &str) -> HashMap<LogId, Offset> {
    let mut lines = text.lines();
    if lines.next() != Some(VERSION) {
        return HashMap::new();
    }
    lines.skip(1).filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<(LogId, Offset)> {
    let mut words = line.split_ascii_whitespace();
    let topic = Str::from(words.next()?.to_owned());
    let partition = PartitionIndex(words.next()?.parse().ok()?);
    let offset = Offset(words.next()?.parse().ok()?);
    let topic_id = words.next()?.parse().ok()?;
    words.next().is_none().then_some((LogId { topic, partition, topic_id }, offset))
}

#[cfg(test)]
mod tests {
    use tidelog_wire::Uuid;

    use super::*;

    fn id(topic_id: u128) -> LogId {
        LogId { topic: Str::from("a"), partition: PartitionIndex(0), topic_id: Uuid::from_u128(topic_id) }
    }

    #[test]
    fn a_topic_made_anew_does_not_take_its_predecessors_high_watermark() {
        let text = format!("0\n1\n{}", format_line(&id(7), Offset(1000)));
        let read = parse(&text);
        assert_eq!((read.get(&id(7)), read.get(&id(8))), (Some(&Offset(1000)), None));
    }

    #[test]
    fn damaged_lines_are_left_out() {
        let line = format_line(&id(7), Offset(17));
        let text = format!("0\n5\na x 1 {0}\n{line}a 2\na 0 3\na 0 3 {0} 5\n", Uuid::ZERO);
        assert_eq!(parse(&text), HashMap::from([(id(7), Offset(17))]));
        assert!(parse(&format!("1\n1\n{line}")).is_empty());
    }
}
