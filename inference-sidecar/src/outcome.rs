//! How a call ended: one closed set for metrics, error bodies and decisions.

/// How one call to a model, or one consideration of a route, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A whole answer.
    Ok,
    /// The caller went away before the end.
    Cancelled,
    /// The route's condition is false.
    NotApplicable,
    /// The route's condition could not be evaluated.
    ConditionFailed,
    /// The route names a model that is not in force.
    ModelUnknown,
    /// A policy keeps texts from the model.
    OutOfBounds,
    /// Prompt and answer do not fit the model's context.
    ContextExceeded,
    /// No connection.
    Unreachable,
    /// No first token, or no end, in time.
    Timeout,
    /// Too many calls, says the ingress or the provider.
    RateLimited,
    /// The upstream failed.
    Failed,
    /// The answer ended early.
    Cut,
    /// The answer could not be understood.
    Malformed,
    /// The upstream says that the request is wrong.
    Rejected,
    /// The upstream will not serve this call, and asking again does not help.
    Refused,
}

impl Outcome {
    /// Value of `error.type` and of `outcome` in error bodies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Cancelled => "cancelled",
            Self::NotApplicable => "not_applicable",
            Self::ConditionFailed => "condition_failed",
            Self::ModelUnknown => "model_unknown",
            Self::OutOfBounds => "out_of_bounds",
            Self::ContextExceeded => "context_exceeded",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::Failed => "failed",
            Self::Cut => "cut",
            Self::Malformed => "malformed",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
        }
    }

    /// Whether tokens may have been spent though none were seen: such calls are counted, by estimate if need be.
    pub fn spends(self) -> bool {
        matches!(
            self,
            Self::Ok | Self::Cancelled | Self::Timeout | Self::Cut | Self::Malformed
        )
    }
}
