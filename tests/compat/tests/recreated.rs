//! A topic deleted and made anew under a consumer and producers that are not told.
//!
//! The new partition is on other nodes. The Java client follows into a lower epoch than the old partition had reached, too,
//! which librdkafka's producer does not, whoever's brokers it talks to.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::external::{kafka_class, kcat};
use tidelog_cluster_tests::history::History;
use tidelog_cluster_tests::process::Process;
use tidelog_cluster_tests::writer::{Load, read_all};
use tidelog_cluster_tests::{Cluster, Spec, Writer, probe, scenario, wait};

const CONSUMED: &str = "consumed";
const PRODUCED: &str = "produced";
const SOME: usize = 200;
const OLD_RECORDS: usize = 500;
const NEW_RECORDS: usize = 20;
const CONSOLE_CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";

/// The Java consumer, which prints the value of each record.
struct Reader {
    log: PathBuf,
    _process: Process,
}

impl Reader {
    fn start(cluster: &Cluster) -> Result<Reader> {
        let mut java = kafka_class(CONSOLE_CONSUMER, &["-Xmx128m"])?;
        java.args(["--bootstrap-server", &cluster.bootstrap(), "--topic", CONSUMED, "--from-beginning"]);
        java.args(["--command-property", "metadata.max.age.ms=1000"]);
        let log = cluster.dir().join("reader.log");
        Ok(Reader { _process: Process::start(java, &log)?, log })
    }

    /// Waits until it has printed the lines `prefix-0..count`.
    fn wait_for(&self, cluster: &Cluster, prefix: &str, count: usize) -> Result<()> {
        let what = format!("{count} records of {prefix} are read");
        wait::for_condition(&what, cluster.target().recovery_limit(), || {
            let printed = fs::read_to_string(&self.log)?;
            let lines: HashSet<&str> = printed.lines().collect();
            Ok((0..count).all(|n| lines.contains(format!("{prefix}-{n}").as_str())))
        })
        .with_context(|| fs::read_to_string(&self.log).unwrap_or_default())
    }

    /// Writes to the new topic until something of it is shown. A reader that compares its position with the new leader
    /// only when there are records already takes the topic for one that was cut, and goes on at its end (KIP-320).
    fn wait_arrived(&self, cluster: &Cluster) -> Result<()> {
        let mut rounds = 0..;
        wait::for_condition("the reader is in the new topic", cluster.target().recovery_limit(), || {
            produce(cluster, &format!("early-{}", rounds.next().unwrap_or_default()), 1)?;
            Ok(fs::read_to_string(&self.log)?.lines().any(is_of_new_topic))
        })
    }

    /// Once something of the new topic was shown, nothing of the old one may be.
    fn check(&self) -> Result<()> {
        let printed = fs::read_to_string(&self.log)?;
        let mut rest = printed.lines().skip_while(|line| !is_of_new_topic(line));
        let stale = rest.find(|line| line.starts_with("old-"));
        ensure!(stale.is_none(), "{stale:?} is shown in the new topic");
        Ok(())
    }
}

fn is_of_new_topic(line: &str) -> bool {
    line.starts_with("early-") || line.starts_with("new-")
}

fn produce(cluster: &Cluster, prefix: &str, count: usize) -> Result<()> {
    let lines: String = (0..count).map(|n| format!("{prefix}-{n}\n")).collect();
    kcat(&["-P", "-b", &cluster.bootstrap(), "-t", CONSUMED, "-X", "acks=all"], &lines).map(drop)
}

/// Two moves of the leadership, each of which begins an epoch.
fn raise_the_epoch(cluster: &Cluster, topic: &str) -> Result<()> {
    for target in [[2, 3], [3, 1]] {
        cluster.reassign(topic, 0, Some(&target))?;
        wait::for_condition("the partition has moved", cluster.target().recovery_limit(), || {
            let seen = cluster.partitions(topic)?;
            Ok(seen[0].replicas == target && target.contains(&seen[0].leader))
        })?;
    }
    Ok(())
}

/// Deletes the topic and makes it anew; no node may show who led the old one to those who ask for the new one.
fn delete_and_recreate(cluster: &Cluster, topic: &str, on: &[i32]) -> Result<()> {
    cluster.delete_topic(topic)?;
    cluster.create_topic_on(topic, on)?;
    for id in cluster.ids() {
        let seen = wait::until("the node knows the new topic", cluster.target().recovery_limit(), || {
            let seen = probe::metadata(&cluster.address(id), Some(topic))?.partitions;
            Ok(seen.into_iter().find(|partition| partition.replicas == on))
        })?;
        ensure!(on.contains(&seen.leader), "node {id} shows {seen:?}");
    }
    Ok(())
}

fn brokers() -> Spec {
    // A client that asks in between must not be the one who makes the topic.
    Spec::brokers(3).set("auto.create.topics.enable", "false")
}

fn follow(cluster: &Cluster, writers: Vec<Writer>, raises_epoch: bool) -> Result<()> {
    let reader = Reader::start(cluster)?;
    produce(cluster, "old", OLD_RECORDS)?;
    reader.wait_for(cluster, "old", OLD_RECORDS)?;
    writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
    for topic in [CONSUMED, PRODUCED] {
        if raises_epoch {
            raise_the_epoch(cluster, topic)?;
        }
        delete_and_recreate(cluster, topic, &[2, 3])?;
    }
    reader.wait_arrived(cluster)?;
    produce(cluster, "new", NEW_RECORDS)?;
    reader.wait_for(cluster, "new", NEW_RECORDS)?;
    reader.check()?;
    writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
    let histories = writers.into_iter().map(Writer::stop).collect::<Result<Vec<_>>>()?;
    let read = read_all(cluster, PRODUCED)?;
    histories.into_iter().try_for_each(|history| {
        let history = since_the_offsets_began_anew(history)?;
        // A batch that is out of order in the new topic fails only when its delivery timeout is over.
        history.check_no_failure()?;
        history.check(&read)
    })
}

fn create(cluster: &Cluster) -> Result<()> {
    [CONSUMED, PRODUCED].into_iter().try_for_each(|topic| cluster.create_topic_on(topic, &[1, 2]))
}

#[test]
fn clients_follow_a_topic_that_was_made_anew() {
    scenario(brokers(), |cluster| {
        create(cluster)?;
        let load = Load::default();
        let writers = vec![Writer::confluent(cluster, PRODUCED, load, &[])?, Writer::java(cluster, PRODUCED, load)?];
        follow(cluster, writers, false)
    });
}

#[test]
fn the_java_client_follows_into_a_lower_epoch() {
    scenario(brokers(), |cluster| {
        create(cluster)?;
        let writers = vec![Writer::java(cluster, PRODUCED, Load::default())?];
        follow(cluster, writers, true)
    });
}

/// What was acknowledged by the new topic, whose offsets are lower than those that the old one had reached.
fn since_the_offsets_began_anew(history: History) -> Result<History> {
    let began = history.acked.windows(2).position(|pair| pair[1].record.offset < pair[0].record.offset);
    let began = began.context("no offset is lower than the one before")? + 1;
    Ok(History { acked: history.acked[began..].to_vec(), failed: history.failed })
}
