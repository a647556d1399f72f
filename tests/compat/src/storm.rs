//! Groups of both protocols through a storm of random faults: no acknowledged commit is lost, none goes back, nothing is
//! skipped.
//!
//! Sessions are longer than the storm is likely to keep a member from its coordinator: one that was given up would
//! go on reading until it hears of it, on any broker.

use std::time::Duration;

use tidelog_cluster_tests::nemesis::Nemesis;
use tidelog_cluster_tests::scenario::report;
use tidelog_cluster_tests::writer::Load;
use tidelog_cluster_tests::{Writer, scenario};

use crate::client::Client;
use crate::group::{Commit, Group, partitions_of};
use crate::tour::brokers_with_session_timeout_ms;
use crate::verdict::judge;

const TOPIC: &str = "storm";
const PARTITIONS: i32 = 6;
const LOAD: Load = Load { name: "storm", records_per_second: 200, value_bytes: 32 };

/// # Panics
/// If anything fails: this is the body of a test.
pub fn storm(seed: u64, duration: Duration) {
    scenario(brokers_with_session_timeout_ms("60000").gated_network(), |cluster| {
        let mut nemesis = Nemesis::new(seed);
        report(&format!("seed {seed}: {:?}", nemesis.kinds()));
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let writer = Writer::confluent(cluster, TOPIC, LOAD, &[])?;
        let clients = [
            Client::confluent("classic", &["session_ms=60000"]),
            Client::confluent("consumer", &["protocol=consumer"]),
        ];
        let mut groups = Vec::new();
        for client in clients {
            let mut group = Group::new(cluster, client, client.name, TOPIC);
            group.start("a", Commit::ByHand)?;
            group.start("b", Commit::Automatic)?;
            group.wait_shared(&partitions_of(TOPIC, PARTITIONS))?;
            group.wait_reading()?;
            groups.push(group);
        }
        nemesis.rage(cluster, duration)?;
        groups.iter_mut().try_for_each(Group::wait_reading)?;
        cluster.wait_in_sync(TOPIC, PARTITIONS, 3)?;
        judge(cluster, TOPIC, PARTITIONS, groups, writer)
    });
}
