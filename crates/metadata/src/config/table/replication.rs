//! Replication and fetching.

use super::LONG_MAX;
use crate::config::definition::Effect::Implemented;
use crate::config::definition::{ConfigDefinition, int, long, string};
use crate::config::value::Valid;

pub(super) const REPLICATION: &[ConfigDefinition] = &[
    long(
        "replica.lag.time.max.ms",
        "30000",
        Implemented,
        "How long a follower may lag before it leaves the in-sync replicas.",
    )
    .valid(Valid::AtLeast(1)),
    int("replica.fetch.max.bytes", "1048576", Implemented, "The most bytes a follower fetches per partition.")
        .valid(Valid::AtLeast(0)),
    int(
        "replica.fetch.response.max.bytes",
        "10485760",
        Implemented,
        "The most bytes a follower fetches with one request.",
    )
    .valid(Valid::AtLeast(0)),
    int("replica.fetch.wait.max.ms", "500", Implemented, "How long a follower's fetch waits for new records.")
        .valid(Valid::AtLeast(1)),
    int("fetch.max.bytes", "57671680", Implemented, "The most bytes in the response to one fetch of a consumer.")
        .valid(Valid::AtLeast(1024)),
    int(
        "max.incremental.fetch.session.cache.slots",
        "1000",
        Implemented,
        "How many incremental fetch sessions the broker keeps.",
    )
    .valid(Valid::AtLeast(0)),
    string(
        "replica.selector.class",
        "",
        Implemented,
        "How to choose the replica a consumer reads from: LeaderSelector or RackAwareReplicaSelector.",
    )
    .without_default(),
    long(
        "leader.replication.throttled.rate",
        LONG_MAX,
        Implemented,
        "The most bytes per second that followers fetch from throttled replicas of this broker.",
    )
    .valid(Valid::AtLeast(0))
    .cluster_wide(),
    long(
        "follower.replication.throttled.rate",
        LONG_MAX,
        Implemented,
        "The most bytes per second that this broker fetches for its throttled replicas.",
    )
    .valid(Valid::AtLeast(0))
    .cluster_wide(),
];
