//! What clients are told of brokers.

use tidelog_metadata::{Image, Topic};
use tidelog_wire::Str;
use tidelog_wire::types::{BrokerId, LeaderEpoch, PartitionIndex};

use crate::shard::Shard;

/// How to reach a broker on the listener a client uses.
#[derive(Clone, Debug)]
pub(crate) struct ClientEndpoint {
    pub host: Str,
    pub port: u16,
    pub rack: Option<Str>,
}

impl ClientEndpoint {
    pub(crate) fn of(image: &Image, broker: BrokerId, listener: &str) -> Option<Self> {
        let broker = image.broker(broker)?;
        let endpoint = broker.endpoint(listener)?;
        Some(Self { host: endpoint.host.clone(), port: endpoint.port, rack: broker.rack.clone() })
    }
}

/// Who leads a partition, for clients that asked the wrong broker (KIP-951).
#[derive(Clone, Debug)]
pub(crate) struct LeaderHint {
    pub leader: BrokerId,
    pub epoch: LeaderEpoch,
    pub endpoint: Option<ClientEndpoint>,
}

impl LeaderHint {
    /// `None` where clients are told of no leader: a hint that names a broker that stepped aside sends them back to it.
    pub(crate) fn of(
        shard: &Shard,
        image: &Image,
        topic: &Topic,
        index: PartitionIndex,
        listener: &str,
    ) -> Option<Self> {
        let partition = topic.partition(index)?;
        let leader = shard.visible_leader(topic, index, partition);
        let endpoint = ClientEndpoint::of(image, leader, listener);
        (leader != BrokerId::NONE).then_some(Self { leader, epoch: partition.leader_epoch, endpoint })
    }

    /// For versions that have no room for it.
    pub(crate) fn without_endpoint(self) -> Self {
        Self { endpoint: None, ..self }
    }
}
