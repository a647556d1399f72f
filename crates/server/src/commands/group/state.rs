//! What a coordinator says of one group: its state and its members. New groups are asked for first, then classic ones.

use serde::Serialize;
use tidelog_client::{Client, ClientError, Connection};
use tidelog_wire::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribeGroupsRequest,
    consumer_group_describe_response, describe_groups_response,
};
use tidelog_wire::{ErrorCode, Str};

use super::member::Member;
use crate::exit::{Exit, Failure};

/// What members of ordinary consumer groups speak among themselves.
const CONSUMER_PROTOCOL: &str = "consumer";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupType {
    Classic,
    Consumer,
}

#[derive(Clone, Debug, Serialize)]
pub struct GroupState {
    pub group: String,
    pub r#type: GroupType,
    pub state: String,
    /// What the members speak among themselves; empty for offsets without members.
    pub protocol: String,
    pub assignor: String,
    pub coordinator: i32,
    /// Of KIP-848 groups only.
    pub epoch: Option<i32>,
    pub assignment_epoch: Option<i32>,
    pub members: Vec<Member>,
}

impl GroupState {
    /// Nobody would overwrite or contradict what is done to the group's offsets.
    pub fn is_inactive(&self) -> bool {
        matches!(self.state.as_str(), "Empty" | "Dead")
    }
}

/// The group's state, `None` if there is no such group.
pub async fn find(client: &Client, group: &str) -> Result<Option<GroupState>, Failure> {
    let what = format!("cannot describe group {group}");
    let what = what.as_str();
    let found = client.ask_coordinator(what, group, |connection| async move {
        match describe_consumer(&connection, what, group).await? {
            Some(state) => Ok(Some(state)),
            None => describe_classic(&connection, what, group).await,
        }
    });
    let found = found.await?;
    let coordinator = client.coordinator(group).await?;
    Ok(found.map(|state| GroupState { coordinator, ..state }))
}

/// The group's state; that it does not exist is a failure.
pub async fn expect(client: &Client, group: &str) -> Result<GroupState, Failure> {
    find(client, group).await?.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("there is no group {group}"))
            .advising("`tidelog group list` shows the groups there are")
    })
}

async fn describe_consumer(
    connection: &Connection,
    what: &str,
    group: &str,
) -> Result<Option<GroupState>, ClientError> {
    if connection.version::<ConsumerGroupDescribeRequest>().is_err() {
        return Ok(None);
    }
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![Str::from(group.to_owned())],
        include_authorized_operations: false,
    };
    let response: ConsumerGroupDescribeResponse = connection.send(&request).await?;
    let Some(described) = response.groups.into_iter().next() else { return Ok(None) };
    match described.error_code {
        ErrorCode::NONE => Ok(Some(consumer_state(described))),
        // A classic group, or a cluster that has the new protocol switched off.
        ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::UNSUPPORTED_VERSION => Ok(None),
        code => Err(refused(what, code, described.error_message)),
    }
}

fn consumer_state(described: consumer_group_describe_response::DescribedGroup) -> GroupState {
    GroupState {
        group: described.group_id.into(),
        r#type: GroupType::Consumer,
        state: described.group_state.into(),
        protocol: CONSUMER_PROTOCOL.to_owned(),
        assignor: described.assignor_name.into(),
        coordinator: -1,
        epoch: Some(described.group_epoch),
        assignment_epoch: Some(described.assignment_epoch),
        members: described.members.iter().map(Member::from).collect(),
    }
}

async fn describe_classic(connection: &Connection, what: &str, group: &str) -> Result<Option<GroupState>, ClientError> {
    let request =
        DescribeGroupsRequest { groups: vec![Str::from(group.to_owned())], include_authorized_operations: false };
    let response = connection.send(&request).await?;
    let Some(described) = response.groups.into_iter().next() else { return Ok(None) };
    match described.error_code {
        // How brokers before version 6 say that there is none.
        ErrorCode::NONE if described.group_state == "Dead" => Ok(None),
        ErrorCode::NONE => Ok(Some(classic_state(described))),
        ErrorCode::GROUP_ID_NOT_FOUND => Ok(None),
        code => Err(refused(what, code, described.error_message)),
    }
}

fn classic_state(described: describe_groups_response::DescribedGroup) -> GroupState {
    let speaks_consumer_protocol = described.protocol_type == CONSUMER_PROTOCOL;
    GroupState {
        group: described.group_id.into(),
        r#type: GroupType::Classic,
        state: described.group_state.into(),
        protocol: described.protocol_type.into(),
        assignor: described.protocol_data.into(),
        coordinator: -1,
        epoch: None,
        assignment_epoch: None,
        members: described.members.iter().map(|member| Member::classic(member, speaks_consumer_protocol)).collect(),
    }
}

fn refused(what: &str, code: ErrorCode, said: Option<Str>) -> ClientError {
    ClientError::Refused { what: what.to_owned(), code, message: said.map(Into::into) }
}
