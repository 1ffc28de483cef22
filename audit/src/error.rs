/// What can go wrong in this room, apart from a bundle that does not verify (see `BundleError`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    #[error("`{0}` cannot name a log: use 1 to 200 characters without spaces, `+` or line breaks")]
    LogName(String),
    #[error("malformed {what}: {why}")]
    Malformed {
        what: &'static str,
        why: &'static str,
    },
    #[error("no signature by `{0}` with the given key id")]
    UnknownSigner(String),
    #[error("the signature of `{0}` does not match")]
    SignatureMismatch(String),
    #[error("leaf {index} is not in a log of {size} leaves")]
    NoSuchLeaf { index: u64, size: u64 },
    #[error("the log has {has} leaves, {wanted} were asked for")]
    NoSuchSize { wanted: u64, has: u64 },
    #[error("the proof does not show that leaf {index} is in the tree of {size} leaves")]
    NotIncluded { index: u64, size: u64 },
    #[error("the log shrank from {old} to {new} leaves")]
    Shrunk { old: u64, new: u64 },
    #[error("the tree of {new} leaves does not extend the tree of {old}: the log was rewritten")]
    Rewritten { old: u64, new: u64 },
    #[error("checkpoints of different logs: `{old}` and `{new}`")]
    OtherLog { old: String, new: String },
    #[error("cannot encode as JSON: {0}")]
    Encode(String),
}
