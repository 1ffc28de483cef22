//! A count out of others, and where its true share is likely to be.

use serde::Serialize;

/// 95 of 100 intervals hold the share that they are about.
const Z: f64 = 1.959_964;

/// `count` of `of`, and Wilson's interval of the share at 95 %, in thousandths, rounded outwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    pub count: u64,
    pub of: u64,
    pub low_per_mille: u32,
    pub high_per_mille: u32,
}

impl Share {
    /// E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927). Of nothing,
    /// anything may be true.
    pub fn of(count: u64, of: u64) -> Self {
        let (low_per_mille, high_per_mille) = interval(count.min(of), of);
        Self {
            count,
            of,
            low_per_mille,
            high_per_mille,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "both ends are within 0 and 1000"
)]
fn interval(count: u64, of: u64) -> (u32, u32) {
    if of == 0 {
        return (0, 1000);
    }
    let (share, n) = (count as f64 / of as f64, of as f64);
    let square = Z * Z;
    let middle = share + square / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
    let end = |value: f64| 1000.0 * value / (1.0 + square / n);
    let low = if count == 0 { 0.0 } else { end(middle - half) };
    let high = if count == of {
        1000.0
    } else {
        end(middle + half)
    };
    (
        low.floor().clamp(0.0, 1000.0) as u32,
        high.ceil().clamp(0.0, 1000.0) as u32,
    )
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn intervals_are_wilsons() {
        // 10 of 100: 0.0552 to 0.1744; 1 of 10: 0.0179 to 0.4042; 0 of 20: 0 to 0.1611.
        for (count, of, low, high) in [
            (10, 100, 55, 175),
            (1, 10, 17, 405),
            (0, 20, 0, 162),
            (20, 20, 838, 1000),
            (0, 0, 0, 1000),
            (500_000, 1_000_000, 499, 501),
        ] {
            let share = Share::of(count, of);
            assert_eq!(
                (share.low_per_mille, share.high_per_mille),
                (low, high),
                "{count} of {of}"
            );
        }
    }
}
