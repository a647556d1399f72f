//! The controller's decisions: a request is judged against an image and becomes records and an answer.
//!
//! One file per kind of request. Each validates before it writes, item by item where Kafka's answers are item by
//! item, so a refused request or item leaves no record. What is written is applied at once to a scratch image;
//! later requests of the same round see it.

mod alter_configs;
mod alter_partition;
mod alter_partition_reassignments;
mod bootstrap;
mod config_changes;
mod controlled_shutdown;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod elect_leaders;
mod election;
mod fencing;
mod incremental_alter_configs;
mod manual_assignment;
mod new_topic;
mod placement;
mod producer_ids;
mod register_broker;
mod replica_set;
mod room;
mod topic_name;
mod unclean;
mod unregister_broker;

pub use create_topics::describe_created;
use tidelog_wire::types::BrokerId;
use tidelog_wire::{ErrorCode, Uuid};

use self::room::Spent;
use crate::config::{ControllerConfig, Resolver, StaticConfigs};
use crate::image::{ApplyError, Broker, Image};
use crate::note::Note;
use crate::record::Record;
use crate::request::{BrokerIdentity, Request};
use crate::response::{RequestError, Response};

/// What a decision needs besides the image.
pub struct Context<'a> {
    /// The active controller's own `server.properties`: the weakest defaults, as in KRaft.
    pub static_configs: &'a StaticConfigs,
    /// Whether a broker has an unexpired session ([`Sessions::is_live`](crate::Sessions::is_live)).
    pub has_live_session: &'a dyn Fn(BrokerId) -> bool,
    /// 64 random bits a call: topic ids, and where placement begins.
    pub random: &'a mut dyn FnMut() -> u64,
}

impl Context<'_> {
    /// Random, and not one of Kafka's reserved ids.
    fn random_uuid(&mut self) -> Uuid {
        loop {
            let id = Uuid::from_u128(u128::from((self.random)()) << 64 | u128::from((self.random)()));
            // Kafka's tools take a leading dash for an option.
            if !id.is_reserved() && !id.to_string().starts_with('-') {
                return id;
            }
        }
    }
}

/// Judges several requests, each seeing what the earlier ones decided; together they are one batch of records.
#[derive(Clone, Debug)]
pub struct Round {
    image: Image,
    records: Vec<Record>,
    notes: Vec<Note>,
    /// By the request being decided.
    spent: Spent,
    /// A decision of this round was wrong.
    misfit: Option<ApplyError>,
}

impl Round {
    pub fn new(image: &Image) -> Self {
        Self { image: image.clone(), records: Vec::new(), notes: Vec::new(), spent: Spent::default(), misfit: None }
    }

    /// Judges one request and adds its records to the round's. The answer is to be given once they are applied.
    ///
    /// `Err` is a mistake in here, which must cost the request and not the node: the round is spoilt.
    pub fn decide(&mut self, request: &Request, context: &mut Context<'_>) -> Result<Response, ApplyError> {
        self.spent = Spent::default();
        let response = self.answer(request, context);
        self.misfit.take().map_or(Ok(response), Err)
    }

    fn answer(&mut self, request: &Request, context: &mut Context<'_>) -> Response {
        match request {
            Request::Bootstrap { cluster_id, nodes, default_configs } => {
                Response::Bootstrap(self.bootstrap(cluster_id, nodes, default_configs, context))
            }
            Request::RegisterBroker(registration) => {
                Response::RegisterBroker(self.register_broker(registration, context))
            }
            Request::UnfenceBroker(broker) => Response::UnfenceBroker(self.unfence_broker(*broker, context)),
            Request::FenceBroker(broker) => Response::FenceBroker(self.fence_broker(*broker, context)),
            Request::DemoteBroker(broker) => Response::DemoteBroker(self.demote_broker(*broker, context)),
            Request::ControlledShutdown { broker, patience } => {
                Response::ControlledShutdown(self.controlled_shutdown(*broker, *patience, context))
            }
            Request::AlterPartition(alteration) => Response::AlterPartition(self.alter_partition(alteration, context)),
            Request::ReportUnclean { broker, replicas } => {
                Response::ReportUnclean(self.report_unclean(*broker, replicas, context))
            }
            Request::ReplicaRecovered { broker, partitions } => {
                Response::ReplicaRecovered(self.replica_recovered(*broker, partitions))
            }
            Request::AllocateProducerIds(broker) => Response::AllocateProducerIds(self.allocate_producer_ids(*broker)),
            Request::BalanceLeaders => Response::BalanceLeaders { moved: self.balance_leaders(context) },
            Request::CreateTopics { request, origin } => {
                Response::CreateTopics(self.create_topics(request, *origin, context))
            }
            Request::DeleteTopics(request) => Response::DeleteTopics(self.delete_topics(request, context)),
            Request::CreatePartitions(request) => Response::CreatePartitions(self.create_partitions(request, context)),
            Request::IncrementalAlterConfigs(request) => {
                Response::IncrementalAlterConfigs(self.incremental_alter_configs(request, context))
            }
            Request::AlterConfigs(request) => Response::AlterConfigs(self.alter_configs(request, context)),
            Request::ElectLeaders(request) => Response::ElectLeaders(self.elect_leaders(request, context)),
            Request::AlterPartitionReassignments(request) => {
                Response::AlterPartitionReassignments(self.alter_partition_reassignments(request, context))
            }
            Request::UnregisterBroker(request) => Response::UnregisterBroker(self.unregister_broker(request, context)),
        }
    }

    /// The image as it will be once the round's records are applied.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// What to propose.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What to tell operators once the records are applied.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    fn push(&mut self, record: Record) {
        self.spent.add(&record, &self.image);
        if let Record::PartitionChange(change) = &record {
            self.notes.extend(Note::of(change, &self.image));
        }
        match self.image.apply(&record) {
            Ok(()) => self.records.push(record),
            Err(error) => {
                debug_assert!(false, "decided on a record that does not fit the image: {error}: {record:?}");
                self.misfit.get_or_insert(error);
            }
        }
    }

    fn push_all(&mut self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            self.push(record);
        }
    }

    /// The registration that the caller claims to be.
    fn registered(&self, identity: BrokerIdentity) -> Result<&Broker, RequestError> {
        let BrokerIdentity { broker_id, broker_epoch } = identity;
        let Some(broker) = self.image.broker(broker_id) else {
            let message = format!("broker {broker_id} is not registered");
            return Err(RequestError::new(ErrorCode::BROKER_ID_NOT_REGISTERED, message));
        };
        if broker.epoch != broker_epoch {
            let message = format!("broker {broker_id} is registered in epoch {}, not {broker_epoch}", broker.epoch);
            return Err(RequestError::new(ErrorCode::STALE_BROKER_EPOCH, message));
        }
        Ok(broker)
    }

    fn config(&self, context: &Context<'_>) -> ControllerConfig {
        ControllerConfig::resolve(&self.resolver(context))
    }

    /// Configs as the controller sees them: no broker's own dynamic ones.
    fn resolver<'a>(&'a self, context: &'a Context<'_>) -> Resolver<'a> {
        Resolver { image: &self.image, broker_id: BrokerId::NONE, static_configs: context.static_configs }
    }
}
