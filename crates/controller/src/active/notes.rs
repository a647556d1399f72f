//! Tells operators what a round decided that nobody asked for.

use std::sync::atomic::Ordering;

use tidelog_metadata::Note;

use crate::shared::Shared;

/// Once the round is applied.
pub(super) fn announce(shared: &Shared, notes: &[Note]) {
    for note in notes {
        let Note::UncleanElection { topic, partition, leader, leader_epoch } = note;
        shared.unclean_elections.fetch_add(1, Ordering::Relaxed);
        tracing::info!(
            topic = topic.as_str(),
            partition = partition.get(),
            leader = leader.get(),
            leader_epoch = leader_epoch.get(),
            "UNCLEAN leader election"
        );
    }
    if !notes.is_empty() {
        tracing::warn!(
            partitions = notes.len(),
            "leaders were elected that were not known to hold everything: acknowledged records may be lost"
        );
    }
}
