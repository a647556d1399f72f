//! What comes from the log is not trusted.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use tidelog_wire::Str;

use crate::testing::FakeTopics;
use crate::{Coordinator, GroupConfig, TimerKey};

/// A key of one of the kinds for the group "g", or anything.
fn key() -> impl Strategy<Value = Vec<u8>> {
    let of_kind = (0..18_u8, prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(kind, rest)| {
        let mut key = vec![0, kind, 0, 1, b'g'];
        key.extend(rest);
        key
    });
    prop_oneof![4 => of_kind, 1 => prop::collection::vec(any::<u8>(), 0..40)]
}

/// Mostly of a version that exists; small numbers, so that lengths and counts are often right.
fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
    let of_version = (0..5_u8, prop::collection::vec(prop_oneof![3 => 0..4_u8, 1 => any::<u8>()], 0..80));
    let of_version = of_version.prop_map(|(version, rest)| [&[0, version], &rest[..]].concat());
    prop::option::weighted(0.9, of_version)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_of_anything_is_replayed_and_what_it_makes_can_be_worked_with(
        log in prop::collection::vec((key(), value()), 1..30),
    ) {
        let mut coordinator = Coordinator::new(Arc::new(GroupConfig::default()));
        for (key, value) in log {
            // Most of it is refused.
            let _ = coordinator.replay(Some(Bytes::from(key)), value.map(Bytes::from));
        }
        let topics = FakeTopics::of(&[("orders", 8)]);
        let booked = coordinator.loaded(1_000_000, &topics).timers;
        prop_assert!(booked.iter().any(|change| change.key == TimerKey::OffsetExpiry));
        for change in booked {
            let _ = coordinator.timer_due(i64::MAX / 2, &topics, change.key);
        }
        let _ = coordinator.topics_deleted(1_000_000, &topics, &[(Str::from("orders"), Default::default())]);
    }
}
