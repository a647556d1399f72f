//! `tidelog server`: one node, until a signal.

use std::path::PathBuf;

use clap::Args;

use crate::config::node::BIND_ADDRESS_VARIABLE;
use crate::config::{self, Loaded, RawConfig, Surroundings};
use crate::exit::{Exit, Failure};
use crate::logging;
use crate::node::Node;
use crate::signals::Signals;

#[derive(Args, Debug)]
pub struct ServerArgs {
    /// A server.properties file; without one, a single node on localhost:9092 with its data in ./tidelog-data
    #[arg(long, short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting that beats the file and KAFKA_* variables, may be repeated
    #[arg(long = "override", short = 'o', value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

pub fn run(args: ServerArgs) -> Result<Exit, Failure> {
    logging::start(logging::NODE, false);
    let environment =
        std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    let raw = RawConfig::gather(args.config.as_deref(), environment, &args.overrides)?;
    let Loaded { node, ineffective } = config::load(&raw, &surroundings())?;
    for warning in ineffective.warnings() {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let started = Node::start(&node).await?;
        tracing::info!(
            node = node.node_id,
            listeners = %joined(&node.client_listeners),
            advertised = %joined(&node.advertised_listeners),
            data = %node.log_dir.display(),
            "started"
        );
        let failure = tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal, "stopping; repeat the signal to stop immediately");
                None
            }
            reason = started.failed() => Some(reason),
        };
        signals.unless_repeated(started.shutdown()).await;
        match failure {
            None => Ok(Exit::Ok),
            Some(reason) => Err(Failure::new(Exit::Failed, format!("node {} stopped: {reason}", node.node_id))),
        }
    });
    // Look-ups of names that never answer are not worth waiting for.
    runtime.shutdown_background();
    result
}

pub fn surroundings() -> Surroundings {
    Surroundings {
        host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        bind_address: std::env::var(BIND_ADDRESS_VARIABLE).unwrap_or_else(|_| "127.0.0.1".to_owned()),
    }
}

fn joined(listeners: &[config::Listener]) -> String {
    let all: Vec<String> = listeners.iter().map(ToString::to_string).collect();
    all.join(",")
}
