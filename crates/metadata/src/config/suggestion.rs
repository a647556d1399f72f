//! "Did you mean": the known name nearest to a mistyped one.

/// The nearest of `names`, if a few slips of the finger explain the difference.
pub fn nearest_name<'a>(mistyped: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let slips_max = (mistyped.len() / 4).clamp(1, 4);
    names
        .filter_map(|name| Some((edit_distance(mistyped, name, slips_max)?, name)))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance in bytes, unless it is beyond `max`. Clients choose `a` and how often it is asked about, so
/// that it ends as soon as the answer is known.
fn edit_distance(a: &str, b: &str, max: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > max {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
        if row.iter().all(|distance| *distance > max) {
            return None;
        }
    }
    Some(row[b.len()]).filter(|distance| *distance <= max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_and_nonsense_finds_none() {
        let names = ["retention.ms", "retention.bytes", "segment.ms"];
        assert_eq!(nearest_name("retension.ms", names.into_iter()), Some("retention.ms"));
        assert_eq!(nearest_name("retention.byte", names.into_iter()), Some("retention.bytes"));
        assert_eq!(nearest_name("segmet.m", names.into_iter()), Some("segment.ms"));
        assert_eq!(nearest_name("completely.else", names.into_iter()), None);
        assert_eq!(nearest_name(&"x".repeat(100_000), names.into_iter()), None);
    }
}
