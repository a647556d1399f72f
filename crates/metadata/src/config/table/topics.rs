//! Creating and deleting topics, and who leads.

use crate::config::definition::Effect::Implemented;
use crate::config::definition::{ConfigDefinition, boolean, int, long};
use crate::config::value::Valid;

pub(super) const TOPICS: &[ConfigDefinition] = &[
    boolean(
        "auto.create.topics.enable",
        "true",
        Implemented,
        "Whether the broker creates a missing topic when a client asks for it.",
    ),
    int("num.partitions", "1", Implemented, "The number of partitions of a topic created without one.")
        .valid(Valid::AtLeast(1)),
    int(
        "default.replication.factor",
        "",
        Implemented,
        "The replication factor of a topic created without one. Unless set, 3 or the number of brokers if that is \
         lower (Kafka: 1).",
    )
    .without_default()
    .valid(Valid::AtLeast(1)),
    boolean("delete.topic.enable", "true", Implemented, "Whether topics can be deleted."),
    int(
        "min.insync.replicas",
        "",
        Implemented,
        "How many in-sync replicas acks=all requires. Unless set, half of the replicas, rounded up (Kafka: 1).",
    )
    .without_default()
    .valid(Valid::AtLeast(1))
    .cluster_wide(),
    boolean(
        "unclean.leader.election.enable",
        "false",
        Implemented,
        "Whether a replica that may lack acknowledged records can become leader if no other is left.",
    )
    .cluster_wide(),
    boolean(
        "auto.leader.rebalance.enable",
        "true",
        Implemented,
        "Whether leadership returns to the preferred replicas automatically.",
    ),
    long(
        "leader.imbalance.check.interval.seconds",
        "300",
        Implemented,
        "The time between two checks for leaderships to return.",
    )
    .valid(Valid::AtLeast(1)),
];
