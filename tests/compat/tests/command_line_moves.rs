//! `tidelog topic reassign` and `tidelog broker` while replicas really move.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tidelog_cluster_tests::process::Process;
use tidelog_cluster_tests::scenario::report;
use tidelog_cluster_tests::segments::{batches, wait_identical};
use tidelog_cluster_tests::writer::{Load, read_all};
use tidelog_cluster_tests::{Cluster, Spec, Writer, scenario, wait};
use tidelog_compat_tests::command::{json, refused, tidelog, tidelog_command};

const SETTLE_LIMIT: Duration = Duration::from_secs(60);
const TOPIC: &str = "moved";
const PARTITIONS: i32 = 4;

const LINE_BYTES: usize = 10_000;
/// Acknowledgements before and after something happens.
const SOME: usize = 400;

/// A topic on three brokers, with so many lines of 10 kB in each partition.
fn filled(cluster: &Cluster, lines: usize) -> Result<()> {
    cluster.create_topic(TOPIC, PARTITIONS)?;
    (0..PARTITIONS).try_for_each(|partition| fill(cluster, partition, lines))
}

/// No two lines are the same.
fn fill(cluster: &Cluster, partition: i32, lines: usize) -> Result<()> {
    let text: String = (0..lines).map(|n| format!("{:x<LINE_BYTES$}\n", format!("{partition}-{n}-"))).collect();
    tidelog(cluster, &format!("produce {TOPIC} --partition {partition}"), &text, 0).map(drop)
}

/// Ends the load: nobody was refused, and everything is where it was acknowledged, on every replica.
fn check_load(cluster: &Cluster, writer: Writer) -> Result<()> {
    let history = writer.stop()?;
    report(&format!("longest gap of a partition {} ms", history.longest_gap_ms()));
    history.check_no_failure()?;
    history.check(&read_all(cluster, TOPIC)?)?;
    wait_identical(cluster, TOPIC)
}

fn replicas(cluster: &Cluster) -> Result<Vec<Vec<i32>>> {
    Ok(cluster.partitions(TOPIC)?.into_iter().map(|partition| partition.replicas).collect())
}

/// Keeps a plan in a file, and names it.
fn plan(cluster: &Cluster, to_brokers: &str) -> Result<String> {
    let plan = tidelog(cluster, &format!("topic reassign generate --topics mov* --to-brokers {to_brokers}"), "", 0)?;
    let path = cluster.dir().join("plan.json");
    fs::write(&path, plan)?;
    Ok(path.to_str().context("path")?.to_owned())
}

/// Whether anything is set of a throttle, on the topic or on a broker.
fn is_throttled(cluster: &Cluster) -> Result<bool> {
    let mut configs = vec![json(cluster, &format!("config get topic {TOPIC} --changed"))?];
    for id in cluster.ids().filter(|id| cluster.is_running(*id)) {
        configs.push(json(cluster, &format!("config get broker {id} --changed"))?);
    }
    let entries = configs.iter().filter_map(Value::as_array).flatten();
    let names = entries.filter(|entry| !entry["value"].is_null() && entry["value"] != "");
    Ok(names.filter_map(|entry| entry["name"].as_str()).any(|name| name.contains("replication.throttled")))
}

#[test]
fn a_plan_is_made_carried_out_throttled_and_watched() {
    scenario(Spec::brokers(4), |cluster| {
        filled(cluster, 20)?;
        let plan = plan(cluster, "2,3,4")?;
        let printed = tidelog(cluster, &format!("topic reassign execute {plan} --throttle 50MiB --watch"), "", 0)?;
        ensure!(printed.contains("Started: ") && printed.contains("A plan to go back: {"), "{printed}");
        let moved = replicas(cluster)?;
        ensure!(moved.iter().all(|replicas| replicas.len() == 3 && !replicas.contains(&1)), "{moved:?}");
        cluster.wait_in_sync(TOPIC, PARTITIONS, 3)?;
        ensure!(!is_throttled(cluster)?, "the throttle is still there");
        let status = json(cluster, &format!("topic reassign status {plan}"))?;
        ensure!(status["done"] == true, "{status}");
        let all = tidelog(cluster, &format!("consume {TOPIC} --from-beginning --exit-at-end"), "", 0)?;
        ensure!(all.lines().count() == 20 * PARTITIONS as usize, "{} records are left", all.lines().count());
        let again = tidelog(cluster, &format!("topic reassign execute {plan}"), "", 0)?;
        ensure!(again.contains("Nothing to do"), "{again}");
        Ok(())
    });
}

#[test]
fn a_replica_that_a_move_adds_is_not_missed() {
    scenario(Spec::brokers(4), |cluster| {
        cluster.create_topic_on(TOPIC, &[1, 2])?;
        fill(cluster, 0, 600)?;
        let plan = plan(cluster, "3,4")?;
        tidelog(cluster, &format!("topic reassign execute {plan} --throttle 100KiB"), "", 0)?;
        let described = json(cluster, &format!("topic describe {TOPIC}"))?;
        let partition = &described[0]["partitions"][0];
        ensure!(partition["adding"] == serde_json::json!([3, 4]), "the move is over already: {described}");
        ensure!(partition["under_replicated"] == false && described[0]["replication_factor"] == 2, "{described}");
        let table = tidelog(cluster, &format!("topic describe {TOPIC}"), "", 0)?;
        ensure!(table.contains("replication factor 2") && table.contains("moving"), "{table}");
        let health = json(cluster, "cluster health")?;
        ensure!(health["status"] == "healthy", "{health}");
        tidelog(cluster, &format!("topic reassign cancel {plan}"), "", 0).map(drop)
    });
}

#[test]
fn a_throttled_copy_takes_the_time_its_rate_says_and_refuses_no_producer() {
    const BYTES_PER_SECOND: usize = 1 << 20;
    scenario(Spec::brokers(4), |cluster| {
        cluster.create_topic_on(TOPIC, &[1, 2, 3])?;
        fill(cluster, 0, 600)?;
        let copied: usize = batches(&cluster.partition_dir(1, TOPIC, 0))?.values().map(Vec::len).sum();
        let plan = plan(cluster, "2,3,4")?;
        let writer = Writer::confluent(cluster, TOPIC, Load::default(), &[])?;
        writer.wait_acked(SOME)?;

        let started = Instant::now();
        tidelog(cluster, &format!("topic reassign execute {plan} --throttle {BYTES_PER_SECOND} --watch"), "", 0)?;
        let took = started.elapsed();
        // The rate is spent in advance, by one answer of at most a second's worth.
        let expected_min = copied.saturating_sub(BYTES_PER_SECOND) as f64 / BYTES_PER_SECOND as f64;
        ensure!(expected_min > 4.0, "{copied} bytes are too few to tell anything");
        ensure!(took.as_secs_f64() >= expected_min, "{copied} bytes were copied in {took:?}");
        let moved = replicas(cluster)?;
        ensure!(moved[0].len() == 3 && !moved[0].contains(&1), "{moved:?}");
        ensure!(!is_throttled(cluster)?, "the throttle is still there");
        writer.wait_acked(SOME)?;
        check_load(cluster, writer)
    });
}

#[test]
fn a_slow_move_shows_its_progress_and_goes_back_when_cancelled() {
    scenario(Spec::brokers(4), |cluster| {
        // More than one fetch brings: a throttle can only hold back what comes after the first.
        filled(cluster, 300)?;
        let before = replicas(cluster)?;
        let plan = plan(cluster, "2,3,4")?;
        tidelog(cluster, &format!("topic reassign execute {plan} --throttle 1k"), "", 0)?;
        let status = json(cluster, "topic reassign status")?;
        let moves = status["moves"].as_array().context("moves")?;
        ensure!(!moves.is_empty() && status["total_bytes"].as_i64() > Some(2_000_000), "{status}");
        ensure!(status["done"] == false && is_throttled(cluster)?, "{status}");
        let why = refused(cluster, &format!("topic reassign execute {plan}"), 1)?;
        ensure!(why.contains("is on the move already"), "{why}");

        let printed = tidelog(cluster, &format!("topic reassign cancel {plan}"), "", 0)?;
        ensure!(printed.contains("Cancelled the move of moved-"), "{printed}");
        wait::for_condition("every replica is where it was", SETTLE_LIMIT, || {
            let mut now = replicas(cluster)?;
            let mut then = before.clone();
            now.iter_mut().chain(&mut then).for_each(|replicas| replicas.sort_unstable());
            Ok(now == then)
        })?;
        ensure!(!is_throttled(cluster)?, "the throttle is still there");
        refused(cluster, &format!("topic reassign status {plan}"), 1)?;
        Ok(())
    });
}

#[test]
fn a_broker_is_drained_and_leaves_for_good_under_load() {
    scenario(Spec::brokers(4), |cluster| {
        filled(cluster, 20)?;
        let writer = Writer::confluent(cluster, TOPIC, Load::default(), &[])?;
        writer.wait_acked(SOME)?;
        let listed = json(cluster, "broker list")?;
        ensure!(listed.as_array().is_some_and(|brokers| brokers.len() == 4), "{listed}");
        let why = refused(cluster, "broker drain 4 --to-brokers 1,2", 1);
        ensure!(why.as_ref().is_ok_and(|why| why.contains("replication factor 3")), "{why:?}");
        refused(cluster, "broker drain 9", 5)?;
        tidelog(cluster, "broker drain 4 --dry-run", "", 0)?;

        tidelog(cluster, "broker drain 4", "", 0)?;
        let moved = replicas(cluster)?;
        ensure!(moved.iter().all(|replicas| replicas.len() == 3 && !replicas.contains(&4)), "{moved:?}");

        let log = cluster.dir().join("decommission.log");
        let mut leaving = Process::start(tidelog_command(cluster, "broker decommission 4")?, &log)?;
        wait::for_condition("it asks for the broker to be stopped", SETTLE_LIMIT, || {
            Ok(fs::read_to_string(&log)?.contains("Stop it now"))
        })?;
        ensure!(leaving.exited()?.is_none(), "it does not wait: {}", fs::read_to_string(&log)?);
        cluster.terminate(4)?;
        let status = leaving.wait_end(SETTLE_LIMIT)?;
        ensure!(status.success(), "{status}: {}", fs::read_to_string(&log)?);
        wait::for_condition("the broker is forgotten", SETTLE_LIMIT, || {
            let listed = json(cluster, "broker list")?;
            Ok(listed.as_array().is_some_and(|brokers| brokers.iter().all(|broker| broker["id"] != 4)))
        })?;
        writer.wait_acked(SOME)?;
        check_load(cluster, writer)
    });
}

#[test]
fn too_few_brokers_are_no_place_to_drain_to() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic(TOPIC, 1)?;
        let why = refused(cluster, "broker drain 1", 1)?;
        ensure!(
            why.contains("replication factor 3, and only 2 brokers would hold it") && why.contains("try: "),
            "{why}"
        );
        let why = refused(cluster, "topic reassign generate --topics nosuch", 5)?;
        ensure!(why.contains("there is no topic nosuch"), "{why}");
        Ok(())
    });
}
