//! The admin listener of a node, whatever its roles: `/metrics` for Prometheus, `/livez`, `/readyz`.
//!
//! Served on the control runtime, so that it answers while the broker's shard is busy.

mod controller_metrics;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tidelog_broker::{BrokerProbe, METRICS_CONTENT_TYPE, MetricsText, Readiness};
use tidelog_controller::ControllerHandle;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::config::Roles;
use crate::exit::{Exit, Failure};

/// How long the active controller may take to describe its quorum.
const QUORUM_WITHIN: Duration = Duration::from_secs(1);
/// Controllers that follow are heard many times in this time.
const SILENCE_MS: i64 = 2_000;

/// What can be asked of a running node. Cheap to clone.
#[derive(Clone)]
pub struct NodeProbe {
    pub controller: ControllerHandle,
    pub roles: Roles,
    pub broker: Option<BrokerProbe>,
}

/// Whether a node serves, and what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    pub is_ready: bool,
    pub says: String,
}

impl NodeProbe {
    async fn metrics(&self) -> Option<String> {
        let mut text = MetricsText::default();
        controller_metrics::write(&mut text, &self.controller, self.roles);
        let mut all = text.finish();
        if let Some(broker) = &self.broker {
            all.push_str(&broker.metrics().await?);
        }
        Some(all)
    }

    fn is_live(&self) -> bool {
        self.broker.as_ref().is_none_or(BrokerProbe::is_live)
    }

    /// A broker serves once it is registered, also while the controllers elect one of them. A node that is a controller only
    /// serves when the active one has a quorum.
    pub async fn ready(&self) -> Ready {
        let readiness = match &self.broker {
            Some(broker) => broker.readiness().await,
            None if self.has_quorum().await => Readiness::Ready { disk_full: None },
            None => return Ready { is_ready: false, says: "no active controller with a quorum answers".to_owned() },
        };
        let (is_ready, says) = match readiness {
            Readiness::Ready { disk_full: None } => (true, "ok".to_owned()),
            // Consumers are served and followers read on: out of the service's addresses it would help nobody.
            Readiness::Ready { disk_full: Some(reason) } => (true, format!("ok, but producers are refused: {reason}")),
            Readiness::Starting => (false, "not serving yet: opening logs or registering".to_owned()),
            Readiness::Failed => (false, "the log directory failed; the log says why".to_owned()),
        };
        Ready { is_ready, says }
    }
}

impl NodeProbe {
    /// Asks the active controller: a follower whose leader died may know it as the leader for as long as nobody is elected,
    /// and a leader may outlive its quorum.
    async fn has_quorum(&self) -> bool {
        let Ok(Ok(quorum)) = timeout(QUORUM_WITHIN, self.controller.quorum()).await else { return false };
        let leader = quorum.voters.iter().find(|voter| voter.node_id == quorum.leader_id);
        let now_ms = leader.map_or(i64::MAX, |leader| leader.last_fetch_timestamp_ms);
        let is_heard = |heard_ms: i64| heard_ms > 0 && now_ms.saturating_sub(heard_ms) <= SILENCE_MS;
        let heard = quorum.voters.iter().filter(|voter| is_heard(voter.last_fetch_timestamp_ms)).count();
        heard * 2 > quorum.voters.len()
    }
}

/// Binds the listener; [`serve`] answers what comes.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let failure = Failure::new(Exit::Failed, format!("cannot listen on {address} (admin.listener): {error}"));
        match error.kind() {
            std::io::ErrorKind::AddrInUse => failure.advising(
                "is another node running? Nodes on one host each need their own admin.listener: http://host:port, or none",
            ),
            _ => failure,
        }
    })
}

/// Serves until the runtime ends.
pub fn serve(listener: TcpListener, node: NodeProbe) {
    let (live, ready) = (node.clone(), node.clone());
    let router = Router::new()
        .route("/metrics", get(move || metrics(node.clone())))
        .route(
            "/livez",
            get(move || async move { verdict(live.is_live(), if live.is_live() { "ok" } else { "stalled" }) }),
        )
        .route(
            "/readyz",
            get(move || async move {
                let Ready { is_ready, says } = ready.ready().await;
                verdict(is_ready, &says)
            }),
        );
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "admin listener ended");
        }
    });
}

async fn metrics(node: NodeProbe) -> Response {
    match node.metrics().await {
        Some(text) => ([(CONTENT_TYPE, METRICS_CONTENT_TYPE)], text).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the broker does not answer\n").into_response(),
    }
}

fn verdict(is_well: bool, says: &str) -> (StatusCode, String) {
    let code = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, format!("{says}\n"))
}
