//! FindCoordinator (10): the broker that coordinates a group.
//!
//! v1 tells what is looked for, v3 flexible, v4 many keys at once (KIP-699), v5 and v6 more error codes and share groups.
//! The first question about a group makes the topic of committed offsets. A question about a coordinator that just died in
//! front of us is held until the image changes, as in Metadata.
//!
//! Transactions and share groups are not served. Their keys are refused with a code that the client takes for final, and
//! whose message it shows; after one that may be retried it would ask for ever. librdkafka, which asks in v2 at most, takes
//! only a lack of rights for final; Java's clients would show that code's own sentence instead of ours.

use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use tidelog_metadata::Image;
use tidelog_wire::messages::find_coordinator_response::Coordinator;
use tidelog_wire::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use tidelog_wire::types::BrokerId;
use tidelog_wire::{ErrorCode, Str};

use super::set::distinct;
use super::{Api, Context, auto_create};
use crate::cluster_view::ClientEndpoint;
use crate::coordinator_host::{OFFSETS_TOPIC, partition_of};
use crate::shard::Shard;

/// How long a question is held while there is no leader.
const HOLD_MAX: Duration = Duration::from_millis(500);
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

pub(crate) struct FindCoordinator;

impl Api for FindCoordinator {
    type Request = FindCoordinatorRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=6;

    async fn answer(context: Context, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
        let keys = match context.version {
            ..4 => vec![request.key],
            _ => distinct(request.coordinator_keys, Str::clone),
        };
        if request.key_type == GROUP {
            make_offsets_topic(&context.shard);
            hold_while_leaderless(&context, &keys).await;
        }
        let image = context.shard.image();
        let found = keys.into_iter().map(|key| match request.key_type {
            GROUP => coordinator_of(&context, &image, key),
            TRANSACTION => {
                refused(key, no_transactions(context.version), "transactions are not supported by this cluster")
            }
            SHARE => refused(key, ErrorCode::INVALID_REQUEST, "share groups are not supported by this cluster"),
            _ => refused(key, ErrorCode::INVALID_REQUEST, "there is no such type of coordinator"),
        });
        in_version(context.version, found.collect())
    }
}

/// Has the topic made if it is missing, once at a time. Nobody waits for the controller, which may take its time: the
/// image will show the topic.
fn make_offsets_topic(shard: &Rc<Shard>) {
    let is_missing = shard.is_ready.get() && shard.image().topic_id(OFFSETS_TOPIC).is_none();
    if is_missing && !shard.coordinators.creating.replace(true) {
        let making = Rc::clone(shard);
        shard.spawn("making of the offsets topic", async move {
            let shard = making;
            auto_create::create(&shard, &[Str::from_static(OFFSETS_TOPIC)]).await;
            shard.coordinators.creating.set(false);
        });
    }
}

/// Also while this broker starts: what it knows then is who led before.
async fn hold_while_leaderless(context: &Context, keys: &[Str]) {
    let shard = &context.shard;
    let mut images = shard.image_changes();
    let is_led = |image: &Image, key: &Str| leader_of(context, image, key) != BrokerId::NONE;
    let all_led = images.wait_for(|image| shard.is_ready.get() && keys.iter().all(|key| is_led(image, key)));
    let _ = tokio::time::timeout(HOLD_MAX, all_led).await;
}

fn leader_of(context: &Context, image: &Image, group: &str) -> BrokerId {
    let find = || {
        let topic = image.topic(OFFSETS_TOPIC)?;
        let index = partition_of(image, group)?;
        Some(context.shard.visible_leader(topic, index, topic.partition(index)?))
    };
    find().unwrap_or(BrokerId::NONE)
}

fn coordinator_of(context: &Context, image: &Image, key: Str) -> Coordinator {
    let leader = leader_of(context, image, &key);
    match ClientEndpoint::of(image, leader, &context.connection.listener.name) {
        Some(endpoint) => Coordinator {
            key,
            node_id: leader.get(),
            host: endpoint.host,
            port: endpoint.port.into(),
            ..Coordinator::default()
        },
        None => refused(key, ErrorCode::COORDINATOR_NOT_AVAILABLE, "the group's partition has no leader"),
    }
}

fn refused(key: Str, error_code: ErrorCode, reason: &'static str) -> Coordinator {
    Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code,
        error_message: Some(Str::from_static(reason)),
        ..Coordinator::default()
    }
}

fn no_transactions(version: i16) -> ErrorCode {
    match version {
        ..3 => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        _ => ErrorCode::INVALID_REQUEST,
    }
}

fn in_version(version: i16, mut found: Vec<Coordinator>) -> FindCoordinatorResponse {
    if version >= 4 {
        return FindCoordinatorResponse { coordinators: found, ..FindCoordinatorResponse::default() };
    }
    let only = found.pop().unwrap_or_default();
    FindCoordinatorResponse {
        error_code: only.error_code,
        error_message: only.error_message,
        node_id: only.node_id,
        host: only.host,
        port: only.port,
        ..FindCoordinatorResponse::default()
    }
}
