//! Sizes and times for people. Programs get plain numbers.

/// Bytes, and the same in a unit that is read at a glance.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut number = bytes as f64;
    let mut unit = None;
    for larger in UNITS {
        if number < 1024.0 {
            break;
        }
        number /= 1024.0;
        unit = Some(larger);
    }
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |unit| format!("{number:.1} {unit}"),
    )
}

/// A share in percent, rounded down: what is not done is never shown as 100 %. Without a whole there is none.
pub(super) fn share(done: u64, total: u64) -> String {
    let done = u128::from(done.min(total)) * 1000;
    match done.checked_div(u128::from(total)) {
        Some(per_mille) => format!("{}.{} %", per_mille / 10, per_mille % 10),
        None => "-".to_owned(),
    }
}

/// In the two units that are read at a glance.
pub(super) fn duration(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read_at_a_glance() {
        let check = |bytes, expected: &str| assert_eq!(size(bytes), expected);
        check(0, "0 bytes");
        check(1023, "1023 bytes");
        check(1536, "1.5 KiB");
        check(3 << 30, "3.0 GiB");
        check(u64::MAX, "16777216.0 TiB");
        let check = |seconds, expected: &str| assert_eq!(duration(seconds), expected);
        check(59, "59 s");
        check(3599, "59 min 59 s");
        check(86_399, "23 h 59 min");
        check(90_000, "1 d 1 h");
    }

    #[test]
    fn a_share_is_whole_only_when_all_is_done() {
        let check = |done, total, expected: &str| assert_eq!(share(done, total), expected);
        check(0, 0, "-");
        check(0, 3, "0.0 %");
        check(2, 3, "66.6 %");
        check(u64::MAX - 1, u64::MAX, "99.9 %");
        check(u64::MAX, u64::MAX, "100.0 %");
        check(5, 3, "100.0 %");
    }
}
