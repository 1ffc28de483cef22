//! What models of a trial say: every token names its trial, the model, the request and the choice, so that
//! text that is told twice, or to another, is seen.

/// What no caller of a gateway with a policy may hear. Models say it in two tokens.
pub const FORBIDDEN: &str = "Globex";
const HALVES: [&str; 2] = ["Glo", "bex "];

/// Tokens of an answer that no cap cuts.
const TOKENS: u64 = 12;

/// One answer of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saying {
    pub seed: u64,
    pub model: usize,
    /// Number of the request at the model, from 0.
    pub nth: usize,
    pub choice: u64,
    /// The token at whose end the forbidden word begins.
    pub slips: Option<u64>,
}

/// Stands in the prompt of a trial, and in no other's.
pub fn mark(seed: u64) -> String {
    format!("<t{seed}>")
}

/// The trial whose prompt a body holds.
pub fn seed(body: &str) -> Option<u64> {
    let (_, rest) = body.split_once("<t")?;
    rest.split_once('>')?.0.parse().ok()
}

/// Tokens of an answer of at most `cap`.
pub fn tokens(cap: Option<u64>) -> u64 {
    cap.map_or(TOKENS, |cap| cap.min(TOKENS))
}

impl Saying {
    /// One token, from 0.
    pub fn token(self, number: u64) -> String {
        let Self {
            seed,
            model,
            nth,
            choice,
            slips,
        } = self;
        let token = format!("<t{seed}>{model}.{nth}.{choice}.{number} ");
        let [begin, end] = HALVES;
        match slips {
            Some(at) if at == number => token + begin,
            Some(at) if at + 1 == number => end.to_owned() + &token,
            _ => token,
        }
    }

    pub fn whole(self, tokens: u64) -> String {
        (0..tokens).map(|number| self.token(number)).collect()
    }
}
