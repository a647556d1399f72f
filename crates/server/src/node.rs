//! Builds one node from its configuration: the controller's part, then the broker; stopped in the opposite order.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tidelog_broker::{Broker, BrokerHandle, BrokerOptions, ListenerOptions, StartError};
use tidelog_controller as controller;
use tidelog_controller::{Controller, ControllerHandle, ControllerOptions};
use tidelog_wire::types::BrokerId;
use tokio::time::{interval, sleep};

use crate::admin::{self, NodeProbe};
use crate::config::{Listener, NodeConfig};
use crate::exit::{Exit, Failure};

/// Holds the metadata quorum's files inside the data directory. Partitions' directories end in a number, so none is called so.
const CONTROLLER_DIRECTORY: &str = "controller";

/// How often to check that the broker's thread still runs. It hardly ever ends by itself.
const BROKER_CHECK_INTERVAL: Duration = Duration::from_millis(500);
const READY_CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// A running node. Lives on the runtime that started it, the control thread's.
pub struct Node {
    pub controller: ControllerHandle,
    broker: Option<BrokerHandle>,
    probe: NodeProbe,
}

impl Node {
    /// Returns once all sockets are bound; joining the cluster follows by itself.
    pub async fn start(config: &NodeConfig) -> Result<Self, Failure> {
        let what = || format!("node {} cannot start", config.node_id);
        let controller = Controller::start(controller_options(config)?)
            .await
            .map_err(|error| controller_failure(config, &error).while_doing(what()))?;
        let admin = match &config.admin_listener {
            Some((host, port)) => {
                Some(admin::bind(resolved(host, *port)?).await.map_err(|failure| failure.while_doing(what()))?)
            }
            None => None,
        };
        let broker = match config.roles.broker {
            true => Some(
                Broker::start(broker_options(config)?, controller.clone())
                    .await
                    .map_err(|error| broker_failure(&error).while_doing(what()))?,
            ),
            false => None,
        };
        let broker_probe = broker.as_ref().map(BrokerHandle::probe);
        let probe = NodeProbe { controller: controller.clone(), roles: config.roles, broker: broker_probe };
        if let Some(listener) = admin {
            admin::serve(listener, probe.clone());
        }
        Ok(Self { controller, broker, probe })
    }

    /// Completes once the node serves, as `/readyz` says.
    pub async fn ready(&self) {
        while !self.probe.ready().await.is_ready {
            sleep(READY_CHECK_INTERVAL).await;
        }
    }

    /// Completes when the node cannot go on, with the reason.
    pub async fn failed(&self) -> String {
        let mut status = self.controller.status();
        let mut broker_check = interval(BROKER_CHECK_INTERVAL);
        loop {
            if let Some(reason) = status.borrow_and_update().failed.clone() {
                return reason;
            }
            if self.broker.as_ref().is_some_and(BrokerHandle::has_ended) {
                return "the broker cannot run; its reason is logged above".to_owned();
            }
            tokio::select! {
                changed = status.changed() => if changed.is_err() {
                    return "the controller has ended".to_owned();
                },
                _ = broker_check.tick() => {}
            }
        }
    }

    /// Hands over all that others can take, then stops.
    pub async fn shutdown(self) {
        if let Some(broker) = self.broker {
            broker.shutdown().await;
        }
        self.controller.shutdown().await;
    }
}

fn controller_failure(config: &NodeConfig, error: &controller::StartError) -> Failure {
    match error {
        controller::StartError::WrongDirectory { .. } => Failure::usage(error.to_string()),
        controller::StartError::Listen { .. } => Failure::new(Exit::Failed, error.to_string()).advising(format!(
            "is another node running? This one listens for other nodes on {}",
            config.controller_listener
        )),
        controller::StartError::Directory { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            Failure::new(Exit::Failed, error.to_string())
                .advising("fix its ownership: the directory (a container volume?) must be writable by this user")
        }
        controller::StartError::Directory { .. } => Failure::new(Exit::Failed, error.to_string())
            .advising(format!("log.dirs is {}; every node needs a directory of its own", config.log_dir.display())),
        controller::StartError::DamagedStore { .. } | controller::StartError::Raft(_) => {
            Failure::new(Exit::Failed, error.to_string())
        }
    }
}

fn broker_failure(error: &StartError) -> Failure {
    let failure = Failure::new(Exit::Failed, error.to_string());
    match error {
        StartError::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
            failure.advising("is another node running? Nodes on one host each need their own listener ports")
        }
        _ => failure,
    }
}

fn controller_options(config: &NodeConfig) -> Result<ControllerOptions, Failure> {
    let voter = |voter: &crate::config::Voter| controller::Voter {
        node_id: voter.id,
        host: voter.host.clone(),
        port: voter.port,
    };
    let own_voter = config.voters.iter().find(|voter| voter.id == config.node_id);
    Ok(ControllerOptions {
        node_id: config.node_id,
        roles: controller::Roles { broker: config.roles.broker, controller: config.roles.controller },
        directory: config.log_dir.join(CONTROLLER_DIRECTORY),
        cluster_id: config.cluster_id.clone(),
        voters: config.voters.iter().map(voter).collect(),
        listener: controller::Listener::Bind(bind_address(&config.controller_listener)?),
        advertised_host: config.controller_advertised_host.clone(),
        advertised_port: own_voter.map_or(config.controller_listener.port, |voter| voter.port),
        static_configs: config.static_configs.clone(),
        timing: controller::Timing {
            election_timeout_min: config.election_timeout / 2,
            election_timeout_max: config.election_timeout,
            broker_heartbeat: config.broker_heartbeat_interval,
            broker_session: config.broker_session_timeout,
            ..controller::Timing::default()
        },
    })
}

fn broker_options(config: &NodeConfig) -> Result<BrokerOptions, Failure> {
    let listeners = config.client_listeners.iter().zip(&config.advertised_listeners);
    let listener = |(listener, advertised): (&Listener, &Listener)| {
        Ok(ListenerOptions {
            name: listener.name.clone(),
            bind: bind_address(listener)?,
            advertised_host: advertised.host.clone(),
            advertised_port: advertised.port,
        })
    };
    Ok(BrokerOptions {
        node_id: BrokerId(config.node_id),
        rack: config.rack.clone(),
        listeners: listeners.map(listener).collect::<Result<_, Failure>>()?,
        inter_broker_listener: config.inter_broker_listener_name.clone(),
        log_dir: config.log_dir.clone(),
        static_configs: config.static_configs.clone(),
        auto_create_topics: config.auto_create_topics,
        controlled_shutdown: config.controlled_shutdown,
        network: config.network.clone(),
        replica: config.replica.clone(),
        disk: config.disk.clone(),
        groups: config.groups.clone(),
    })
}

fn bind_address(listener: &Listener) -> Result<SocketAddr, Failure> {
    match listener.host.as_str() {
        "" => resolved("0.0.0.0", listener.port),
        host => resolved(host, listener.port),
    }
}

/// One address to bind; IPv4 where a name has both, because clients of a name like localhost try that too.
fn resolved(host: &str, port: u16) -> Result<SocketAddr, Failure> {
    let unknown = |error: io::Error| Failure::usage(format!("cannot listen on {host}:{port}: {error}"));
    let all: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(unknown)?.collect();
    let first = all.iter().find(|address| address.is_ipv4()).or(all.first());
    first.copied().ok_or_else(|| Failure::usage(format!("cannot listen on {host}:{port}: the name has no address")))
}
