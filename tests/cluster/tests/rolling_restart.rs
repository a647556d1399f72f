//! SIGTERM to one node after the other, as an upgrade does it: clients see no error.

use tidelog_cluster_tests::scenario::report;
use tidelog_cluster_tests::segments::wait_identical;
use tidelog_cluster_tests::writer::{Load, read_all};
use tidelog_cluster_tests::{Spec, Writer, scenario};

const TOPIC: &str = "rolling";
const PARTITIONS: i32 = 6;
const SOME: usize = 400;

#[test]
fn a_rolling_restart_shows_clients_no_error() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let writers =
            [Writer::confluent(cluster, TOPIC, Load::default(), &[])?, Writer::java(cluster, TOPIC, Load::default())?];
        for id in cluster.ids() {
            writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
            cluster.terminate(id)?;
            writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
            cluster.start_node(id)?;
            cluster.wait_in_sync(TOPIC, PARTITIONS, 3)?;
        }
        writers.iter().try_for_each(|writer| writer.wait_acked(SOME))?;
        let histories = writers.map(Writer::stop);
        let read = read_all(cluster, TOPIC)?;
        for history in histories {
            let history = history?;
            report(&format!("longest gap of a partition {} ms", history.longest_gap_ms()));
            history.check_no_failure()?;
            history.check(&read)?;
        }
        wait_identical(cluster, TOPIC)
    });
}
