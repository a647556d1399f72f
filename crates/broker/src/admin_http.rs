//! The admin listener: `/metrics` for Prometheus, `/livez`, `/readyz`.
//!
//! Served on the control runtime, so that it answers while the shard is busy; the numbers are asked of the shard by
//! message, and only when somebody scrapes.

mod exposition;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::flusher::Heartbeats;
use crate::shard::Shard;

/// A shard that does not answer a scrape for so long is stuck.
const SCRAPE_MAX: Duration = Duration::from_secs(5);
/// `/livez` says no when nothing has moved for so long.
const LIVE_STALL_MS: u64 = 10_000;
const CONTENT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Asks a shard for its metrics as text.
pub(crate) type ScrapeRequest = oneshot::Sender<String>;

/// Binds and serves until the runtime ends. Returns the bound address.
pub(crate) async fn serve(
    address: SocketAddr,
    scrapes: mpsc::Sender<ScrapeRequest>,
    heartbeats: Arc<Heartbeats>,
) -> io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let (live, ready) = (Arc::clone(&heartbeats), heartbeats);
    let router = Router::new()
        .route("/metrics", get(move || metrics(scrapes.clone())))
        .route("/livez", get(move || async move { verdict(live.stalled_ms() < LIVE_STALL_MS, "stalled") }))
        .route(
            "/readyz",
            get(move || async move { verdict(ready.is_ready() && !ready.has_failed(), "not serving yet") }),
        );
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "admin listener ended");
        }
    });
    Ok(bound)
}

async fn metrics(scrapes: mpsc::Sender<ScrapeRequest>) -> axum::response::Response {
    let (answer, answered) = oneshot::channel();
    let scrape = async {
        scrapes.send(answer).await.ok()?;
        answered.await.ok()
    };
    match timeout(SCRAPE_MAX, scrape).await {
        Ok(Some(text)) => ([(CONTENT_TYPE, CONTENT)], text).into_response(),
        Ok(None) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the broker does not answer\n").into_response(),
    }
}

fn verdict(is_well: bool, reason: &'static str) -> (StatusCode, String) {
    match is_well {
        true => (StatusCode::OK, "ok\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

/// Answers scrapes on the shard until it ends.
pub(crate) async fn answer_scrapes(shard: Rc<Shard>, mut requests: mpsc::Receiver<ScrapeRequest>) {
    while let Some(request) = requests.recv().await {
        // Whoever asked may have gone.
        let _ = request.send(exposition::text(&shard));
    }
}
