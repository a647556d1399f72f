//! Transactions and producers.

use crate::config::definition::Effect::{Implemented, WithoutEffect};
use crate::config::definition::{ConfigDefinition, int, short};
use crate::config::value::Valid;

pub(super) const TRANSACTIONS: &[ConfigDefinition] = &[
    int("transaction.state.log.num.partitions", "50", WithoutEffect, "Partitions of the topic of transactions.")
        .valid(Valid::AtLeast(1)),
    short(
        "transaction.state.log.replication.factor",
        "3",
        WithoutEffect,
        "Replicas of the topic of transactions; lowered to the brokers there are.",
    )
    .valid(Valid::AtLeast(1)),
    int(
        "transaction.state.log.min.isr",
        "2",
        WithoutEffect,
        "Min ISR of the topic of transactions; lowered to the brokers there are.",
    )
    .valid(Valid::AtLeast(1)),
    int("transaction.max.timeout.ms", "900000", WithoutEffect, "Longest transaction timeout a producer may ask for.")
        .valid(Valid::AtLeast(1)),
    int("transactional.id.expiration.ms", "604800000", WithoutEffect, "How long an unused transactional id is kept.")
        .valid(Valid::AtLeast(1)),
    int("producer.id.expiration.ms", "86400000", Implemented, "How long an unused producer id's state is kept.")
        .valid(Valid::AtLeast(1))
        .cluster_wide(),
];
