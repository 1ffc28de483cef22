//! Which CAs the files of data planes name, as far as they have said.

/// Identifier of a CA's key, RFC 5280, 4.2.1.2.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(Box<[u8]>);

/// What a process says of its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Papers {
    /// CAs that it trusts.
    pub trusted: Vec<KeyId>,
    /// The CA of each certificate that it shows.
    pub shown: Vec<KeyId>,
}

/// What papers must be like before a CA can be replaced further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    Trusts(KeyId),
    /// Nothing of any other CA.
    ShowsOnly(KeyId),
}

/// How far data planes are, by the leader's own list of pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Pods whose last word is not what is expected.
    pub behind: usize,
    /// A few of those, as `namespace/pod`.
    pub named: Vec<String>,
    /// Pods that have said nothing: not attached, or of an earlier release.
    pub silent: usize,
}

impl KeyId {
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl Expected {
    pub fn is_met_by(&self, papers: &Papers) -> bool {
        match self {
            Self::Trusts(key) => papers.trusted.contains(key),
            Self::ShowsOnly(key) => papers.shown.iter().all(|shown| shown == key),
        }
    }
}
