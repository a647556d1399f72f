//! Creating and deleting topics, and who leads.

use crate::config::definition::Effect::Implemented;
use crate::config::definition::{ConfigDefinition, boolean, int, long};
use crate::config::value::Valid;

pub(super) const TOPICS: &[ConfigDefinition] = &[
    boolean("auto.create.topics.enable", "true", Implemented, "Whether a topic that a client asks for is created."),
    int("num.partitions", "1", Implemented, "Partitions of a topic created without a number.").valid(Valid::AtLeast(1)),
    int(
        "default.replication.factor",
        "",
        Implemented,
        "Replicas of a topic created without a number; unless set, 3 or as many as there are brokers (Kafka: 1).",
    )
    .without_default()
    .valid(Valid::AtLeast(1)),
    boolean("delete.topic.enable", "true", Implemented, "Whether topics can be deleted."),
    int(
        "min.insync.replicas",
        "",
        Implemented,
        "In-sync replicas without which acks=all is refused; unless set, half of the replicas rounded up (Kafka: 1).",
    )
    .without_default()
    .valid(Valid::AtLeast(1))
    .cluster_wide(),
    boolean(
        "unclean.leader.election.enable",
        "false",
        Implemented,
        "Whether a replica that may lack acknowledged records may lead when no other is left.",
    )
    .cluster_wide(),
    boolean(
        "auto.leader.rebalance.enable",
        "true",
        Implemented,
        "Whether leaderships go back to preferred replicas by themselves.",
    ),
    long(
        "leader.imbalance.check.interval.seconds",
        "300",
        Implemented,
        "Time between two checks for leaderships to move back.",
    )
    .valid(Valid::AtLeast(1)),
];
