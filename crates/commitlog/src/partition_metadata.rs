//! `partition.metadata`: the topic id of a log's directory, in Kafka's format.

use tidelog_wire::Uuid;

pub(crate) fn format(topic_id: Uuid) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

/// `None` if the text is not whole.
pub(crate) fn parse(text: &str) -> Option<Uuid> {
    let mut lines = text.lines();
    if lines.next()? != "version: 0" {
        return None;
    }
    lines.next()?.strip_prefix("topic_id: ")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_id_survives_and_a_cut_one_is_refused() {
        let id = Uuid::from_u128(0x1234_5678_9abc_def0_1122_3344_5566_7788);
        let text = format(id);
        assert_eq!(parse(&text), Some(id));
        for cut in 0..text.len() {
            assert_eq!(parse(&text[..cut]), None, "{cut} bytes");
        }
    }
}
