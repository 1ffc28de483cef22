//! The engine under the profile, ready to judge.

use std::{collections::BTreeMap, sync::Arc};

use aios_crds::policy_set::{Review, Rule};
use aios_policy::{
    CompiledPolicy, Document, Inputs, Part, PartName, PolicyStack, Verdict, VerdictAction,
};
use aios_policy_testset::profile::{self, Email};
use anyhow::{Result, bail, ensure};
use serde_json::Value;

pub struct Judge {
    stack: PolicyStack,
    variables: Value,
    labels: BTreeMap<String, String>,
}

impl Judge {
    pub fn new(terms: usize) -> Result<Self> {
        let policy = compile("profile", &profile::rules(terms)?)?;
        Ok(Self::by(vec![Arc::new(policy)]))
    }

    /// By the profile's terms alone, divided among so many policies.
    pub fn of_terms(policies: usize) -> Result<Self> {
        let all = profile::terms(profile::TERMS);
        let lists = all.chunks(all.len().div_ceil(policies.max(1)).max(1));
        let divided = lists.map(|list| -> Result<_> {
            let mut rules = profile::rules(1)?;
            rules.retain_mut(|rule| match &mut rule.terms {
                Some(terms) => {
                    terms.list = list.to_vec();
                    true
                }
                None => false,
            });
            Ok(Arc::new(compile("terms", &rules)?))
        });
        Ok(Self::by(divided.collect::<Result<_>>()?))
    }

    fn by(policies: Vec<Arc<CompiledPolicy>>) -> Self {
        Self {
            stack: PolicyStack::new(policies),
            variables: profile::variables(),
            labels: profile::labels(),
        }
    }

    pub fn verdict(&self, document: &Document, email: Email) -> Verdict {
        let inputs = Inputs {
            variables: &self.variables,
            labels: &self.labels,
            language: email.language,
            passages: &[],
            template: &[],
            step: aios_policy::Step::Final,
        };
        self.stack.evaluate(document, &inputs).verdict
    }

    /// Fails where the profile does not let its own e-mail pass.
    pub fn check(&self, document: &Document, email: Email) -> Result<()> {
        let verdict = self.verdict(document, email);
        ensure!(
            verdict.action == VerdictAction::Pass,
            "the profile's {} e-mail is not clean: {verdict:?}",
            email.name
        );
        Ok(())
    }
}

/// Rules of the profile.
pub fn compile(name: &str, rules: &[Rule]) -> Result<CompiledPolicy> {
    match CompiledPolicy::compile(name, rules, &Review::default()) {
        Ok(policy) => Ok(policy),
        Err(mistakes) => bail!("the rules of {name} do not compile: {mistakes:?}"),
    }
}

/// Subject and text as a document.
pub fn document(subject: &str, text: &str) -> Result<Document> {
    let part = |name: &str, text: &str| -> Result<Part> {
        let name: PartName = name.parse()?;
        Ok(Part {
            kind: name.kind(),
            name,
            text: text.to_owned(),
        })
    };
    Ok(Document::new(vec![
        part("subject", subject)?,
        part("text", text)?,
    ])?)
}
