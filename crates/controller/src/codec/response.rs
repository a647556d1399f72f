//! Responses of the active controller.

use tidelog_internal_api::metadata as proto;
use tidelog_internal_api::metadata::response::Kind;
use tidelog_metadata::{AlteredPartition, ControlledShutdownProgress, ProducerIdBlock, RequestError, Response};
use tidelog_wire::ErrorCode;
use tidelog_wire::messages::{
    AlterConfigsRequest, AlterPartitionReassignmentsRequest, CreatePartitionsRequest, CreateTopicsRequest,
    DeleteTopicsRequest, ElectLeadersRequest, IncrementalAlterConfigsRequest, UnregisterBrokerRequest,
};
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, ProducerId};

use super::fields::*;
use super::{CodecError, kafka};

pub(crate) fn response_to_proto(response: &Response) -> Result<proto::Response, CodecError> {
    let empty = |()| proto::Empty {};
    let (error, kind) = match response {
        Response::Bootstrap(result) => fallible(result, empty, Kind::Bootstrap),
        Response::RegisterBroker(result) => fallible(result, BrokerEpoch::get, Kind::RegisterBroker),
        Response::UnfenceBroker(result) => fallible(result, empty, Kind::UnfenceBroker),
        Response::FenceBroker(result) => fallible(result, empty, Kind::FenceBroker),
        Response::DemoteBroker(result) => fallible(result, empty, Kind::DemoteBroker),
        Response::ControlledShutdown(result) => fallible(result, progress_to_proto, Kind::ControlledShutdown),
        Response::AlterPartition(result) => fallible(result, altered_to_proto, Kind::AlterPartition),
        Response::ReportUnclean(result) => fallible(result, empty, Kind::ReportUnclean),
        Response::ReplicaRecovered(result) => fallible(result, empty, Kind::ReplicaRecovered),
        Response::AllocateProducerIds(result) => fallible(result, block_to_proto, Kind::AllocateProducerIds),
        Response::BalanceLeaders { moved } => (None, Kind::BalanceLeaders(*moved as u64)),
        Response::CreateTopics(answer) => {
            (None, Kind::CreateTopics(kafka::response_to_proto::<CreateTopicsRequest>(answer)?))
        }
        Response::DeleteTopics(answer) => {
            (None, Kind::DeleteTopics(kafka::response_to_proto::<DeleteTopicsRequest>(answer)?))
        }
        Response::CreatePartitions(answer) => {
            (None, Kind::CreatePartitions(kafka::response_to_proto::<CreatePartitionsRequest>(answer)?))
        }
        Response::IncrementalAlterConfigs(answer) => {
            (None, Kind::IncrementalAlterConfigs(kafka::response_to_proto::<IncrementalAlterConfigsRequest>(answer)?))
        }
        Response::AlterConfigs(answer) => {
            (None, Kind::AlterConfigs(kafka::response_to_proto::<AlterConfigsRequest>(answer)?))
        }
        Response::ElectLeaders(answer) => {
            (None, Kind::ElectLeaders(kafka::response_to_proto::<ElectLeadersRequest>(answer)?))
        }
        Response::AlterPartitionReassignments(answer) => {
            let message = kafka::response_to_proto::<AlterPartitionReassignmentsRequest>(answer)?;
            (None, Kind::AlterPartitionReassignments(message))
        }
        Response::UnregisterBroker(answer) => {
            (None, Kind::UnregisterBroker(kafka::response_to_proto::<UnregisterBrokerRequest>(answer)?))
        }
    };
    Ok(proto::Response { error, kind: Some(kind) })
}

/// An answer that may be an error: then the kind is still named, with an empty content.
fn fallible<T: Clone, P: Default>(
    result: &Result<T, RequestError>,
    content: impl FnOnce(T) -> P,
    kind: impl FnOnce(P) -> Kind,
) -> (Option<proto::RequestError>, Kind) {
    match result {
        Ok(answer) => (None, kind(content(answer.clone()))),
        Err(error) => {
            let refused = proto::RequestError { code: i32::from(error.code.0), message: error.message().to_owned() };
            (Some(refused), kind(P::default()))
        }
    }
}

pub(crate) fn response_from_proto(response: proto::Response) -> Result<Response, CodecError> {
    let error = response.error.map(|error| -> Result<_, CodecError> {
        Ok(RequestError::new(ErrorCode(small(error.code, "error code")?), error.message))
    });
    let error = error.transpose()?;
    let unit = || error.clone().map_or(Ok(()), Err);
    Ok(match response.kind.ok_or(CodecError::UnknownKind("response"))? {
        Kind::Bootstrap(_) => Response::Bootstrap(unit()),
        Kind::RegisterBroker(epoch) => Response::RegisterBroker(error.map_or(Ok(BrokerEpoch(epoch)), Err)),
        Kind::UnfenceBroker(_) => Response::UnfenceBroker(unit()),
        Kind::FenceBroker(_) => Response::FenceBroker(unit()),
        Kind::DemoteBroker(_) => Response::DemoteBroker(unit()),
        Kind::ControlledShutdown(progress) => {
            let progress = ControlledShutdownProgress {
                ready: progress.ready,
                waiting_partitions: progress.waiting_partitions as usize,
            };
            Response::ControlledShutdown(error.map_or(Ok(progress), Err))
        }
        Kind::AlterPartition(altered) => {
            let altered = altered.partitions.into_iter().map(altered_from_proto).collect::<Result<Vec<_>, _>>()?;
            Response::AlterPartition(error.map_or(Ok(altered), Err))
        }
        Kind::ReportUnclean(_) => Response::ReportUnclean(unit()),
        Kind::ReplicaRecovered(_) => Response::ReplicaRecovered(unit()),
        Kind::AllocateProducerIds(block) => {
            let block = ProducerIdBlock { first: ProducerId(block.first), len: block.len };
            Response::AllocateProducerIds(error.map_or(Ok(block), Err))
        }
        Kind::BalanceLeaders(moved) => Response::BalanceLeaders { moved: moved as usize },
        Kind::CreateTopics(message) => {
            Response::CreateTopics(kafka::response_from_proto::<CreateTopicsRequest>(message)?)
        }
        Kind::DeleteTopics(message) => {
            Response::DeleteTopics(kafka::response_from_proto::<DeleteTopicsRequest>(message)?)
        }
        Kind::CreatePartitions(message) => {
            Response::CreatePartitions(kafka::response_from_proto::<CreatePartitionsRequest>(message)?)
        }
        Kind::IncrementalAlterConfigs(message) => {
            Response::IncrementalAlterConfigs(kafka::response_from_proto::<IncrementalAlterConfigsRequest>(message)?)
        }
        Kind::AlterConfigs(message) => {
            Response::AlterConfigs(kafka::response_from_proto::<AlterConfigsRequest>(message)?)
        }
        Kind::ElectLeaders(message) => {
            Response::ElectLeaders(kafka::response_from_proto::<ElectLeadersRequest>(message)?)
        }
        Kind::AlterPartitionReassignments(message) => Response::AlterPartitionReassignments(
            kafka::response_from_proto::<AlterPartitionReassignmentsRequest>(message)?,
        ),
        Kind::UnregisterBroker(message) => {
            Response::UnregisterBroker(kafka::response_from_proto::<UnregisterBrokerRequest>(message)?)
        }
    })
}

fn progress_to_proto(progress: ControlledShutdownProgress) -> proto::ControlledShutdownProgress {
    proto::ControlledShutdownProgress { ready: progress.ready, waiting_partitions: progress.waiting_partitions as u64 }
}

fn block_to_proto(block: ProducerIdBlock) -> proto::ProducerIdBlock {
    proto::ProducerIdBlock { first: block.first.get(), len: block.len }
}

fn altered_to_proto(altered: Vec<AlteredPartition>) -> proto::AlteredPartitions {
    let partition = |altered: AlteredPartition| proto::AlteredPartition {
        partition: Some(partition_to_proto(&altered.partition)),
        error_code: i32::from(altered.error_code.0),
        leader: altered.leader.get(),
        leader_epoch: altered.leader_epoch.get(),
        isr: ids_to_proto(&altered.isr),
        leader_recovery: i32::from(altered.leader_recovery.code()),
        partition_epoch: altered.partition_epoch.get(),
    };
    proto::AlteredPartitions { partitions: altered.into_iter().map(partition).collect() }
}

fn altered_from_proto(altered: proto::AlteredPartition) -> Result<AlteredPartition, CodecError> {
    Ok(AlteredPartition {
        partition: partition(altered.partition)?,
        error_code: ErrorCode(small(altered.error_code, "error code")?),
        leader: BrokerId(altered.leader),
        leader_epoch: LeaderEpoch(altered.leader_epoch),
        isr: ids(altered.isr),
        leader_recovery: recovery(altered.leader_recovery)?,
        partition_epoch: PartitionEpoch(altered.partition_epoch),
    })
}
