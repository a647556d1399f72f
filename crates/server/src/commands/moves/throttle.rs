//! Kafka's throttles for moves: a rate at each broker, and on each topic the replicas it applies to.
//!
//! The rate limits what a broker sends of throttled replicas (those there are) and what it takes in for throttled replicas
//! (those being made). Ordinary replication of other replicas is left alone.

use std::collections::{BTreeMap, BTreeSet};

use tidelog_client::Client;

use super::plan::Assignment;
use crate::commands::config::entries::{ResourceKind, alter, describe};
use crate::exit::Failure;

const LEADER_RATE: &str = "leader.replication.throttled.rate";
const FOLLOWER_RATE: &str = "follower.replication.throttled.rate";
const LEADER_REPLICAS: &str = "leader.replication.throttled.replicas";
const FOLLOWER_REPLICAS: &str = "follower.replication.throttled.replicas";

/// What is set while a plan is carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    pub brokers: BTreeSet<i32>,
    /// By topic, `partition:broker` of the replicas that send and of those that are made.
    pub topics: BTreeMap<String, (String, String)>,
}

impl Throttle {
    /// The throttle for going from `current` to `planned`.
    pub fn of(current: &Assignment, planned: &Assignment) -> Self {
        let mut throttle = Self::default();
        let mut replicas: BTreeMap<&str, (Vec<String>, Vec<String>)> = BTreeMap::new();
        for ((topic, partition), wanted) in planned {
            let old = current.get(&(topic.clone(), *partition)).map_or(&[][..], Vec::as_slice);
            let adding: Vec<i32> = wanted.iter().copied().filter(|id| !old.contains(id)).collect();
            if adding.is_empty() {
                continue;
            }
            throttle.brokers.extend(old.iter().chain(&adding));
            let (leaders, followers) = replicas.entry(topic).or_default();
            leaders.extend(old.iter().map(|id| format!("{partition}:{id}")));
            followers.extend(adding.iter().map(|id| format!("{partition}:{id}")));
        }
        let joined = |(topic, (leaders, followers)): (&str, (Vec<String>, Vec<String>))| {
            (topic.to_owned(), (leaders.join(","), followers.join(",")))
        };
        throttle.topics = replicas.into_iter().map(joined).collect();
        throttle
    }

    pub async fn set(&self, client: &Client, bytes_per_second: u64) -> Result<(), Failure> {
        for (topic, (leaders, followers)) in &self.topics {
            let replicas = [(LEADER_REPLICAS, leaders), (FOLLOWER_REPLICAS, followers)]
                .map(|(key, value)| (key.to_owned(), value.clone()));
            alter(client, ResourceKind::Topic, topic, &replicas, &[]).await?;
        }
        set_rate(client, &self.brokers, bytes_per_second).await
    }
}

async fn set_rate(client: &Client, brokers: &BTreeSet<i32>, bytes_per_second: u64) -> Result<(), Failure> {
    let rates = [LEADER_RATE, FOLLOWER_RATE].map(|key| (key.to_owned(), bytes_per_second.to_string()));
    for id in alive(client, brokers).await? {
        alter(client, ResourceKind::Broker, &id.to_string(), &rates, &[]).await?;
    }
    Ok(())
}

/// A broker out of service copies nothing and cannot be asked.
async fn alive(client: &Client, brokers: &BTreeSet<i32>) -> Result<Vec<i32>, Failure> {
    let metadata = client.metadata(Some(&[]), false).await?;
    Ok(metadata.brokers.iter().map(|broker| broker.node_id).filter(|id| brokers.contains(id)).collect())
}

/// Takes away whatever is set of throttles on these topics and brokers. Returns whether there was anything.
pub async fn remove(client: &Client, topics: &BTreeSet<String>, brokers: &BTreeSet<i32>) -> Result<bool, Failure> {
    let mut was_set = false;
    for topic in topics {
        was_set |= remove_of(client, ResourceKind::Topic, topic, [LEADER_REPLICAS, FOLLOWER_REPLICAS]).await?;
    }
    for id in alive(client, brokers).await? {
        was_set |= remove_of(client, ResourceKind::Broker, &id.to_string(), [LEADER_RATE, FOLLOWER_RATE]).await?;
    }
    Ok(was_set)
}

async fn remove_of(client: &Client, kind: ResourceKind, name: &str, keys: [&str; 2]) -> Result<bool, Failure> {
    let values = describe(client, kind, name).await?;
    let is_set = |key: &str| values.iter().any(|value| value.name == key && value.is_set_live());
    let set: Vec<String> = keys.into_iter().filter(|key| is_set(key)).map(str::to_owned).collect();
    if set.is_empty() {
        return Ok(false);
    }
    alter(client, kind, name, &[], &set).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_moves_is_throttled_at_both_ends() {
        let at = |index: i32| ("t".to_owned(), index);
        let current = Assignment::from([(at(0), vec![1, 2]), (at(1), vec![2, 3]), (at(2), vec![4, 5])]);
        let planned = Assignment::from([(at(0), vec![1, 3]), (at(1), vec![2, 4]), (at(2), vec![5, 4])]);
        let throttle = Throttle::of(&current, &planned);
        assert_eq!(throttle.brokers, BTreeSet::from([1, 2, 3, 4]));
        let replicas = ("0:1,0:2,1:2,1:3".to_owned(), "0:3,1:4".to_owned());
        assert_eq!(throttle.topics, BTreeMap::from([("t".to_owned(), replicas)]));
        assert_eq!(Throttle::of(&current, &current), Throttle::default());
    }
}
