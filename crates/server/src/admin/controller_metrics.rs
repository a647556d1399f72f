//! The metadata quorum's numbers, under the names that Kafka's JMX exporter gives them.

use tidelog_broker::MetricsText;
use tidelog_controller::ControllerHandle;
use tidelog_metadata::Health;

use crate::config::Roles;

pub fn write(text: &mut MetricsText, controller: &ControllerHandle, roles: Roles) {
    quorum(text, controller);
    let applied = controller.last_applied_offset().map_or(-1, |offset| offset as i64);
    let help = "Metadata log offset of the last entry applied here.";
    if roles.broker {
        text.single("kafka_server_broker_metadata_metrics_last_applied_record_offset", "gauge", help, applied);
    }
    if roles.controller {
        text.single("kafka_controller_kafkacontroller_lastappliedrecordoffset", "gauge", help, applied);
        cluster(text, controller);
    }
}

fn quorum(text: &mut MetricsText, controller: &ControllerHandle) {
    const PREFIX: &str = "kafka_server_raft_metrics";
    let status = controller.status().borrow().clone();
    let leader = status.active.unwrap_or(-1);
    text.single(
        &format!("{PREFIX}_current_leader"),
        "gauge",
        "The active controller last heard of; -1 if none.",
        leader,
    );
    text.single(&format!("{PREFIX}_current_epoch"), "gauge", "The controllers' epoch.", status.term);
}

/// As each controller sees the cluster.
fn cluster(text: &mut MetricsText, controller: &ControllerHandle) {
    const PREFIX: &str = "kafka_controller_kafkacontroller";
    let is_active = usize::from(controller.status().borrow().is_active);
    let image = controller.image().borrow().clone();
    let health = image.health();
    let Health { partitions, offline, active_brokers, fenced_brokers, preferred_leader_imbalance, .. } = health;
    let gauges = [
        ("activecontrollercount", "1 on the active controller.", is_active),
        ("activebrokercount", "Brokers that serve.", active_brokers),
        ("fencedbrokercount", "Brokers that are fenced.", fenced_brokers),
        ("globaltopiccount", "Topics of the cluster.", image.topic_count()),
        ("globalpartitioncount", "Partitions of the cluster.", partitions),
        ("offlinepartitionscount", "Partitions without a leader.", offline),
        ("preferredreplicaimbalancecount", "Partitions not led by their first replica.", preferred_leader_imbalance),
    ];
    for (name, help, value) in gauges {
        text.single(&format!("{PREFIX}_{name}"), "gauge", help, value);
    }
    let name = "kafka_controller_controllerstats_uncleanleaderelections_total";
    let help = "Leaders elected by this controller that may lack acknowledged records.";
    text.single(name, "counter", help, controller.unclean_elections());
    let under_replicated = health.under_replicated;
    let help = "Partitions of the cluster with replicas out of sync.";
    text.single("tidelog_controller_under_replicated_partitions", "gauge", help, under_replicated);
}
