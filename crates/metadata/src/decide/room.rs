//! How much one request may change at once. The controller decides on one thread, which also hears that brokers are
//! alive, and what it decides is one entry of the metadata log.

use tidelog_wire::ErrorCode;

use super::Round;
use crate::image::Image;
use crate::record::Record;
use crate::response::RequestError;

/// A request stops being carried out beyond these; its last item may exceed them.
const WORK_MAX: usize = 20_000;
const BYTES_MAX: usize = 4 << 20;
/// Partitions of a deleted topic that are as much work as one record.
const DELETED_PER_WORK: usize = 16;
/// Of a record without its texts.
const RECORD_BYTES: usize = 64;

pub(super) const TOO_MUCH_AT_ONCE: &str = "the request changes more than is decided at once; ask for the rest again";

/// What a request has changed so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    work: usize,
    bytes: usize,
}

impl Spent {
    /// Counts a record that is about to be applied to `image`.
    pub fn add(&mut self, record: &Record, image: &Image) {
        let (work, texts) = match record {
            Record::RemoveTopic { topic_id } => {
                let partitions = image.topic_by_id(*topic_id).map_or(0, |topic| topic.partition_count());
                (1 + partitions / DELETED_PER_WORK, 0)
            }
            Record::Config { resource, name, value } => {
                let value = value.as_ref().map_or(0, |value| value.as_bytes().len());
                (1, resource.name.as_bytes().len() + name.as_bytes().len() + value)
            }
            Record::Partition(partition) => (1, 2 * size_of_val(partition.replicas.as_slice())),
            _ => (1, 0),
        };
        self.work += work;
        self.bytes += RECORD_BYTES + texts;
    }
}

impl Round {
    /// Asked before each item of a request that is answered item by item.
    pub(super) fn check_room(&self) -> Result<(), RequestError> {
        if self.spent.work < WORK_MAX && self.spent.bytes < BYTES_MAX {
            return Ok(());
        }
        Err(RequestError::new(ErrorCode::THROTTLING_QUOTA_EXCEEDED, TOO_MUCH_AT_ONCE))
    }
}
