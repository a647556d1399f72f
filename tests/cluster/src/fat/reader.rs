//! A reader for each partition, which follows it through everything, and what no poll may ever show.

use std::time::Duration;

use anyhow::Result;
use tidelog_client::{Client, ClientError, ConsumedRecord, Consumer, ConsumerOptions, StartFrom};
use tidelog_wire::{ErrorCode, Uuid};
use tokio::time::sleep;

use super::Stage;
use super::topics::{Identity, Kind, Topic};

const AGAIN: Duration = Duration::from_millis(100);

struct Reader {
    stage: Stage,
    client: Client,
    topic: &'static Topic,
    partition: i32,
    /// Where it goes on, in the topic of this id.
    next: Option<(Uuid, i64)>,
}

pub async fn read(stage: Stage, topic: &'static Topic, partition: i32) -> Result<()> {
    let client = stage.client()?;
    let mut reader = Reader { stage, client, topic, partition, next: None };
    while !reader.stage.is_over() {
        if let Err(error) = reader.follow().await {
            reader.failed(&error).await;
        }
        reader.client.forget_leaders(topic.name);
        sleep(AGAIN).await;
    }
    Ok(())
}

impl Reader {
    async fn follow(&mut self) -> Result<(), ClientError> {
        let topic_id = self.client.refreshed_leaders(self.topic.name, false).await?.topic_id;
        let next = match self.next.filter(|(id, _)| *id == topic_id) {
            Some((_, next)) => next,
            None => self.log_start(topic_id).await?,
        };
        self.next = Some((topic_id, next));
        let (from, options) = (StartFrom::Offset(next), ConsumerOptions::default());
        let mut consumer =
            Consumer::new(self.client.clone(), self.topic.name, &[self.partition], from, options).await?;
        while !self.stage.is_over() {
            let records = consumer.poll().await?;
            if self.client.leaders(self.topic.name, false).await?.topic_id != topic_id {
                // The answer may have been either topic's.
                return Ok(());
            }
            records.iter().for_each(|record| self.shown(topic_id, record));
            let reached = consumer.positions().get(&self.partition).copied();
            self.next = reached.map(|reached| (topic_id, reached)).or(self.next);
        }
        Ok(())
    }

    /// It never goes back after a DeleteRecords that was acknowledged.
    async fn log_start(&self, topic_id: Uuid) -> Result<i64, ClientError> {
        let deleted_to = self.stage.ledger.with(topic_id, self.partition, |history| history.deleted_to);
        let found = self.client.offsets(self.topic.name, &[self.partition], StartFrom::Earliest).await?;
        let start = found.get(&self.partition).copied().unwrap_or_default();
        if start < deleted_to && self.client.refreshed_leaders(self.topic.name, false).await?.topic_id == topic_id {
            self.breach(&format!("the log starts at {start}, and DeleteRecords was acknowledged up to {deleted_to}"));
        }
        Ok(start)
    }

    async fn failed(&mut self, error: &ClientError) {
        match error {
            ClientError::Refused { code: ErrorCode::OFFSET_OUT_OF_RANGE, .. } => self.is_outside().await,
            ClientError::Refused { code: ErrorCode::UNKNOWN_TOPIC_ID, .. }
            | ClientError::UnknownTopic(_)
            | ClientError::TimedOut { .. } => {}
            error if error.is_retriable() => {}
            error => self.breach(&format!("a reader is refused: {error}")),
        }
    }

    /// Only because the log starts later now, or the topic is another.
    async fn is_outside(&mut self) {
        let Some((topic_id, next)) = self.next.take() else { return };
        let Ok(start) = self.log_start(topic_id).await else {
            self.next = Some((topic_id, next));
            return;
        };
        let now = self.client.refreshed_leaders(self.topic.name, false).await.map(|leaders| leaders.topic_id);
        if now == Ok(topic_id) {
            if start <= next {
                self.breach(&format!("{next} is out of range in a log that starts at {start}"));
            }
            self.next = Some((topic_id, start));
        }
    }

    fn shown(&mut self, topic_id: Uuid, read: &ConsumedRecord) {
        let offset = read.record.offset.get();
        let Some(identity) = Identity::of(&read.record).filter(|identity| identity.is_of(topic_id, self.partition))
        else {
            self.breach(&format!("the record at {offset} was never sent here: {:?}", Identity::of(&read.record)));
            return;
        };
        let next = self.next.map_or(0, |(_, next)| next);
        let is_next = if self.topic.kind == Kind::Compacted { offset >= next } else { offset == next };
        if !is_next {
            self.breach(&format!("a poll goes on with {offset} instead of {next}"));
        }
        self.next = Some((topic_id, offset + 1));
        let before = self.stage.ledger.with(topic_id, self.partition, |history| history.shown.insert(offset, identity));
        if before.is_some_and(|before| before != identity) {
            self.breach(&format!("P7: {before:?} was read at {offset} before, and {identity:?} is now"));
        }
    }

    fn breach(&self, what: &str) {
        self.stage.ledger.breach(format!("{}-{}: {what}", self.topic.name, self.partition));
    }
}
