//! Points in time and durations as people write them (ISO 8601), and durations as people read them.

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

const DATETIME_FORMS: &str = "YYYY-MM-DD[THH:mm[:ss[.sss]]][Z|+hh:mm|-hh:mm], UTC if it names no zone";
const DURATION_FORMS: &str = "PnDTnHnMnS, or for example 90m, 2h30m, 1d";

/// Milliseconds since 1970.
pub fn parse_datetime(text: &str) -> Result<i64, String> {
    datetime(text).ok_or_else(|| format!("{text:?} is not of the form {DATETIME_FORMS}"))
}

fn datetime(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let mut date = date.split('-');
    let (year, month, day) = (digits(date.next()?, 4)?, digits(date.next()?, 2)?, digits(date.next()?, 2)?);
    if date.next().is_some() || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let (time, zone_ms) = zone(time)?;
    Some(days_since_1970(year, month, day) * DAY_MS + time_of_day(time)? - zone_ms)
}

/// The text before the zone, and what the zone is ahead of UTC.
fn zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = time.find(['+', '-']) else { return Some((time, 0)) };
    let (time, zone) = time.split_at(at);
    let (sign, zone) = if let Some(rest) = zone.strip_prefix('-') { (-1, rest) } else { (1, &zone[1..]) };
    let (hours, minutes) = match zone.split_once(':') {
        Some((hours, minutes)) => (digits(hours, 2)?, digits(minutes, 2)?),
        None if zone.len() == 4 => (digits(zone.get(..2)?, 2)?, digits(zone.get(2..)?, 2)?),
        None => (digits(zone, 2)?, 0),
    };
    (hours <= 18 && minutes < 60).then_some((time, sign * (hours * HOUR_MS + minutes * MINUTE_MS)))
}

fn time_of_day(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let (hours, minutes) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let (seconds, milliseconds) = match parts.next() {
        None => (0, 0),
        Some(seconds) => match seconds.split_once('.') {
            None => (digits(seconds, 2)?, 0),
            Some((seconds, fraction)) => (digits(seconds, 2)?, thousandths(fraction)?),
        },
    };
    let is_valid = parts.next().is_none() && hours < 24 && minutes < 60 && seconds < 60;
    is_valid.then(|| hours * HOUR_MS + minutes * MINUTE_MS + seconds * SECOND_MS + milliseconds)
}

/// A fraction's first three digits; finer ones are dropped.
fn thousandths(fraction: &str) -> Option<i64> {
    let is_digits = !fraction.is_empty() && fraction.len() <= 9 && fraction.bytes().all(|b| b.is_ascii_digit());
    is_digits.then(|| format!("{fraction:0<3}")[..3].parse().ok()).flatten()
}

fn digits(text: &str, len: usize) -> Option<i64> {
    (text.len() == len && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let before_year = |year: i64| 365 * year + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    before_year(year) - before_year(1970) + months + day - 1
}

/// Milliseconds.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    duration(text)
        .filter(|ms| *ms > 0)
        .ok_or_else(|| format!("{text:?} is not a duration of the form {DURATION_FORMS}"))
}

fn duration(text: &str) -> Option<i64> {
    let upper = text.to_ascii_uppercase();
    match upper.strip_prefix('P') {
        Some(iso) => match iso.split_once('T') {
            Some((_, "")) => None,
            Some((days, times)) => parts(days, "D")?.checked_add(parts(times, "HMS")?),
            None => parts(iso, "D"),
        },
        None => parts(&upper, "DHMS"),
    }
}

/// Numbers with units, each unit at most once and in the order given.
fn parts(text: &str, units: &str) -> Option<i64> {
    let (mut rest, mut units, mut total) = (text, units, 0i64);
    while !rest.is_empty() {
        let at = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit = rest[at..].chars().next()?;
        let unit_ms = match unit {
            'D' => DAY_MS,
            'H' => HOUR_MS,
            'M' => MINUTE_MS,
            'S' => SECOND_MS,
            _ => return None,
        };
        units = &units[units.find(unit)? + 1..];
        total = total.checked_add(rest[..at].parse::<i64>().ok()?.checked_mul(unit_ms)?)?;
        rest = &rest[at + 1..];
    }
    Some(total)
}

/// Two units at most, as long as a person wants to read.
pub fn duration_text(ms: i64) -> String {
    let (days, hours, minutes) = (ms / DAY_MS, ms % DAY_MS / HOUR_MS, ms % HOUR_MS / MINUTE_MS);
    let (seconds, tenths) = (ms % MINUTE_MS / SECOND_MS, ms % SECOND_MS / 100);
    match (days, hours, minutes, seconds) {
        (0, 0, 0, 0) => format!("{ms} ms"),
        (0, 0, 0, seconds) => format!("{seconds}.{tenths} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetimes() {
        let table = [
            ("1970-01-01", 0),
            ("1970-01-01T00:00:00.001", 1),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2000-02-29T12:30", 951_827_400_000),
            ("2026-11-22T21:00:00Z", 1_795_381_200_000),
            ("2026-11-22 21:00:00.5", 1_795_381_200_500),
            ("2026-11-22T23:00:00+02:00", 1_795_381_200_000),
            ("2026-11-22T16:30:00-0430", 1_795_381_200_000),
            ("2100-03-01", 4_107_542_400_000),
        ];
        for (text, expected) in table {
            assert_eq!(parse_datetime(text), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "now",
            "2026",
            "2026-13-01",
            "2026-02-29",
            "2026-1-1",
            "2026-01-01T24:00",
            "2026-01-01T1:00",
            "2026-01-01T00",
            "2026-01-01T00:00:00.",
            "2026-01-01T00:00+99:00",
            "2026-01-01T00:00:00:00",
            "2026-01-01T00:00Zé",
            "+026-01-01",
        ] {
            assert!(parse_datetime(bad).unwrap_err().contains("UTC"), "{bad}");
        }
    }

    #[test]
    fn days_follow_each_other() {
        let mut expected = 0;
        for year in 1970..2110 {
            for month in 1..=12 {
                for day in 1..=days_in(year, month) {
                    assert_eq!(days_since_1970(year, month, day), expected, "{year}-{month}-{day}");
                    expected += 1;
                }
            }
        }
    }

    #[test]
    fn durations() {
        let table = [
            ("PT1S", 1_000),
            ("P1D", DAY_MS),
            ("p1dt2h3m4s", DAY_MS + 2 * HOUR_MS + 3 * MINUTE_MS + 4_000),
            ("90m", 90 * MINUTE_MS),
            ("2h30m", 150 * MINUTE_MS),
            ("1d", DAY_MS),
        ];
        for (text, expected) in table {
            assert_eq!(parse_duration(text), Ok(expected), "{text}");
        }
        for bad in
            ["", "P", "PT", "P1DT", "1", "h", "P1H", "PT1D", "1m2h", "1h1h", "0s", "-1h", "99999999999999999d", "1é"]
        {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_for_people() {
        let table = [(0, "0 ms"), (999, "999 ms"), (1_250, "1.2 s"), (61_000, "1 min 1 s"), (HOUR_MS, "1 h 0 min")];
        for (ms, expected) in table {
            assert_eq!(duration_text(ms), expected);
        }
        assert_eq!(duration_text(50 * HOUR_MS), "2 d 2 h");
    }
}
