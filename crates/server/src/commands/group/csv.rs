//! Offsets as a file, in the form of Kafka's own tool: `topic,partition,offset` lines for one group,
//! `group,topic,partition,offset` lines for several.

use std::collections::BTreeMap;

use super::committed::Offsets;

/// Lines for all of `groups`.
pub fn written(groups: &BTreeMap<String, Offsets>) -> String {
    let is_single = groups.len() == 1;
    let mut text = String::new();
    for (group, offsets) in groups {
        for ((topic, partition), offset) in offsets {
            if !is_single {
                text += &field(group);
                text.push(',');
            }
            text += &format!("{},{partition},{offset}\n", field(topic));
        }
    }
    text
}

fn field(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) || text.is_empty() {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// The file's offsets by group; lines that name none are for `group`.
pub fn parsed(text: &str, group: Option<&str>) -> Result<BTreeMap<String, Offsets>, String> {
    let mut groups: BTreeMap<String, Offsets> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: &str| format!("line {number}: {why}");
        let fields = fields(line).ok_or_else(|| wrong("a quotation mark is not closed"))?;
        let (group, rest) = match (fields.as_slice(), group) {
            ([_, _, _], None) => return Err(wrong("names no group, and several groups were asked for")),
            ([_, _, _], Some(group)) => (group.to_owned(), &fields[..]),
            ([named, _, _, _], _) => (named.clone(), &fields[1..]),
            _ => return Err(wrong("neither topic,partition,offset nor group,topic,partition,offset")),
        };
        let partition = rest[1].parse::<i32>().ok().filter(|partition| *partition >= 0);
        let partition = partition.ok_or_else(|| wrong(&format!("{:?} is not a partition", rest[1])))?;
        let offset = rest[2].parse::<i64>().ok().filter(|offset| *offset >= 0);
        let offset = offset.ok_or_else(|| wrong(&format!("{:?} is not an offset", rest[2])))?;
        groups.entry(group).or_default().insert((rest[0].clone(), partition), offset);
    }
    match groups.is_empty() {
        true => Err("there are no offsets in it".to_owned()),
        false => Ok(groups),
    }
}

/// `None` if a quoted field does not end.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let (mut is_quoted, mut characters) = (false, line.trim().chars().peekable());
    while let Some(c) = characters.next() {
        match c {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                fields.last_mut()?.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            c => fields.last_mut()?.push(c),
        }
    }
    (!is_quoted).then(|| fields.iter().map(|field| field.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(entries: &[(&str, i32, i64)]) -> Offsets {
        entries.iter().map(|(topic, partition, offset)| (((*topic).to_owned(), *partition), *offset)).collect()
    }

    #[test]
    fn what_is_written_reads_as_it_was() {
        let one = BTreeMap::from([("g".to_owned(), offsets(&[("a", 0, 7), ("a", 1, 0), ("b", 0, 3)]))]);
        assert_eq!(written(&one), "a,0,7\na,1,0\nb,0,3\n");
        assert_eq!(parsed(&written(&one), Some("g")), Ok(one.clone()));
        let odd = "with \"quotes\", and comma".to_owned();
        let two = BTreeMap::from([("g".to_owned(), offsets(&[("a", 0, 7)])), (odd, offsets(&[("b", 2, 9)]))]);
        assert_eq!(parsed(&written(&two), None), Ok(two));
    }

    #[test]
    fn what_kafka_writes_is_read() {
        assert_eq!(
            parsed("\"topic1\",0,5\n\n\"topic1\", 1, 6\r\n", Some("g")).map(|groups| groups["g"].clone()),
            Ok(offsets(&[("topic1", 0, 5), ("topic1", 1, 6)]))
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let table = [
            ("", "no offsets"),
            ("a,0", "line 1"),
            ("a,0,1\nb,x,1", "line 2: \"x\" is not a partition"),
            ("a,0,-1", "\"-1\" is not an offset"),
            ("\"a,0,1", "not closed"),
            ("a,b,c,d,e", "line 1"),
        ];
        for (text, expected) in table {
            let why = parsed(text, Some("g")).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
        assert!(parsed("a,0,1", None).unwrap_err().contains("names no group"));
    }
}
