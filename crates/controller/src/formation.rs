//! How a node becomes part of a cluster.
//!
//! ```text
//! knows its cluster ------------------------------------------------> ask in until the membership has this disk
//! knows none, a configured voter knows one -------------------------> learn it, ask in
//! knows none, all configured voters answer, all are empty:
//!     the lowest id founds the cluster with the full set; the others hear of it from its first append,
//!     and everybody learns the cluster id from the quorum's first batch
//! otherwise: wait, and say for whom
//! ```
//! That every voter must answer is what keeps two empty nodes from founding a second cluster beside the one
//! that holds the data.

use std::collections::BTreeMap;
use std::time::Duration;

use openraft::LogIdOptionExt;
use openraft::async_runtime::watch::WatchReceiver;
use tidelog_internal_api::formation as proto;
use tidelog_internal_api::formation::formation_client::FormationClient;
use tidelog_wire::Str;
use tokio::time::Instant;

use crate::identity::cluster_id_from_bytes;
use crate::net::{Dialer, Peer};
use crate::options::Voter;
use crate::raft::{NodeId, RaftNode, node_from_proto, node_to_proto};
use crate::shared::Shared;

const HELLO_WAIT_MAX: Duration = Duration::from_millis(500);
const RETRY: Duration = Duration::from_millis(25);
const JOIN_RETRY: Duration = Duration::from_millis(250);
const SAY_EVERY: Duration = Duration::from_secs(5);

/// How this node introduces itself.
pub(crate) async fn introduction(shared: &Shared) -> proto::Introduction {
    proto::Introduction {
        node: Some(node_to_proto(&shared.this, &shared.node)),
        cluster_id: shared.cluster_id.to_bytes(),
        empty: is_empty(shared).await,
    }
}

async fn is_empty(shared: &Shared) -> bool {
    let metrics = shared.metrics();
    let initialized = shared.raft.is_initialized().await.unwrap_or(true);
    !initialized && metrics.last_log_index.is_none() && metrics.snapshot.next_index() == 0
}

/// What a node says of itself, understood.
#[derive(Clone, Debug)]
pub(crate) struct Greeting {
    pub(crate) id: NodeId,
    pub(crate) node: RaftNode,
    pub(crate) cluster_id: Option<Str>,
    pub(crate) empty: bool,
}

impl Greeting {
    fn of(introduction: proto::Introduction) -> Option<Self> {
        let (id, node) = node_from_proto(introduction.node?).ok()?;
        let cluster_id = cluster_id_from_bytes(&introduction.cluster_id);
        Some(Self { id, node, cluster_id, empty: introduction.empty })
    }
}

/// Asks one configured voter who it is. `None` if it does not answer, or somebody else does.
pub(crate) async fn greet(dialer: &Dialer, voter: &Voter) -> Option<Greeting> {
    let peer = Peer { host: voter.host.clone(), port: voter.port };
    let mut client = FormationClient::new(dialer.brief_channel(&peer));
    let hello = tokio::time::timeout(HELLO_WAIT_MAX, client.hello(proto::HelloRequest { from: None })).await;
    let greeting = Greeting::of(hello.ok()?.ok()?.into_inner().from?)?;
    if greeting.id.id != voter.node_id {
        tracing::warn!(expected = voter.node_id, found = greeting.id.id, %peer, "another node answers at a voter's address");
        return None;
    }
    Some(greeting)
}

/// Runs for the node's life: gets the node into a cluster, and back in whenever it was removed.
pub(crate) async fn run(shared: Shared) {
    meet(&shared).await;
    let mut metrics = shared.raft.metrics();
    loop {
        let membership = metrics.borrow_and_update().membership_config.clone();
        if membership.get_node(&shared.this) == Some(&shared.node) {
            if metrics.changed().await.is_err() {
                return;
            }
            continue;
        }
        ask_in(&shared).await;
        if let Ok(Err(_)) = tokio::time::timeout(JOIN_RETRY, metrics.changed()).await {
            return;
        }
    }
}

/// Returns once the cluster id is known.
async fn meet(shared: &Shared) {
    let mut learned = shared.cluster_id.watch();
    let mut said = Instant::now();
    while learned.borrow_and_update().is_none() {
        // Once there is anything in the log, the quorum itself says what cluster this is.
        if is_empty(shared).await {
            look_around(shared, &mut said).await;
        }
        let _ = tokio::time::timeout(RETRY, learned.changed()).await;
    }
}

async fn look_around(shared: &Shared, said: &mut Instant) {
    let greetings = greet_all(shared).await;
    if let Some(cluster_id) = greetings.values().find_map(|greeting| greeting.cluster_id.clone()) {
        tracing::info!(%cluster_id, "joining the cluster that a voter knows");
        shared.cluster_id.learn(cluster_id);
        return;
    }
    let is_awaited = |id: &i32| greetings.get(id).is_none_or(|greeting| !greeting.empty);
    let awaited: Vec<i32> = shared.voters.iter().map(|voter| voter.node_id).filter(is_awaited).collect();
    if awaited.is_empty() && greetings.keys().next() == Some(&shared.this.id) {
        return found(shared, &greetings).await;
    }
    if said.elapsed() >= SAY_EVERY && !awaited.is_empty() {
        tracing::info!(?awaited, "waiting for these configured voters before a cluster can be founded");
        *said = Instant::now();
    }
}

/// All configured voters that answer, this node included if it is one.
async fn greet_all(shared: &Shared) -> BTreeMap<i32, Greeting> {
    let others = shared.voters.iter().filter(|voter| voter.node_id != shared.this.id);
    let greetings = futures::future::join_all(others.map(|voter| greet(&shared.dialer, voter))).await;
    let mut greetings: BTreeMap<i32, Greeting> =
        greetings.into_iter().flatten().map(|greeting| (greeting.id.id, greeting)).collect();
    if shared.is_configured_voter(shared.this.id) {
        greetings.extend(Greeting::of(introduction(shared).await).map(|own| (own.id.id, own)));
    }
    greetings
}

/// This node begins the cluster: the first entry of its log is the membership. The cluster id is the first
/// thing the quorum agrees on.
async fn found(shared: &Shared, greetings: &BTreeMap<i32, Greeting>) {
    let members: BTreeMap<NodeId, RaftNode> =
        greetings.values().map(|greeting| (greeting.id, greeting.node.clone())).collect();
    tracing::info!(voters = ?members.keys().map(|id| id.id).collect::<Vec<_>>(), "founding a cluster");
    if let Err(error) = shared.raft.initialize(members).await {
        tracing::error!(%error, "the cluster could not be founded");
    }
}

/// Asks whoever may be the active controller to take this node in, once around.
async fn ask_in(shared: &Shared) {
    let leader = shared.leader().map(|(id, node)| shared.peer(&id, &node));
    let configured = shared.voters.iter().filter(|voter| voter.node_id != shared.this.id);
    let voters = configured.map(|voter| Peer { host: voter.host.clone(), port: voter.port });
    let mut peers: Vec<Peer> = voters.chain(leader).collect();
    let mut asked = 0;
    while let Some(peer) = peers.pop() {
        asked += 1;
        match ask(shared, &peer).await {
            Some(proto::join_response::Result::Accepted(_)) => return,
            Some(proto::join_response::Result::Redirect(redirect)) if asked <= shared.voters.len() + 1 => {
                let active = redirect.active.and_then(|node| node_from_proto(node).ok());
                peers.extend(active.map(|(id, node)| shared.peer(&id, &node)));
            }
            Some(proto::join_response::Result::Redirect(_)) | None => {}
        }
    }
}

async fn ask(shared: &Shared, peer: &Peer) -> Option<proto::join_response::Result> {
    let request = proto::JoinRequest {
        node: Some(node_to_proto(&shared.this, &shared.node)),
        cluster_id: shared.cluster_id.to_bytes(),
        configured_voter: shared.is_configured_voter(shared.this.id),
    };
    let mut client = FormationClient::new(shared.dialer.brief_channel(peer));
    let answer = tokio::time::timeout(HELLO_WAIT_MAX, client.join(request)).await.ok()?;
    match answer {
        Ok(answer) => answer.into_inner().result,
        Err(status) => {
            tracing::debug!(%peer, message = status.message(), "asked in vain to join");
            None
        }
    }
}
