//! What the coordinator needs to know of the cluster's topics and of what is configured for groups; the host answers from its
//! metadata image.

use tidelog_wire::{Str, Uuid};

/// A group's own settings; what is not set is as the broker's [`GroupConfig`](crate::GroupConfig) says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupSettings {
    /// `consumer.session.timeout.ms`
    pub session_timeout_ms: Option<i32>,
    /// `consumer.heartbeat.interval.ms`
    pub heartbeat_interval_ms: Option<i32>,
}

/// One state of the cluster's topics: it does not change during a call.
pub trait Topics {
    fn id(&self, name: &str) -> Option<Uuid>;

    fn name(&self, id: Uuid) -> Option<Str>;

    /// `None`: no such topic.
    fn partition_count(&self, id: Uuid) -> Option<i32>;

    /// Racks of a partition's replicas, without replicas that have none; in any order, repeats allowed.
    fn racks(&self, id: Uuid, partition: i32) -> Vec<Str>;

    /// What is set for one group.
    fn group_settings(&self, _group: &str) -> GroupSettings {
        GroupSettings::default()
    }

    /// All topics, in any order, for subscriptions by regular expression.
    fn for_each(&self, visit: &mut dyn FnMut(&Str, Uuid));
}
