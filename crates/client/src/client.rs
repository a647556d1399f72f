//! A cluster as a client sees it: some broker to ask, the leader of a partition to ask, and when to ask again.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::Rng;
use tidelog_wire::codec::Request;
use tokio::time::Instant;

use crate::connection::{ConnectOptions, Connection};
use crate::error::{ClientError, ConnectError};
use crate::metadata::Routes;
use crate::parse_bootstrap;

#[derive(Clone, Debug)]
pub struct ClientOptions {
    pub connect: ConnectOptions,
    /// How long [`Client::retrying`] and everything built on it goes on.
    pub retry_for: Duration,
    pub back_off_min: Duration,
    pub back_off_max: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect: ConnectOptions::default(),
            retry_for: Duration::from_secs(30),
            back_off_min: Duration::from_millis(20),
            back_off_max: Duration::from_millis(500),
        }
    }
}

/// A handle; clones share connections and what is known of the cluster.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    bootstrap: Vec<(String, u16)>,
    options: ClientOptions,
    /// Held for a look-up or an insertion, never over an await.
    connections: Mutex<HashMap<(String, u16), Connection>>,
    routes: Mutex<Routes>,
}

impl Client {
    /// Connects to the first bootstrap server that answers.
    pub async fn connect(bootstrap: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let client = Self::unconnected(bootstrap, options)?;
        client.any().await?;
        Ok(client)
    }

    /// Knows where to ask and has not asked yet.
    pub fn unconnected(bootstrap: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let bootstrap = parse_bootstrap(bootstrap).map_err(ClientError::Bootstrap)?;
        let inner = Inner { bootstrap, options, connections: Mutex::default(), routes: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    pub(crate) fn routes(&self) -> MutexGuard<'_, Routes> {
        self.inner.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to some broker: a live one, else a new one to a known broker or a bootstrap server.
    pub async fn any(&self) -> Result<Connection, ConnectError> {
        if let Some(live) = self.connections().values().find(|connection| !connection.is_closed()) {
            return Ok(live.clone());
        }
        let mut candidates = self.inner.bootstrap.clone();
        candidates.extend(self.routes().addresses());
        candidates.dedup();
        let mut failures = Vec::new();
        for (host, port) in candidates {
            match self.connection(&host, port).await {
                Ok(connection) => return Ok(connection),
                Err(failure) => failures.push(failure),
            }
        }
        Err(merged(failures))
    }

    /// A connection to broker `node_id`, which must be in the last metadata.
    pub async fn broker(&self, node_id: i32) -> Result<Connection, ConnectError> {
        let address = self.routes().address(node_id);
        match address {
            Some((host, port)) => self.connection(&host, port).await,
            None => Err(ConnectError {
                address: format!("broker {node_id}"),
                reason: "the cluster does not list it".to_owned(),
            }),
        }
    }

    async fn connection(&self, host: &str, port: u16) -> Result<Connection, ConnectError> {
        let key = (host.to_owned(), port);
        if let Some(live) = self.connections().get(&key).filter(|connection| !connection.is_closed()) {
            return Ok(live.clone());
        }
        let fresh = Connection::connect(host, port, &self.inner.options.connect).await?;
        self.connections().insert(key, fresh.clone());
        Ok(fresh)
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<(String, u16), Connection>> {
        self.inner.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks any broker, once. For requests that change something: whether to repeat one whose outcome is unknown is the
    /// caller's decision.
    pub async fn send<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        Ok(self.any().await?.send(request).await?)
    }

    /// Asks any broker, and another one when a connection fails. For requests that only read.
    pub async fn ask<R: Request>(&self, what: &str, request: &R) -> Result<R::Response, ClientError> {
        self.retrying(what, || self.send(request)).await
    }

    /// Repeats `attempt` with growing, jittered pauses while it fails with something retriable.
    pub async fn retrying<T, F>(&self, what: &str, mut attempt: impl FnMut() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let options = &self.inner.options;
        let deadline = Instant::now() + options.retry_for;
        let mut pause = options.back_off_min;
        loop {
            let error = match attempt().await {
                Err(error) if error.is_retriable() => error,
                outcome => return outcome,
            };
            if Instant::now() + pause >= deadline {
                return Err(ClientError::TimedOut { what: what.to_owned(), last: error.to_string() });
            }
            tracing::debug!(what, %error, "trying again");
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(options.back_off_max);
        }
    }
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.8..1.2))
}

fn merged(failures: Vec<ConnectError>) -> ConnectError {
    let reasons: Vec<&str> = failures.iter().map(|failure| failure.reason.as_str()).collect();
    let is_same = reasons.windows(2).all(|pair| pair[0] == pair[1]);
    let reason = if is_same { reasons.first().copied().unwrap_or("no address").to_owned() } else { reasons.join("; ") };
    let addresses: Vec<String> = failures.into_iter().map(|failure| failure.address).collect();
    ConnectError { address: addresses.join(", "), reason }
}
