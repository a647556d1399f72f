//! Asks a broker's admin listener whether it serves: the one question for which the answer is a status line.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const POLL_INTERVAL: Duration = Duration::from_millis(10);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Completes once `/readyz` says so.
pub async fn until_ready(admin: SocketAddr) {
    while !matches!(timeout(ANSWER_WITHIN, is_ready(admin)).await, Ok(Ok(true))) {
        sleep(POLL_INTERVAL).await;
    }
}

async fn is_ready(admin: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}
