//! Deleted topics take the offsets committed to them along.

use tidelog_wire::{Str, Uuid};

use super::record;
use crate::group::Groups;
use crate::turn::Turn;

/// Offsets of a later topic of the same name stay: they carry its id.
pub(crate) fn topics_deleted(groups: &mut Groups, turn: &mut Turn, deleted: &[(Str, Uuid)]) {
    let mut touched = Vec::new();
    for (group_id, group) in &mut groups.by_id {
        for (name, id) in deleted {
            let Some(partitions) = group.offsets.topics.get(name) else { continue };
            let is_recreated = turn.topics.id(name).is_some();
            let gone = partitions.iter().filter(|(_, offset)| match offset.topic_id {
                Uuid::ZERO => !is_recreated,
                committed_to => committed_to == *id,
            });
            let gone: Vec<i32> = gone.map(|(index, _)| *index).collect();
            for index in gone {
                group.offsets.remove(name, index);
                turn.outcome.records.push(record::tombstone(group_id, name, index));
            }
            touched.push(group_id.clone());
        }
    }
    touched.iter().for_each(|group_id| groups.remove_if_unused(group_id));
}
