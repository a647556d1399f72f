//! Replication and fetching.

use super::LONG_MAX;
use crate::config::definition::Effect::Implemented;
use crate::config::definition::{ConfigDefinition, class, int, long};
use crate::config::value::Valid;

pub(super) const REPLICATION: &[ConfigDefinition] = &[
    long(
        "replica.lag.time.max.ms",
        "30000",
        Implemented,
        "A follower that has not caught up for this time leaves the ISR.",
    )
    .valid(Valid::AtLeast(1)),
    int("replica.fetch.max.bytes", "1048576", Implemented, "Bytes per partition a follower asks for.")
        .valid(Valid::AtLeast(0)),
    int("replica.fetch.response.max.bytes", "10485760", Implemented, "Bytes per answer a follower asks for.")
        .valid(Valid::AtLeast(0)),
    int("replica.fetch.wait.max.ms", "500", Implemented, "How long a follower's fetch waits for data."),
    int("fetch.max.bytes", "57671680", Implemented, "Most bytes in an answer to a fetch.").valid(Valid::AtLeast(1024)),
    int("max.incremental.fetch.session.cache.slots", "1000", Implemented, "Fetch sessions kept.")
        .valid(Valid::AtLeast(0)),
    class("replica.selector.class", "", Implemented, "Which replica a consumer reads from.").without_default(),
    long(
        "leader.replication.throttled.rate",
        LONG_MAX,
        Implemented,
        "Bytes per second throttled replicas may be fetched with.",
    )
    .valid(Valid::AtLeast(0))
    .per_broker(),
    long("follower.replication.throttled.rate", LONG_MAX, Implemented, "Bytes per second throttled replicas fetch.")
        .valid(Valid::AtLeast(0))
        .per_broker(),
];
