//! What others say of a document: questions that rules ask, and the answers that a caller fetched.
//! This room asks nobody; an answer is an input like any other, and its digest is in the verdict.

use std::collections::BTreeMap;

use aios_crds::moderation::TestModeration;
use serde::{Deserialize, Serialize};

use crate::digest::{Canonical, Digest};

/// Most categories of one answer.
pub const MAX_CATEGORIES: usize = 64;
/// A score of 1.
pub const FULL_SCORE: u32 = 1_000_000;

/// A question that a rule asks of somebody outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// What a model that judges texts says of one.
    Moderation {
        /// Name of the ModelDeployment.
        model: String,
        /// What it is to judge.
        text: String,
    },
}

/// One answer, as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Digest of the question.
    pub query: Digest,
    /// Who answered: digest of a model's weights, or the name of its deployment.
    pub by: String,
    /// What was said.
    pub answer: Answer,
}

/// What was said to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum Answer {
    /// To [`Query::Moderation`].
    Moderation {
        /// Whether the model itself objects.
        flagged: bool,
        /// Its scores in millionths, by category.
        scores: BTreeMap<String, u32>,
    },
}

/// Evidence that a verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceRef {
    /// The question.
    pub query: Digest,
    /// The answer, with who gave it.
    pub evidence: Digest,
}

/// Answers by question, and why some cannot be had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected(BTreeMap<Digest, Result<Evidence, String>>);

impl Query {
    /// Names the question: the same text asked of the same model.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Moderation { model, text } => Canonical::new("aios.dev/query/moderation/v1")
                .field(model.as_bytes())
                .field(text.as_bytes())
                .finish(),
        }
    }
}

impl Evidence {
    /// What a test, or an example, has models say to a question. The error says what it leaves out.
    pub fn told(said: &[TestModeration], query: &Query) -> Result<Self, String> {
        let Query::Moderation { model, .. } = query;
        let Some(said) = said.iter().find(|said| said.model == *model) else {
            return Err("the test has it say nothing: add it to `moderation`".to_owned());
        };
        let millionths = |percent: i32| percent.clamp(0, 100).unsigned_abs() * (FULL_SCORE / 100);
        let scores = said.scores.iter();
        Ok(Self {
            query: query.digest(),
            by: model.clone(),
            answer: Answer::Moderation {
                flagged: said.flagged,
                scores: scores
                    .map(|(name, score)| (name.clone(), millionths(*score)))
                    .collect(),
            },
        })
    }

    /// Names what was said, by whom, to which question.
    pub fn digest(&self) -> Digest {
        let Self { query, by, answer } = self;
        let head = Canonical::new("aios.dev/evidence/v1")
            .field(query.as_bytes())
            .field(by.as_bytes());
        match answer {
            Answer::Moderation { flagged, scores } => scores
                .iter()
                .fold(
                    head.field(&[u8::from(*flagged)]),
                    |digest, (name, score)| {
                        digest.field(name.as_bytes()).field(&score.to_be_bytes())
                    },
                )
                .finish(),
        }
    }

    /// What a verdict keeps of it.
    pub fn reference(&self) -> EvidenceRef {
        EvidenceRef {
            query: self.query,
            evidence: self.digest(),
        }
    }
}

impl Collected {
    /// Adds an answer.
    pub fn add(&mut self, evidence: Evidence) {
        self.0.insert(evidence.query, Ok(evidence));
    }

    /// Notes that a question has no answer. `why` says so without a word of the text.
    pub fn fail(&mut self, query: &Query, why: impl Into<String>) {
        self.0.insert(query.digest(), Err(why.into()));
    }

    /// The answer to a question, or why there is none; `None` while nobody was asked.
    pub(crate) fn get(&self, query: Digest) -> Option<Result<&Evidence, &str>> {
        let found = self.0.get(&query)?;
        Some(found.as_ref().map_err(String::as_str))
    }

    /// The answers that a verdict rests on, in its order: what to keep beside it.
    pub fn of(&self, used: &[EvidenceRef]) -> Vec<Evidence> {
        let found = used.iter().filter_map(|used| self.get(used.query));
        found.filter_map(Result::ok).cloned().collect()
    }
}

impl FromIterator<Evidence> for Collected {
    fn from_iter<I: IntoIterator<Item = Evidence>>(answers: I) -> Self {
        let answers = answers.into_iter();
        Self(answers.map(|one| (one.query, Ok(one))).collect())
    }
}
