//! Reading a coordinator's state out of its partition's log.
//!
//! The whole log is replayed, also what is not committed yet: it will be, since we lead. Reading goes on in chunks between
//! which the shard serves others. A load whose leadership has ended stops by itself and changes nothing. One that cannot
//! read up to the log's end is begun anew: half of the log would be older offsets, told as if they were the last.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tidelog_commitlog::{ReadError, ReadStart};
use tidelog_coordinator::Coordinator;
use tidelog_wire::record::{RecordError, records};
use tidelog_wire::record_batch::batches;
use tidelog_wire::types::Offset;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::hosted::Hosted;
use crate::shard::Shard;

/// Read and applied at once; a few milliseconds of work.
const CHUNK_BYTES: usize = 256 << 10;
/// Compressed batches are not ours, yet may be there.
const UNCOMPRESSED_BYTES_MAX: usize = 64 << 20;
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a load has to be begun anew.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("reading panicked")]
    Panicked,
    #[error("there is no batch at {from}, and the log ends at {log_end}")]
    CutShort { from: Offset, log_end: Offset },
}

/// What a load came across.
#[derive(Default)]
struct Progress {
    records: u64,
    bytes: u64,
    /// Passed over, of kinds or versions that are not known here.
    skipped: u64,
}

/// Loads until the coordinator runs or its leadership ends.
pub(super) async fn load(shard: Rc<Shard>, hosted: Rc<Hosted>) {
    while hosted.is_loading() {
        let began = Instant::now();
        let mut progress = Progress::default();
        match replay(&shard, &hosted, &mut progress).await {
            Ok(Some(coordinator)) => {
                tell(&hosted, &coordinator, &progress, began.elapsed());
                return hosted.start(&shard, coordinator);
            }
            Ok(None) => return,
            Err(error) => {
                warn!(partition = %hosted.partition.id, %error, "cannot load groups, trying again");
                if let LoadError::Read(ReadError::Storage(error)) = &error {
                    shard.storage_error(error);
                }
                sleep(RETRY_AFTER).await;
            }
        }
    }
}

fn tell(hosted: &Hosted, coordinator: &Coordinator, progress: &Progress, took: Duration) {
    let &Progress { records, bytes, skipped } = progress;
    let (partition, epoch, groups) = (&hosted.partition.id, hosted.leader_epoch, coordinator.group_count());
    match records {
        0 => debug!(%partition, %epoch, ?took, "no groups to load"),
        _ => info!(%partition, %epoch, groups, records, bytes, skipped, ?took, "groups loaded"),
    }
}

/// `None`: the leadership ended meanwhile.
async fn replay(
    shard: &Rc<Shard>,
    hosted: &Rc<Hosted>,
    progress: &mut Progress,
) -> Result<Option<Coordinator>, LoadError> {
    let mut coordinator = Coordinator::new(std::sync::Arc::clone(&shard.options.groups.coordinator));
    let Some((log_start, log_end, _)) = hosted.partition.log_extent() else {
        return Ok(None);
    };
    let mut from = log_start;
    while from < log_end {
        let bytes = match hosted.partition.read(from, log_end, CHUNK_BYTES, true)? {
            ReadStart::Ready(bytes) => bytes,
            ReadStart::Cold(job) => shard.disk.run(move || job.run()).await.map_err(|_| LoadError::Panicked)??,
        };
        from = advance(&mut coordinator, bytes, progress).ok_or(LoadError::CutShort { from, log_end })?;
        tokio::task::yield_now().await;
        if !hosted.is_loading() {
            return Ok(None);
        }
    }
    Ok(Some(coordinator))
}

/// Applies whole batches; returns the offset to go on at. `None` if there were none, which is no end: compaction leaves
/// each segment its last batch.
fn advance(coordinator: &mut Coordinator, chunk: Bytes, progress: &mut Progress) -> Option<Offset> {
    let mut next = None;
    progress.bytes += chunk.len() as u64;
    for batch in batches(chunk) {
        // What the log gave out is whole, and was judged when it was appended.
        let Ok((header, batch)) = batch else {
            break;
        };
        next = Some(header.next_offset());
        if header.attributes.is_control() {
            continue;
        }
        if let Err(error) = apply_batch(coordinator, &batch, progress) {
            progress.skipped += 1;
            warn!(offset = %header.base_offset, %error, "a batch of the offsets topic cannot be read");
        }
    }
    next
}

fn apply_batch(coordinator: &mut Coordinator, batch: &Bytes, progress: &mut Progress) -> Result<(), RecordError> {
    for record in records(batch, UNCOMPRESSED_BYTES_MAX)? {
        let record = record?;
        progress.records += 1;
        if coordinator.replay(record.key, record.value).is_err() {
            progress.skipped += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tidelog_coordinator::GroupConfig;
    use tidelog_wire::record::BatchBuilder;

    use super::*;

    fn advanced(chunk: Bytes) -> (Option<Offset>, Progress) {
        let mut coordinator = Coordinator::new(std::sync::Arc::new(GroupConfig::default()));
        let mut progress = Progress::default();
        (advance(&mut coordinator, chunk, &mut progress), progress)
    }

    #[test]
    fn only_whole_batches_lead_on() {
        let mut batch = BatchBuilder::default();
        (0..3).for_each(|_| batch.append(0, Some(b"of no kind that is known"), None, &[]));
        let batch = batch.build().expect("uncompressed");
        let (next, progress) = advanced(batch.clone());
        assert_eq!((next, progress.records, progress.skipped), (Some(Offset(3)), 3, 3));
        assert_eq!(advanced(batch.slice(..batch.len() - 1)).0, None);
        assert_eq!(advanced(Bytes::new()).0, None);
    }
}
