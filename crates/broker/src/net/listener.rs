//! Accepts connections of one listener and keeps them within their limits.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::connection::{self, Connection};
use super::log_limit::LogLimit;
use super::tcp::{TcpListener, TcpStream};
use crate::options::ListenerOptions;
use crate::shard::Shard;

/// How long a listener rests when it cannot accept: mostly the process has no file descriptor left.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);
/// How often idle and half-sent connections are looked at.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What requests may depend on of the listener they came in by.
#[derive(Clone, Debug)]
pub(crate) struct ListenerInfo {
    pub name: String,
    /// Replica fetches count on this listener only (CVE-2018-1288).
    pub is_inter_broker: bool,
    /// Brokers have it to themselves, so that clients must not use up its connections.
    pub is_protected: bool,
}

/// A listening socket that has its port but accepts nothing yet.
pub(crate) struct BoundListener {
    pub info: ListenerInfo,
    pub local_addr: SocketAddr,
    /// What clients are told to connect to.
    pub advertised: (String, u16),
    socket: std::net::TcpListener,
}

/// Connections that are open, for the sweeper.
#[derive(Default)]
pub(crate) struct OpenConnections {
    all: RefCell<Vec<Weak<Connection>>>,
}

impl OpenConnections {
    fn add(&self, connection: &Rc<Connection>) {
        self.all.borrow_mut().push(Rc::downgrade(connection));
    }

    /// Closes the client's connection that has been silent for longest.
    fn close_one(&self) {
        let all = self.all.borrow();
        let open = all.iter().filter_map(Weak::upgrade);
        let expendable = open.filter_map(|connection| Some((connection.expendable_since()?, connection)));
        if let Some((_, longest_silent)) = expendable.min_by_key(|(since, _)| *since) {
            longest_silent.end();
        }
    }

    fn sweep(&self, now: Instant) {
        self.all.borrow_mut().retain(|connection| {
            let Some(connection) = connection.upgrade() else {
                return false;
            };
            connection.sweep(now);
            true
        });
    }
}

impl BoundListener {
    /// `is_alone`: it serves clients and brokers alike.
    pub(crate) fn bind(options: &ListenerOptions, inter_broker: &str, is_alone: bool) -> std::io::Result<Self> {
        let domain = socket2::Domain::for_address(options.bind);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&options.bind.into())?;
        socket.listen(1024)?;
        let socket: std::net::TcpListener = socket.into();
        let local_addr = socket.local_addr()?;
        let advertised_port = match options.advertised_port {
            0 => local_addr.port(),
            port => port,
        };
        let is_inter_broker = options.name == inter_broker;
        let is_protected = is_inter_broker && !is_alone;
        Ok(Self {
            info: ListenerInfo { name: options.name.clone(), is_inter_broker, is_protected },
            local_addr,
            advertised: (options.advertised_host.clone(), advertised_port),
            socket,
        })
    }

    /// Accepts until the shard ends.
    pub(crate) async fn serve(self, shard: Rc<Shard>) {
        let info = Rc::new(self.info);
        let listener = match TcpListener::from_std(self.socket) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(listener = info.name, %error, "listener cannot be used");
                return;
            }
        };
        info!(listener = info.name, address = %self.local_addr, "listening");
        let (refusals, failures) = (LogLimit::default(), LogLimit::default());
        loop {
            shard.connection_limits.slot(&info).await;
            match listener.accept().await {
                Ok((stream, peer)) => admit(&shard, &info, stream, peer, &refusals),
                // The peer has gone already.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if let Some(suppressed) = failures.permit() {
                        warn!(listener = info.name, %error, suppressed, "cannot accept");
                    }
                    sleep(ACCEPT_BACK_OFF).await;
                }
            }
        }
    }
}

fn admit(shard: &Rc<Shard>, info: &Rc<ListenerInfo>, stream: TcpStream, peer: SocketAddr, refusals: &LogLimit) {
    let limits = &shard.connection_limits;
    match limits.admit(info, peer.ip()) {
        Ok(permit) => {
            let connection = Connection::new(&shard.options.network, &shard.response_budget, info, peer, permit);
            shard.connections.add(&connection);
            shard.spawn_request(connection::serve(connection, stream, Rc::clone(shard)));
            if limits.is_exceeded() {
                shard.connections.close_one();
            }
        }
        Err(reason) => {
            if let Some(suppressed) = refusals.permit() {
                warn!(%peer, %reason, suppressed, "connection refused");
            }
        }
    }
}

/// Closes connections whose deadline passed. One timer for all of them, so that an idle one costs none.
pub(crate) async fn sweep_connections(shard: Rc<Shard>) {
    loop {
        sleep(SWEEP_INTERVAL).await;
        shard.connections.sweep(Instant::now());
    }
}
