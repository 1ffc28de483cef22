use serde::{Deserialize, Serialize};

/// What goes wrong, how often, and for which deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    pub mode: Mode,
    /// Part of the id or the body; empty matches everything.
    #[serde(default)]
    pub matches: String,
    /// How often it still happens.
    #[serde(default = "once")]
    pub times: u64,
    /// For `delay`, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Record the delivery, then break the connection without an answer.
    DropResponse,
    /// Answer 500 without recording.
    #[serde(rename = "error-500")]
    Error500,
    /// Record the delivery, then answer late.
    Delay,
    /// Answer 503 to `GET /deliveries/{id}`; `matches` looks at the id.
    ErrorReadBack,
}

/// Active faults, oldest first.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn active(&self) -> &[Fault] {
        &self.0
    }

    /// The first fault for this POST; it is used up by one.
    pub fn take_post(&mut self, id: &str, body: &str) -> Option<Fault> {
        self.take(|fault| {
            fault.mode != Mode::ErrorReadBack
                && (id.contains(&fault.matches) || body.contains(&fault.matches))
        })
    }

    /// Whether this read-back fails.
    pub fn take_read_back(&mut self, id: &str) -> bool {
        let fault =
            self.take(|fault| fault.mode == Mode::ErrorReadBack && id.contains(&fault.matches));
        fault.is_some()
    }

    fn take(&mut self, wanted: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let at = self
            .0
            .iter()
            .position(|fault| fault.times > 0 && wanted(fault))?;
        let fault = self.0.get_mut(at)?;
        fault.times -= 1;
        let taken = fault.clone();
        self.0.retain(|fault| fault.times > 0);
        Some(taken)
    }
}

fn once() -> u64 {
    1
}
