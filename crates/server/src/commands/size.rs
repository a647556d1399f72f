//! Sizes in bytes as people write and read them.

/// `1000`, `50MiB`, `50M` (the same), `1.5` is not taken.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    bytes(text)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| format!("{text:?} is not a size like 1000000, 512KiB or 50MiB"))
}

fn bytes(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(at);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor).filter(|bytes| i64::try_from(*bytes).is_ok())
}

/// `1.5 GiB`
pub fn bytes_text(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let table = [("1", 1), ("10b", 10), ("2k", 2048), ("50MiB", 50 << 20), ("1gib", 1 << 30), ("3MB", 3_000_000)];
        for (text, expected) in table {
            assert_eq!(parse_bytes(text), Ok(expected));
        }
        for bad in ["", "0", "-1", "MiB", "1.5k", "1 k", "1x", "99999999999999999999", "9999999999999g"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_written() {
        let table = [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 << 29, "1.5 GiB"), (1 << 60, "1048576.0 TiB")];
        for (bytes, text) in table {
            assert_eq!(bytes_text(bytes), text);
        }
    }
}
