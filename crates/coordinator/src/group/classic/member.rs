//! A member of a classic group.

use std::collections::BTreeSet;

use bytes::Bytes;
use tidelog_wire::Str;
use tidelog_wire::messages::JoinGroupRequest;
use tidelog_wire::messages::join_group_request::JoinGroupRequestProtocol;

use crate::{Caller, RequestId};

/// What its texts and bytes are made of is its own: no member keeps a request's frame in memory.
#[derive(Debug)]
pub(super) struct Member {
    pub instance_id: Option<Str>,
    pub client_id: Str,
    pub client_host: Str,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// In the order of its preference.
    pub protocols: Vec<Protocol>,
    pub assignment: Bytes,
    pub waiting: Waiting,
    /// Has not been answered a JoinGroup yet, so it does not know itself to be a member and sends no heartbeats.
    pub is_new: bool,
    /// Without a sign of life it is dropped then.
    pub session_due_ms: i64,
    /// When its timer fires, which may be before `session_due_ms`: a heartbeat moves the one, not the other.
    pub timer_due_ms: i64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Protocol {
    pub name: Str,
    pub metadata: Bytes,
}

/// The request of it that has not been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    No,
    Join(RequestId),
    Sync(RequestId),
}

impl Member {
    pub fn new(caller: &Caller, request: &JoinGroupRequest) -> Self {
        let mut member = Self {
            instance_id: request.group_instance_id.as_ref().map(Str::detached),
            client_id: Str::from(caller.client_id.to_owned()),
            client_host: Str::from(caller.client_host.to_owned()),
            rebalance_timeout_ms: 0,
            session_timeout_ms: 0,
            protocols: Vec::new(),
            assignment: Bytes::new(),
            waiting: Waiting::No,
            is_new: true,
            session_due_ms: i64::MAX,
            timer_due_ms: i64::MAX,
        };
        member.update(request);
        member
    }

    /// Takes over what a JoinGroup says. Votes are the group's to count.
    pub fn update(&mut self, request: &JoinGroupRequest) {
        self.session_timeout_ms = request.session_timeout_ms;
        // Version 0 has only the session timeout.
        self.rebalance_timeout_ms =
            if request.rebalance_timeout_ms < 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms };
        let kept = |protocol: &JoinGroupRequestProtocol| Protocol {
            name: protocol.name.detached(),
            metadata: Bytes::copy_from_slice(&protocol.metadata),
        };
        self.protocols = request.protocols.iter().map(kept).collect();
    }

    /// Whether a JoinGroup says nothing new about what it supports.
    pub fn matches(&self, protocols: &[JoinGroupRequestProtocol]) -> bool {
        self.protocols.len() == protocols.len()
            && self
                .protocols
                .iter()
                .zip(protocols)
                .all(|(known, said)| known.name == said.name && known.metadata == said.metadata)
    }

    /// Each name once, should the member have repeated itself.
    pub fn protocol_names(&self) -> impl Iterator<Item = &Str> {
        self.protocols.iter().map(|protocol| &protocol.name).collect::<BTreeSet<_>>().into_iter()
    }

    pub fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|known| known.name == protocol);
        found.map(|protocol| protocol.metadata.clone()).unwrap_or_default()
    }
}
