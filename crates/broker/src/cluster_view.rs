//! What clients are told of brokers.

use tidelog_metadata::{Image, Topic};
use tidelog_wire::Str;
use tidelog_wire::types::{BrokerId, LeaderEpoch, PartitionIndex};

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
    pub(crate) fn of(image: &Image, topic: &Topic, index: PartitionIndex, listener: &str) -> Option<Self> {
        let partition = topic.partition(index)?;
        Some(Self {
            leader: partition.leader,
            epoch: partition.leader_epoch,
            endpoint: ClientEndpoint::of(image, partition.leader, listener),
        })
    }

    /// For versions that have no room for it.
    pub(crate) fn without_endpoint(self) -> Self {
        Self { endpoint: None, ..self }
    }
}
