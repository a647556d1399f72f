//! How far moves are, from the sizes of replicas, and how long they will take at the pace so far. No clock: times are arguments.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde::Serialize;
use tidelog_client::Client;
use tidelog_wire::Str;
use tidelog_wire::messages::DescribeLogDirsRequest;
use tidelog_wire::messages::describe_log_dirs_request::DescribableLogDirTopic;

use super::cluster::Ongoing;
use super::plan::TopicPartition;
use crate::exit::Failure;

/// Bytes of each replica, by partition and broker.
pub type Sizes = BTreeMap<TopicPartition, BTreeMap<i32, i64>>;

/// One partition's move in bytes: all new replicas together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MoveProgress {
    pub topic: String,
    pub partition: i32,
    pub replicas: Vec<i32>,
    pub adding: Vec<i32>,
    pub removing: Vec<i32>,
    pub copied_bytes: i64,
    pub total_bytes: i64,
}

/// A new replica is to become as large as the largest of those there are, and counts up to that.
pub fn move_progress(
    partition: &TopicPartition,
    ongoing: &Ongoing,
    sizes: Option<&BTreeMap<i32, i64>>,
) -> MoveProgress {
    let size = |id: &i32| sizes.and_then(|sizes| sizes.get(id)).copied().unwrap_or(0);
    let old = ongoing.replicas.iter().filter(|id| !ongoing.adding.contains(id));
    let whole = old.map(size).max().unwrap_or(0);
    MoveProgress {
        topic: partition.0.clone(),
        partition: partition.1,
        replicas: ongoing.target(),
        adding: ongoing.adding.clone(),
        removing: ongoing.removing.clone(),
        copied_bytes: ongoing.adding.iter().map(|id| size(id).min(whole)).sum(),
        total_bytes: whole.saturating_mul(ongoing.adding.len() as i64),
    }
}

/// Asks the brokers that hold replicas of moving partitions. A broker that does not answer holds nothing as far as is known.
pub async fn sizes(client: &Client, moves: &BTreeMap<TopicPartition, Ongoing>) -> Result<Sizes, Failure> {
    let mut asked: BTreeMap<i32, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
    for ((topic, partition), ongoing) in moves {
        for id in &ongoing.replicas {
            asked.entry(*id).or_default().entry(topic).or_default().push(*partition);
        }
    }
    client.metadata(Some(&[]), false).await?;
    let asking = asked.iter().map(|(id, topics)| async {
        let topic = |(topic, partitions): (&&str, &Vec<i32>)| DescribableLogDirTopic {
            topic: Str::from((*topic).to_owned()),
            partitions: partitions.clone(),
        };
        let request = DescribeLogDirsRequest { topics: Some(topics.iter().map(topic).collect()) };
        (*id, sizes_on(client, *id, &request).await)
    });
    let mut sizes = Sizes::new();
    for (id, found) in join_all(asking).await {
        for (partition, bytes) in found {
            sizes.entry(partition).or_default().insert(id, bytes);
        }
    }
    Ok(sizes)
}

pub async fn sizes_on(client: &Client, id: i32, request: &DescribeLogDirsRequest) -> BTreeMap<TopicPartition, i64> {
    let asked = async { Ok::<_, Failure>(client.broker(id).await?.send(request).await?) }.await;
    let response = match asked {
        Ok(response) => response,
        Err(failure) => {
            tracing::debug!(broker = id, %failure, "its replicas' sizes are not known");
            return BTreeMap::new();
        }
    };
    let mut sizes = BTreeMap::new();
    for topic in response.results.iter().flat_map(|dir| &dir.topics) {
        // A future replica goes from one directory to another of the same broker.
        for partition in topic.partitions.iter().filter(|partition| !partition.is_future_key) {
            sizes.insert((topic.name.to_string(), partition.partition_index), partition.partition_size);
        }
    }
    sizes
}

/// Follows moves from their start (or from when somebody began to look) to their end. What was on the move once and is no more
/// counts as copied.
#[derive(Debug, Default)]
pub struct Journey {
    /// The largest total seen of each move: one that has ended does not show its bytes any more.
    totals: BTreeMap<TopicPartition, i64>,
    first: Option<(i64, i64)>,
    last: Option<(i64, i64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stand {
    pub partitions_done: usize,
    pub partitions: usize,
    pub copied_bytes: i64,
    pub total_bytes: i64,
    pub bytes_per_second: Option<i64>,
    pub remaining_ms: Option<i64>,
}

impl Journey {
    /// Takes note of how far everything is now.
    pub fn note(&mut self, now_ms: i64, moves: &[MoveProgress]) -> Stand {
        let mut missing = 0;
        for progress in moves {
            let total = self.totals.entry((progress.topic.clone(), progress.partition)).or_default();
            *total = (*total).max(progress.total_bytes);
            missing += progress.total_bytes - progress.copied_bytes;
        }
        let total_bytes: i64 = self.totals.values().sum();
        let copied_bytes = total_bytes - missing;
        self.first.get_or_insert((now_ms, copied_bytes));
        self.last = Some((now_ms, copied_bytes));
        let bytes_per_second = self.pace();
        let remaining_ms = match bytes_per_second {
            _ if missing == 0 => Some(0),
            Some(pace) if pace > 0 => Some((i128::from(missing) * 1000 / i128::from(pace)) as i64),
            _ => None,
        };
        Stand {
            partitions_done: self.totals.len() - moves.len(),
            partitions: self.totals.len(),
            copied_bytes,
            total_bytes,
            bytes_per_second,
            remaining_ms,
        }
    }

    /// Over the whole time that was looked at.
    fn pace(&self) -> Option<i64> {
        let ((first_ms, first), (last_ms, last)) = (self.first?, self.last?);
        let elapsed_ms = last_ms - first_ms;
        (elapsed_ms > 0).then(|| (i128::from((last - first).max(0)) * 1000 / i128::from(elapsed_ms)) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ongoing(replicas: &[i32], adding: &[i32], removing: &[i32]) -> Ongoing {
        Ongoing { replicas: replicas.to_vec(), adding: adding.to_vec(), removing: removing.to_vec() }
    }

    fn progress(partition: i32, copied_bytes: i64, total_bytes: i64) -> MoveProgress {
        let empty = move_progress(&("t".to_owned(), partition), &ongoing(&[], &[], &[]), None);
        MoveProgress { copied_bytes, total_bytes, ..empty }
    }

    #[test]
    fn new_replicas_count_up_to_the_size_of_the_old_ones() {
        let moving = ongoing(&[4, 5, 1, 2], &[4, 5], &[1, 2]);
        let sizes = BTreeMap::from([(1, 100), (2, 90), (4, 40), (5, 120)]);
        let progress = move_progress(&("t".to_owned(), 7), &moving, Some(&sizes));
        assert_eq!((progress.copied_bytes, progress.total_bytes), (140, 200));
        assert_eq!((progress.replicas, progress.partition), (vec![4, 5], 7));
        let unknown = move_progress(&("t".to_owned(), 7), &moving, None);
        assert_eq!((unknown.copied_bytes, unknown.total_bytes), (0, 0));
    }

    #[test]
    fn the_estimate_is_what_is_missing_at_the_pace_so_far() {
        let mut journey = Journey::default();
        let stand = journey.note(1_000, &[progress(0, 100, 1_000), progress(1, 0, 1_000)]);
        assert_eq!((stand.bytes_per_second, stand.remaining_ms), (None, None));
        let stand = journey.note(3_000, &[progress(0, 500, 1_000), progress(1, 0, 1_000)]);
        assert_eq!((stand.bytes_per_second, stand.remaining_ms), (Some(200), Some(7_500)));
        assert_eq!((stand.copied_bytes, stand.total_bytes, stand.partitions_done), (500, 2_000, 0));
    }

    #[test]
    fn a_move_that_is_over_counts_as_copied() {
        let mut journey = Journey::default();
        journey.note(0, &[progress(0, 0, 1_000), progress(1, 0, 1_000)]);
        let stand = journey.note(1_000, &[progress(1, 500, 1_000)]);
        assert_eq!((stand.copied_bytes, stand.total_bytes), (1_500, 2_000));
        assert_eq!((stand.partitions_done, stand.partitions), (1, 2));
        let stand = journey.note(2_000, &[]);
        assert_eq!((stand.copied_bytes, stand.remaining_ms, stand.partitions_done), (2_000, Some(0), 2));
    }

    #[test]
    fn without_progress_there_is_no_estimate() {
        let mut journey = Journey::default();
        journey.note(0, &[progress(0, 10, 1_000)]);
        assert_eq!(journey.note(1_000, &[progress(0, 10, 1_000)]).remaining_ms, None);
        assert_eq!(journey.note(2_000, &[progress(0, 5, 1_000)]).remaining_ms, None, "truncated");
    }
}
