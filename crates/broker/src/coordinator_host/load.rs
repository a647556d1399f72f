//! Reading a coordinator's state out of its partition's log.
//!
//! The whole log is replayed, also what is not committed yet: it will be, since we lead. Reading goes on in chunks between
//! which the shard serves others. A load whose leadership has ended stops by itself and changes nothing. One that cannot
//! read up to the log's end is begun anew: half of the log would be older offsets, told as if they were the last. So it is at
//! a record that cannot be read, which may be an offset. Records of kinds that are not known here are none, and are passed
//! over as Kafka does.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tidelog_commitlog::{ReadError, ReadStart};
use tidelog_coordinator::{Coordinator, ReplayError};
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
/// What cannot be read now may never be, and each attempt reads everything before it.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Why a load has to be begun anew.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("reading panicked")]
    Panicked,
    #[error("there is no batch at {from}, and the log ends at {log_end}")]
    CutShort { from: Offset, log_end: Offset },
    #[error("the batch at {at} cannot be read: {error}")]
    Batch { at: Offset, error: RecordError },
    #[error("in the batch at {at}: {error}; a newer version may have written it")]
    Record { at: Offset, error: ReplayError },
}

/// What a load came across.
#[derive(Default)]
struct Progress {
    records: u64,
    bytes: u64,
    /// Passed over, of kinds that are not known here.
    skipped: u64,
}

/// Loads until the coordinator runs or its leadership ends.
pub(super) async fn load(shard: Rc<Shard>, hosted: Rc<Hosted>) {
    let mut retry_after = RETRY_AFTER;
    if !hosted.has_room(&shard) {
        // The next failure would be a replay for each request that is decided until then.
        sleep(RETRY_AFTER).await;
    }
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
                sleep(retry_after).await;
                retry_after = (2 * retry_after).min(RETRY_AFTER_MAX);
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
            ReadStart::Cold(job) => shard.disk.read(move || job.run()).await.map_err(|_| LoadError::Panicked)??,
        };
        from = advance(&mut coordinator, bytes, progress)?.ok_or(LoadError::CutShort { from, log_end })?;
        tokio::task::yield_now().await;
        if !hosted.is_loading() {
            return Ok(None);
        }
    }
    Ok(Some(coordinator))
}

/// Applies whole batches; returns the offset to go on at. `None` if there were none, which is no end: compaction leaves
/// each segment its last batch.
fn advance(coordinator: &mut Coordinator, chunk: Bytes, progress: &mut Progress) -> Result<Option<Offset>, LoadError> {
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
        apply_batch(coordinator, header.base_offset, &batch, progress)?;
    }
    Ok(next)
}

fn apply_batch(
    coordinator: &mut Coordinator,
    at: Offset,
    batch: &Bytes,
    progress: &mut Progress,
) -> Result<(), LoadError> {
    let unreadable = |error| LoadError::Batch { at, error };
    for record in records(batch, UNCOMPRESSED_BYTES_MAX).map_err(unreadable)? {
        let record = record.map_err(unreadable)?;
        progress.records += 1;
        match coordinator.replay(record.key, record.value) {
            Ok(()) => {}
            Err(ReplayError::NoKey | ReplayError::UnknownKind(_)) => progress.skipped += 1,
            Err(error @ ReplayError::Decode(_)) => return Err(LoadError::Record { at, error }),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tidelog_coordinator::GroupConfig;
    use tidelog_wire::record::BatchBuilder;

    use super::*;

    fn tried(chunk: Bytes, progress: &mut Progress) -> Result<Option<Offset>, LoadError> {
        advance(&mut Coordinator::new(std::sync::Arc::new(GroupConfig::default())), chunk, progress)
    }

    fn advanced(chunk: Bytes) -> (Option<Offset>, Progress) {
        let mut progress = Progress::default();
        (tried(chunk, &mut progress).expect("it can be read"), progress)
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

    #[test]
    fn an_offset_that_cannot_be_read_is_not_passed_over() {
        let mut batch = BatchBuilder::default();
        let newer_version = b"\x03\xe7whatever it says";
        batch.append(0, Some(b"\0\x01\0\x05group\0\x05topic\0\0\0\0"), Some(newer_version), &[]);
        let batch = batch.build().expect("uncompressed");
        let refused = tried(batch.clone(), &mut Progress::default());
        assert!(matches!(refused, Err(LoadError::Record { at: Offset(0), .. })), "{refused:?}");

        let mut garbled = batch.to_vec();
        // It says of itself that it is compressed.
        garbled[22] = 1;
        let refused = tried(garbled.into(), &mut Progress::default());
        assert!(matches!(refused, Err(LoadError::Batch { at: Offset(0), .. })), "{refused:?}");
    }
}
