//! How well faults are found: precision and recall, each with what a sample of that size can tell.

/// What a rule did on texts with its fault, and on clean ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    pub found: u32,
    pub missed: u32,
    pub false_alarms: u32,
    pub quiet: u32,
}

/// A share and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Score {
    pub fn add(&mut self, faulty: bool, fired: bool) {
        let count = match (faulty, fired) {
            (true, true) => &mut self.found,
            (true, false) => &mut self.missed,
            (false, true) => &mut self.false_alarms,
            (false, false) => &mut self.quiet,
        };
        *count += 1;
    }

    /// Of what was marked, how much has the fault.
    pub fn precision(&self) -> Share {
        Share::of(self.found, self.found + self.false_alarms)
    }

    /// Of what has the fault, how much was marked.
    pub fn recall(&self) -> Share {
        Share::of(self.found, self.found + self.missed)
    }
}

impl Share {
    /// Wilson's score interval (1927) at 95 %; 0 to 1 of none.
    pub fn of(count: u32, all: u32) -> Self {
        if all == 0 {
            return Self {
                value: 0.0,
                low: 0.0,
                high: 1.0,
            };
        }
        let (n, z) = (f64::from(all), 1.959_964);
        let value = f64::from(count) / n;
        let scale = 1.0 + z * z / n;
        let middle = (value + z * z / (2.0 * n)) / scale;
        let half = z * (value * (1.0 - value) / n + z * z / (4.0 * n * n)).sqrt() / scale;
        Self {
            value,
            low: (middle - half).max(0.0),
            high: (middle + half).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn an_interval_is_wilsons() {
        let half = Share::of(50, 100);
        assert!((half.low - 0.4038).abs() < 1e-3 && (half.high - 0.5962).abs() < 1e-3);
        let all = Share::of(100, 100);
        assert!((all.low - 0.9630).abs() < 1e-3 && (all.high - 1.0).abs() < 1e-9);
    }
}
