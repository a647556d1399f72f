//! `tidelog consume --group`: members of a consumer group whose coordinator and whose other members die.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tidelog_cluster_tests::process::spawn;
use tidelog_cluster_tests::writer::Load;
use tidelog_cluster_tests::{Cluster, Writer, scenario, wait};
use tidelog_compat_tests::command::{json, refused, tidelog, tidelog_command};
use tidelog_compat_tests::tour::brisk_brokers;

const TOPIC: &str = "shared";
const GROUP: &str = "readers";
const PARTITIONS: i32 = 6;
const LOAD: Load = Load { name: "shared", records_per_second: 200, value_bytes: 32 };
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
/// Much less than a session: nobody waited for its end.
const LEAVE_LIMIT: Duration = Duration::from_secs(4);

/// A partition and an offset.
type Place = (i32, i64);

/// `tidelog consume --group`, and what it has printed. Dropping it kills it.
struct Member {
    child: Child,
    printed: Arc<Mutex<Vec<Place>>>,
    listener: Option<JoinHandle<()>>,
}

impl Member {
    fn start(cluster: &Cluster, more: &str) -> Result<Member> {
        let words = format!("consume {TOPIC} --group {GROUP} --from-beginning --format json{more}");
        let mut command = tidelog_command(cluster, &words)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = spawn(command)?;
        let output = BufReader::new(child.stdout.take().context("output")?);
        let printed: Arc<Mutex<Vec<Place>>> = Arc::default();
        let heard = printed.clone();
        let listener = thread::spawn(move || {
            // The last line of a process that was killed may be half a line.
            let records = output.lines().map_while(Result::ok).filter_map(|line| place(&line));
            records.for_each(|record| heard.lock().expect("records").push(record));
        });
        Ok(Member { child, printed, listener: Some(listener) })
    }

    fn count(&self) -> usize {
        self.printed.lock().expect("records").len()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).context("pid")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits for its end and returns everything it printed.
    fn ended(mut self) -> Result<(ExitStatus, Vec<Place>)> {
        let status = wait::until("the member ends", SETTLE_LIMIT, || Ok(self.child.try_wait()?))?;
        self.listener.take().context("listener")?.join().expect("listener");
        let printed = std::mem::take(&mut *self.printed.lock().expect("records"));
        Ok((status, printed))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn place(line: &str) -> Option<Place> {
    let record: Value = serde_json::from_str(line).ok()?;
    Some((i32::try_from(record["partition"].as_i64()?).ok()?, record["offset"].as_i64()?))
}

#[test]
fn members_share_a_topic_and_outlive_their_coordinator_and_each_other() {
    scenario(brisk_brokers(), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let writer = Writer::confluent(cluster, TOPIC, LOAD, &[])?;
        let stays = Member::start(cluster, "")?;
        let dies = Member::start(cluster, "")?;
        wait_shared(cluster, 2)?;
        wait_reading(&[&stays, &dies])?;

        let victim = cluster.coordinator(GROUP)?;
        cluster.kill(victim)?;
        let before = committed(cluster)?;
        wait_committing(cluster, &before)?;
        wait_reading(&[&stays, &dies])?;
        cluster.start_node(victim)?;
        cluster.wait_in_sync(TOPIC, PARTITIONS, 3)?;
        wait_shared(cluster, 2)?;

        let before = committed(cluster)?;
        dies.signal(Signal::KILL)?;
        let (_, read_by_dead) = dies.ended()?;
        wait_shared(cluster, 1)?;
        wait_committing(cluster, &before)?;

        let (status, counted) = Member::start(cluster, " --max-messages 50")?.ended()?;
        ensure!(status.success() && counted.len() == 50, "{status}, {} records", counted.len());
        let acked = writer.stop()?.acked.len();
        wait::for_condition("everything is committed", SETTLE_LIMIT, || {
            Ok(committed(cluster)?.iter().sum::<i64>() == acked as i64)
        })?;
        stays.signal(Signal::INT)?;
        let (status, read_by_last) = stays.ended()?;
        ensure!(status.success(), "{status}");
        wait::for_condition("nobody is left", LEAVE_LIMIT, || Ok(described(cluster)?["state"] == "Empty"))?;
        check(acked, &before, &read_by_dead, &[read_by_last, counted].concat())
    });
}

/// Nothing is missing, and only what the dead member read and did not commit was read twice.
fn check(acked: usize, before: &[i64], read_by_dead: &[Place], read_by_others: &[Place]) -> Result<()> {
    let mut times: BTreeMap<Place, usize> = BTreeMap::new();
    read_by_dead.iter().chain(read_by_others).for_each(|place| *times.entry(*place).or_default() += 1);
    ensure!(times.len() == acked, "{} records were read of {acked}", times.len());
    let dead: BTreeSet<Place> = read_by_dead.iter().copied().collect();
    let may_be_twice = |place: &Place| dead.contains(place) && place.1 >= before[place.0 as usize];
    let doubled = times.iter().filter(|(_, count)| **count > 1);
    let wrong: Vec<_> = doubled.filter(|(place, count)| **count > 2 || !may_be_twice(place)).collect();
    ensure!(wrong.is_empty(), "read more often than need be: {wrong:?}; {before:?} were committed before");
    Ok(())
}

#[test]
fn a_group_goes_on_where_it_stopped_and_says_why_it_cannot() {
    scenario(brisk_brokers(), |cluster| {
        cluster.create_topic(TOPIC, 1)?;
        let produce = |lines: &str| tidelog(cluster, &format!("produce {TOPIC}"), lines, 0);
        let consume =
            |words: &str, code: i32| tidelog(cluster, &format!("consume {TOPIC} -g {GROUP} {words}"), "", code);
        produce("one\ntwo\nthree\n")?;
        ensure!(consume("--from-beginning -n 2", 0)? == "one\ntwo\n", "it begins at the beginning");
        ensure!(consume("--exit-at-end", 0)? == "three\n", "it goes on where it stopped");
        ensure!(consume("--from-beginning --timeout-ms 1500", 7)?.is_empty(), "there is nothing more");
        ensure!(cluster.committed_offsets(GROUP, TOPIC, 1)? == [3], "what was printed is committed");
        let why = refused(cluster, &format!("consume {TOPIC} -g {GROUP} --partition 0"), 2)?;
        ensure!(why.contains("cannot be used with"), "{why}");
        let why = refused(cluster, &format!("consume none -g {GROUP}"), 5)?;
        ensure!(why.contains("topic none does not exist"), "{why}");
        Ok(())
    });
}

fn committed(cluster: &Cluster) -> Result<Vec<i64>> {
    cluster.committed_offsets(GROUP, TOPIC, PARTITIONS)
}

fn described(cluster: &Cluster) -> Result<Value> {
    json(cluster, &format!("group describe {GROUP}"))?.get(0).cloned().context("one group")
}

/// Until so many members own all partitions, each some and each partition one.
fn wait_shared(cluster: &Cluster, count: usize) -> Result<()> {
    wait::for_condition("members share the topic", SETTLE_LIMIT, || {
        let seen = described(cluster)?;
        let members = seen["members"].as_array().context("members")?;
        let owned = members.iter().map(|member| member["assignment"][TOPIC].as_array().map_or(0, Vec::len));
        let owned: Vec<usize> = owned.collect();
        Ok(seen["type"] == "consumer"
            && owned.len() == count
            && !owned.contains(&0)
            && owned.iter().sum::<usize>() == PARTITIONS as usize)
    })
}

fn wait_reading(members: &[&Member]) -> Result<()> {
    let before: Vec<usize> = members.iter().map(|member| member.count()).collect();
    wait::for_condition("every member reads on", SETTLE_LIMIT, || {
        Ok(members.iter().zip(&before).all(|(member, before)| member.count() > *before))
    })
}

/// Until more of every partition is committed.
fn wait_committing(cluster: &Cluster, before: &[i64]) -> Result<()> {
    wait::for_condition("more of every partition is committed", SETTLE_LIMIT, || {
        Ok(committed(cluster)?.iter().zip(before).all(|(now, before)| now > before))
    })
}
