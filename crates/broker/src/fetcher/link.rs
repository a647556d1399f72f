//! The link to one leader broker: what waits to be asked of it, and the task that keeps a connection to it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tidelog_wire::Uuid;
use tidelog_wire::types::{BrokerId, PartitionIndex};
use tokio::time::timeout;
use tracing::{debug, info};

use super::conversation::Conversation;
use crate::back_off::BackOff;
use crate::net::LocalNotify;
use crate::net::tcp::TcpStream;
use crate::partition::PartitionHandle;
use crate::shard::Shard;

const CONNECT_MAX: Duration = Duration::from_millis(1000);
const BACK_OFF_FIRST: Duration = Duration::from_millis(10);
const BACK_OFF_LONGEST: Duration = Duration::from_millis(200);

/// All leaders this broker follows.
#[derive(Default)]
pub(crate) struct Fetchers {
    links: RefCell<HashMap<BrokerId, Rc<Link>>>,
}

/// What the partitions have for one leader's fetcher.
pub(super) struct Link {
    pub leader: BrokerId,
    /// To be named in the next request.
    pub ready: RefCell<Vec<PartitionHandle>>,
    /// To be dropped from the session.
    pub forgotten: RefCell<Vec<(Uuid, PartitionIndex)>>,
    pub changed: LocalNotify,
    /// Set by a new image, which ends every back-off.
    pub is_image_new: Cell<bool>,
}

impl Fetchers {
    /// The partition has something to ask of `leader`. Called while the partition is busy: it is only noted here.
    pub(crate) fn ready(&self, shard: &Rc<Shard>, leader: BrokerId, partition: &PartitionHandle) {
        let link = self.link(shard, leader);
        link.queue(Rc::clone(partition));
        link.changed.notify();
    }

    /// The partition does not follow `leader` any more.
    pub(crate) fn forget(&self, leader: BrokerId, partition: &PartitionHandle) {
        if let Some(link) = self.links.borrow().get(&leader) {
            link.unqueue(partition);
            link.forgotten.borrow_mut().push((partition.id.topic_id, partition.id.index));
            link.changed.notify();
        }
    }

    pub(crate) fn image_changed(&self) {
        for link in self.links.borrow().values() {
            link.is_image_new.set(true);
            link.changed.notify();
        }
    }

    fn link(&self, shard: &Rc<Shard>, leader: BrokerId) -> Rc<Link> {
        let mut links = self.links.borrow_mut();
        let link = links.entry(leader).or_insert_with(|| {
            let link = Rc::new(Link {
                leader,
                ready: RefCell::default(),
                forgotten: RefCell::default(),
                changed: LocalNotify::default(),
                is_image_new: Cell::new(false),
            });
            shard.spawn("fetcher", follow(Rc::clone(shard), Rc::clone(&link)));
            link
        });
        Rc::clone(link)
    }
}

impl Link {
    /// To be named in the next request, unless the partition has gone over to another leader: that one's link has it.
    pub(super) fn queue(&self, partition: PartitionHandle) {
        if partition.following.get() == self.leader && !partition.fetch_queued.replace(true) {
            self.ready.borrow_mut().push(partition);
        }
    }

    /// A dead leader's link may never send again, and who stays in its queue is in no other.
    fn unqueue(&self, partition: &PartitionHandle) {
        let mut ready = self.ready.borrow_mut();
        if let Some(at) = ready.iter().position(|queued| Rc::ptr_eq(queued, partition)) {
            ready.swap_remove(at);
            partition.fetch_queued.set(false);
        }
    }
}

/// Keeps a conversation with the leader going until the shard ends.
async fn follow(shard: Rc<Shard>, link: Rc<Link>) {
    let mut back_off = BackOff::new(BACK_OFF_FIRST, BACK_OFF_LONGEST);
    loop {
        while link.ready.borrow().is_empty() {
            link.changed.notified().await;
        }
        match connect(&shard, link.leader).await {
            Ok(mut stream) => {
                info!(leader = %link.leader, "following");
                let mut conversation = Conversation::new(&shard, &link, &mut stream);
                let ended = conversation.run(&mut back_off).await;
                let was_waiting = conversation.give_back();
                info!(leader = %link.leader, reason = %ended, "no longer connected");
                if was_waiting {
                    shard.peers.connection_died(link.leader);
                }
            }
            Err(error) => {
                debug!(leader = %link.leader, %error, "cannot connect");
                if error.kind() == io::ErrorKind::ConnectionRefused {
                    shard.peers.connection_died(link.leader);
                }
            }
        }
        rest(&link, &mut back_off).await;
    }
}

/// Waits out the back-off, or until a new image says that the world is another.
async fn rest(link: &Link, back_off: &mut BackOff) {
    let wait = back_off.next();
    let new_image = async {
        while !link.is_image_new.replace(false) {
            link.changed.notified().await;
        }
    };
    if timeout(wait, new_image).await.is_ok() {
        back_off.reset();
    }
}

async fn connect(shard: &Shard, leader: BrokerId) -> io::Result<TcpStream> {
    let image = shard.image();
    let endpoint = image
        .broker(leader)
        .and_then(|broker| broker.endpoint(&shard.options.inter_broker_listener))
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the leader has no inter-broker listener"))?;
    let dial = async {
        match endpoint.host.parse::<IpAddr>() {
            Ok(address) => TcpStream::connect(SocketAddr::new(address, endpoint.port)).await,
            Err(_) => TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await,
        }
    };
    let stream = timeout(CONNECT_MAX, dial).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}
