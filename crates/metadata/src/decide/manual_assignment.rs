//! Replicas chosen by the client, for CreateTopics, CreatePartitions and AlterPartitionReassignments.

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
    if let Some(expected) = replication_factor
        && replicas.len() != expected
    {
        let message = format!("a partition has {} replicas where the topic's others have {expected}", replicas.len());
        return refuse(message);
    }
    let replicas = check_replicas(image, replicas)?;
    if !replicas.iter().any(|replica| image.is_active(*replica)) {
        return refuse("all brokers named for a partition are fenced or shutting down".to_owned());
    }
    Ok(replicas)
}

/// Registered brokers, each named once.
pub(super) fn check_replicas(image: &Image, replicas: &[i32]) -> Result<Vec<BrokerId>, RequestError> {
    if replicas.is_empty() {
        return refuse("a partition needs at least one replica".to_owned());
    }
    for (index, replica) in replicas.iter().enumerate() {
        if replicas[..index].contains(replica) {
            return refuse(format!("broker {replica} is named twice for one partition"));
        }
        if image.broker(BrokerId(*replica)).is_none() {
            return refuse(format!("broker {replica} is not registered"));
        }
    }
    Ok(replicas.iter().copied().map(BrokerId).collect())
}

fn refuse<T>(message: String) -> Result<T, RequestError> {
    Err(RequestError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message))
}
