//! A group of one client's members: verbs on named members, and waiting for what they come to own.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tidelog_cluster_tests::{Cluster, wait};

use crate::client::Client;
use crate::event::{Partition, What};
use crate::member::{Member, Story};

/// A rebalance after a crash takes the session timeout of 6 s, and this machine may be busy.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// Who tells the coordinator what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    ByHand,
    Automatic,
}

pub struct Group {
    pub name: String,
    client: Client,
    bootstrap: String,
    /// `topic=...` or `pattern=...`.
    subscription: String,
    dir: PathBuf,
    members: Vec<Member>,
    stories: Vec<Story>,
}

impl Group {
    pub fn new(cluster: &Cluster, client: Client, name: &str, topic: &str) -> Group {
        Group::subscribed(cluster, client, name, format!("topic={topic}"))
    }

    /// A group of everything whose name matches.
    pub fn of_pattern(cluster: &Cluster, client: Client, name: &str, pattern: &str) -> Group {
        Group::subscribed(cluster, client, name, format!("pattern={pattern}"))
    }

    fn subscribed(cluster: &Cluster, client: Client, name: &str, subscription: String) -> Group {
        Group {
            name: name.to_owned(),
            client,
            bootstrap: cluster.bootstrap(),
            subscription,
            dir: cluster.dir().to_path_buf(),
            members: Vec::new(),
            stories: Vec::new(),
        }
    }

    /// Later members are of another client, or of the same one used otherwise.
    pub fn switch_to(&mut self, client: Client) {
        self.client = client;
    }

    pub fn start(&mut self, member: &str, commit: Commit) -> Result<()> {
        self.start_with(member, commit, &[])
    }

    /// `settings` are `key=value`, as the programs take them.
    pub fn start_with(&mut self, member: &str, commit: Commit, settings: &[&str]) -> Result<()> {
        let mut command = self.client.command()?;
        let commit = match commit {
            Commit::ByHand => "manual",
            Commit::Automatic => "auto",
        };
        command.arg(format!("bootstrap={}", self.bootstrap)).arg(format!("group={}", self.name));
        command.arg(&self.subscription).arg(format!("commit={commit}")).args(settings);
        let name = format!("{}-{member}", self.name);
        self.members.push(Member::start(&name, command, &self.dir)?);
        Ok(())
    }

    fn take(&mut self, member: &str) -> Result<Member> {
        let name = format!("{}-{member}", self.name);
        let index = self.members.iter().position(|m| m.name() == name);
        Ok(self.members.remove(index.with_context(|| format!("{name} does not run"))?))
    }

    pub fn member(&self, member: &str) -> Result<&Member> {
        let name = format!("{}-{member}", self.name);
        self.members.iter().find(|m| m.name() == name).with_context(|| format!("{name} does not run"))
    }

    /// Has a member close its client.
    pub fn leave(&mut self, member: &str) -> Result<()> {
        let story = self.take(member)?.leave()?;
        self.stories.push(story);
        Ok(())
    }

    pub fn leave_all(&mut self) -> Result<()> {
        while let Some(member) = self.members.pop() {
            self.stories.push(member.leave()?);
        }
        Ok(())
    }

    /// kill -9 of a member.
    pub fn crash(&mut self, member: &str) -> Result<()> {
        let story = self.take(member)?.crash()?;
        self.stories.push(story);
        Ok(())
    }

    /// Waits until the running members own exactly `partitions`, each at least one of them and none the same.
    pub fn wait_shared(&mut self, partitions: &BTreeSet<Partition>) -> Result<()> {
        self.wait("its members share all partitions", |group| {
            let owned: Vec<_> = group.members.iter().map(Member::owned).collect();
            let all: BTreeSet<Partition> = owned.iter().flatten().cloned().collect();
            let disjoint = owned.iter().map(BTreeSet::len).sum::<usize>() == all.len();
            disjoint && owned.iter().all(|owned| !owned.is_empty()) && all == *partitions
        })
    }

    /// Waits until each running member has read something more.
    pub fn wait_reading(&mut self) -> Result<()> {
        let before: Vec<usize> = self.members.iter().map(Member::records).collect();
        self.wait("every member reads on", |group| {
            group.members.iter().zip(&before).all(|(member, before)| member.records() > *before)
        })
    }

    /// Waits for a condition; fails early if a member ends by itself, and shows what the members told.
    pub fn wait(&mut self, what: &str, mut condition: impl FnMut(&Group) -> bool) -> Result<()> {
        let waited = wait::for_condition(&format!("{}: {what}", self.name), SETTLE_LIMIT, || {
            Ok(self.check_running().is_err() || condition(self))
        });
        self.check_running()?;
        waited.with_context(|| self.tails())
    }

    /// The last words of every member, for a failed test.
    pub fn tails(&self) -> String {
        self.members.iter().map(Member::tail).collect::<Vec<_>>().join("\n")
    }

    fn check_running(&mut self) -> Result<()> {
        self.members.iter_mut().try_for_each(Member::check_running)
    }

    /// The next offset after everything that was read of each partition.
    pub fn read_to(&self, topic: &str, partitions: i32) -> Vec<i64> {
        let mut read_to = vec![0; partitions as usize];
        let mut note = |what: &What| {
            if let What::Record { partition, offset, .. } = what
                && let Some(index) = index_in(topic, partition)
            {
                read_to[index] = read_to[index].max(offset + 1);
            }
        };
        self.stories.iter().flat_map(|story| &story.events).for_each(|event| note(&event.what));
        self.members.iter().for_each(|member| member.each(&mut note));
        read_to
    }

    /// The last acknowledged commit of each partition, by members that have ended; 0 where there was none.
    pub fn acknowledged(&self, topic: &str, partitions: i32) -> Vec<i64> {
        let mut acknowledged = vec![0; partitions as usize];
        for event in self.stories.iter().flat_map(|story| &story.events) {
            let What::Committed { offsets } = &event.what else {
                continue;
            };
            for (partition, next) in offsets {
                if let Some(index) = index_in(topic, partition) {
                    acknowledged[index] = acknowledged[index].max(*next);
                }
            }
        }
        acknowledged
    }

    /// What went wrong in members that have ended, for a failed test.
    pub fn errors(&self) -> String {
        let mut errors = Vec::new();
        for story in &self.stories {
            let told = story.events.iter().filter(|event| matches!(event.what, What::Error { .. }));
            let told: Vec<_> = told.map(|event| format!("{}: {event:?}", story.name)).collect();
            errors.extend_from_slice(&told[told.len().saturating_sub(5)..]);
        }
        errors.join("\n")
    }

    /// The last of what was told of each partition whose numbers differ, for a failed test.
    pub fn differences(&self, topic: &str, one: &[i64], other: &[i64]) -> String {
        let mut lines = Vec::new();
        for index in (0..one.len()).filter(|index| one[*index] != other[*index]) {
            let partition = format!("{topic}-{index}");
            let events = self.stories.iter().flat_map(|story| story.events.iter().map(move |event| (story, event)));
            let mut told: Vec<_> = events
                .filter_map(|(story, event)| Some((event.at_ms, story.name.as_str(), about(&event.what, &partition)?)))
                .collect();
            told.sort_by_key(|(at_ms, ..)| *at_ms);
            let last = &told[told.len().saturating_sub(60)..];
            lines.extend(last.iter().map(|(at_ms, name, what)| format!("{at_ms} {name} {partition} {what}")));
        }
        lines.join("\n")
    }

    /// The first offset that a member read of each partition, -1 where it read nothing.
    pub fn first_read(&self, member: &str, topic: &str, partitions: i32) -> Result<Vec<i64>> {
        let mut first = vec![-1; partitions as usize];
        self.member(member)?.each(|what| {
            if let What::Record { partition, offset, .. } = what
                && let Some(index) = index_in(topic, partition)
                && first[index] < 0
            {
                first[index] = *offset;
            }
        });
        Ok(first)
    }

    /// How many records its members have read so far, rereads included.
    pub fn records(&self) -> usize {
        self.members.iter().map(Member::records).sum()
    }

    /// What its members told, after all have ended.
    pub fn stories(&self) -> Result<&[Story]> {
        ensure!(self.members.is_empty(), "{} still has members", self.name);
        Ok(&self.stories)
    }
}

/// What an event says of one partition.
fn about(what: &What, partition: &str) -> Option<String> {
    match what {
        What::Assigned { partitions, .. } if partitions.iter().any(|p| p == partition) => Some("assigned".into()),
        What::Revoked { partitions } if partitions.iter().any(|p| p == partition) => Some("revoked".into()),
        What::Record { partition: of, offset, .. } if of == partition => Some(format!("read {offset}")),
        What::Committed { offsets } => offsets.get(partition).map(|next| format!("committed {next}")),
        _ => None,
    }
}

fn index_in(topic: &str, partition: &str) -> Option<usize> {
    let (of, index) = partition.rsplit_once('-')?;
    if of == topic { index.parse().ok() } else { None }
}

/// The names of a topic's partitions.
pub fn partitions_of(topic: &str, count: i32) -> BTreeSet<Partition> {
    (0..count).map(|index| format!("{topic}-{index}")).collect()
}
