//! Which topic a request means, by name or, from version 10 of the offset APIs on, by id.

use tidelog_wire::{ErrorCode, Str, Uuid};

use crate::Topics;

/// First version of OffsetCommit and OffsetFetch that names topics by id.
pub(super) const TOPIC_IDS_FROM: i16 = 10;

pub(super) struct Topic {
    pub name: Str,
    pub id: Uuid,
}

pub(super) fn topic(topics: &dyn Topics, version: i16, name: &Str, id: Uuid) -> Result<Topic, ErrorCode> {
    if version >= TOPIC_IDS_FROM {
        let name = topics.name(id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?;
        Ok(Topic { name, id })
    } else {
        let id = topics.id(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        Ok(Topic { name: name.clone(), id })
    }
}
