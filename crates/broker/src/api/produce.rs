//! Produce (0): appends batches to partitions.
//!
//! v3 is the first with batches of format 2; v7 the first that may bring zstd; v8 names the records at fault (KIP-467); v9 flexible, v10 CurrentLeader and NodeEndpoints (KIP-951), v13 topic ids.
//! Records are handed on as slices of the request; acks=all waits at the partition until the high watermark has passed.
//! A topic that another broker has told the client of and this one has not heard of yet is waited for: there are clients
//! that never send again what was refused. One that is known to be deleted is refused at once: while its batch waits here,
//! an idempotent producer may send the next to the leader of the topic's successor, where this one then is out of order
//! for ever.
//! Transactional producers are refused: transactions are not served yet.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tidelog_commitlog::RejectedRecord;
use tidelog_metadata::{Image, is_internal_topic};
use tidelog_replication::Acks;
use tidelog_wire::compression::Compression;
use tidelog_wire::messages::produce_request::TopicProduceData;
use tidelog_wire::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use tidelog_wire::messages::{ProduceRequest, ProduceResponse};
use tidelog_wire::record_batch::BatchHeader;
use tidelog_wire::types::{Offset, PartitionIndex};
use tidelog_wire::{ErrorCode, Uuid};
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::Context;
use crate::call::{Call, Reply};
use crate::cluster_view::LeaderHint;
use crate::net::HeldRequests;
use crate::partition::{AppendOutcome, PartitionHandle, PendingProduce, ProduceReply, Produced, Refusal, ReplyTo};
use crate::shard::Shard;
use crate::timers::{Expires, TimerKey};

pub(crate) const VERSIONS: RangeInclusive<i16> = 3..=13;

/// Clients that speak an older version do not know the codec (KIP-110).
const ZSTD_FROM: i16 = 7;

/// How long this broker's image may lag behind that of the one which told the client of a topic.
const IMAGE_LAG_MAX: Duration = Duration::from_millis(500);

pub(crate) fn handle(call: Call) {
    let Some((context, request, reply)) = call.decode::<ProduceRequest>() else {
        return;
    };
    let connection = Rc::clone(&context.connection);
    if connection.held.is_empty() && knows_topics(&context, &context.shard.image(), &request) {
        return produce(&context, request, reply);
    }
    let mut images = context.shard.image_changes();
    let shard = Rc::clone(&context.shard);
    HeldRequests::hold(&shard, &connection, async move {
        let known = images.wait_for(|image| knows_topics(&context, image, &request));
        let _ = timeout(IMAGE_LAG_MAX, known).await;
        produce(&context, request, reply);
    });
}

/// Whether no later image than this one can be what the client speaks of.
fn knows_topics(context: &Context, image: &Image, request: &ProduceRequest) -> bool {
    request.topic_data.iter().all(|topic| {
        topic_id_of(image, topic, context.version).is_some() || context.shard.deleted_topics.contains(topic.topic_id)
    })
}

fn produce(context: &Context, request: ProduceRequest, reply: Reply) {
    let acks = match request.acks {
        0 | 1 => Acks::Leader,
        -1 => Acks::All,
        _ => return refuse_all(&request, reply, ErrorCode::INVALID_REQUIRED_ACKS),
    };
    if request.transactional_id.is_some() {
        return refuse_all(&request, reply, ErrorCode::UNSUPPORTED_VERSION);
    }
    let is_answered = request.acks != 0;
    let produce = ProduceCall::new(context, &request, reply, is_answered);
    if acks == Acks::All {
        produce.start_timer(&context.shard, Duration::from_millis(request.timeout_ms.max(0) as u64));
    }
    let image = context.shard.image();
    let topics = request.topic_data.into_iter();
    let mut index = 0;
    for (topic_id, data) in topics.map(|topic| (topic_id_of(&image, &topic, context.version), topic.partition_data)) {
        for partition in data {
            let place = index;
            index += 1;
            let target = find(context, topic_id, PartitionIndex(partition.index));
            match (target, partition.records) {
                (Ok(target), _) if is_closed(context, &target) => {
                    produce.refuse(place, ErrorCode::INVALID_TOPIC_EXCEPTION);
                }
                (Ok(_), Some(records)) if context.version < ZSTD_FROM && is_zstd(&records) => {
                    produce.fill(place, AppendOutcome::Refused(Refusal::codec_of_later_version(context.version)));
                }
                (Ok(target), Some(records)) if !records.is_empty() => {
                    produce.send(&context.shard, target, place, records, acks);
                }
                (Ok(_), _) => produce.refuse(place, ErrorCode::INVALID_RECORD),
                (Err(code), _) => produce.refuse(place, code),
            }
        }
    }
    produce.close_if_complete();
}

fn is_zstd(records: &[u8]) -> bool {
    BatchHeader::parse(records).is_ok_and(|header| header.attributes.compression() == Ok(Compression::Zstd))
}

fn topic_id_of(image: &Image, topic: &TopicProduceData, version: i16) -> Option<Uuid> {
    match version {
        ..13 => image.topic_id(&topic.name),
        _ => image.topic_by_id(topic.topic_id).map(|topic| topic.id),
    }
}

fn find(context: &Context, topic_id: Option<Uuid>, index: PartitionIndex) -> Result<PartitionHandle, ErrorCode> {
    let Some(topic_id) = topic_id else {
        return Err(match context.version {
            ..13 => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            _ => ErrorCode::UNKNOWN_TOPIC_ID,
        });
    };
    let shard = &context.shard;
    shard.partitions.get(topic_id, index).ok_or_else(|| match shard.image().has_partition(topic_id, index) {
        true => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        false => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    })
}

/// Internal topics are written by brokers alone, and by Kafka's administration tools.
fn is_closed(context: &Context, target: &PartitionHandle) -> bool {
    const ADMIN_CLIENT: &str = "__admin_client";
    is_internal_topic(&target.id.topic) && context.client_id.as_deref() != Some(ADMIN_CLIENT)
}

fn refuse_all(request: &ProduceRequest, reply: Reply, code: ErrorCode) {
    if request.acks == 0 {
        return reply.disconnect();
    }
    let refused = |index| PartitionProduceResponse {
        index,
        error_code: code,
        base_offset: -1,
        ..PartitionProduceResponse::default()
    };
    let responses = request.topic_data.iter().map(|topic| TopicProduceResponse {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partition_responses: topic.partition_data.iter().map(|partition| refused(partition.index)).collect(),
    });
    reply.send(&ProduceResponse { responses: responses.collect(), ..ProduceResponse::default() });
}

/// One produce request that collects its partitions' outcomes and answers when all are there.
struct ProduceCall {
    shard: Rc<Shard>,
    listener: Rc<crate::net::ListenerInfo>,
    reply: RefCell<Option<Reply>>,
    is_answered: bool,
    /// The version has room for the current leader and its endpoint.
    has_leader: bool,
    response: RefCell<ProduceResponse>,
    /// Which topic and partition of the response an index stands for, and where its records went.
    places: Vec<(usize, usize)>,
    targets: RefCell<Vec<Option<PartitionHandle>>>,
    open: RefCell<Vec<bool>>,
    open_count: Cell<usize>,
    /// Keeps the answer back until every partition was handed over.
    is_complete: Cell<bool>,
    timer: Cell<Option<TimerKey>>,
    any_failed: Cell<bool>,
}

impl ProduceCall {
    fn new(context: &Context, request: &ProduceRequest, reply: Reply, is_answered: bool) -> Rc<Self> {
        let mut places = Vec::new();
        let mut responses = Vec::with_capacity(request.topic_data.len());
        for (topic_index, topic) in request.topic_data.iter().enumerate() {
            let empty =
                |index| PartitionProduceResponse { index, base_offset: -1, ..PartitionProduceResponse::default() };
            places.extend((0..topic.partition_data.len()).map(|partition| (topic_index, partition)));
            responses.push(TopicProduceResponse {
                // Parked, it must not keep the whole request's buffer.
                name: topic.name.detached(),
                topic_id: topic.topic_id,
                partition_responses: topic.partition_data.iter().map(|partition| empty(partition.index)).collect(),
            });
        }
        let count = places.len();
        Rc::new(Self {
            shard: Rc::clone(&context.shard),
            listener: Rc::clone(&context.connection.listener),
            reply: RefCell::new(Some(reply)),
            is_answered,
            has_leader: context.version >= 10,
            response: RefCell::new(ProduceResponse { responses, ..ProduceResponse::default() }),
            places,
            targets: RefCell::new(vec![None; count]),
            open: RefCell::new(vec![true; count]),
            open_count: Cell::new(count),
            is_complete: Cell::new(false),
            timer: Cell::new(None),
            any_failed: Cell::new(false),
        })
    }

    fn start_timer(self: &Rc<Self>, shard: &Shard, timeout: Duration) {
        let waiting: Rc<dyn Expires> = Rc::clone(self) as _;
        self.timer.set(Some(shard.timers.add(Instant::now() + timeout, waiting)));
    }

    fn send(self: &Rc<Self>, shard: &Shard, target: PartitionHandle, index: usize, records: Bytes, acks: Acks) {
        self.targets.borrow_mut()[index] = Some(Rc::clone(&target));
        let call: Rc<dyn ProduceReply> = Rc::clone(self) as _;
        target.produce(shard, PendingProduce { batch: Produced::Raw(records), acks, reply: ReplyTo { call, index } });
    }

    fn refuse(&self, index: usize, code: ErrorCode) {
        self.fill(index, AppendOutcome::Refused(Refusal::of(code)));
    }

    fn close_if_complete(&self) {
        self.is_complete.set(true);
        self.answer_if_complete();
    }

    fn answer_if_complete(&self) {
        if !self.is_complete.get() || self.open_count.get() > 0 {
            return;
        }
        let Some(reply) = self.reply.borrow_mut().take() else {
            return;
        };
        if let Some(timer) = self.timer.take() {
            self.shard.timers.cancel(timer);
        }
        match (self.is_answered, self.any_failed.get()) {
            (true, _) => reply.send(&*self.response.borrow()),
            (false, false) => reply.send_nothing(),
            // The only way to tell an acks=0 producer that something is wrong.
            (false, true) => reply.disconnect(),
        }
    }

    /// Who leads instead (KIP-951).
    fn add_leader(&self, index: usize, code: ErrorCode) {
        let topic_id = match (code, &self.targets.borrow()[index]) {
            (ErrorCode::NOT_LEADER_OR_FOLLOWER, Some(target)) => Some(target.id.topic_id),
            (ErrorCode::NOT_LEADER_OR_FOLLOWER, None) => None,
            _ => return,
        };
        let (topic, partition) = self.places[index];
        let mut response = self.response.borrow_mut();
        let answered = &mut response.responses[topic];
        let image = self.shard.image();
        let found = match topic_id {
            Some(topic_id) => image.topic_by_id(topic_id),
            None if answered.topic_id != Uuid::ZERO => image.topic_by_id(answered.topic_id),
            None => image.topic(&answered.name),
        };
        let data = &mut answered.partition_responses[partition];
        let index = PartitionIndex(data.index);
        let hint = found.and_then(|topic| LeaderHint::of(&self.shard, &image, topic, index, &self.listener.name));
        let Some(hint) = hint else {
            return;
        };
        data.current_leader = LeaderIdAndEpoch { leader_id: hint.leader.get(), leader_epoch: hint.epoch.get() };
        let endpoints = &mut response.node_endpoints;
        if let Some(endpoint) = hint.endpoint
            && endpoints.iter().all(|known| known.node_id != hint.leader.get())
        {
            endpoints.push(NodeEndpoint {
                node_id: hint.leader.get(),
                host: endpoint.host,
                port: endpoint.port.into(),
                rack: endpoint.rack,
            });
        }
    }
}

impl ProduceReply for ProduceCall {
    fn fill(&self, index: usize, outcome: AppendOutcome) {
        if !std::mem::replace(&mut self.open.borrow_mut()[index], false) {
            return;
        }
        let (topic, partition) = self.places[index];
        let refused = {
            let mut response = self.response.borrow_mut();
            let data = &mut response.responses[topic].partition_responses[partition];
            match outcome {
                AppendOutcome::Stored { base_offset, log_append_time_ms, log_start } => {
                    data.base_offset = base_offset.get();
                    data.log_append_time_ms = log_append_time_ms;
                    data.log_start_offset = log_start.get();
                    None
                }
                AppendOutcome::Refused(refusal) => {
                    let reason = refusal.message.as_deref();
                    debug!(partition = data.index, error = refusal.code.name(), reason, "refused");
                    data.error_code = refusal.code;
                    data.error_message = refusal.message;
                    data.log_start_offset = refusal.log_start.map_or(-1, Offset::get);
                    data.record_errors = refusal.rejected.iter().map(record_error).collect();
                    Some(refusal.code)
                }
            }
        };
        if let Some(code) = refused {
            self.any_failed.set(true);
            if self.has_leader {
                self.add_leader(index, code);
            }
        }
        self.open_count.set(self.open_count.get() - 1);
        self.answer_if_complete();
    }
}

fn record_error(rejected: &RejectedRecord) -> BatchIndexAndErrorMessage {
    let message = Some(rejected.rule.to_string().into());
    BatchIndexAndErrorMessage { batch_index: rejected.index, batch_index_error_message: message }
}

impl Expires for ProduceCall {
    /// The producer's time is over: what is not committed yet is answered as unknown. The records stay.
    fn expire(self: Rc<Self>, _shard: &Rc<Shard>) {
        self.timer.set(None);
        for index in 0..self.places.len() {
            if !self.open.borrow()[index] {
                continue;
            }
            let target = self.targets.borrow()[index].clone();
            let refusal = match target {
                Some(target) => Refusal::from(target.expired_ack_error()),
                None => Refusal::of(ErrorCode::REQUEST_TIMED_OUT),
            };
            self.fill(index, AppendOutcome::Refused(refusal));
        }
    }
}
