//! `tidelog dev`: a whole cluster in one process, each node with threads of its own, on localhost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;

use clap::Args;
use tidelog_wire::types::BrokerId;
use tokio::sync::{mpsc, watch};

use super::server::surroundings;
use crate::config::{self, NodeConfig, RawConfig};
use crate::exit::{Exit, Failure};
use crate::logging;
use crate::node::Node;
use crate::output::{Format, Printer, Style};
use crate::signals::Signals;

#[derive(Args, Debug)]
pub struct DevArgs {
    /// Nodes, each broker and controller
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    brokers: u16,
    /// Kept between runs
    #[arg(long, value_name = "DIR", default_value = "./tidelog-data/dev")]
    data_dir: PathBuf,
    /// Client port of the first node; the others follow in steps of 100
    #[arg(long, default_value_t = 9092)]
    port: u16,
    /// A setting of all nodes, may be repeated
    #[arg(long = "override", short = 'o', value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

const PORT_STEP: u16 = 100;
const CONTROLLER_PORT_AFTER: u16 = 1;
const ADMIN_PORT_AFTER: u16 = 552;

/// What a node's thread reports to the main one.
enum Report {
    Ready,
    Failed(Failure),
    Stopped,
}

pub fn run(args: DevArgs) -> Result<Exit, Failure> {
    logging::start(logging::NODE, true);
    let nodes = node_configs(&args)?;
    check_same_size(&args.data_dir, args.brokers)?;
    let (stop, stopping) = watch::channel(false);
    let (reports, received) = mpsc::channel(nodes.len() * 4);
    for node in nodes {
        let (reports, stopping) = (reports.clone(), stopping.clone());
        let brokers = args.brokers;
        thread::Builder::new().name(format!("control-{}", node.node_id)).spawn(move || {
            let life = || run_node(&node, brokers, stopping, &reports);
            if catch_unwind(AssertUnwindSafe(life)).is_err() {
                let failure = Failure::new(Exit::Failed, format!("node {} panicked", node.node_id));
                // The main thread has gone only if the process is ending.
                let _ = reports.blocking_send(Report::Failed(failure));
            }
        })?;
    }
    drop(reports);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(supervise(&args, stop, received));
    runtime.shutdown_background();
    result
}

/// Waits for all nodes, says so, and stops them together.
async fn supervise(
    args: &DevArgs,
    stop: watch::Sender<bool>,
    mut reports: mpsc::Receiver<Report>,
) -> Result<Exit, Failure> {
    let mut signals = Signals::new()?;
    let mut ready = 0;
    let mut failure = None;
    loop {
        tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal, "stopping; repeat the signal to stop immediately");
                break;
            }
            report = reports.recv() => match report {
                Some(Report::Ready) => {
                    ready += 1;
                    if ready == args.brokers {
                        banner(args)?;
                    }
                }
                Some(Report::Failed(reason)) => {
                    failure = Some(reason);
                    break;
                }
                Some(Report::Stopped) | None => break,
            }
        }
    }
    stop.send_replace(true);
    let all_stopped = async { while reports.recv().await.is_some() {} };
    signals.unless_repeated(all_stopped).await;
    failure.map_or(Ok(Exit::Ok), Err)
}

/// The whole life of one node, on its control thread.
fn run_node(config: &NodeConfig, brokers: u16, mut stopping: watch::Receiver<bool>, reports: &mpsc::Sender<Report>) {
    let report = |report| {
        // The main thread has gone only if the process is ending.
        let _ = reports.blocking_send(report);
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(Report::Failed(error.into())),
    };
    let outcome = runtime.block_on(async {
        let node = Node::start(config).await?;
        let ended = tokio::select! {
            never = announce_when_ready(&node, brokers, reports) => never,
            reason = node.failed() => Err(Failure::new(Exit::Failed, format!("node {} stopped: {reason}", config.node_id))),
            _ = stopping.wait_for(|stop| *stop) => Ok(()),
        };
        node.shutdown().await;
        ended
    });
    runtime.shutdown_background();
    report(outcome.map_or_else(Report::Failed, |()| Report::Stopped));
}

/// Reports once the node serves and sees every broker of the cluster active; then waits for ever.
async fn announce_when_ready(node: &Node, brokers: u16, reports: &mpsc::Sender<Report>) -> Result<(), Failure> {
    node.ready().await;
    let mut image = node.controller.image();
    let all_active = |image: &std::sync::Arc<tidelog_metadata::Image>| {
        (1..=i32::from(brokers)).all(|id| image.is_active(BrokerId(id)))
    };
    if image.wait_for(all_active).await.is_ok() {
        let _ = reports.send(Report::Ready).await;
    }
    std::future::pending().await
}

fn node_configs(args: &DevArgs) -> Result<Vec<NodeConfig>, Failure> {
    let steps = (args.brokers - 1) * PORT_STEP;
    if args.port.checked_add(steps + ADMIN_PORT_AFTER).is_none() {
        return Err(Failure::usage(format!("--port {} leaves no room for {} nodes", args.port, args.brokers)));
    }
    let port = |index: u16| args.port + index * PORT_STEP;
    let voters: Vec<String> = (0..args.brokers)
        .map(|index| format!("{}@127.0.0.1:{}", index + 1, port(index) + CONTROLLER_PORT_AFTER))
        .collect();
    let mut nodes = Vec::new();
    for index in 0..args.brokers {
        let (id, client) = (index + 1, port(index));
        let mut raw = RawConfig::gather(None, std::iter::empty(), &args.overrides)?;
        raw.set("node.id", id.to_string());
        raw.set("process.roles", "broker,controller");
        raw.set("controller.quorum.voters", voters.join(","));
        let controller = client + CONTROLLER_PORT_AFTER;
        raw.set("listeners", format!("PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}"));
        raw.set("advertised.listeners", format!("PLAINTEXT://localhost:{client}"));
        raw.set("admin.listener", format!("http://127.0.0.1:{}", client + ADMIN_PORT_AFTER));
        raw.set("log.dirs", args.data_dir.join(id.to_string()).to_string_lossy());
        // As in the files that Kafka is tried out with: a group's first member waits for no others.
        if raw.get("group.initial.rebalance.delay.ms").is_none() {
            raw.set("group.initial.rebalance.delay.ms", "0");
        }
        // All nodes stop together: there is nobody to hand anything over to.
        raw.set("controlled.shutdown.enable", "false");
        let loaded = config::load(&raw, &surroundings())?;
        for warning in loaded.ineffective.warnings().into_iter().filter(|_| index == 0) {
            tracing::warn!("{warning}");
        }
        nodes.push(loaded.node);
    }
    Ok(nodes)
}

/// The voters of a cluster are fixed when it is founded.
fn check_same_size(data_dir: &Path, brokers: u16) -> Result<(), Failure> {
    let found = (1..=9).filter(|id| data_dir.join(id.to_string()).is_dir()).count();
    if found == 0 || found == usize::from(brokers) {
        return Ok(());
    }
    Err(Failure::usage(format!("{} holds a cluster of {found} nodes, not {brokers}", data_dir.display()))
        .advising(format!("--brokers {found}, or another --data-dir for a new cluster")))
}

fn banner(args: &DevArgs) -> Result<(), Failure> {
    let printer = Printer::new(Format::Table);
    let servers: Vec<String> =
        (0..args.brokers).map(|index| format!("localhost:{}", args.port + index * PORT_STEP)).collect();
    let option = match args.port {
        9092 => String::new(),
        port => format!(" -b localhost:{port}"),
    };
    let program = std::env::args().next().unwrap_or_else(|| "tidelog".to_owned());
    printer.line("")?;
    printer.styled_line("Tidelog is running. Kafka clients connect to", Style::Good)?;
    printer.styled_line(&format!("    {}", servers.join(",")), Style::Strong)?;
    printer.line("Next, in another terminal:")?;
    printer.styled_line(
        &format!(
            "    {program}{option} topic create sample --partitions 2 --replication-factor {}",
            args.brokers.min(3)
        ),
        Style::Strong,
    )?;
    printer.styled_line(&format!("    echo 'Hello, World!' | {program}{option} produce sample && {program}{option} consume sample --from-beginning"), Style::Strong)?;
    printer.line(&format!("Data: {} (kept between runs). Ctrl-C stops the cluster.", args.data_dir.display()))?;
    printer.line("")?;
    Ok(())
}
