//! The node itself.

use crate::config::definition::Effect::{Implemented, WithoutEffect};
use crate::config::definition::{ConfigDefinition, int, list, string};
use crate::config::value::Valid;

pub(super) const NODE: &[ConfigDefinition] = &[
    int("node.id", "1", Implemented, "Names the node in its cluster.").valid(Valid::AtLeast(0)),
    list("process.roles", "broker,controller", Implemented, "What the node is.")
        .valid(Valid::ItemsOf(&["broker", "controller"])),
    string("cluster.id", "", Implemented, "The cluster to found or to belong to.").without_default(),
    string("broker.rack", "", Implemented, "Where the broker stands; replicas are spread over racks.")
        .without_default(),
    list("log.dirs", "tidelog-data", Implemented, "Where the node keeps its data."),
    int(
        "num.shards",
        "0",
        WithoutEffect,
        "Threads that partitions and connections are spread over; 0 is one per core. Not implemented \
         yet: one thread serves them all. Not a Kafka name.",
    )
    .valid(Valid::AtLeast(0)),
    string(
        "admin.listener",
        "http://127.0.0.1:9644",
        Implemented,
        "Where metrics and health are served. Not a Kafka name.",
    ),
];
