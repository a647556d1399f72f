//! Fetch (1): reads batches, for consumers and followers alike.
//!
//! v7 sessions (KIP-227), v9 leader epochs, v11 the consumer's rack (KIP-392), v12 last fetched epoch and divergence, v13 topic ids, v15 the replica's own
//! epoch (KIP-903), v16 node endpoints (KIP-951). A replica id counts only on the inter-broker listener and only with the
//! epoch that the broker is registered with; anyone else who sets it is refused.

use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use tidelog_wire::messages::fetch_request::FetchPartition;
use tidelog_wire::messages::{FetchRequest, FetchResponse};
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionIndex};
use tidelog_wire::{ErrorCode, Str, Uuid};
use tokio::time::Instant;

use super::Context;
use crate::call::Call;
use crate::fetch::{Asked, FetchCall, FetchSession, Reader, TopicKey};

pub(crate) const VERSIONS: RangeInclusive<i16> = 4..=18;

/// The session epoch that ends or avoids a session, and the one that begins it.
const NO_SESSION: i32 = -1;
const NEW_SESSION: i32 = 0;

pub(crate) fn handle(call: Call) {
    let Some((context, request, reply)) = call.decode::<FetchRequest>() else {
        return;
    };
    let prepared = reader(&context, &request)
        .and_then(|reader| Ok((reader, session(&context, &request, reader).map_err(|error| error.code())?)));
    let (reader, session) = match prepared {
        Ok(prepared) => prepared,
        Err(error_code) => return reply.send(&FetchResponse { error_code, ..FetchResponse::default() }),
    };
    let shard = &context.shard;
    session.answer_parked_empty(shard);
    name_partitions(&context, &request, &session);
    let bytes_max = match reader {
        Reader::Consumer => shard.options.replica.consumer_fetch_max_bytes,
        Reader::Follower(..) => i32::MAX,
    };
    let fetch = FetchCall {
        reply,
        deadline: (request.max_wait_ms > 0)
            .then(|| Instant::now() + Duration::from_millis(request.max_wait_ms.unsigned_abs().into())),
        min_bytes: request.min_bytes.max(0) as usize,
        max_bytes: request.max_bytes.clamp(0, bytes_max) as usize,
        read_committed: request.isolation_level == 1,
        rack: (context.version >= 11).then(|| request.rack_id.detached()),
        is_full: request.session_epoch <= NEW_SESSION,
        has_leader: context.version >= 12,
        has_endpoints: context.version >= 16,
        listener: Rc::clone(&context.connection.listener),
    };
    session.serve(shard, fetch);
}

/// Who asks, if that is who it says (CVE-2018-1288).
fn reader(context: &Context, request: &FetchRequest) -> Result<Reader, ErrorCode> {
    let (replica, epoch) = match context.version {
        ..15 => (request.replica_id, -1),
        _ => (request.replica_state.replica_id, request.replica_state.replica_epoch),
    };
    if replica < 0 {
        return Ok(Reader::Consumer);
    }
    let (replica, epoch) = (BrokerId(replica), BrokerEpoch(epoch));
    if !context.connection.listener.is_inter_broker {
        return Err(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
    }
    let image = context.shard.image();
    if image.broker(replica).is_none_or(|broker| broker.epoch != epoch) {
        return Err(ErrorCode::STALE_BROKER_EPOCH);
    }
    context.connection.peer.replica.set(Some(replica));
    context.shard.peers.heard(replica);
    Ok(Reader::Follower(replica, epoch))
}

fn session(
    context: &Context,
    request: &FetchRequest,
    reader: Reader,
) -> Result<Rc<FetchSession>, crate::fetch::SessionError> {
    let sessions = &context.shard.sessions;
    let uses_topic_ids = context.version >= 13;
    match request.session_epoch {
        NO_SESSION => {
            sessions.end(&context.shard, request.session_id);
            Ok(FetchSession::new(0, reader, uses_topic_ids))
        }
        NEW_SESSION => {
            sessions.end(&context.shard, request.session_id);
            Ok(sessions.begin(reader, uses_topic_ids))
        }
        epoch => sessions.resume(request.session_id, epoch, reader, uses_topic_ids),
    }
}

fn name_partitions(context: &Context, request: &FetchRequest, session: &Rc<FetchSession>) {
    let key = |name: &Str, topic_id: Uuid| match session.uses_topic_ids {
        true => TopicKey::Id(topic_id),
        false => TopicKey::Name(name.detached()),
    };
    for topic in &request.forgotten_topics_data {
        for partition in &topic.partitions {
            session.forget(&key(&topic.topic, topic.topic_id), PartitionIndex(*partition));
        }
    }
    for topic in &request.topics {
        for partition in &topic.partitions {
            let key = key(&topic.topic, topic.topic_id);
            session.name(&context.shard, key, PartitionIndex(partition.partition), asked(partition));
        }
    }
}

fn asked(partition: &FetchPartition) -> Asked {
    Asked {
        fetch_offset: Offset(partition.fetch_offset),
        max_bytes: partition.partition_max_bytes.max(0) as usize,
        current_leader_epoch: epoch(partition.current_leader_epoch),
        last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
        log_start: Offset(partition.log_start_offset),
    }
}

fn epoch(epoch: i32) -> Option<LeaderEpoch> {
    (epoch >= 0).then_some(LeaderEpoch(epoch))
}
