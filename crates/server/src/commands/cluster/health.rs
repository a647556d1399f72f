//! `tidelog cluster health`: one word, its reasons, an exit code. Also what the container image calls as its health check.

use clap::Args;
use serde::Serialize;
use tidelog_wire::messages::MetadataResponse;

use super::disks::{FullDisk, full_disks};
use super::survey::{Leadership, Survey};
use crate::commands::redundancy::Redundancy;
use crate::commands::size::bytes_text;
use crate::exit::{Exit, Failure};
use crate::output::Style;
use crate::session::Session;

#[derive(Args, Debug)]
pub struct HealthArgs {
    /// Accept fewer in-sync replicas than replicas, provided every partition has a leader
    #[arg(long)]
    allow_degraded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Healthy,
    /// Everything is served, with less redundancy than asked for.
    Degraded,
    /// Something is not served.
    Unhealthy,
}

#[derive(Debug, Serialize)]
struct Health {
    status: Verdict,
    brokers: usize,
    controller: Option<i32>,
    offline: Vec<String>,
    under_replicated: Vec<String>,
    /// Their leader is up and serves again once there is a controller.
    waiting_for_controller: Vec<String>,
    /// Without a controller each broker is asked: those that do not answer.
    unreachable_brokers: Vec<i32>,
    full_disks: Vec<FullDisk>,
}

pub async fn run(session: Session, args: HealthArgs) -> Result<Exit, Failure> {
    let client = &session.client;
    let metadata = client.metadata(None, false).await?;
    let mut health = match metadata.controller_id {
        0.. => judge(&metadata, &Redundancy::of(client, &metadata).await),
        _ => judge_without_controller(&metadata, &Survey::of(client, &metadata).await),
    };
    health.add_full_disks(full_disks(client, &metadata).await, &metadata);
    if session.printer.is_json() {
        session.printer.json(&health)?;
    } else {
        print(&session, &health)?;
    }
    Ok(match health.status {
        Verdict::Healthy => Exit::Ok,
        Verdict::Degraded if args.allow_degraded => Exit::Ok,
        Verdict::Degraded | Verdict::Unhealthy => Exit::Unhealthy,
    })
}

impl Health {
    fn new(brokers: usize, controller: Option<i32>) -> Self {
        Self {
            status: Verdict::Healthy,
            brokers,
            controller,
            offline: Vec::new(),
            under_replicated: Vec::new(),
            waiting_for_controller: Vec::new(),
            unreachable_brokers: Vec::new(),
            full_disks: Vec::new(),
        }
    }

    /// Partitions led by a broker whose disk is full refuse producers; of others such a broker may fall out of the ISR.
    fn add_full_disks(&mut self, full_disks: Vec<FullDisk>, metadata: &MetadataResponse) {
        let leads = |disk: &FullDisk| {
            metadata.topics.iter().flat_map(|topic| &topic.partitions).any(|p| p.leader_id == disk.broker)
        };
        match full_disks.iter().any(leads) {
            true => self.status = Verdict::Unhealthy,
            false if !full_disks.is_empty() && self.status == Verdict::Healthy => self.status = Verdict::Degraded,
            false => {}
        }
        self.full_disks = full_disks;
    }
}

fn judge(metadata: &MetadataResponse, redundancy: &Redundancy) -> Health {
    let mut health = Health::new(metadata.brokers.len(), Some(metadata.controller_id));
    for topic in &metadata.topics {
        for partition in &topic.partitions {
            let topic = topic.name.as_deref().unwrap_or_default();
            let name = format!("{topic}-{}", partition.partition_index);
            if partition.leader_id < 0 {
                health.offline.push(name);
            } else if redundancy.is_short(topic, partition) {
                health.under_replicated.push(name);
            }
        }
    }
    health.status = match (health.offline.is_empty(), health.under_replicated.is_empty()) {
        (false, _) => Verdict::Unhealthy,
        (true, false) => Verdict::Degraded,
        (true, true) if metadata.brokers.is_empty() => Verdict::Unhealthy,
        (true, true) => Verdict::Healthy,
    };
    health
}

/// Who is in sync cannot be known then: the last controller's word is old.
fn judge_without_controller(metadata: &MetadataResponse, survey: &Survey) -> Health {
    let mut health = Health::new(survey.reached.len(), None);
    health.status = Verdict::Unhealthy;
    for topic in &metadata.topics {
        for partition in &topic.partitions {
            let topic = topic.name.as_deref().unwrap_or_default();
            let name = format!("{topic}-{}", partition.partition_index);
            match survey.leadership(topic, partition.partition_index) {
                Leadership::Served => {}
                Leadership::Waiting => health.waiting_for_controller.push(name),
                Leadership::Gone => health.offline.push(name),
            }
        }
    }
    health.unreachable_brokers.clone_from(&survey.unreached);
    health
}

fn print(session: &Session, health: &Health) -> Result<(), Failure> {
    let printer = &session.printer;
    let (word, style) = match health.status {
        Verdict::Healthy => ("healthy", Style::Good),
        Verdict::Degraded => ("degraded", Style::Bad),
        Verdict::Unhealthy => ("unhealthy", Style::Bad),
    };
    printer.styled_line(word, style)?;
    let controller = health.controller.map_or("no active controller (quorum lost or out of reach)".to_owned(), |id| {
        format!("active controller {id}")
    });
    printer.line(&format!("  brokers: {}, {controller}", health.brokers))?;
    let unreachable: Vec<String> = health.unreachable_brokers.iter().map(ToString::to_string).collect();
    for (what, names) in [
        ("brokers that do not answer", &unreachable),
        ("without a leader", &health.offline),
        ("leader up, waiting for a controller", &health.waiting_for_controller),
        ("under-replicated", &health.under_replicated),
    ] {
        if !names.is_empty() {
            printer.line(&format!("  {what}: {}", shortened(names)))?;
        }
    }
    for disk in &health.full_disks {
        printer.line(&format!("  {}", sentence(disk)))?;
    }
    Ok(())
}

fn sentence(disk: &FullDisk) -> String {
    let FullDisk { broker, log_dir, usable_bytes, reserve_bytes } = disk;
    let (usable, reserve) = (bytes_text(*usable_bytes), bytes_text(*reserve_bytes));
    format!(
        "disk full, producers refused: broker {broker} has {usable} left in {log_dir} and keeps {reserve} in reserve"
    )
}

/// The first few names and how many more there are.
fn shortened(names: &[String]) -> String {
    const SHOWN_MAX: usize = 10;
    match names.len().checked_sub(SHOWN_MAX) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..SHOWN_MAX].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidelog_wire::Str;
    use tidelog_wire::messages::metadata_response::{
        MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    };

    fn metadata(controller_id: i32, leader_id: i32, isr: &[i32]) -> MetadataResponse {
        let partition = MetadataResponsePartition {
            leader_id,
            replica_nodes: vec![1, 2, 3],
            isr_nodes: isr.to_vec(),
            ..Default::default()
        };
        MetadataResponse {
            controller_id,
            brokers: vec![MetadataResponseBroker::default()],
            topics: vec![MetadataResponseTopic {
                name: Some(Str::from_static("t")),
                partitions: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn verdicts() {
        let table = [
            (metadata(1, 1, &[1, 2, 3]), Verdict::Healthy),
            (metadata(1, 1, &[1, 2]), Verdict::Degraded),
            (metadata(1, -1, &[1]), Verdict::Unhealthy),
        ];
        for (metadata, expected) in table {
            assert_eq!(judge(&metadata, &Redundancy::default()).status, expected, "{metadata:?}");
        }
    }

    #[test]
    fn a_full_disk_is_as_bad_as_what_it_refuses() {
        let table = [(1, Verdict::Unhealthy), (2, Verdict::Degraded)];
        for (broker, expected) in table {
            let metadata = metadata(1, 1, &[1, 2, 3]);
            let mut health = judge(&metadata, &Redundancy::default());
            let disk = FullDisk { broker, log_dir: "/data".into(), usable_bytes: 1 << 20, reserve_bytes: 64 << 20 };
            let said = sentence(&disk);
            assert!(said.contains("64.0 MiB in reserve"), "{said}");
            health.add_full_disks(vec![disk], &metadata);
            assert_eq!(health.status, expected, "full on broker {broker}, and 1 leads");
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..12).map(|index| format!("t-{index}")).collect();
        assert!(shortened(&names).ends_with("t-9 and 2 more"));
        assert_eq!(shortened(&names[..2]), "t-0, t-1");
    }
}
