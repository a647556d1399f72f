//! What the consumers of a group read, from what they tell each other when they join.

use std::collections::BTreeSet;

use bytes::Bytes;
use tidelog_wire::messages::ConsumerProtocolSubscription;
use tidelog_wire::{DecodeError, Message, Reader, Str};

use super::ClassicGroup;

/// Later versions begin with what version 0 is, whatever they add.
const SUBSCRIPTION_VERSION: i16 = 0;

impl ClassicGroup {
    /// `None` if the members are no consumers, or say something that is no subscription.
    pub(super) fn subscribed_topics(&self) -> Option<BTreeSet<Str>> {
        if !self.is_of_consumers() {
            return None;
        }
        let mut subscribed = BTreeSet::new();
        for member in self.members.values() {
            let topics = topics(member.metadata(self.protocol.as_deref()?)).ok()?;
            let new: Vec<Str> = topics.into_iter().filter(|topic| !subscribed.contains(topic)).collect();
            subscribed.extend(new.iter().map(Str::detached));
        }
        Some(subscribed)
    }
}

fn topics(metadata: Bytes) -> Result<Vec<Str>, DecodeError> {
    let mut reader = Reader::new(metadata);
    let _version = reader.i16()?;
    Ok(ConsumerProtocolSubscription::decode(&mut reader, SUBSCRIPTION_VERSION)?.topics)
}
