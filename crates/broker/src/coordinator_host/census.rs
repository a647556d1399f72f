//! How many groups there are, for metrics.

use std::collections::BTreeMap;

use tidelog_coordinator::{Caller, Coordinator, RequestId, Response};
use tidelog_metadata::Image;
use tidelog_wire::Uuid;
use tidelog_wire::messages::ListGroupsRequest;

use super::topics::ImageTopics;

/// The groups of this broker's coordinators.
pub(crate) struct Census {
    pub groups: usize,
    pub offsets: usize,
    /// By Kafka's name of the state as its metrics write it, in small letters.
    pub by_state: BTreeMap<String, usize>,
}

/// States that are told even when no group is in them.
const STATES: [&str; 5] = ["preparingrebalance", "completingrebalance", "stable", "dead", "empty"];

impl Default for Census {
    fn default() -> Self {
        let by_state = STATES.iter().map(|state| ((*state).to_owned(), 0)).collect();
        Self { groups: 0, offsets: 0, by_state }
    }
}

impl Census {
    pub(super) fn add(&mut self, coordinator: &mut Coordinator, image: &Image) {
        self.groups += coordinator.group_count();
        self.offsets += coordinator.offset_count();
        let caller =
            Caller { request: RequestId(0), client_id: "", client_host: "", version: 5, fresh_member_id: Uuid::ZERO };
        let listed = coordinator.list_groups(0, &ImageTopics(image), &caller, &ListGroupsRequest::default());
        for reply in listed.replies {
            if let Response::ListGroups(groups) = reply.response {
                for group in groups {
                    *self.by_state.entry(group.group_state.to_ascii_lowercase()).or_default() += 1;
                }
            }
        }
    }
}
