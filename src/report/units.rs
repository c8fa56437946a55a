//! Numbers for people: bytes, times, counts.

use std::time::Duration;

/// Bytes in binary units with one decimal: `512 B`, `12.3 MiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    // Tenths of the unit, rounded to the nearest, in whole numbers so that no float rounds twice.
    let mut unit_bytes: u128 = 1024;
    let mut unit = 0;
    loop {
        let tenths = (u128::from(count) * 10 + unit_bytes / 2) / unit_bytes;
        if tenths < 10_240 || unit + 1 == UNITS.len() {
            return format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]);
        }
        unit_bytes *= 1024;
        unit += 1;
    }
}

/// A duration: `420 ms`, `3.2 s`, `2 min 05 s`, `1 h 03 min`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let tenths = (duration.as_millis() + 50) / 100;
    let seconds = (duration.as_millis() + 500) / 1000;
    if duration.as_millis() < 1000 {
        format!("{} ms", duration.as_millis())
    } else if tenths < 600 {
        format!("{}.{} s", tenths / 10, tenths % 10)
    } else if seconds < 3600 {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    } else {
        let minutes = (seconds + 30) / 60;
        format!("{} h {:02} min", minutes / 60, minutes % 60)
    }
}

/// A whole number with commas between its thousands.
#[must_use]
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many things: `1 image`, `2,000 images`.
#[must_use]
pub fn count(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_unit_that_reads_best() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_575, "1.0 MiB"),
            (12_900_000, "12.3 MiB"),
            (2 << 30, "2.0 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn durations_are_as_exact_as_anyone_cares() {
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (3249, "3.2 s"),
            (59_949, "59.9 s"),
            (59_960, "1 min 00 s"),
            (125_400, "2 min 05 s"),
            (3_780_000, "1 h 03 min"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn thousands_have_commas() {
        assert_eq!(number(999), "999");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(count(1, "image", "images"), "1 image");
    }
}
