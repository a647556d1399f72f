//! The cluster's metadata: image, records, and the controller's decisions, pure.
//!
//! [`Image`] is what the cluster knows of itself. A [`Request`] is judged against it by a [`Round`], which
//! answers and yields [`Record`]s and [`Note`]s; only [`Image::apply`] changes an image, on every node alike. [`Sessions`] tells the active controller which brokers are alive. [`config`] is the one
//! table of configuration keys. No clock, randomness or I/O: all three are arguments.
#![forbid(unsafe_code)]

pub mod config;
mod decide;
mod features;
mod image;
mod note;
pub mod operations;
mod record;
mod request;
mod response;
mod sessions;

pub use decide::{Context, Round, describe_created};
pub use image::{
    ApplyError, Broker, ConfigResource, ConfigResourceType, Endpoint, Health, Image, ImageDiff, LeaderRecovery,
    LogPosition, Node, Partition, PartitionDiff, Topic, TopicChange, TopicIdPartition, is_internal_topic,
    min_insync_replicas,
};
pub use note::Note;
pub use record::{BrokerChange, PartitionChange, Record, RegisterBrokerRecord, RegisteredPartition};
pub use request::{
    AlterPartition, BrokerIdentity, BrokerRegistration, CreateOrigin, IsrMember, PartitionAlteration, Patience,
    ReplicaReport, Request,
};
pub use response::{AlteredPartition, ControlledShutdownProgress, ProducerIdBlock, RequestError, Response};
pub use sessions::{SessionEvent, SessionOptions, SessionVerdict, Sessions};
