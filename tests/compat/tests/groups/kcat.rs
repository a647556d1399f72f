//! kcat's balanced consumers (`-G`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::external::{kcat, program};
use tidelog_cluster_tests::process::Process;
use tidelog_cluster_tests::{Cluster, scenario, wait};
use tidelog_compat_tests::tour::brisk_brokers;

const TOPIC: &str = "cats";
const PARTITIONS: i32 = 4;
const RECORDS: usize = 200;
const LIMIT: Duration = Duration::from_secs(60);

/// kcat in the group, its records and its complaints in files.
struct Cat {
    process: Process,
    log: PathBuf,
}

impl Cat {
    fn start(cluster: &Cluster, name: &str) -> Result<Cat> {
        let log = cluster.dir().join(format!("{name}.log"));
        let mut kcat = Command::new(program("kcat")?);
        let session = ["-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=500"];
        let start = ["-X", "auto.offset.reset=earliest", "-X", "auto.commit.interval.ms=500"];
        kcat.args(["-b", &cluster.bootstrap()]).args(session).args(start);
        kcat.args(["-u", "-f", "record %p %o %s\n", "-G", "cats", TOPIC]).stdin(Stdio::null());
        Ok(Cat { process: Process::start(kcat, &log)?, log })
    }

    fn printed(&self) -> String {
        printed(&self.log)
    }

    /// The partitions of its latest assignment: `% Group … rebalanced (…): assigned: cats [0], cats [1]`.
    fn owned(&self) -> BTreeSet<i32> {
        let printed = self.printed();
        let last = printed.lines().rfind(|line| line.contains("rebalanced")).unwrap_or_default();
        let Some((_, assigned)) = last.split_once("assigned:") else {
            return BTreeSet::new();
        };
        assigned.split(['[', ']']).filter_map(|word| word.parse().ok()).collect()
    }
}

fn printed(log: &Path) -> String {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}

fn records(logs: &[&Path]) -> BTreeSet<String> {
    let lines = logs.iter().flat_map(|log| printed(log).lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|line| line.starts_with("record ")).collect()
}

fn wait_shared(cats: &[&Cat]) -> Result<()> {
    let waited = wait::for_condition("the cats share all partitions", LIMIT, || {
        let owned: Vec<_> = cats.iter().map(|cat| cat.owned()).collect();
        let all: BTreeSet<i32> = owned.iter().flatten().copied().collect();
        let count: usize = owned.iter().map(BTreeSet::len).sum();
        Ok(all.len() == PARTITIONS as usize && count == all.len() && owned.iter().all(|owned| !owned.is_empty()))
    });
    waited.with_context(|| cats.iter().map(|cat| cat.printed()).collect::<Vec<_>>().join("---\n"))
}

fn write(cluster: &Cluster) -> Result<()> {
    let lines: String = (0..RECORDS).map(|n| format!("{n}:{n}\n")).collect();
    kcat(&["-P", "-b", &cluster.bootstrap(), "-t", TOPIC, "-K", ":", "-X", "acks=all"], &lines).map(|_| ())
}

#[test]
fn balanced_consumers_share_and_resume() {
    scenario(brisk_brokers(), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let first = Cat::start(cluster, "first")?;
        wait_shared(&[&first])?;
        let second = Cat::start(cluster, "second")?;
        wait_shared(&[&first, &second])?;
        write(cluster)?;
        let [first_log, second_log] = [first.log.clone(), second.log.clone()];
        let both = [first_log.as_path(), second_log.as_path()];
        wait::for_condition("both together read everything", LIMIT, || Ok(records(&both).len() == RECORDS))?;
        ensure!(!records(&both[..1]).is_empty() && !records(&both[1..]).is_empty(), "one of them read nothing");

        second.process.kill()?;
        wait_shared(&[&first])?;
        // What the killed one had not committed is read again first.
        wait::for_condition("everything is committed", LIMIT, || {
            let committed = cluster.committed_offsets("cats", TOPIC, PARTITIONS)?;
            Ok(committed.iter().sum::<i64>() == RECORDS as i64)
        })?;
        first.process.terminate(LIMIT)?;

        write(cluster)?;
        let third = Cat::start(cluster, "third")?;
        let log = third.log.clone();
        wait::for_condition("the rest is read", LIMIT, || Ok(records(&[&log]).len() >= RECORDS))?;
        ensure!(records(&[&log]).is_disjoint(&records(&both)), "the third read again what was committed");
        Ok(())
    });
}
