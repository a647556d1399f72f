//! Transactions and producers.

use crate::config::definition::Effect::{Implemented, WithoutEffect};
use crate::config::definition::{ConfigDefinition, int, short};
use crate::config::value::Valid;

pub(super) const TRANSACTIONS: &[ConfigDefinition] = &[
    int(
        "transaction.state.log.num.partitions",
        "50",
        WithoutEffect,
        "The number of partitions of the transaction topic. Transactions are not supported yet.",
    )
    .valid(Valid::AtLeast(1)),
    short(
        "transaction.state.log.replication.factor",
        "3",
        WithoutEffect,
        "The replication factor of the transaction topic. Transactions are not supported yet.",
    )
    .valid(Valid::AtLeast(1)),
    int(
        "transaction.state.log.min.isr",
        "2",
        WithoutEffect,
        "The min.insync.replicas of the transaction topic. Transactions are not supported yet.",
    )
    .valid(Valid::AtLeast(1)),
    int(
        "transaction.max.timeout.ms",
        "900000",
        WithoutEffect,
        "The longest transaction timeout a producer may ask for. Transactions are not supported yet.",
    )
    .valid(Valid::AtLeast(1)),
    int(
        "transactional.id.expiration.ms",
        "604800000",
        WithoutEffect,
        "How long an unused transactional id is kept. Transactions are not supported yet.",
    )
    .valid(Valid::AtLeast(1)),
    int("producer.id.expiration.ms", "86400000", Implemented, "How long an unused producer id is remembered.")
        .valid(Valid::AtLeast(1))
        .cluster_wide(),
];
