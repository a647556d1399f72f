//! A group's coordinator moves: the client asks the old one, is turned away, and finds the new one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tidelog_client::{Client, ClientError, ClientOptions};
use tidelog_wire::frame::{RequestFrame, encode_response};
use tidelog_wire::messages::delete_groups_response::DeletableGroupResult;
use tidelog_wire::messages::find_coordinator_response::Coordinator;
use tidelog_wire::messages::*;
use tidelog_wire::{ApiKey, ErrorCode, Str};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const GROUP: &str = "readers";

/// Brokers 1 and 2. Broker 1 is named as the coordinator for as long as nobody has asked it.
#[derive(Default)]
struct Script {
    ports: Vec<u16>,
    /// Who was asked to delete the group, in order.
    asked: Vec<i32>,
    /// What the true coordinator, broker 2, says.
    verdict: ErrorCode,
}

type Shared = Arc<Mutex<Script>>;

async fn cluster(verdict: ErrorCode) -> (Client, Shared) {
    let shared = Arc::new(Mutex::new(Script { verdict, ..Default::default() }));
    for id in 1..=2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        shared.lock().unwrap().ports.push(listener.local_addr().unwrap().port());
        let shared = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(id, stream, shared.clone()));
            }
        });
    }
    let bootstrap = format!("127.0.0.1:{}", shared.lock().unwrap().ports[0]);
    let options = ClientOptions { back_off_min: Duration::from_millis(1), ..Default::default() };
    (Client::connect(&bootstrap, options).await.unwrap(), shared)
}

async fn serve(id: i32, mut stream: TcpStream, script: Shared) {
    while let Ok(length) = stream.read_i32().await {
        let mut frame = vec![0; length as usize];
        stream.read_exact(&mut frame).await.unwrap();
        let request = RequestFrame::parse(Bytes::from(frame)).unwrap();
        for chunk in answer(id, &request, &script) {
            stream.write_all(&chunk).await.unwrap();
        }
    }
}

fn answer(id: i32, request: &RequestFrame, script: &Shared) -> Vec<Bytes> {
    let (api, version, correlation_id) = (request.api_key, request.api_version, request.correlation_id);
    let mut script = script.lock().unwrap();
    let chunks = match api {
        ApiKey::ApiVersions => encode_response(api, version, correlation_id, &all_versions()),
        ApiKey::FindCoordinator => encode_response(api, version, correlation_id, &script.coordinator()),
        ApiKey::DeleteGroups => encode_response(api, version, correlation_id, &script.delete(id)),
        other => panic!("nobody asks {other:?} here"),
    };
    chunks.unwrap()
}

fn all_versions() -> ApiVersionsResponse {
    let served = |api: &ApiKey| api_versions_response::ApiVersion {
        api_key: *api as i16,
        min_version: *api.versions().start(),
        max_version: *api.versions().end(),
    };
    ApiVersionsResponse { api_keys: ApiKey::ALL.iter().map(served).collect(), ..Default::default() }
}

impl Script {
    fn coordinator(&self) -> FindCoordinatorResponse {
        let node_id = if self.asked.is_empty() { 1 } else { 2 };
        let coordinator = Coordinator {
            key: Str::from_static(GROUP),
            node_id,
            host: Str::from_static("127.0.0.1"),
            port: i32::from(self.ports[node_id as usize - 1]),
            ..Default::default()
        };
        FindCoordinatorResponse { coordinators: vec![coordinator], ..Default::default() }
    }

    fn delete(&mut self, id: i32) -> DeleteGroupsResponse {
        self.asked.push(id);
        let error_code = if id == 2 { self.verdict } else { ErrorCode::NOT_COORDINATOR };
        let result = DeletableGroupResult { group_id: Str::from_static(GROUP), error_code };
        DeleteGroupsResponse { results: vec![result], ..Default::default() }
    }
}

async fn delete(client: &Client) -> Result<(), ClientError> {
    let request = &DeleteGroupsRequest { groups_names: vec![Str::from_static(GROUP)] };
    client
        .ask_coordinator("cannot delete it", GROUP, |connection| async move {
            match connection.send(request).await?.results[0].error_code {
                ErrorCode::NONE => Ok(()),
                code => Err(ClientError::refused("cannot delete it", code)),
            }
        })
        .await
}

#[tokio::test]
async fn the_successor_of_a_coordinator_is_found_and_remembered() {
    let (client, script) = cluster(ErrorCode::NONE).await;
    delete(&client).await.unwrap();
    assert_eq!(script.lock().unwrap().asked, [1, 2]);
    assert_eq!(client.coordinator(GROUP).await, Ok(2));
    delete(&client).await.unwrap();
    assert_eq!(script.lock().unwrap().asked, [1, 2, 2]);
}

#[tokio::test]
async fn what_the_coordinator_refuses_is_not_asked_again() {
    let (client, script) = cluster(ErrorCode::NON_EMPTY_GROUP).await;
    let refusal = delete(&client).await.unwrap_err();
    assert_eq!(refusal, ClientError::refused("cannot delete it", ErrorCode::NON_EMPTY_GROUP));
    assert_eq!(script.lock().unwrap().asked, [1, 2]);
}
