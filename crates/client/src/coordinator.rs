//! Which broker coordinates a group, and asking it again where it has moved.

use std::future::Future;

use tidelog_wire::messages::FindCoordinatorRequest;
use tidelog_wire::{ErrorCode, Str};

use crate::client::Client;
use crate::connection::Connection;
use crate::error::ClientError;

const GROUP: i8 = 0;
/// The first version that asks for several coordinators at once.
const BATCHED_FROM: i16 = 4;

impl Client {
    /// The broker that coordinates `group`, as last heard; asks if nothing was heard yet.
    pub async fn coordinator(&self, group: &str) -> Result<i32, ClientError> {
        let known = self.routes().coordinator(group);
        match known {
            Some(node_id) => Ok(node_id),
            None => self.find_coordinator(group).await,
        }
    }

    async fn find_coordinator(&self, group: &str) -> Result<i32, ClientError> {
        let what = format!("cannot find the coordinator of group {group}");
        let connection = self.any().await?;
        let key = Str::from(group.to_owned());
        let is_batched = connection.version::<FindCoordinatorRequest>()? >= BATCHED_FROM;
        let request = FindCoordinatorRequest {
            key: if is_batched { Str::default() } else { key.clone() },
            key_type: GROUP,
            coordinator_keys: if is_batched { vec![key] } else { Vec::new() },
        };
        let response = connection.send(&request).await?;
        let (code, said, node_id, host, port) = match response.coordinators.into_iter().next() {
            Some(found) => (found.error_code, found.error_message, found.node_id, found.host, found.port),
            None if is_batched => return Err(ClientError::refused(what, ErrorCode::COORDINATOR_NOT_AVAILABLE)),
            None => (response.error_code, response.error_message, response.node_id, response.host, response.port),
        };
        if !code.is_none() {
            let message = said.as_deref().filter(|text| !text.is_empty()).map(str::to_owned);
            return Err(ClientError::Refused { what, code, message });
        }
        self.routes().learn_coordinator(group, node_id, &host, port as u16);
        Ok(node_id)
    }

    /// Asks the group's coordinator, and its successor when it says it is none or cannot be reached. `ask` may run several
    /// times: for requests that read, or that have the same effect when repeated.
    pub async fn ask_coordinator<T, F>(
        &self,
        what: &str,
        group: &str,
        ask: impl Fn(Connection) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let ask = &ask;
        self.retrying(what, || async move {
            let asked = async {
                let node_id = self.coordinator(group).await?;
                ask(self.broker(node_id).await?).await
            };
            let answer = asked.await;
            if matches!(&answer, Err(error) if error.is_retriable()) {
                self.routes().forget_coordinator(group);
            }
            answer
        })
        .await
    }
}
