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

#[test]
fn committed_offsets_are_in_kafkas_format() {
    const OFFSETS_TOPIC: &str = "__consumer_offsets";
    const GROUP: &str = "dumpers";
    let spec = Spec::brokers(3).set("offsets.topic.num.partitions", "1").set("group.initial.rebalance.delay.ms", "0");
    scenario(spec, |cluster| {
        cluster.create_topic(TOPIC, 1)?;
        let bootstrap = cluster.bootstrap();
        kcat(&["-P", "-b", &bootstrap, "-t", TOPIC], "a\nb\nc\n")?;
        let read =
            kcat(&["-b", &bootstrap, "-G", GROUP, "-X", "auto.offset.reset=earliest", "-c", "3", "-q", TOPIC], "")?;
        ensure!(read.stdout.lines().count() == 3, "the group read {:?}", read.stdout);
        let committed = cluster.committed_offsets(GROUP, TOPIC, 1)?;
        ensure!(committed == [3], "committed {committed:?}");
        cluster.wait_in_sync(OFFSETS_TOPIC, 1, 3)?;
        cluster.terminate_all()?;

        let mut logs = Vec::new();
        for id in cluster.ids() {
            logs.push(cluster.partition_dir(id, OFFSETS_TOPIC, 0).join("00000000000000000000.log"));
        }
        let printed = dump(&logs, &["--offsets-decoder"])?;
        let of_group = format!(r#""group":"{GROUP}""#);
        for what in [r#""type":"1""#, r#""type":"2""#, r#""offset":3"#] {
            let times = printed.lines().filter(|line| line.contains(&of_group) && line.contains(what)).count();
            ensure!(times >= 3, "{what} of the group is printed {times} times:\n{printed}");
        }
        Ok(())
    });
}
