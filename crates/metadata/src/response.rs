//! What the controller answers.

use std::fmt;

use tidelog_wire::messages::{
    AlterConfigsResponse, AlterPartitionReassignmentsResponse, CreatePartitionsResponse, CreateTopicsResponse,
    DeleteTopicsResponse, ElectLeadersResponse, IncrementalAlterConfigsResponse, UnregisterBrokerResponse,
};
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, ProducerId};
use tidelog_wire::{ErrorCode, Str};

use crate::image::{LeaderRecovery, TopicIdPartition};

/// Messages quote names and values only by an [`excerpt`](tidelog_wire::excerpt); this is for lists of them.
const MESSAGE_CHARS_MAX: usize = 1000;

/// Answers, one variant for each kind of [`Request`](crate::Request).
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    Bootstrap(Result<(), RequestError>),
    RegisterBroker(Result<BrokerEpoch, RequestError>),
    UnfenceBroker(Result<(), RequestError>),
    FenceBroker(Result<(), RequestError>),
    DemoteBroker(Result<(), RequestError>),
    ControlledShutdown(Result<ControlledShutdownProgress, RequestError>),
    /// One entry per partition asked for, in the order of the request.
    AlterPartition(Result<Vec<AlteredPartition>, RequestError>),
    ReportUnclean(Result<(), RequestError>),
    ReplicaRecovered(Result<(), RequestError>),
    AllocateProducerIds(Result<ProducerIdBlock, RequestError>),
    /// How many leaderships moved.
    BalanceLeaders {
        moved: usize,
    },
    CreateTopics(CreateTopicsResponse),
    DeleteTopics(DeleteTopicsResponse),
    CreatePartitions(CreatePartitionsResponse),
    IncrementalAlterConfigs(IncrementalAlterConfigsResponse),
    AlterConfigs(AlterConfigsResponse),
    ElectLeaders(ElectLeadersResponse),
    AlterPartitionReassignments(AlterPartitionReassignmentsResponse),
    UnregisterBroker(UnregisterBrokerResponse),
}

/// A refused request: Kafka's error code and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestError {
    pub code: ErrorCode,
    message: String,
}

impl RequestError {
    /// What is too long for a sentence is cut.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
            message.truncate(end);
        }
        Self { code, message }
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    /// The two fields by which Kafka's answers tell how it went with one item.
    pub(crate) fn fields_of(outcome: Result<(), Self>) -> (ErrorCode, Option<Str>) {
        match outcome {
            Ok(()) => (ErrorCode::NONE, None),
            Err(error) => error.into_fields(),
        }
    }

    pub(crate) fn into_fields(self) -> (ErrorCode, Option<Str>) {
        (self.code, Some(Str::from(self.message)))
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for RequestError {}

/// How far a controlled shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlledShutdownProgress {
    /// The broker leads nothing, is in no ISR, and may stop now.
    pub ready: bool,
    /// Partitions that would fall below min ISR if it stopped now.
    pub waiting_partitions: usize,
}

/// A partition after an AlterPartition. On an error other than NONE only the code tells anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlteredPartition {
    pub partition: TopicIdPartition,
    pub error_code: ErrorCode,
    pub leader: BrokerId,
    pub leader_epoch: LeaderEpoch,
    pub isr: Vec<BrokerId>,
    pub leader_recovery: LeaderRecovery,
    pub partition_epoch: PartitionEpoch,
}

/// Producer ids `first .. first + len` belong to the broker that asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    pub first: ProducerId,
    pub len: i32,
}
