//! What each broker says of the partitions it leads. Asked when there is no active controller: what one broker knows of the
//! others is then old.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use tidelog_client::{Client, ClientError, Connection};
use tidelog_wire::messages::describe_topic_partitions_request::TopicRequest;
use tidelog_wire::messages::metadata_response::MetadataResponseTopic;
use tidelog_wire::messages::{DescribeTopicPartitionsRequest, MetadataRequest, MetadataResponse};

use crate::commands::moves::cluster::{Broker, brokers};

/// A broker that takes longer counts as not reached.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
const BROKERS_IN_FLIGHT: usize = 16;
const PARTITIONS_DESCRIBED_MAX: i32 = 2_000;

type Partitions = BTreeSet<(String, i32)>;

/// Everything the brokers that answered say of themselves.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Survey {
    pub reached: Vec<i32>,
    pub unreached: Vec<i32>,
    served: Partitions,
    /// Their leader is up and has stepped aside until there is a controller.
    waiting: Partitions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    Served,
    Waiting,
    Gone,
}

impl Survey {
    pub async fn of(client: &Client, metadata: &MetadataResponse) -> Self {
        let known = brokers(client, metadata).await.unwrap_or_default();
        let asking = known.into_iter().map(|broker| async move {
            let answer = tokio::time::timeout(ANSWER_WITHIN, ask(client, &broker)).await;
            (broker.id, answer.ok().and_then(Result::ok))
        });
        let mut survey = Self::default();
        let mut answers = stream::iter(asking).buffered(BROKERS_IN_FLIGHT);
        while let Some((id, answer)) = answers.next().await {
            match answer {
                Some((served, waiting)) => {
                    survey.reached.push(id);
                    survey.served.extend(served);
                    survey.waiting.extend(waiting);
                }
                None => survey.unreached.push(id),
            }
        }
        survey
    }

    pub fn leadership(&self, topic: &str, partition: i32) -> Leadership {
        let partition = (topic.to_owned(), partition);
        match (self.served.contains(&partition), self.waiting.contains(&partition)) {
            (true, _) => Leadership::Served,
            (false, true) => Leadership::Waiting,
            (false, false) => Leadership::Gone,
        }
    }
}

/// The partitions that a broker serves as their leader, and those that it leads and does not serve.
async fn ask(client: &Client, broker: &Broker) -> Result<(Partitions, Partitions), ClientError> {
    let port = u16::try_from(broker.port).unwrap_or_default();
    let connection = Connection::connect(&broker.host, port, &client.options().connect).await?;
    let request = MetadataRequest { topics: None, allow_auto_topic_creation: false, ..Default::default() };
    let metadata = connection.send(&request).await?;
    let led_by = |leader: i32| -> Partitions {
        let partitions = metadata.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |p| (topic, p)));
        partitions.filter(|(_, p)| p.leader_id == leader).map(|(topic, p)| (name(topic), p.partition_index)).collect()
    };
    let (served, leaderless) = (led_by(broker.id), led_by(-1));
    let waiting = match connection.version::<DescribeTopicPartitionsRequest>() {
        Ok(_) if !leaderless.is_empty() => elected(&connection, broker.id, &leaderless).await?,
        _ => Partitions::new(),
    };
    Ok((served, waiting))
}

/// Those of `partitions` for which the last controller's choice is this broker, whatever it says in Metadata.
async fn elected(connection: &Connection, broker: i32, partitions: &Partitions) -> Result<Partitions, ClientError> {
    let topics: BTreeSet<&String> = partitions.iter().map(|(topic, _)| topic).collect();
    let request = DescribeTopicPartitionsRequest {
        topics: topics.into_iter().map(|topic| TopicRequest { name: topic.clone().into() }).collect(),
        response_partition_limit: PARTITIONS_DESCRIBED_MAX,
        cursor: None,
    };
    let response = connection.send(&request).await?;
    let mut elected = Partitions::new();
    for topic in &response.topics {
        let name = topic.name.as_deref().unwrap_or_default();
        let led = topic.partitions.iter().filter(|partition| partition.leader_id == broker);
        elected.extend(led.map(|partition| (name.to_owned(), partition.partition_index)));
    }
    elected.retain(|partition| partitions.contains(partition));
    Ok(elected)
}

fn name(topic: &MetadataResponseTopic) -> String {
    topic.name.as_deref().unwrap_or_default().to_owned()
}
