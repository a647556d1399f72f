//! Judging of what producers sent, before the append: a little on the shard's thread, much on a disk thread.
//!
//! A small batch may hold tens of megabytes of records, or be one to compress anew. The shard reads at most so much of it,
//! and takes at most so long for all that came in a turn; the rest goes to a disk thread with everything that came behind it,
//! since a producer's batches stay in order. Meanwhile the partition appends nothing from producers.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidelog_commitlog::{InvalidBatch, LogConfig, ValidBatch, Validator};
use tidelog_panics::caught;
use tidelog_replication::ProduceError;
use tidelog_wire::ErrorCode;
use tokio::time::Instant;

use super::append::{PendingProduce, refuse_all};
use super::host::{PartitionHost, State};
use super::refusal::Refusal;
use crate::shard::Shard;

/// Of one batch the shard reads no more, decompressed; in a default topic that is every uncompressed batch. Gzip, the
/// slowest, takes some ten milliseconds for it.
const SHARD_BYTES_MAX: usize = 2 << 20;
/// For the batches of one partition in one turn.
const SHARD_TIME_MAX: Duration = Duration::from_millis(5);
/// Batches as they came that one disk thread takes at once.
const JOB_BYTES_MAX: usize = 4 << 20;

/// What a producer sent for one partition: one batch.
pub(crate) enum Produced {
    Raw(Bytes),
    Judged(Result<ValidBatch, InvalidBatch>),
}

/// Judges from the front for as long as the shard may; the rest is left raw.
pub(super) fn judge(validator: &mut Validator, produces: &mut [PendingProduce], config: &LogConfig, now_ms: i64) {
    let began = Instant::now();
    for produce in produces {
        let Produced::Raw(batch) = &produce.batch else {
            continue;
        };
        // What panics is judged again on a disk thread, where that costs the batches of its job and not the node.
        match caught(|| validator.client_batch_within(SHARD_BYTES_MAX, batch, config, now_ms)).flatten() {
            Some(judged) => produce.batch = Produced::Judged(judged),
            None => return,
        }
        if began.elapsed() > SHARD_TIME_MAX {
            return;
        }
    }
}

impl PartitionHost {
    /// Has a disk thread judge `produces`, or as many of them as it may take. They come back to the front of what is pending.
    pub(super) fn judge_apart(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        state: &mut State,
        mut produces: Vec<PendingProduce>,
    ) {
        let Some(log) = state.log.as_ref() else {
            return refuse_all(produces, &Refusal::from(ProduceError::NotLeaderOrFollower));
        };
        let (config, now_ms) = (Arc::clone(log.config()), shard.clock.wall_ms());
        state.is_judging = true;
        state.pending = produces.split_off(job_len(&produces));
        let batches: Vec<Produced> = produces
            .iter_mut()
            .map(|produce| std::mem::replace(&mut produce.batch, Produced::Raw(Bytes::new())))
            .collect();
        let judged = shard.disk.read(move || judge_all(batches, &config, now_ms));
        let (host, waiting) = (Rc::clone(self), Rc::clone(shard));
        shard.spawn("judged batches", async move {
            let judged = judged.await;
            let mut state = host.state.borrow_mut();
            state.is_judging = false;
            match judged {
                Ok(batches) => {
                    produces.iter_mut().zip(batches).for_each(|(produce, batch)| produce.batch = batch);
                    state.pending.splice(0..0, produces);
                }
                Err(_) => refuse_all(produces, &Refusal::of(ErrorCode::UNKNOWN_SERVER_ERROR)),
            }
            drop(state);
            host.queue_append(&waiting);
        });
    }
}

/// How many of them go into one job; at least the first.
fn job_len(produces: &[PendingProduce]) -> usize {
    let mut bytes = 0;
    let fits = |produce: &&PendingProduce| {
        bytes += produce.batch.size_in_bytes();
        bytes <= JOB_BYTES_MAX
    };
    produces.iter().take_while(fits).count().max(1).min(produces.len())
}

fn judge_all(mut batches: Vec<Produced>, config: &LogConfig, now_ms: i64) -> Vec<Produced> {
    let mut validator = Validator::default();
    for batch in &mut batches {
        if let Produced::Raw(raw) = batch {
            *batch = Produced::Judged(validator.client_batch(raw, config, now_ms));
        }
    }
    batches
}

impl Produced {
    pub(super) const fn is_judged(&self) -> bool {
        matches!(self, Self::Judged(_))
    }

    fn size_in_bytes(&self) -> usize {
        match self {
            Self::Raw(batch) => batch.len(),
            Self::Judged(_) => 0,
        }
    }
}
