//! Kafka's tools at the port between nodes (`--bootstrap-controller`) get an answer: who the controllers are, how the quorum
//! is, which features are finalized. What ApiVersions does not list here, a client does not send.
//!
//! Nodes speak gRPC there, and one byte tells the two apart: HTTP/2 begins with `PRI`. As the first byte of a Kafka frame's
//! length, `P` would announce more than a gigabyte.

mod answer;
mod describe_quorum;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidelog_wire::frame::{self, RequestFrame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::shared::Shared;

pub use describe_quorum::describe_quorum;

const GRPC_BEGINS_WITH: u8 = b'P';
/// A peer that connects speaks first; a node does so at once.
const FIRST_BYTE_WITHIN: Duration = Duration::from_secs(10);
const CONNECTIONS_MAX: usize = 64;
/// Every request served here is small.
const FRAME_BYTES_MAX: usize = 64 << 10;
const IDLE_MAX: Duration = Duration::from_secs(60);
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);

/// Takes Kafka's clients out of what the listener accepts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct KafkaPort {
    shared: Shared,
    connections: Arc<Semaphore>,
}

impl KafkaPort {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared, connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }

    /// Gives back a connection that speaks gRPC; others are served here, or closed.
    pub(crate) async fn grpc_only(self, stream: TcpStream) -> Option<TcpStream> {
        let mut first = [0];
        match timeout(FIRST_BYTE_WITHIN, stream.peek(&mut first)).await {
            Ok(Ok(1)) if first[0] == GRPC_BEGINS_WITH => Some(stream),
            Ok(Ok(1)) => {
                if let Ok(permit) = self.connections.try_acquire_owned() {
                    let panics = self.shared.panics.clone();
                    tokio::spawn(panics.request(async move {
                        if let Err(reason) = serve(stream, &self.shared).await {
                            tracing::debug!(%reason, "closing a Kafka client's connection");
                        }
                        drop(permit);
                    }));
                }
                None
            }
            _ => None,
        }
    }
}

/// Request by request, until the client goes or sends what is not served.
async fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    loop {
        let frame = timeout(IDLE_MAX, read_frame(&mut stream)).await??;
        let request = RequestFrame::parse(frame).map_err(io::Error::other)?;
        let answer = answer::answer(shared, request).await?;
        let written = async {
            for chunk in answer {
                stream.write_all(&chunk).await?;
            }
            Ok::<(), io::Error>(())
        };
        timeout(WRITTEN_WITHIN, written).await??;
    }
}

async fn read_frame(stream: &mut TcpStream) -> io::Result<Bytes> {
    let mut prefix = [0; frame::LENGTH_SIZE];
    stream.read_exact(&mut prefix).await?;
    let length = frame::frame_length(prefix, FRAME_BYTES_MAX).map_err(io::Error::other)?;
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await?;
    Ok(Bytes::from(frame))
}
