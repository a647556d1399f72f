//! A compacted topic as unmodified clients see it, and its files as Kafka's tool sees them.
//!
//! Whole batches are gone, others are left empty because they are their producer's last, and deleted keys have left a
//! record without a value: wherever a consumer starts, it gets to the end.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::external::{CONFLUENT_KAFKA, kafka_tool, kcat};
use tidelog_cluster_tests::segments::segment_files;
use tidelog_cluster_tests::{Cluster, Spec, scenario, wait};
use tidelog_compat_tests::dump_log::{dump, files};
use tidelog_compat_tests::{KAFKA_PYTHONS, run_script};

const TOPIC: &str = "latest";
const KEYS: usize = 200;
const DELETED_KEYS: usize = 10;
const ROUNDS: usize = 3;
const RECORDS_PER_ROUND: usize = 3000;
/// A little more than a segment takes.
const RECORDS_OF_A_SEGMENT: usize = 1100;
const VALUE_BYTES: usize = 1000;
const CONSOLE_CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";

type LastValues = BTreeMap<String, Option<String>>;

/// Each round is an idempotent producer of its own. The last of them begins by deleting some keys, and leaves them alone.
fn write(cluster: &Cluster) -> Result<LastValues> {
    let mut last = LastValues::new();
    for round in 0..ROUNDS {
        let deleted = if round == ROUNDS - 1 { DELETED_KEYS } else { 0 };
        write_round(cluster, round, 0..deleted, deleted..KEYS, RECORDS_PER_ROUND, &mut last)?;
    }
    // One more segment has the cleaner merge what its rounds have left, however many they were. A segment with emptied
    // batches alone makes an answer that the oldest client here cannot take, from Kafka neither.
    wait_compacted(cluster)?;
    write_round(cluster, ROUNDS, 0..0, DELETED_KEYS..KEYS, RECORDS_OF_A_SEGMENT, &mut last)?;
    Ok(last)
}

fn write_round(
    cluster: &Cluster,
    round: usize,
    deleted: Range<usize>,
    keys: Range<usize>,
    records: usize,
    last: &mut LastValues,
) -> Result<()> {
    let mut lines = String::new();
    for n in deleted {
        lines += &format!("key-{n}=\n");
        last.insert(format!("key-{n}"), None);
    }
    for n in 0..records {
        let key = format!("key-{}", keys.start + n * 7919 % keys.len());
        lines += &format!("{key}={:.<VALUE_BYTES$}\n", format!("{round}-{n}"));
        last.insert(key, Some(format!("{round}-{n}")));
    }
    let to = ["-P", "-b", &cluster.bootstrap(), "-t", TOPIC, "-K", "=", "-Z"];
    let how = ["acks=all", "enable.idempotence=true", "batch.num.messages=20", "linger.ms=1"];
    let how: Vec<&str> = how.iter().flat_map(|setting| ["-X", *setting]).collect();
    kcat(&[&to[..], &how].concat(), &lines).map(drop)
}

/// Waits until every replica has compacted all but the segment that is written to, and so changes nothing any more.
fn wait_compacted(cluster: &Cluster) -> Result<()> {
    for id in cluster.ids() {
        let what = format!("node {id} has compacted its log");
        wait::for_condition(&what, cluster.target().recovery_limit(), || {
            let segments = segment_files(&cluster.partition_dir(id, TOPIC, 0))?;
            let active = segments.last().and_then(|file| file.file_stem()).context("segments")?;
            let active: i64 = active.to_string_lossy().parse()?;
            let checkpoint = fs::read_to_string(cluster.data_dir(id).join("cleaner-offset-checkpoint"))?;
            // A fourth word is the topic's id.
            Ok(active > 0 && checkpoint.lines().any(|line| line.starts_with(&format!("{TOPIC} 0 {active} "))))
        })?;
    }
    Ok(())
}

fn check_last_values(printed: &str, expected: &LastValues) -> Result<()> {
    let mut seen = LastValues::new();
    for line in printed.lines() {
        let (_, key, value): (i64, String, Option<String>) = serde_json::from_str(line)?;
        seen.insert(key, value);
    }
    let wrong = expected.iter().find(|(key, value)| seen.get(*key) != Some(value));
    ensure!(wrong.is_none(), "the last value is {wrong:?}, and {:?} was read", wrong.map(|(key, _)| seen.get(key)));
    Ok(())
}

/// The Java client, from an offset that compaction took to the last record, which the reader before it has added.
fn java_reads_from_a_gap(cluster: &Cluster, read_before: &str) -> Result<()> {
    let offsets = read_before.lines().map(|line| Ok(serde_json::from_str::<(i64, String, Option<String>)>(line)?.0));
    let offsets: Vec<i64> = offsets.collect::<Result<_>>()?;
    let gap = offsets.windows(2).find(|pair| pair[1] - pair[0] > 1).context("a gap")?[0] + 1;
    let last = offsets.last().context("records")? + 1;
    let expected = offsets.iter().filter(|offset| **offset > gap).count() + 1;

    let (bootstrap, gap, count) = (cluster.bootstrap(), gap.to_string(), expected.to_string());
    let at = ["--bootstrap-server", &bootstrap, "--topic", TOPIC, "--partition", "0", "--offset", &gap];
    let how = ["--max-messages", &count, "--timeout-ms", "30000", "--formatter-property", "print.offset=true"];
    let printed = kafka_tool(CONSOLE_CONSUMER, &[&at[..], &how].concat(), "")?.stdout;
    let is_last = printed.lines().last().is_some_and(|line| line.starts_with(&format!("Offset:{last}\t")));
    ensure!(printed.lines().count() == expected && is_last, "from {gap} on, expected {expected} records up to {last}");
    Ok(())
}

fn dump_log_complains_of_nothing(cluster: &Cluster) -> Result<()> {
    let printed = dump(&files(cluster, TOPIC, "log")?, &["--deep-iteration"], &[])?;
    ensure!(printed.contains("count: 0 "), "no batch was left empty");
    dump(&files(cluster, TOPIC, "index")?, &["--index-sanity-check"], &[])?;
    let indexes = dump(&files(cluster, TOPIC, "index")?, &[], &[])?;
    ensure!(indexes.matches("offset: ").count() > 100, "hardly anything is indexed:\n{indexes}");
    dump(&files(cluster, TOPIC, "timeindex")?, &[], &[])?;
    dump(&files(cluster, TOPIC, "snapshot")?, &[], &[]).map(drop)
}

#[test]
fn clients_start_anywhere_and_see_every_last_value() {
    let spec = Spec::brokers(3)
        .set("log.cleanup.policy", "compact")
        .set("log.segment.bytes", "1048576")
        .set("log.index.interval.bytes", "1024")
        .set("log.cleaner.min.cleanable.ratio", "0.01")
        .set("log.cleaner.backoff.ms", "100");
    scenario(spec, |cluster| {
        cluster.create_topic(TOPIC, 1)?;
        let last = write(cluster)?;
        wait_compacted(cluster)?;
        let mut read = String::new();
        let kafka_pythons = KAFKA_PYTHONS.map(|version| format!("kafka-python=={version}"));
        for requirement in kafka_pythons.iter().map(String::as_str).chain([CONFLUENT_KAFKA]) {
            read = run_script(requirement, "python/compacted_reader.py", &[&cluster.bootstrap(), TOPIC])?.stdout;
            check_last_values(&read, &last).with_context(|| requirement.to_owned())?;
        }
        java_reads_from_a_gap(cluster, &read)?;
        cluster.terminate_all()?;
        dump_log_complains_of_nothing(cluster)
    });
}
