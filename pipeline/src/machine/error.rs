use super::reason::Status;

/// Why an event does not apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MachineError {
    /// The document is at another point of its life.
    #[error("`{event}` does not apply to a document that is {}", .status.as_str())]
    WrongPhase { event: &'static str, status: Status },
    /// A decision about another version of the document.
    #[error("the document's digest is {current}, not {given}: read it again before deciding")]
    DigestMismatch { current: String, given: String },
    /// The author decides about their own text.
    #[error("{0} wrote or edited this document: another person must approve it")]
    AuthorCannotApprove(String),
    /// An edit of a text that may be out already.
    #[error("publication to `{0}` was begun: the text can no longer change")]
    PublicationBegun(String),
    /// The event names a slot that is not open.
    #[error("slot `{0}` is not open")]
    SlotNotOpen(String),
    /// The event names a target for which no intent was recorded.
    #[error("no intent is recorded for target `{0}`")]
    NoIntent(String),
    /// A receipt for another text.
    #[error("the receipt of `{target}` is for {found}, not for {expected}")]
    ReceiptMismatch {
        target: String,
        expected: String,
        found: String,
    },
    /// The payload of a log entry has no JSON form.
    #[error("the event cannot be recorded: {0}")]
    Encode(String),
}
