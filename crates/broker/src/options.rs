//! What a broker needs to know to start: the validated, typed part of the configuration.
//!
//! Names follow Kafka's keys (`docs/CONFIG.md`); every duration says its unit by type. `BrokerOptions::new` gives the
//! defaults of the table of configs, so that a test names only what it is about.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidelog_coordinator::GroupConfig;
use tidelog_metadata::config::{StaticConfigs, default_flag, default_ms, default_number};
use tidelog_wire::types::BrokerId;

/// One entry of `listeners` with its `advertised.listeners` twin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerOptions {
    /// Name in `listeners`, for example `PLAINTEXT`.
    pub name: String,
    /// Address to bind; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Host told to clients.
    pub advertised_host: String,
    /// Port told to clients; 0 means the port that was bound.
    pub advertised_port: u16,
}

/// What a broker is started with.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// `node.id`.
    pub node_id: BrokerId,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// `listeners`; at least one.
    pub listeners: Vec<ListenerOptions>,
    /// `inter.broker.listener.name`: the listener on which replica fetches count.
    pub inter_broker_listener: String,
    /// `log.dirs`, of which a broker has one.
    pub log_dir: PathBuf,
    /// Static broker configuration by Kafka's key, as set by the operator (not the defaults). Topic
    /// defaults are derived from it with [`tidelog_metadata`]'s config table.
    pub static_configs: StaticConfigs,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `controlled.shutdown.enable`.
    pub controlled_shutdown: bool,
    pub network: NetworkLimits,
    pub replica: ReplicaOptions,
    pub disk: DiskOptions,
    pub groups: GroupOptions,
}

/// Every limit a client connection meets.
#[derive(Clone, Debug)]
pub struct NetworkLimits {
    /// `max.connections`.
    pub connections_max: usize,
    /// `listener.name.{name}.max.connections`, by the listener's name.
    pub listener_connections_max: HashMap<String, usize>,
    /// `max.connections.per.ip`.
    pub connections_per_ip_max: usize,
    /// `max.connection.creation.rate`, connections a second.
    pub connection_creation_rate_max: usize,
    /// `connections.max.idle.ms`.
    pub connection_idle_max: Duration,
    /// `socket.request.max.bytes`: longest frame accepted.
    pub request_bytes_max: usize,
    /// `queued.max.request.bytes`: bytes of unanswered large requests above which no other is read.
    pub queued_request_bytes_max: usize,
    /// A frame whose first byte arrived must be complete after this.
    pub partial_frame_max: Duration,
    /// Requests of one connection that may be unanswered before the broker stops reading from it.
    pub pipelined_requests_max: usize,
    /// Unsent response bytes of one connection above which the broker stops reading from it.
    pub unsent_response_bytes_max: usize,
    /// `queued.max.response.bytes`: unsent response bytes of all connections above which answers become small.
    pub queued_response_bytes_max: usize,
    /// `socket.send.timeout.ms`: a peer that takes nothing of its answers for so long is disconnected.
    pub send_stall_max: Duration,
}

/// Kafka's way to say that there is no limit is -1.
pub fn unlimited_if_negative(bytes: i64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self {
            connections_max: default_number("max.connections"),
            listener_connections_max: HashMap::new(),
            connections_per_ip_max: default_number("max.connections.per.ip"),
            connection_creation_rate_max: default_number("max.connection.creation.rate"),
            connection_idle_max: default_ms("connections.max.idle.ms"),
            request_bytes_max: default_number("socket.request.max.bytes"),
            queued_request_bytes_max: unlimited_if_negative(default_number("queued.max.request.bytes")),
            partial_frame_max: Duration::from_secs(30),
            pipelined_requests_max: default_number("queued.max.requests"),
            unsent_response_bytes_max: 16 << 20,
            queued_response_bytes_max: default_number("queued.max.response.bytes"),
            send_stall_max: default_ms("socket.send.timeout.ms"),
        }
    }
}

/// Replication limits and times.
#[derive(Clone, Debug)]
pub struct ReplicaOptions {
    /// `replica.lag.time.max.ms`.
    pub lag_time_max: Duration,
    /// `replica.fetch.max.bytes`, per partition.
    pub fetch_max_bytes: i32,
    /// `replica.fetch.response.max.bytes`.
    pub fetch_response_max_bytes: i32,
    /// `replica.fetch.wait.max.ms`.
    pub fetch_wait_max: Duration,
    /// `fetch.max.bytes`: cap on what one consumer fetch may ask for.
    pub consumer_fetch_max_bytes: i32,
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_sessions_max: usize,
    /// `broker.session.timeout.ms`: a leader without controller and without followers for this long steps aside.
    pub session_timeout: Duration,
    /// `replica.selector.class`: consumers are sent to an in-sync replica in their own rack (KIP-392).
    pub serve_nearby: bool,
}

impl Default for ReplicaOptions {
    fn default() -> Self {
        Self {
            lag_time_max: default_ms("replica.lag.time.max.ms"),
            fetch_max_bytes: default_number("replica.fetch.max.bytes"),
            fetch_response_max_bytes: default_number("replica.fetch.response.max.bytes"),
            fetch_wait_max: default_ms("replica.fetch.wait.max.ms"),
            consumer_fetch_max_bytes: default_number("fetch.max.bytes"),
            fetch_sessions_max: default_number("max.incremental.fetch.session.cache.slots"),
            session_timeout: default_ms("broker.session.timeout.ms"),
            serve_nearby: false,
        }
    }
}

/// Disk threads and background work.
#[derive(Clone, Debug)]
pub struct DiskOptions {
    /// Threads that run fdatasync, cold reads and recovery.
    pub threads: usize,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// Open segment files a log dir may hold.
    pub open_files_max: usize,
    /// `log.dir.reserve.bytes`: producers are refused when the disk has less left.
    pub reserve_bytes: u64,
    /// `log.cleaner.enable`.
    pub is_cleaner_enabled: bool,
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self {
            threads: 8,
            retention_check_interval: default_ms("log.retention.check.interval.ms"),
            open_files_max: 8_000,
            reserve_bytes: default_number("log.dir.reserve.bytes"),
            is_cleaner_enabled: default_flag("log.cleaner.enable"),
        }
    }
}

/// Groups, and the topic of their committed offsets.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// `offsets.topic.num.partitions`.
    pub offsets_topic_partitions: i32,
    /// `offsets.topic.replication.factor`; lowered to the brokers there are.
    pub offsets_topic_replication_factor: i16,
    /// `offsets.topic.segment.bytes`.
    pub offsets_topic_segment_bytes: i32,
    /// What coordinators go by.
    pub coordinator: Arc<GroupConfig>,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            offsets_topic_partitions: default_number("offsets.topic.num.partitions"),
            offsets_topic_replication_factor: default_number("offsets.topic.replication.factor"),
            offsets_topic_segment_bytes: default_number("offsets.topic.segment.bytes"),
            coordinator: Arc::default(),
        }
    }
}

impl BrokerOptions {
    /// The defaults, for a node with one plaintext listener and one log directory.
    pub fn new(node_id: BrokerId, listener: ListenerOptions, log_dir: PathBuf) -> Self {
        Self {
            node_id,
            rack: None,
            inter_broker_listener: listener.name.clone(),
            listeners: vec![listener],
            log_dir,
            static_configs: StaticConfigs::default(),
            auto_create_topics: default_flag("auto.create.topics.enable"),
            controlled_shutdown: default_flag("controlled.shutdown.enable"),
            network: NetworkLimits::default(),
            replica: ReplicaOptions::default(),
            disk: DiskOptions::default(),
            groups: GroupOptions::default(),
        }
    }
}
