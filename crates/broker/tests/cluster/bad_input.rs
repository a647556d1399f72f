//! Peers that send nonsense: they are disconnected, and nobody else notices.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Cluster, batch, produce};

/// What the broker sends until it closes the connection.
async fn answer_to(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("the broker accepts");
    stream.write_all(bytes).await.expect("is sent");
    let mut answer = Vec::new();
    // A reset is a disconnect too.
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("the broker hangs up");
    answer
}

fn frame(body: &[u8]) -> Vec<u8> {
    [&(body.len() as i32).to_be_bytes()[..], body].concat()
}

#[tokio::test]
async fn nonsense_is_disconnected_and_others_are_served() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.create_topic("others", 1, &[]).await;
    let address = cluster.address(1);
    let well = cluster.connect(1).await;
    let forged_count = [&[0, 3, 0, 9, 0, 0, 0, 1, 255, 255, 0][..], &[255, 255, 255, 255, 15]].concat();
    let unknown_key = [3, 231, 0, 0, 0, 0, 0, 1, 255, 255];
    let unknown_version = [0, 3, 0, 99, 0, 0, 0, 1, 255, 255, 0, 0];
    let cases = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        i32::MAX.to_be_bytes().to_vec(),
        (-1_i32).to_be_bytes().to_vec(),
        frame(&[]),
        frame(&[0xff; 40]),
        frame(&unknown_key),
        frame(&unknown_version),
        frame(&forged_count),
        // Half a frame that never ends.
        vec![0, 0, 1, 0, 0, 3],
    ];
    for case in cases {
        assert_eq!(answer_to(address, &case).await, [], "{case:?}");
        assert_eq!(produce(&well, leader.topic_id, batch("a"), -1).await.error_code.0, 0);
    }
}

/// KIP-511: by this answer a client that speaks too new a version finds one that both speak.
#[tokio::test]
async fn an_api_versions_version_nobody_knows_is_answered_in_version_0() {
    let cluster = Cluster::start(1).await;
    let mut stream = TcpStream::connect(cluster.address(1)).await.expect("the broker accepts");
    stream.write_all(&frame(&[0, 18, 0, 99, 0, 0, 0, 7, 255, 255, 0, 0])).await.expect("is sent");
    let mut answer = [0; 20];
    let read = stream.read_exact(&mut answer);
    timeout(Duration::from_secs(10), read).await.expect("in time").expect("an answer");
    assert_eq!(answer[..4], 16_i32.to_be_bytes());
    assert_eq!(answer[4..8], 7_i32.to_be_bytes(), "correlation id");
    assert_eq!(answer[8..14], [0, 35, 0, 0, 0, 1], "error 35 and one entry");
    assert_eq!(answer[14..18], [0, 18, 0, 0], "ApiVersions from 0");
}
