//! A group's members, classic and KIP-848 ones alike.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use tidelog_wire::codec::{DecodeError, Message, Reader, Schema};
use tidelog_wire::messages::ConsumerProtocolAssignment;
use tidelog_wire::messages::consumer_group_describe_response::{Assignment, Member as ConsumerMember};
use tidelog_wire::messages::describe_groups_response::DescribedGroupMember;

/// Partitions by topic.
pub type Partitions = BTreeMap<String, Vec<i32>>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub host: String,
    pub rack: Option<String>,
    /// Of KIP-848 groups only.
    pub epoch: Option<i32>,
    pub assignment: Partitions,
    /// What the coordinator wants it to have, where it tells.
    pub target: Option<Partitions>,
}

impl Member {
    pub fn owns(&self, topic: &str, partition: i32) -> bool {
        self.assignment.get(topic).is_some_and(|partitions| partitions.contains(&partition))
    }

    pub fn partition_count(&self) -> usize {
        self.assignment.values().map(Vec::len).sum()
    }

    /// `speaks_consumer_protocol` says whether the assignment is ours to read: Kafka Connect's, say, is not.
    pub fn classic(member: &DescribedGroupMember, speaks_consumer_protocol: bool) -> Self {
        let assignment = match speaks_consumer_protocol {
            true => decoded_assignment(&member.member_assignment).unwrap_or_default(),
            false => Partitions::new(),
        };
        Self {
            member_id: member.member_id.to_string(),
            instance_id: member.group_instance_id.as_ref().map(ToString::to_string),
            client_id: member.client_id.to_string(),
            host: host_text(&member.client_host),
            rack: None,
            epoch: None,
            assignment,
            target: None,
        }
    }
}

impl From<&ConsumerMember> for Member {
    fn from(member: &ConsumerMember) -> Self {
        Self {
            member_id: member.member_id.to_string(),
            instance_id: member.instance_id.as_ref().map(ToString::to_string),
            client_id: member.client_id.to_string(),
            host: host_text(&member.client_host),
            rack: member.rack_id.as_ref().filter(|rack| !rack.is_empty()).map(ToString::to_string),
            epoch: Some(member.member_epoch),
            assignment: partitions(&member.assignment),
            target: Some(partitions(&member.target_assignment)),
        }
    }
}

fn partitions(assignment: &Assignment) -> Partitions {
    let topics = assignment.topic_partitions.iter();
    topics.map(|topic| (topic.topic_name.to_string(), sorted(&topic.partitions))).collect()
}

fn sorted(partitions: &[i32]) -> Vec<i32> {
    let mut partitions = partitions.to_vec();
    partitions.sort_unstable();
    partitions
}

/// Java writes addresses with a slash before them.
fn host_text(host: &str) -> String {
    host.trim_start_matches('/').to_owned()
}

/// What the group's leader gave to a member; nothing while it has given nothing. A version newer than ours reads as ours: new
/// fields come at the end.
fn decoded_assignment(bytes: &Bytes) -> Result<Partitions, DecodeError> {
    if bytes.is_empty() {
        return Ok(Partitions::new());
    }
    let mut reader = Reader::new(bytes.clone());
    let version = reader.i16()?.min(*ConsumerProtocolAssignment::VERSIONS.end());
    let assignment = ConsumerProtocolAssignment::decode(&mut reader, version)?;
    let topics = assignment.assigned_partitions.iter();
    Ok(topics.map(|topic| (topic.topic.to_string(), sorted(&topic.partitions))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 0, one topic `t` with partitions 2 and 0, user data null.
    const ASSIGNMENT: &[u8] = b"\0\0\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\x02\0\0\0\0\xff\xff\xff\xff";

    #[test]
    fn classic_assignments_are_read_and_put_in_order() {
        let expected = Partitions::from([("t".to_owned(), vec![0, 2])]);
        assert_eq!(decoded_assignment(&Bytes::from_static(ASSIGNMENT)), Ok(expected.clone()));
        let mut newer = ASSIGNMENT.to_vec();
        newer[1] = 9;
        newer.extend_from_slice(b"from the future");
        assert_eq!(decoded_assignment(&newer.into()), Ok(expected));
    }

    #[test]
    fn damaged_and_foreign_assignments_are_no_assignment() {
        for cut in 1..ASSIGNMENT.len() {
            assert!(decoded_assignment(&Bytes::from_static(&ASSIGNMENT[..cut])).is_err(), "{cut}");
        }
        let member = DescribedGroupMember {
            member_assignment: Bytes::from_static(b"\0\0\xff"),
            client_host: "/127.0.0.1".into(),
            ..Default::default()
        };
        for speaks_consumer_protocol in [true, false] {
            let member = Member::classic(&member, speaks_consumer_protocol);
            assert_eq!((member.partition_count(), member.host.as_str()), (0, "127.0.0.1"));
        }
    }
}
