//! Which partitions a command is about: `--topic t`, `--topic t:0,1`.

use std::collections::BTreeSet;
use std::str::FromStr;

use tidelog_client::{Client, ClientError};

use super::committed::TopicPartition;
use crate::exit::Failure;

/// One `--topic`: a topic, or some partitions of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicScope {
    pub topic: String,
    /// Empty means all.
    pub partitions: Vec<i32>,
}

impl FromStr for TopicScope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (topic, partitions) = match text.split_once(':') {
            None => (text, Vec::new()),
            Some((topic, list)) => {
                let numbers = list.split(',').map(|number| number.parse::<i32>().ok().filter(|index| *index >= 0));
                let numbers = numbers.collect::<Option<Vec<i32>>>();
                (topic, numbers.ok_or_else(|| format!("{list:?} is not a list of partitions like 0,1,2"))?)
            }
        };
        match topic {
            "" => Err("a topic's name is missing".to_owned()),
            topic => Ok(Self { topic: topic.to_owned(), partitions }),
        }
    }
}

/// The partitions that exist of those asked for; that one does not exist is a failure.
pub async fn resolve(client: &Client, scopes: &[TopicScope]) -> Result<BTreeSet<TopicPartition>, Failure> {
    let mut partitions = BTreeSet::new();
    for scope in scopes {
        let count = client.leaders(&scope.topic, false).await?.partitions.len() as i32;
        if let Some(missing) = scope.partitions.iter().find(|index| **index >= count) {
            let name = format!("{}, partition {missing},", scope.topic);
            return Err(ClientError::UnknownTopic(name).into());
        }
        let all: Vec<i32> = (0..count).collect();
        let chosen = if scope.partitions.is_empty() { &all } else { &scope.partitions };
        partitions.extend(chosen.iter().map(|index| (scope.topic.clone(), *index)));
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_with_and_without_partitions() {
        let scope =
            |topic: &str, partitions: &[i32]| TopicScope { topic: topic.to_owned(), partitions: partitions.to_vec() };
        for (text, expected) in [("t", scope("t", &[])), ("t:0", scope("t", &[0])), ("a.b:2,0", scope("a.b", &[2, 0]))]
        {
            assert_eq!(text.parse(), Ok(expected));
        }
        for bad in ["", ":0", "t:", "t:x", "t:-1", "t:1,,2"] {
            assert!(bad.parse::<TopicScope>().is_err(), "{bad}");
        }
    }
}
