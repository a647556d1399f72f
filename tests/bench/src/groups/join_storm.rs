//! Many members that join one group at the same moment: from the last one's first request until all have the assignment of
//! one generation.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use clap::Args;
use tidelog_client::Connection;
use tidelog_cluster_tests::{Cluster, Target};
use tidelog_wire::messages::join_group_request::JoinGroupRequestProtocol;
use tidelog_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use tidelog_wire::messages::{HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, SyncGroupRequest};
use tidelog_wire::{ErrorCode, Str};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::brokers;
use super::wire::{block_on, connect_to_coordinator};
use crate::spread::Spread;

const GROUP: &str = "storm";
const LIMIT: Duration = Duration::from_secs(60);
const REBALANCE_TIMEOUT_MS: i32 = 60_000;

#[derive(Args)]
pub struct Options {
    #[arg(long, default_value_t = 100)]
    members: usize,
    /// How often a member asks whether the group rebalances; clients' default is 3000
    #[arg(long, default_value_t = 300)]
    heartbeat_ms: u64,
    #[arg(long, default_value_t = 5)]
    repeat: usize,
}

pub fn run(options: &Options) -> Result<()> {
    let cluster = Cluster::start(Target::from_environment()?, &brokers())?;
    let mut joined = Spread::default();
    for round in 0..options.repeat {
        let group = format!("{GROUP}-{round}");
        joined.add("all members assigned", block_on(storm(&cluster, &group, options))?);
    }
    let report = serde_json::json!({
        "bench": "join_storm",
        "members": options.members,
        "heartbeat_ms": options.heartbeat_ms,
        "joined_ms": joined.to_json(),
    });
    println!("{report}");
    Ok(())
}

/// What a member has reached: a generation of how many members.
type Reached = watch::Receiver<(i32, usize)>;

async fn storm(cluster: &Cluster, group: &str, options: &Options) -> Result<Duration> {
    let mut connections = Vec::new();
    for _ in 0..options.members {
        connections.push(connect_to_coordinator(cluster, group, LIMIT).await?);
    }
    let began = Instant::now();
    let mut members = JoinSet::new();
    let mut reached: Vec<Reached> = Vec::new();
    for connection in connections {
        let (tell, told) = watch::channel((0, 0));
        reached.push(told);
        let heartbeat = Duration::from_millis(options.heartbeat_ms);
        let member = Member { connection, group: Str::from(group.to_owned()), id: Str::default(), heartbeat };
        members.spawn(member.live(tell));
    }
    let count = options.members;
    let all = async {
        for member in &mut reached {
            member.wait_for(|(_, members)| *members == count).await?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        all = tokio::time::timeout(LIMIT, all) => all??,
        Some(ended) = members.join_next() => bail!("a member ended: {ended:?}"),
    }
    let generations: Vec<i32> = reached.iter().map(|member| member.borrow().0).collect();
    ensure!(generations.windows(2).all(|pair| pair[0] == pair[1]), "members are of generations {generations:?}");
    Ok(began.elapsed())
}

struct Member {
    connection: Connection,
    group: Str,
    id: Str,
    heartbeat: Duration,
}

impl Member {
    async fn live(mut self, tell: watch::Sender<(i32, usize)>) -> Result<()> {
        loop {
            let joined = self.join().await?;
            if !self.sync(&joined, &tell).await? {
                continue;
            }
            while self.is_stable(joined.generation_id).await? {
                sleep(self.heartbeat).await;
            }
        }
    }

    async fn join(&mut self) -> Result<JoinGroupResponse> {
        loop {
            let request = JoinGroupRequest {
                group_id: self.group.clone(),
                session_timeout_ms: REBALANCE_TIMEOUT_MS,
                rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
                member_id: self.id.clone(),
                protocol_type: Str::from_static("consumer"),
                protocols: vec![JoinGroupRequestProtocol {
                    name: Str::from_static("range"),
                    metadata: Bytes::from_static(&[0; 64]),
                }],
                ..JoinGroupRequest::default()
            };
            let response = self.connection.send_within(&request, LIMIT).await?;
            self.id = response.member_id.clone();
            match response.error_code {
                ErrorCode::NONE => return Ok(response),
                ErrorCode::MEMBER_ID_REQUIRED | ErrorCode::REBALANCE_IN_PROGRESS => {}
                error => bail!("JoinGroup failed with {error:?}"),
            }
        }
    }

    /// Whether the assignment came; if not, the next generation has begun already.
    async fn sync(&self, joined: &JoinGroupResponse, tell: &watch::Sender<(i32, usize)>) -> Result<bool> {
        let members = joined.members.iter().map(|member| &member.member_id);
        // The number of members stands for the assignment.
        let size = (joined.members.len() as u32).to_be_bytes();
        let assignments = members.map(|member_id| SyncGroupRequestAssignment {
            member_id: member_id.clone(),
            assignment: Bytes::copy_from_slice(&size),
        });
        let request = SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: joined.generation_id,
            member_id: self.id.clone(),
            protocol_type: Some(Str::from_static("consumer")),
            protocol_name: Some(Str::from_static("range")),
            assignments: assignments.collect(),
            ..SyncGroupRequest::default()
        };
        let response = self.connection.send_within(&request, LIMIT).await?;
        match response.error_code {
            ErrorCode::NONE => {}
            ErrorCode::REBALANCE_IN_PROGRESS => return Ok(false),
            error => bail!("SyncGroup failed with {error:?}"),
        }
        let size = response.assignment.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        tell.send_replace((joined.generation_id, size as usize));
        Ok(true)
    }

    async fn is_stable(&self, generation_id: i32) -> Result<bool> {
        let request = HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id,
            member_id: self.id.clone(),
            ..HeartbeatRequest::default()
        };
        match self.connection.send(&request).await?.error_code {
            ErrorCode::NONE => Ok(true),
            ErrorCode::REBALANCE_IN_PROGRESS => Ok(false),
            error => bail!("Heartbeat failed with {error:?}"),
        }
    }
}
