//! The two tasks of a connection: one writes requests in the order they were started, one reads the answers, which come in
//! that same order. Either one that fails closes the connection for both.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use crate::net::{OwnedReadHalf, OwnedWriteHalf};

/// Requests written with one system call at most.
const COALESCED_MAX: usize = 64;
/// Slices a `writev` takes on Linux are 1024; fewer are enough to amortise the call.
const SLICES_MAX: usize = 256;
const READ_BUFFER_BYTES: usize = 16 << 10;

/// A framed request on its way out.
pub(super) struct Outgoing {
    pub chunks: Vec<Bytes>,
    /// `None` if the peer does not answer (Produce with acks=0).
    pub awaited: Option<Awaited>,
}

/// Who waits for the answer with this correlation id. Receives the frame without its length.
pub(super) struct Awaited {
    pub correlation_id: i32,
    pub answer: oneshot::Sender<Bytes>,
}

pub(super) async fn write_requests(
    mut stream: OwnedWriteHalf,
    mut requests: mpsc::Receiver<Outgoing>,
    awaited: mpsc::Sender<Awaited>,
    shared: Arc<Shared>,
) {
    let mut closed = shared.closed.subscribe();
    let mut batch = Vec::with_capacity(COALESCED_MAX);
    // Cancel safety: whatever is cancelled here is a connection being closed.
    let reason = loop {
        tokio::select! {
            count = requests.recv_many(&mut batch, COALESCED_MAX) => {
                if count == 0 {
                    break "closed by this side".to_owned();
                }
            }
            _ = closed.wait_for(Option::is_some) => return,
        }
        tokio::select! {
            written = write_batch(&mut stream, &mut batch, &awaited) => {
                if let Err(error) = written {
                    break error.to_string();
                }
            }
            _ = closed.wait_for(Option::is_some) => return,
        }
    };
    shared.close(reason);
}

async fn write_batch(
    stream: &mut OwnedWriteHalf,
    batch: &mut Vec<Outgoing>,
    awaited: &mpsc::Sender<Awaited>,
) -> io::Result<()> {
    let mut chunks = VecDeque::new();
    for request in batch.drain(..) {
        // The reader must know of the request before the peer can answer it.
        if let Some(waiting) = request.awaited
            && awaited.send(waiting).await.is_err()
        {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        chunks.extend(request.chunks);
    }
    write_all(stream, chunks).await
}

async fn write_all(stream: &mut OwnedWriteHalf, mut chunks: VecDeque<Bytes>) -> io::Result<()> {
    while !chunks.is_empty() {
        let slices: Vec<IoSlice<'_>> = chunks.iter().take(SLICES_MAX).map(|chunk| IoSlice::new(chunk)).collect();
        let mut written = stream.write_vectored(&slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while let Some(front) = chunks.front_mut() {
            if front.len() > written {
                front.advance(written);
                break;
            }
            written -= front.len();
            chunks.pop_front();
        }
    }
    Ok(())
}

pub(super) async fn read_answers(
    mut stream: OwnedReadHalf,
    mut awaited: mpsc::Receiver<Awaited>,
    frame_bytes_max: usize,
    shared: Arc<Shared>,
) {
    let mut closed = shared.closed.subscribe();
    let mut buffer = BytesMut::new();
    let reason = loop {
        let frame = tokio::select! {
            frame = read_frame(&mut stream, &mut buffer, frame_bytes_max) => frame,
            _ = closed.wait_for(Option::is_some) => return,
        };
        if let Err(reason) = frame.map_err(|e| e.to_string()).and_then(|f| deliver(f, &mut awaited)) {
            break reason;
        }
    };
    // Before the waiting ones are dropped, so that they find the reason.
    shared.close(reason);
}

/// Answers come in the order of the requests; anything else means that the two sides disagree on what was asked, and every
/// later answer would go to the wrong caller.
fn deliver(frame: Bytes, awaited: &mut mpsc::Receiver<Awaited>) -> Result<(), String> {
    let answered = i32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
    match awaited.try_recv() {
        Ok(waiting) if waiting.correlation_id == answered => {
            // The caller may have stopped waiting.
            let _ = waiting.answer.send(frame);
            Ok(())
        }
        Ok(waiting) => Err(format!("answer {answered} came where {} was due", waiting.correlation_id)),
        Err(_) => Err(format!("answer {answered} came unasked")),
    }
}

/// One frame without its length, at least a correlation id long. Cancel safe: what was read stays in `buffer`.
async fn read_frame(stream: &mut OwnedReadHalf, buffer: &mut BytesMut, frame_bytes_max: usize) -> io::Result<Bytes> {
    loop {
        let mut missing = READ_BUFFER_BYTES;
        if let Some(length) = buffer.first_chunk::<4>() {
            let length = i32::from_be_bytes(*length);
            let length = usize::try_from(length).ok().filter(|l| (4..=frame_bytes_max).contains(l));
            let length = length.ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "a frame of impossible length, is this a Kafka port?")
            })?;
            if buffer.len() >= 4 + length {
                buffer.advance(4);
                return Ok(buffer.split_to(length).freeze());
            }
            missing = missing.max(4 + length - buffer.len());
        }
        buffer.reserve(missing);
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed it"));
        }
    }
}
