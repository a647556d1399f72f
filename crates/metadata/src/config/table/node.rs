//! The node itself.

use crate::config::definition::Effect::{Implemented, WithoutEffect};
use crate::config::definition::{ConfigDefinition, int, list, long, string};
use crate::config::value::Valid;

pub(super) const NODE: &[ConfigDefinition] = &[
    int("node.id", "1", Implemented, "Identifies the node. A node that is a cluster by itself may leave it out.")
        .valid(Valid::AtLeast(0)),
    int("broker.id", "-1", Implemented, "The older name of node.id.").valid(Valid::AtLeast(-1)),
    list("process.roles", "broker,controller", Implemented, "The roles of the node.")
        .valid(Valid::ItemsOf(&["broker", "controller"])),
    string(
        "cluster.id",
        "",
        Implemented,
        "The cluster that the node founds or belongs to. Not a Kafka property; in the environment, CLUSTER_ID.",
    )
    .without_default(),
    string("broker.rack", "", Implemented, "The rack of the broker. A topic's replicas are spread over racks.")
        .without_default(),
    list("log.dir", "./tidelog-data", Implemented, "The data directory, unless log.dirs is set."),
    list("log.dirs", "", Implemented, "The data directory. Only one is supported.").without_default(),
    long(
        "log.dir.reserve.bytes",
        "67108864",
        Implemented,
        "Producers are refused when the disk has less left; metadata and recovery go on. Not a Kafka property.",
    )
    .valid(Valid::AtLeast(0)),
    int(
        "num.shards",
        "0",
        WithoutEffect,
        "The number of threads that share partitions and connections; 0 means one per core. Not implemented yet: \
         one thread serves them all. Not a Kafka property.",
    )
    .valid(Valid::AtLeast(0)),
    string(
        "admin.listener",
        "http://127.0.0.1:9644",
        Implemented,
        "The address that serves metrics and health checks, or none. Not a Kafka property.",
    ),
];
