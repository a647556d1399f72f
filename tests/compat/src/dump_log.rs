//! Kafka's DumpLogSegments on the files of all replicas.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::Cluster;
use tidelog_cluster_tests::external::kafka_tool;

const DUMP_LOG: &str = "org.apache.kafka.tools.DumpLogSegments";
const COMPLAINTS: [&str; 5] = ["isvalid: false", "mismatch", "Mismatch", "out of order", "xception"];
/// What it says of offsets that are missing, rightly so where a log is compacted.
pub const GAPS: &str = "non-consecutive";

/// The files of a topic's first partition with this extension, on every replica.
pub fn files(cluster: &Cluster, topic: &str, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for id in cluster.ids() {
        for entry in fs::read_dir(cluster.partition_dir(id, topic, 0))? {
            found.push(entry?.path());
        }
    }
    found.retain(|file| file.extension().is_some_and(|e| e == extension));
    found.sort();
    Ok(found)
}

/// What the tool prints about files; it must complain neither as it always may nor with one of `complaints`.
pub fn dump(files: &[PathBuf], args: &[&str], complaints: &[&str]) -> Result<String> {
    let names: Vec<&str> = files.iter().map(|file| file.to_str().context("path")).collect::<Result<_>>()?;
    let printed = kafka_tool(DUMP_LOG, &[&["--files", &names.join(",")], args].concat(), "")?.text();
    let is_complaint = |line: &&str| COMPLAINTS.iter().chain(complaints).any(|word| line.contains(word));
    let complaint = printed.lines().find(is_complaint);
    ensure!(complaint.is_none(), "{complaint:?} about {names:?}");
    Ok(printed)
}
