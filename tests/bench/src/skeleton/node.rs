//! One replica: it writes what arrives and acknowledges it when its followers have it.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use anyhow::{Result, bail};
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::LocalSet;

const FRAME_BYTES_MAX: usize = 16 << 20;
/// The log starts over here, so that a long run measures the page cache and not the disk's size.
const LOG_BYTES_MAX: u64 = 1 << 30;
const FRAMES_QUEUED_MAX: usize = 1024;

/// What the connections of one node share.
struct Node {
    log: File,
    position: Cell<u64>,
    followers: RefCell<Vec<Follower>>,
    /// Woken whenever a follower has more.
    replicated: Notify,
}

struct Follower {
    frames: mpsc::Sender<Bytes>,
    acked: Rc<Cell<u64>>,
}

/// Prints the address it listens on, then serves until killed.
pub async fn run(followers: &[SocketAddr]) -> Result<()> {
    LocalSet::new().run_until(serve(followers)).await
}

async fn serve(followers: &[SocketAddr]) -> Result<()> {
    let node = Rc::new(Node {
        log: tempfile::tempfile()?,
        position: Cell::new(0),
        followers: RefCell::default(),
        replicated: Notify::new(),
    });
    for address in followers {
        let follower = connect(&node, *address).await?;
        node.followers.borrow_mut().push(follower);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::task::spawn_local(receive(node.clone(), stream));
    }
}

async fn connect(node: &Rc<Node>, address: SocketAddr) -> Result<Follower> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let (frames, queue) = mpsc::channel(FRAMES_QUEUED_MAX);
    let acked = Rc::new(Cell::new(0));
    tokio::task::spawn_local(send(queue, writer));
    tokio::task::spawn_local(count_acks(node.clone(), reader, acked.clone()));
    Ok(Follower { frames, acked })
}

async fn send(mut queue: mpsc::Receiver<Bytes>, mut writer: OwnedWriteHalf) -> Result<()> {
    while let Some(frame) = queue.recv().await {
        writer.write_all(&frame).await?;
    }
    Ok(())
}

async fn count_acks(node: Rc<Node>, mut reader: OwnedReadHalf, acked: Rc<Cell<u64>>) -> Result<()> {
    loop {
        acked.set(reader.read_u64().await?);
        node.replicated.notify_waiters();
    }
}

/// Everything that one wake-up brings is written, forwarded and acknowledged together.
async fn receive(node: Rc<Node>, mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(1 << 20);
    let mut received = 0u64;
    while stream.read_buf(&mut buffer).await? > 0 {
        let whole = whole_frames(&buffer)?;
        if whole == 0 {
            continue;
        }
        let frames = buffer.split_to(whole).freeze();
        received += frames.len() as u64;
        let end = node.append(&frames).await?;
        node.wait_replicated(end).await;
        stream.write_u64(received).await?;
        buffer.reserve(1 << 20);
    }
    Ok(())
}

fn whole_frames(buffer: &[u8]) -> Result<usize> {
    let mut end = 0;
    while let Some(mut header) = buffer.get(end..end + 4) {
        let length = header.get_u32() as usize;
        if length > FRAME_BYTES_MAX {
            bail!("a frame of {length} bytes");
        }
        if buffer.len() < end + 4 + length {
            break;
        }
        end += 4 + length;
    }
    Ok(end)
}

impl Node {
    /// The position after `frames`.
    async fn append(&self, frames: &Bytes) -> Result<u64> {
        std::hint::black_box(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, frames));
        let start = self.position.get();
        let end = start + frames.len() as u64;
        self.position.set(end);
        self.log.write_all_at(frames, start % LOG_BYTES_MAX)?;
        let queues: Vec<_> = self.followers.borrow().iter().map(|follower| follower.frames.clone()).collect();
        for queue in queues {
            queue.send(frames.clone()).await?;
        }
        Ok(end)
    }

    async fn wait_replicated(&self, end: u64) {
        while self.followers.borrow().iter().any(|follower| follower.acked.get() < end) {
            self.replicated.notified().await;
        }
    }
}
