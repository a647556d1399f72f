//! Requests that a group's coordinator decides.

use futures::future::join_all;
use tidelog_coordinator::{Caller, Coordinator, Outcome, Response, Topics};
use tidelog_metadata::operations::GROUP_OPERATIONS;
use tidelog_wire::ErrorCode;

use super::Context;
use crate::coordinator_host::{Access, Asking, Coordinators};
use crate::pace::Pace;

/// A request may name thousands of groups.
const GROUPS_AT_ONCE: usize = 64;

/// Which operations to tell: none unless they were asked for.
pub(super) fn group_operations(are_asked_for: bool) -> i32 {
    if are_asked_for { GROUP_OPERATIONS } else { i32::MIN }
}

/// Has the coordinator of `group` run `operation`, whose own kind of response `R` is.
pub(super) async fn ask<R: TryFrom<Response>>(
    context: &Context,
    group: &str,
    access: Access,
    operation: impl FnOnce(&mut Coordinator, i64, &dyn Topics, &Caller<'_>) -> Outcome,
) -> Result<R, ErrorCode> {
    let host = client_host(context);
    let asking = asking(context, &host, access);
    let response = Coordinators::ask(&context.shard, group, &asking, operation).await?;
    response.try_into().map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)
}

/// Asks for each of many groups: some at once, so that their answers are committed together.
pub(super) async fn each<'a, T, A, F: Future<Output = A> + 'a>(asked: &'a [T], ask: impl Fn(&'a T) -> F) -> Vec<A> {
    let mut answers = Vec::with_capacity(asked.len());
    let mut pace = Pace::start();
    for some in asked.chunks(GROUPS_AT_ONCE) {
        answers.extend(join_all(some.iter().map(&ask)).await);
        pace.step().await;
    }
    answers
}

/// The caller's address as Kafka shows it.
pub(super) fn client_host(context: &Context) -> String {
    format!("/{}", context.connection.address.ip())
}

pub(super) fn asking<'a>(context: &'a Context, client_host: &'a str, access: Access) -> Asking<'a> {
    let client_id = context.client_id.as_deref().unwrap_or_default();
    Asking { client_id, client_host, version: context.version, access }
}
