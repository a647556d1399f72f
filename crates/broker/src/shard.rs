//! One data shard: a thread that owns its partitions and connections, and everything they share.
//!
//! Nothing here is locked or atomic: all tasks of a shard run on one current_thread runtime. What other threads
//! have for it comes through the flush inbox, the image's watch and the scrape channel.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tidelog_commitlog::{AppendError, LogDir, StorageError, Validator};
use tidelog_controller::{ControllerHandle, ControllerStatus};
use tidelog_metadata::config::{BrokerConfig, Resolver};
use tidelog_metadata::{BrokerIdentity, Image, Partition, Topic};
use tidelog_panics::Panics;
use tidelog_wire::ErrorCode;
use tidelog_wire::types::{BrokerEpoch, BrokerId, PartitionIndex};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, warn};

use crate::background::{Deletions, Marks};
use crate::cleaner::CleanerStats;
use crate::clock::Clock;
use crate::coordinator_host::Coordinators;
use crate::deleted_topics::DeletedTopics;
use crate::fetch::FetchSessions;
use crate::fetcher::Fetchers;
use crate::flusher::{DiskPool, Heartbeats};
use crate::isr::IsrProposals;
use crate::metrics::Metrics;
use crate::net::{ConnectionLimits, LogLimit, OpenConnections, RequestBudget, ResponseBudget};
use crate::options::BrokerOptions;
use crate::partition::{PartitionHandle, PartitionTable};
use crate::peers::Peers;
use crate::producer_ids::ProducerIds;
use crate::recovery::Recovered;
use crate::retry::Retries;
use crate::throttle::Throttles;
use crate::timers::Timers;
use crate::turn::Turn;

/// Shared by all tasks of the shard.
pub(crate) struct Shard {
    pub options: Rc<BrokerOptions>,
    pub panics: Panics,
    pub clock: Clock,
    pub controller: ControllerHandle,
    pub metrics: Metrics,
    pub peers: Peers,
    pub timers: Timers,
    pub retries: Retries,
    pub connections: OpenConnections,
    pub connection_limits: Rc<ConnectionLimits>,
    pub response_budget: Rc<ResponseBudget>,
    pub request_budget: Rc<RequestBudget>,
    pub bad_input_log: LogLimit,
    pub storage_log: LogLimit,
    pub follow_log: LogLimit,
    pub truncation_log: LogLimit,
    pub isolation_log: LogLimit,
    pub isr_log: LogLimit,
    pub partitions: PartitionTable,
    /// Logs without a host: opened at start, or set aside.
    pub recovered: RefCell<Recovered>,
    pub validator: RefCell<Validator>,
    pub coordinators: Coordinators,
    pub turn: Turn,
    pub sessions: FetchSessions,
    pub fetchers: Fetchers,
    pub isr_proposals: IsrProposals,
    pub throttles: Throttles,
    pub producer_ids: ProducerIds,
    pub deletions: Deletions,
    pub deleted_topics: DeletedTopics,
    pub cleaner: CleanerStats,
    pub marks: Marks,
    pub log_dir: LogDir,
    pub disk: DiskPool,
    pub heartbeats: Arc<Heartbeats>,
    /// An image with our registration was applied: partitions are what it says.
    pub is_ready: Cell<bool>,
    /// The controller has been silent for longer than a session may be.
    pub is_controller_silent: Cell<bool>,
    /// This incarnation's registration; -1 until it is registered.
    pub broker_epoch: Cell<BrokerEpoch>,
    /// The image whose partitions are applied, and those who wait for the next one.
    image: watch::Sender<Arc<Image>>,
    /// What is in force of the configs that may change while the broker runs.
    pub config: watch::Sender<BrokerConfig>,
    controller_status: watch::Receiver<ControllerStatus>,
}

impl Shard {
    pub(crate) fn new(
        options: BrokerOptions,
        controller: ControllerHandle,
        log_dir: LogDir,
        disk: DiskPool,
        heartbeats: Arc<Heartbeats>,
        panics: Panics,
    ) -> Rc<Self> {
        let clock = Clock::start();
        // Session ids of an earlier run must not look like ours.
        let first_session_id = (clock.wall_ms() & 0x3fff_ffff) as i32;
        let image = Arc::clone(&controller.image().borrow());
        Rc::new(Self {
            config: watch::Sender::new(broker_config(&options, &image)),
            connection_limits: Rc::new(ConnectionLimits::new(&options.network, Instant::now())),
            response_budget: ResponseBudget::new(options.network.queued_response_bytes_max),
            request_budget: RequestBudget::new(options.network.queued_request_bytes_max),
            sessions: FetchSessions::new(options.replica.fetch_sessions_max, first_session_id),
            options: Rc::new(options),
            panics,
            clock,
            controller_status: controller.status(),
            controller,
            metrics: Metrics::default(),
            peers: Peers::new(clock),
            timers: Timers::default(),
            retries: Retries::default(),
            connections: OpenConnections::default(),
            bad_input_log: LogLimit::default(),
            storage_log: LogLimit::default(),
            follow_log: LogLimit::default(),
            truncation_log: LogLimit::default(),
            isolation_log: LogLimit::default(),
            isr_log: LogLimit::default(),
            partitions: PartitionTable::default(),
            recovered: RefCell::default(),
            validator: RefCell::default(),
            coordinators: Coordinators::default(),
            turn: Turn::default(),
            fetchers: Fetchers::default(),
            isr_proposals: IsrProposals::default(),
            throttles: Throttles::default(),
            producer_ids: ProducerIds::default(),
            deletions: Deletions::default(),
            deleted_topics: DeletedTopics::default(),
            cleaner: CleanerStats::default(),
            marks: Marks::default(),
            log_dir,
            disk,
            heartbeats,
            is_ready: Cell::new(false),
            is_controller_silent: Cell::new(false),
            broker_epoch: Cell::new(BrokerEpoch::NONE),
            image: watch::Sender::new(image),
        })
    }

    /// Spawns a task that the broker lives by: a panic in it ends the broker.
    pub(crate) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + 'static) {
        #[expect(clippy::disallowed_methods, reason = "this is where tasks are spawned")]
        tokio::task::spawn_local(self.panics.clone().vital(name, task));
    }

    /// Spawns what is done for one peer: a panic in it is that peer's alone.
    pub(crate) fn spawn_request(&self, task: impl Future<Output = ()> + 'static) {
        #[expect(clippy::disallowed_methods, reason = "this is where tasks are spawned")]
        tokio::task::spawn_local(self.panics.request(task));
    }

    /// Follows the image's configs of this broker.
    pub(crate) fn configure(&self, image: &Image) {
        let config = broker_config(&self.options, image);
        self.throttles.configure(&config);
        self.connection_limits.configure(&config);
        self.config.send_replace(config);
    }

    pub(crate) fn node_id(&self) -> BrokerId {
        self.options.node_id
    }

    /// This incarnation, as the controller knows it.
    pub(crate) fn identity(&self) -> BrokerIdentity {
        BrokerIdentity { broker_id: self.node_id(), broker_epoch: self.broker_epoch.get() }
    }

    /// The newest image whose consequences for our partitions are drawn.
    pub(crate) fn image(&self) -> Arc<Image> {
        Arc::clone(&self.image.borrow())
    }

    pub(crate) fn image_changes(&self) -> watch::Receiver<Arc<Image>> {
        self.image.subscribe()
    }

    pub(crate) fn publish_image(&self, image: Arc<Image>) {
        self.image.send_replace(image);
    }

    /// What Metadata calls the controller: the active one; while one is elected this broker, which passes requests on; and
    /// none, once the controllers have been silent for longer than an election takes.
    pub(crate) fn controller_id(&self) -> i32 {
        match self.controller_status.borrow().active {
            _ if self.is_controller_silent.get() => -1,
            Some(active) => active,
            None if self.is_ready.get() => self.node_id().get(),
            None => -1,
        }
    }

    /// Neither the controller nor any other broker is heard: what this broker knows of the cluster is the past.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.is_controller_silent.get() && !self.peers.any_heard_within(self.options.replica.session_timeout)
    }

    /// Our sockets say so, and the controller not yet. Who hears nobody at all cannot tell who is dead.
    pub(crate) fn looks_dead(&self, broker: BrokerId) -> bool {
        self.peers.is_suspect(broker) && !self.is_cut_off()
    }

    /// The leader to tell clients: none while the one in the image looks dead, or is us and stepped aside.
    pub(crate) fn visible_leader(&self, topic: &Topic, index: PartitionIndex, partition: &Partition) -> BrokerId {
        let is_aside = || self.partitions.get(topic.id, index).is_some_and(|host| host.stepped_aside.get());
        match partition.leader {
            leader if self.looks_dead(leader) => BrokerId::NONE,
            leader if leader == self.node_id() && is_aside() => BrokerId::NONE,
            leader => leader,
        }
    }

    /// The partition of this name, or what to tell a client that asks for it here.
    pub(crate) fn partition(&self, topic: &str, index: PartitionIndex) -> Result<PartitionHandle, ErrorCode> {
        let image = self.image();
        let topic_id = image.topic_id(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        self.partitions.get(topic_id, index).ok_or_else(|| match image.has_partition(topic_id, index) {
            true => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            false => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        })
    }

    pub(crate) fn append_error(&self, error: &AppendError) {
        if let AppendError::Storage(error) = error {
            self.storage_error(error);
        } else if let Some(suppressed) = self.storage_log.permit() {
            warn!(%error, suppressed, "append refused");
        }
    }

    /// A broken log directory costs this broker its leaderships: the controller hears that it does not move any more, and
    /// fences it. Everything else is for the operator to read and for whoever asked to try again.
    pub(crate) fn storage_error(&self, reason: &StorageError) {
        if let StorageError::Offline { .. } = reason
            && self.heartbeats.fail()
        {
            error!(%reason, "log directory failed, leaving the cluster until a restart");
        } else if let Some(suppressed) = self.storage_log.permit() {
            warn!(%reason, suppressed, "storage");
        }
    }
}

fn broker_config(options: &BrokerOptions, image: &Image) -> BrokerConfig {
    let resolver = Resolver { image, broker_id: options.node_id, static_configs: &options.static_configs };
    BrokerConfig::resolve(&resolver)
}
