//! What a caller is told when nobody answered.

use axum::response::Response;

use super::failure::Rejection;
use crate::{error::ApiError, face::Face, outcome::Outcome, shield::Shield};

/// Why nobody answered.
pub enum Unanswered {
    Refused(ApiError),
    /// Every route was reached, and every one says that the request is wrong.
    Rejected(Rejection),
}

impl Unanswered {
    /// What it is called.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(error) => error.code(),
            Self::Rejected(_) => Outcome::Rejected.as_str(),
        }
    }

    /// The same, with the words of servers judged: they can repeat what a model would have said.
    pub fn judged(self, shield: Option<&mut Shield>) -> Self {
        let Some(shield) = shield else {
            return self;
        };
        match self {
            Self::Refused(error) => Self::Refused(shield.failure(error)),
            Self::Rejected(Rejection { status, body }) => match shield.refusal(body) {
                Ok(body) => Self::Rejected(Rejection { status, body }),
                Err(error) => Self::Refused(error),
            },
        }
    }

    /// As the caller's dialect has it.
    pub fn into_answer(self, face: Face) -> Response {
        match self {
            Self::Refused(error) => face.refusal(error),
            Self::Rejected(rejection) => rejection.into_answer(face),
        }
    }
}
