//! The clean-shutdown marker: Kafka's file, with the broker epoch of the incarnation that ended in order (KIP-966).

use tidelog_wire::types::BrokerEpoch;

use crate::context::Context;
use crate::error::StorageError;
use crate::names;

/// Reads the marker and deletes it, durably, before anything else is done to the directory.
pub(crate) fn take(context: &Context) -> Result<Option<BrokerEpoch>, StorageError> {
    let path = context.path.join(names::CLEAN_SHUTDOWN);
    let Some(contents) = context.read_file(&path)? else {
        return Ok(None);
    };
    context.remove_file(&path)?;
    context.sync_dir(&context.path)?;
    Ok(std::str::from_utf8(&contents).ok().and_then(parse))
}

/// Writes the marker as the last thing that is done to the directory.
pub(crate) fn write(context: &Context, broker_epoch: BrokerEpoch) -> Result<(), StorageError> {
    let path = context.path.join(names::CLEAN_SHUTDOWN);
    context.replace_file_durably(&path, format(broker_epoch).as_bytes())?;
    context.sync_dir(&context.path)
}

fn format(broker_epoch: BrokerEpoch) -> String {
    format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}")
}

/// `None` if the marker is not whole: then the shutdown was not clean.
fn parse(text: &str) -> Option<BrokerEpoch> {
    let fields = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let epoch = fields.split(',').find_map(|field| field.trim().strip_prefix("\"brokerEpoch\":"))?;
    Some(BrokerEpoch(epoch.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_survives_and_a_cut_marker_is_none() {
        let text = format(BrokerEpoch(17));
        assert_eq!(parse(&text), Some(BrokerEpoch(17)));
        for cut in 0..text.len() {
            assert_eq!(parse(&text[..cut]), None, "{cut} bytes");
        }
    }
}
