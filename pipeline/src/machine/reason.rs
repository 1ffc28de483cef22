//! Closed sets: they are metric labels, log fields and words of the API.

use serde::{Deserialize, Serialize};

/// Where a document stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Accepted; nothing was done yet.
    Accepted,
    /// Being drafted and checked.
    Writing,
    /// Waits for a person.
    Review,
    /// Approved by policy or person, on its way out.
    Publishing,
    /// Publication could be neither proven nor ruled out, or the target refused it: a person moves
    /// it on.
    Parked,
    /// Every target gave a receipt.
    Published,
    /// Will never be published.
    Refused,
}

/// Why a document was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RefuseReason {
    /// The variables do not fit the pipeline's schema, or a record is missing.
    InvalidVariables,
    /// The pipeline has no skeleton in the document's language.
    UnsupportedLanguage,
    /// A template cannot be rendered with these variables.
    TemplateFailed,
    /// A rule with action Block.
    PolicyBlocked,
    /// A person said no.
    RejectedByReviewer,
    /// Nobody decided in time.
    ReviewTimedOut,
    /// The person's data was erased before the document was finished.
    Erased,
    /// The run was deleted before the document was written.
    RunDeleted,
    /// The run's deadline passed before the document was written.
    DeadlineExceeded,
}

/// Why a document is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ParkReason {
    /// The request may have arrived, and the target cannot be asked.
    Unproven,
    /// The target holds another text under the document's id.
    Mismatch,
    /// The target refused the request; nothing arrived.
    TargetRefused,
}

/// Why a slot holds the safe wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SafeReason {
    /// The skeleton trusts no model.
    SafeWriter,
    /// Every route failed.
    RoutesExhausted,
    /// The model's answers held no usable sentence.
    Unusable,
    /// Policy refused every version the model wrote.
    RevisionsExhausted,
    /// Policy found inputs that speak to the model: none is asked with them.
    SuspectInput,
    /// Policy on calls refused the prompt, or what the model answered.
    CallBlocked,
}

/// Who wrote the words of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// A model wrote every slot.
    Model,
    /// A person changed the text.
    Edited,
    /// At least one slot holds the safe wording, or there is no slot.
    Template,
}

/// A step of a document's life, as latencies are told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    Retrieve,
    Draft,
    Final,
    Check,
    Review,
    Publish,
}

macro_rules! names {
    ($name:ident: $($variant:ident => $text:literal),+ $(,)?) => {
        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value of that text.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }
    };
}

names!(Status: Accepted => "Accepted", Writing => "Writing", Review => "Review",
    Publishing => "Publishing", Parked => "Parked", Published => "Published", Refused => "Refused");
names!(RefuseReason: InvalidVariables => "InvalidVariables",
    UnsupportedLanguage => "UnsupportedLanguage", TemplateFailed => "TemplateFailed",
    PolicyBlocked => "PolicyBlocked", RejectedByReviewer => "RejectedByReviewer",
    ReviewTimedOut => "ReviewTimedOut", Erased => "Erased", RunDeleted => "RunDeleted",
    DeadlineExceeded => "DeadlineExceeded");
names!(ParkReason: Unproven => "Unproven", Mismatch => "Mismatch",
    TargetRefused => "TargetRefused");
names!(SafeReason: SafeWriter => "SafeWriter", RoutesExhausted => "RoutesExhausted",
    Unusable => "Unusable", RevisionsExhausted => "RevisionsExhausted",
    SuspectInput => "SuspectInput", CallBlocked => "CallBlocked");
names!(Origin: Model => "Model", Edited => "Edited", Template => "Template");
names!(Step: Retrieve => "retrieve", Draft => "draft", Final => "final", Check => "check",
    Review => "review", Publish => "publish");
