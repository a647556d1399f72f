//! One data shard: a thread that owns its partitions and connections, and everything they share.
//!
//! Nothing here is locked or atomic: all tasks of a shard run on one current_thread runtime. What other threads
//! have for it comes through the flush inbox, the image's watch and the scrape channel.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tidelog_controller::{ControllerHandle, ControllerStatus};
use tidelog_metadata::{BrokerIdentity, Image, Partition, Topic};
use tidelog_wire::types::{BrokerEpoch, BrokerId, PartitionIndex};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::net::{ConnectionLimits, LogLimit, OpenConnections};
use crate::options::BrokerOptions;
use crate::peers::Peers;
use crate::timers::Timers;

/// Shared by all tasks of the shard.
pub(crate) struct Shard {
    pub options: Rc<BrokerOptions>,
    pub clock: Clock,
    pub controller: ControllerHandle,
    pub metrics: Metrics,
    pub peers: Peers,
    pub timers: Timers,
    pub connections: OpenConnections,
    pub connection_limits: Rc<ConnectionLimits>,
    pub bad_input_log: LogLimit,
    /// This incarnation's registration; -1 until it is registered.
    pub broker_epoch: Cell<BrokerEpoch>,
    /// The image whose partitions are applied, and those who wait for the next one.
    image: watch::Sender<Arc<Image>>,
    controller_status: watch::Receiver<ControllerStatus>,
}

impl Shard {
    pub(crate) fn new(options: BrokerOptions, controller: ControllerHandle) -> Rc<Self> {
        let clock = Clock::start();
        let image = Arc::clone(&controller.image().borrow());
        Rc::new(Self {
            connection_limits: Rc::new(ConnectionLimits::new(&options.network, Instant::now())),
            options: Rc::new(options),
            clock,
            controller_status: controller.status(),
            controller,
            metrics: Metrics::default(),
            peers: Peers::new(clock),
            timers: Timers::default(),
            connections: OpenConnections::default(),
            bad_input_log: LogLimit::default(),
            broker_epoch: Cell::new(BrokerEpoch::NONE),
            image: watch::Sender::new(image),
        })
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

    /// What Metadata calls the controller: the active one, which every node reaches through any broker.
    pub(crate) fn controller_id(&self) -> i32 {
        let active = self.controller_status.borrow().active;
        active.unwrap_or_else(|| self.node_id().get())
    }

    /// The leader to tell clients: none while the one in the image looks dead, or is us and stepped aside.
    pub(crate) fn visible_leader(&self, _topic: &Topic, _index: PartitionIndex, partition: &Partition) -> BrokerId {
        if self.peers.is_suspect(partition.leader) {
            return BrokerId::NONE;
        }
        partition.leader
    }
}
