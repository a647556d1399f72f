//! `tidelog cluster health`: one word, its reasons, an exit code. Also what the container image calls as its health check.

use clap::Args;
use serde::Serialize;
use tidelog_wire::messages::MetadataResponse;

use crate::commands::redundancy::Redundancy;
use crate::exit::{Exit, Failure};
use crate::output::Style;
use crate::session::Session;

#[derive(Args, Debug)]
pub struct HealthArgs {
    /// Fewer in-sync replicas than replicas is no failure as long as every partition has a leader
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
}

pub async fn run(session: Session, args: HealthArgs) -> Result<Exit, Failure> {
    let metadata = session.client.metadata(None, false).await?;
    let redundancy = Redundancy::of(&session.client, &metadata).await;
    let health = judge(&metadata, &redundancy);
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

fn judge(metadata: &MetadataResponse, redundancy: &Redundancy) -> Health {
    let mut offline = Vec::new();
    let mut under_replicated = Vec::new();
    for topic in &metadata.topics {
        for partition in &topic.partitions {
            let topic = topic.name.as_deref().unwrap_or_default();
            let name = format!("{topic}-{}", partition.partition_index);
            if partition.leader_id < 0 {
                offline.push(name);
            } else if redundancy.is_short(topic, partition) {
                under_replicated.push(name);
            }
        }
    }
    let controller = (metadata.controller_id >= 0).then_some(metadata.controller_id);
    let status = match (controller, offline.is_empty(), under_replicated.is_empty()) {
        (None, _, _) | (_, false, _) => Verdict::Unhealthy,
        (Some(_), true, false) => Verdict::Degraded,
        (Some(_), true, true) if metadata.brokers.is_empty() => Verdict::Unhealthy,
        (Some(_), true, true) => Verdict::Healthy,
    };
    Health { status, brokers: metadata.brokers.len(), controller, offline, under_replicated }
}

fn print(session: &Session, health: &Health) -> Result<(), Failure> {
    let printer = &session.printer;
    let (word, style) = match health.status {
        Verdict::Healthy => ("healthy", Style::Good),
        Verdict::Degraded => ("degraded", Style::Bad),
        Verdict::Unhealthy => ("unhealthy", Style::Bad),
    };
    printer.styled_line(word, style)?;
    let controller =
        health.controller.map_or("no active controller".to_owned(), |id| format!("active controller {id}"));
    printer.line(&format!("  brokers: {}, {controller}", health.brokers))?;
    for (what, partitions) in [("without a leader", &health.offline), ("under-replicated", &health.under_replicated)] {
        if !partitions.is_empty() {
            printer.line(&format!("  {what}: {}", shortened(partitions)))?;
        }
    }
    Ok(())
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
            (metadata(-1, 1, &[1, 2, 3]), Verdict::Unhealthy),
        ];
        for (metadata, expected) in table {
            assert_eq!(judge(&metadata, &Redundancy::default()).status, expected, "{metadata:?}");
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..12).map(|index| format!("t-{index}")).collect();
        assert!(shortened(&names).ends_with("t-9 and 2 more"));
        assert_eq!(shortened(&names[..2]), "t-0, t-1");
    }
}
