//! A reader that follows a topic from its beginning through every fault.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::cluster::Cluster;
use crate::external;
use crate::history::Placed;
use crate::wait;
use crate::writer::{StopsBy, Writer, site};

const READER_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/reader.py");

/// librdkafka without a group, which tells what it reads as a writer tells what was acknowledged.
pub struct Reader(Writer);

impl Reader {
    pub fn start(cluster: &Cluster, topic: &str, partitions: i32) -> Result<Reader> {
        let mut python = Command::new(external::python(external::CONFLUENT_KAFKA)?);
        python.args([READER_SCRIPT, topic, &partitions.to_string()]);
        let bootstrap = cluster.bootstrap();
        python.arg(format!("bootstrap.servers={bootstrap}"));
        Ok(Reader(Writer::process(site(cluster, &bootstrap), python, "reader", StopsBy::EndOfInput)?))
    }

    /// Waits until it has read what `read_all` found, and checks that it was shown just that: each record once, in order,
    /// and none that is another now (P7).
    pub fn check(self, cluster: &Cluster, read_all: &[Placed]) -> Result<()> {
        let limit = cluster.target().recovery_limit();
        wait::for_condition("the reader is at the end", limit, || Ok(self.0.acked() >= read_all.len()))?;
        let mut expected: BTreeMap<i32, Vec<&Placed>> = BTreeMap::new();
        for record in read_all {
            expected.entry(record.partition).or_default().push(record);
        }
        let mut next: BTreeMap<i32, usize> = BTreeMap::new();
        for told in self.0.stop()?.acked {
            let next = next.entry(told.record.partition).or_default();
            let stored = expected.get(&told.record.partition).and_then(|records| records.get(*next));
            ensure!(stored == Some(&&told.record), "the reader was shown {:?} where {stored:?} is stored", told.record);
            *next += 1;
        }
        Ok(())
    }
}
