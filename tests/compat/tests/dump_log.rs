//! Kafka's DumpLogSegments reads the files of every replica without a complaint.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::external::{kafka_tool, kcat};
use tidelog_cluster_tests::{Cluster, Spec, scenario};

const DUMP_LOG: &str = "org.apache.kafka.tools.DumpLogSegments";
const TOPIC: &str = "dumped";
const RECORDS: usize = 3_000;
const COMPLAINTS: [&str; 6] = ["isvalid: false", "mismatch", "Mismatch", "out of order", "non-consecutive", "xception"];

/// The files of a partition that the tool knows, on every replica.
fn files(cluster: &Cluster, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for id in cluster.ids() {
        for entry in fs::read_dir(cluster.partition_dir(id, TOPIC, 0))? {
            found.push(entry?.path());
        }
    }
    found.retain(|file| file.extension().is_some_and(|e| e == extension));
    found.sort();
    Ok(found)
}

fn dump(files: &[PathBuf], args: &[&str]) -> Result<String> {
    let names: Vec<&str> = files.iter().map(|file| file.to_str().context("path")).collect::<Result<_>>()?;
    let printed = kafka_tool(DUMP_LOG, &[&["--files", &names.join(",")], args].concat(), "")?.text();
    let complaint = printed.lines().find(|line| COMPLAINTS.iter().any(|word| line.contains(word)));
    ensure!(complaint.is_none(), "{complaint:?} about {names:?}");
    Ok(printed)
}

#[test]
fn segments_and_indexes_are_kafkas() {
    // Small segments and dense indexes, so that there are several of each.
    let spec = Spec::brokers(3).set("log.segment.bytes", "1048576").set("log.index.interval.bytes", "1024");
    scenario(spec, |cluster| {
        cluster.create_topic(TOPIC, 1)?;
        let value = "x".repeat(1000);
        let bootstrap = cluster.bootstrap();
        let produce = [
            "-P",
            "-b",
            &bootstrap,
            "-t",
            TOPIC,
            "-X",
            "acks=all",
            "-X",
            "enable.idempotence=true",
            "-X",
            "linger.ms=1",
        ];
        for codec in ["none", "lz4", "gzip"] {
            let lines: String = (0..RECORDS).map(|n| format!("{codec}-{n}-{value}\n")).collect();
            kcat(&[&produce[..], &["-z", codec, "-X", "batch.num.messages=20"]].concat(), &lines)?;
        }
        cluster.wait_in_sync(TOPIC, 1, 3)?;
        cluster.terminate_all()?;

        let logs = files(cluster, "log")?;
        ensure!(logs.len() >= 3 * 4, "only {} segments: {logs:?}", logs.len());
        let printed = dump(&logs, &["--deep-iteration", "--print-data-log"])?;
        ensure!(printed.matches("payload: none-").count() == 3 * RECORDS, "not every record was printed");
        ensure!(printed.matches("payload: gzip-").count() == 3 * RECORDS, "not every record was printed");
        dump(&files(cluster, "index")?, &["--index-sanity-check"])?;
        let indexes = dump(&files(cluster, "index")?, &[])?;
        ensure!(indexes.matches("offset: ").count() > 100, "hardly anything is indexed:\n{indexes}");
        dump(&files(cluster, "timeindex")?, &[])?;
        dump(&files(cluster, "snapshot")?, &[])?;
        Ok(())
    });
}
