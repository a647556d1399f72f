//! A group's changes out of the log.

use bytes::Bytes;
use tidelog_wire::Reader;

use super::change::Change;
use super::records;
use crate::group::{Groups, Kind, classic};
use crate::record::{RecordKind, ReplayError};

/// A record of one of this protocol's kinds; `key` stands after the kind.
pub(crate) fn replay(
    groups: &mut Groups,
    kind: RecordKind,
    key: Reader,
    value: Option<Bytes>,
) -> Result<(), ReplayError> {
    let is_tombstone = value.is_none();
    let Some((group_id, change)) = records::decode(kind, key, value)? else { return Ok(()) };
    if is_tombstone {
        let Some(group) = groups.consumer_mut(&group_id) else { return Ok(()) };
        let is_end = change == Change::Epoch(None);
        group.apply(change);
        if is_end && let Some(group) = groups.get_mut(&group_id) {
            // Its offsets may outlive it.
            group.kind = Kind::Classic(Box::new(classic::ClassicGroup::new(group_id.detached())));
            groups.remove_if_unused(&group_id);
        }
        return Ok(());
    }
    let group = groups.get_or_create(&group_id);
    if group.as_consumer().is_none() {
        // The classic group that had the name was ended before, or the log would not go on like this.
        group.kind = Kind::Consumer(Box::default());
    }
    if let Some(group) = group.as_consumer_mut() {
        group.apply(change);
    }
    Ok(())
}
