//! Replicas chosen by the client, for CreateTopics and CreatePartitions.

use tidelog_wire::ErrorCode;
use tidelog_wire::types::BrokerId;

use crate::image::Image;
use crate::response::RequestError;

/// Checks one partition's replicas. `replication_factor` is what the topic's other partitions have, if there are any.
pub(super) fn check_assignment(
    image: &Image,
    replicas: &[i32],
    replication_factor: Option<usize>,
) -> Result<Vec<BrokerId>, RequestError> {
    let refuse = |message: String| Err(RequestError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
    if replicas.is_empty() {
        return refuse("a partition needs at least one replica".to_owned());
    }
    if let Some(expected) = replication_factor
        && replicas.len() != expected
    {
        return refuse(format!("a partition has {} replicas where the topic's others have {expected}", replicas.len()));
    }
    for (index, replica) in replicas.iter().enumerate() {
        if replicas[..index].contains(replica) {
            return refuse(format!("broker {replica} is named twice for one partition"));
        }
        if image.broker(BrokerId(*replica)).is_none() {
            return refuse(format!("broker {replica} is not registered"));
        }
    }
    let replicas: Vec<BrokerId> = replicas.iter().copied().map(BrokerId).collect();
    if !replicas.iter().any(|replica| image.is_active(*replica)) {
        return refuse("all brokers named for a partition are fenced or shutting down".to_owned());
    }
    Ok(replicas)
}
