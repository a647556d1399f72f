//! What a node's controller is started with. The server crate makes these out of the configuration;
//! tests make them by hand.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use tidelog_metadata::config::{StaticConfigs, default_ms};
use tidelog_wire::Str;

/// `process.roles`. At least one is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    pub broker: bool,
    pub controller: bool,
}

impl Roles {
    pub const COMBINED: Self = Self { broker: true, controller: true };
    pub const BROKER: Self = Self { broker: true, controller: false };
    pub const CONTROLLER: Self = Self { broker: false, controller: true };
}

/// One entry of `controller.quorum.voters` (`id@host:port`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    pub node_id: i32,
    pub host: String,
    pub port: u16,
}

/// Where the node listens for gRPC.
#[derive(Debug)]
pub enum Listener {
    Bind(SocketAddr),
    /// Already bound and listening, for callers that must know the port before they start the nodes.
    Bound(TcpListener),
}

/// Everything [`crate::Controller::start`] needs.
#[derive(Debug)]
pub struct ControllerOptions {
    pub node_id: i32,
    pub roles: Roles,
    /// Holds `meta.properties`, the Raft store and the snapshots; created if absent. Nobody else writes there.
    pub directory: PathBuf,
    /// The cluster id to found or to insist on; without it the founding node makes one.
    pub cluster_id: Option<Str>,
    /// All configured voters, this node included if it is one.
    pub voters: Vec<Voter>,
    pub listener: Listener,
    /// Where other nodes reach `listener`. Port 0 stands for the port the listener got.
    pub advertised_host: String,
    pub advertised_port: u16,
    /// The node's own `server.properties`: the weakest defaults of the decisions it makes as active controller.
    pub static_configs: StaticConfigs,
    pub timing: Timing,
}

/// When things happen: time limits of quorum and sessions, and how often a snapshot is due. The defaults are the product's.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between two Raft heartbeats; also the deadline of one.
    pub raft_heartbeat: Duration,
    /// Silence of the leader after which a voter stands for election: a random time between the two.
    pub election_timeout_min: Duration,
    pub election_timeout_max: Duration,
    /// `broker.heartbeat.interval.ms`
    pub broker_heartbeat: Duration,
    /// `broker.session.timeout.ms`
    pub broker_session: Duration,
    /// How long [`crate::ControllerHandle::submit`] keeps trying.
    pub submit: Duration,
    /// A learner that has been silent for as long is taken out of the membership. It asks back in by itself.
    pub learner_expiry: Duration,
    /// Log entries between two snapshots; a quarter as many are kept behind one, for nodes that were away briefly.
    pub snapshot_every_entries: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            raft_heartbeat: Duration::from_millis(100),
            election_timeout_min: default_ms("controller.quorum.election.timeout.ms") / 2,
            election_timeout_max: default_ms("controller.quorum.election.timeout.ms"),
            broker_heartbeat: default_ms("broker.heartbeat.interval.ms"),
            broker_session: default_ms("broker.session.timeout.ms"),
            submit: Duration::from_secs(15),
            learner_expiry: Duration::from_secs(300),
            snapshot_every_entries: 4096,
        }
    }
}
