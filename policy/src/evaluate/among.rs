//! Evaluation in rounds: what the rules must know of other people's records is asked for first.

use std::sync::Arc;

use super::{Evaluation, Judgement, Known, PolicyStack, applies};
use crate::{
    compile::{CompiledPolicy, CompiledRule},
    document::Document,
    evidence::{Collected, Query},
    inputs::Inputs,
    others::{Asked, Others},
    rule::leak::Identifiers,
    view::PartView,
};

impl PolicyStack {
    /// Judges a document as `evaluate_with` does, where it is known which values are other people's. They
    /// are asked about before evidence is: a text that is refused for them is shown to nobody.
    ///
    /// # Errors
    /// What must be asked first: give the answers to `Others::learn`, and call again. The text that goes on
    /// after redaction may ask again; no more than it has rounds.
    pub fn judge_among(
        &self,
        document: &Document,
        inputs: &Inputs<'_>,
        evidence: &Collected,
        others: &Others,
    ) -> Result<Judgement, Asked> {
        let weighed = self.weigh_among(document, inputs, evidence, others)?;
        Ok(weighed.into())
    }

    /// As `judge_among`, where nobody outside can be asked: a rule whose evidence is not there cannot run.
    ///
    /// # Errors
    /// As those of `judge_among`.
    pub fn conclude_among(
        &self,
        document: &Document,
        inputs: &Inputs<'_>,
        evidence: &Collected,
        others: &Others,
    ) -> Result<Evaluation, Asked> {
        let (evaluation, _) = self.weigh_among(document, inputs, evidence, others)?;
        Ok(evaluation)
    }

    /// As `conclude_among`, without any evidence.
    ///
    /// # Errors
    /// As those of `judge_among`.
    pub fn evaluate_among(
        &self,
        document: &Document,
        inputs: &Inputs<'_>,
        others: &Others,
    ) -> Result<Evaluation, Asked> {
        self.conclude_among(document, inputs, &Collected::default(), others)
    }

    fn weigh_among(
        &self,
        document: &Document,
        inputs: &Inputs<'_>,
        evidence: &Collected,
        others: &Others,
    ) -> Result<(Evaluation, Vec<Query>), Asked> {
        self.ask(document, inputs, others)?;
        let known = Known {
            evidence,
            others: Some(others),
        };
        let (evaluation, needs) = self.weigh(document, inputs, known);
        if let Some(redacted) = &evaluation.redacted {
            self.ask(redacted, inputs, others)?;
        }
        Ok((evaluation, needs))
    }

    /// What the rules of all policies look up in a batch, in order; those of policies that only report
    /// with them.
    pub fn identifiers(&self) -> Vec<Arc<Identifiers>> {
        let mut all: Vec<Arc<Identifiers>> = Vec::new();
        for one in self.all().flat_map(|policy| policy.identifiers()) {
            if all.iter().all(|known| known.id() != one.id()) {
                all.push(one);
            }
        }
        all
    }

    fn all(&self) -> impl Iterator<Item = &Arc<CompiledPolicy>> {
        self.policies.iter().chain(&self.dry)
    }

    fn ask(&self, document: &Document, inputs: &Inputs<'_>, others: &Others) -> Result<(), Asked> {
        let asks = |rule: &CompiledRule| {
            rule.checker.looks_up().is_some() && matches!(applies(rule, inputs), Ok(true))
        };
        let rules: Vec<_> = self
            .all()
            .flat_map(|policy| &policy.rules)
            .filter(|rule| asks(rule))
            .collect();
        if rules.is_empty() {
            return Ok(());
        }
        let mut asked = Asked::new();
        for view in document.parts().iter().map(PartView::new) {
            let readers = rules.iter().filter(|rule| rule.reads(&view.part.name));
            for identifiers in readers.filter_map(|rule| rule.checker.looks_up()) {
                identifiers.ask(&view, others, &mut asked);
            }
        }
        if asked.is_empty() { Ok(()) } else { Err(asked) }
    }
}

impl CompiledPolicy {
    /// Judges as `evaluate` does, where nothing is another's but what is known to be.
    pub fn evaluate_among(
        self: &Arc<Self>,
        document: &Document,
        inputs: &Inputs<'_>,
        others: &Others,
    ) -> Evaluation {
        self.conclude_among(document, inputs, &Collected::default(), others)
    }

    /// The same with evidence.
    pub fn conclude_among(
        self: &Arc<Self>,
        document: &Document,
        inputs: &Inputs<'_>,
        evidence: &Collected,
        others: &Others,
    ) -> Evaluation {
        let known = Known {
            evidence,
            others: Some(others),
        };
        self.alone(document, inputs, known).0
    }
}
