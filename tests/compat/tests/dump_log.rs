//! Kafka's DumpLogSegments reads the files of every replica without a complaint.

use anyhow::ensure;
use tidelog_cluster_tests::external::kcat;
use tidelog_cluster_tests::{Spec, scenario};
use tidelog_compat_tests::dump_log::{GAPS, dump, files};

const TOPIC: &str = "dumped";
const RECORDS: usize = 3_000;

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

        let logs = files(cluster, TOPIC, "log")?;
        ensure!(logs.len() >= 3 * 4, "only {} segments: {logs:?}", logs.len());
        let printed = dump(&logs, &["--deep-iteration", "--print-data-log"], &[GAPS])?;
        ensure!(printed.matches("payload: none-").count() == 3 * RECORDS, "not every record was printed");
        ensure!(printed.matches("payload: gzip-").count() == 3 * RECORDS, "not every record was printed");
        dump(&files(cluster, TOPIC, "index")?, &["--index-sanity-check"], &[])?;
        let indexes = dump(&files(cluster, TOPIC, "index")?, &[], &[])?;
        ensure!(indexes.matches("offset: ").count() > 100, "hardly anything is indexed:\n{indexes}");
        dump(&files(cluster, TOPIC, "timeindex")?, &[], &[])?;
        dump(&files(cluster, TOPIC, "snapshot")?, &[], &[])?;
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
        let printed = dump(&logs, &["--offsets-decoder"], &[GAPS])?;
        let of_group = format!(r#""group":"{GROUP}""#);
        for what in [r#""type":"1""#, r#""type":"2""#, r#""offset":3"#] {
            let times = printed.lines().filter(|line| line.contains(&of_group) && line.contains(what)).count();
            ensure!(times >= 3, "{what} of the group is printed {times} times:\n{printed}");
        }
        Ok(())
    });
}
