//! Carries out what a member decides: sends, reads, and tells it what came of that.

use std::future::{Future, pending};
use std::time::Duration;

use futures::future::BoxFuture;
use rand::Rng;
use tidelog_wire::codec::Request;
use tidelog_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, OffsetCommitResponse};
use tidelog_wire::{ErrorCode, Uuid};
use tokio::time::{Instant, sleep_until, timeout};

use super::begin::begin;
use super::member::{Ask, Ended, LEAVE_WITHIN, Member, Starts, Step};
use crate::client::Client;
use crate::consumer::{ConsumedRecord, Consumer, ConsumerOptions, StartFrom};
use crate::error::ClientError;

/// Shorter than a session, so that a member whose coordinator hangs looks for another in time.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// Where to begin where the group has committed nothing, or what is not in the log any more.
    pub or_from: StartFrom,
    pub consumer: ConsumerOptions,
}

type Answer<T> = Option<BoxFuture<'static, Result<T, ClientError>>>;

/// Dropping it without [`GroupConsumer::leave`] leaves the group with the end of its session.
pub struct GroupConsumer {
    client: Client,
    group: String,
    topic: String,
    or_from: StartFrom,
    member: Member,
    reader: Consumer,
    heartbeat: Answer<ConsumerGroupHeartbeatResponse>,
    begin: Answer<Result<Starts, ErrorCode>>,
    commit: Answer<OffsetCommitResponse>,
    /// What went wrong last.
    last: String,
}

impl GroupConsumer {
    /// Joins with the first [`GroupConsumer::poll`].
    pub async fn new(client: Client, group: &str, topic: &str, options: GroupOptions) -> Result<Self, ClientError> {
        client.leaders(topic, false).await?;
        let member_id = Uuid::from_u128(rand::rng().random()).to_string();
        let patience = client.options().retry_for;
        let member = Member::new(group, topic, &member_id, patience, Instant::now().into_std());
        // There is no going back to an offset that is outside the log itself.
        let reset_to = Some(options.or_from).filter(|from| !matches!(from, StartFrom::Offset(_)));
        Ok(Self {
            reader: Consumer::idle(client.clone(), topic, reset_to, options.consumer),
            client,
            group: group.to_owned(),
            topic: topic.to_owned(),
            or_from: options.or_from,
            member,
            heartbeat: None,
            begin: None,
            commit: None,
            last: String::new(),
        })
    }

    /// The next records of the partitions that are the member's now, in order within each; perhaps none. Has to be called
    /// again and again for the member to live. Cancel safe.
    pub async fn poll(&mut self) -> Result<Vec<ConsumedRecord>, ClientError> {
        self.step(true).await
    }

    async fn step(&mut self, may_read: bool) -> Result<Vec<ConsumedRecord>, ClientError> {
        let now = self.act();
        let reads = may_read && !self.reader.positions().is_empty();
        tokio::select! {
            answer = answered(&mut self.heartbeat) => self.heard(answer)?,
            answer = answered(&mut self.begin) => self.begun(answer)?,
            answer = answered(&mut self.commit) => self.committed(answer)?,
            polled = self.reader.poll(), if reads => return polled,
            () = woken(self.member.wake_at(now.into_std())) => {}
        }
        Ok(Vec::new())
    }

    /// The first `count` of the records that were polled last have got where they were to go: the group need not see them
    /// again.
    pub fn written(&mut self, polled: &[ConsumedRecord], count: usize) {
        let now = Instant::now().into_std();
        for consumed in polled.iter().take(count) {
            self.member.written(now, consumed.partition, consumed.record.offset.get() + 1);
        }
        if count >= polled.len() {
            // Behind the last record may be offsets that have none.
            self.reader.positions().into_iter().for_each(|(partition, next)| self.member.written(now, partition, next));
        }
    }

    /// Everything that was committed in its partitions when last asked has been read; never without partitions.
    pub fn is_at_end(&self) -> bool {
        self.member.is_settled() && self.reader.is_at_end()
    }

    /// Commits what was written and leaves, so that others need not wait for the end of its session.
    pub async fn leave(mut self) -> Result<(), ClientError> {
        self.member.leave(Instant::now().into_std());
        let left = timeout(LEAVE_WITHIN + ANSWER_WITHIN, self.wait_left()).await;
        match left {
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) if self.member.is_committed() => Ok(()),
            Ok(Ok(())) | Err(_) => {
                let what = format!("cannot commit what was read for group {}", self.group);
                Err(ClientError::TimedOut { what, last: self.last })
            }
        }
    }

    async fn wait_left(&mut self) -> Result<(), ClientError> {
        while !self.member.has_left() {
            self.step(false).await?;
        }
        Ok(())
    }

    fn act(&mut self) -> Instant {
        let now = Instant::now();
        while let Some(step) = self.member.next(now.into_std()) {
            match step {
                Step::ForgetCoordinator => self.client.routes().forget_coordinator(&self.group),
                Step::End(partitions) => partitions.iter().for_each(|(_, index)| self.reader.end(*index)),
                Step::Begin(partitions, request) => {
                    let (client, topic) = (self.client.clone(), self.topic.clone());
                    self.begin = Some(Box::pin(begin(client, topic, partitions, request, self.or_from)));
                }
                Step::Commit(request) => self.commit = Some(Box::pin(self.ask(request))),
                Step::Heartbeat(request) => {
                    tracing::debug!(group = self.group, epoch = request.member_epoch, "heartbeat");
                    self.heartbeat = Some(Box::pin(self.ask::<ConsumerGroupHeartbeatRequest>(request)));
                }
            }
        }
        now
    }

    /// Asks the coordinator, once.
    fn ask<R: Request + Send + Sync + 'static>(
        &self,
        request: R,
    ) -> impl Future<Output = Result<R::Response, ClientError>> + Send + use<R>
    where
        R::Response: Send,
    {
        let (client, group) = (self.client.clone(), self.group.clone());
        async move {
            let coordinator = client.coordinator(&group).await?;
            Ok(client.broker(coordinator).await?.send_within(&request, ANSWER_WITHIN).await?)
        }
    }

    fn heard(&mut self, answer: Result<ConsumerGroupHeartbeatResponse, ClientError>) -> Result<(), ClientError> {
        let now = Instant::now().into_std();
        let outcome = match self.told(answer)? {
            Some(answer) => {
                self.note(answer.error_code);
                self.member.heard(now, &answer)
            }
            None => self.member.unanswered(now, Ask::Heartbeat),
        };
        outcome.map_err(|ended| self.ended(ended))
    }

    fn begun(&mut self, answer: Result<Result<Starts, ErrorCode>, ClientError>) -> Result<(), ClientError> {
        let now = Instant::now().into_std();
        let outcome = match self.told(answer)? {
            Some(found) => {
                self.note(found.as_ref().err().copied().unwrap_or(ErrorCode::NONE));
                self.member.begun(now, found)
            }
            None => self.member.unanswered(now, Ask::Begin).map(|()| Starts::new()),
        };
        for ((_, partition), start) in outcome.map_err(|ended| self.ended(ended))? {
            self.reader.begin(partition, start.next_offset);
        }
        Ok(())
    }

    fn committed(&mut self, answer: Result<OffsetCommitResponse, ClientError>) -> Result<(), ClientError> {
        let now = Instant::now().into_std();
        let outcome = match self.told(answer)? {
            Some(answer) => {
                let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
                partitions.for_each(|partition| self.note(partition.error_code));
                self.member.committed(now, &answer)
            }
            None => self.member.unanswered(now, Ask::Commit),
        };
        outcome.map_err(|ended| self.ended(ended))
    }

    /// `None` if asking again may help.
    fn told<T>(&mut self, answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_retriable() => {
                tracing::debug!(group = self.group, %error, "asking again");
                self.last = error.to_string();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn note(&mut self, code: ErrorCode) {
        if code.is_error() {
            tracing::debug!(group = self.group, %code, "refused");
            self.last = code.message().to_owned();
        }
    }

    fn ended(&self, ended: Ended) -> ClientError {
        let what = format!("cannot be a member of group {}", self.group);
        match ended {
            Ended::Refused(code, message) => ClientError::Refused { what, code, message },
            Ended::Unheard => ClientError::TimedOut { what, last: self.last.clone() },
        }
    }
}

/// The answer, once; never if nothing was asked. Cancel safe.
async fn answered<T>(asked: &mut Answer<T>) -> Result<T, ClientError> {
    match asked {
        Some(answer) => {
            let answer = answer.await;
            *asked = None;
            answer
        }
        None => pending().await,
    }
}

async fn woken(at: Option<std::time::Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => pending().await,
    }
}
