//! One document and its inputs under all views, shared by every rule of every policy.

use std::{cell::OnceCell, collections::BTreeMap};

use crate::{
    compile::CompiledRule,
    document::Document,
    inputs::Inputs,
    others::Others,
    rule::{
        Expression, Failure, Lexicon,
        cel::{Bindings, Size, Texts},
        citations::Sources,
        facts::{Known, KnownNames},
    },
    verdict::Finding,
    view::PartView,
};

/// What rules are run on.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) inputs: &'a Inputs<'a>,
    pub(crate) others: Option<&'a Others>,
    /// Terms that are looked for together.
    pub(crate) lexicon: Option<&'a Lexicon>,
    pub(crate) views: Vec<PartView<'a>>,
    known: OnceCell<Known>,
    known_names: OnceCell<KnownNames>,
    sources: OnceCell<Sources>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(document: &'a Document, inputs: &'a Inputs<'a>) -> Self {
        let views = document.parts().iter().map(PartView::new).collect();
        Self {
            inputs,
            others: None,
            lexicon: None,
            views,
            known: OnceCell::new(),
            known_names: OnceCell::new(),
            sources: OnceCell::new(),
        }
    }

    /// Of some of a text that is no JSON.
    pub(crate) fn of_window(window: &'a Document, inputs: &'a Inputs<'a>) -> Self {
        let views = window.parts().iter().map(PartView::of_window).collect();
        Self {
            views,
            ..Self::new(window, inputs)
        }
    }

    /// The same, where it is known what other people's records hold.
    pub(crate) fn among(self, others: Option<&'a Others>) -> Self {
        Self { others, ..self }
    }

    /// The same, where terms are looked for together.
    pub(crate) fn with(self, lexicon: Option<&'a Lexicon>) -> Self {
        Self { lexicon, ..self }
    }

    /// The parts that a rule reads, in document order.
    pub(crate) fn parts(&self, rule: &CompiledRule) -> impl Iterator<Item = &PartView<'a>> {
        self.views.iter().filter(|view| rule.reads(&view.part.name))
    }

    /// Numbers that the inputs vouch for.
    pub(crate) fn known(&self) -> &Known {
        self.known.get_or_init(|| Known::from_inputs(self.inputs))
    }

    /// Names that the inputs vouch for.
    pub(crate) fn known_names(&self) -> &KnownNames {
        self.known_names
            .get_or_init(|| KnownNames::from_inputs(self.inputs))
    }

    /// Texts that quotations may come from.
    pub(crate) fn sources(&self) -> &Sources {
        self.sources
            .get_or_init(|| Sources::from_inputs(self.inputs))
    }

    /// Whether the condition holds for the parts that the rule reads, behind what was found before.
    pub(crate) fn holds(
        &self,
        rule: &CompiledRule,
        condition: &Expression,
        findings: &[Finding],
    ) -> Result<bool, Failure> {
        let texts = RuleTexts { scene: self, rule };
        condition.holds(&Bindings {
            findings,
            texts: Some(&texts),
            ..before_text(self.inputs)
        })
    }

    /// Whether the rule's `when` holds.
    pub(crate) fn applies(&self, rule: &CompiledRule) -> Result<bool, Failure> {
        applies(rule, self.inputs)
    }
}

/// The parts that a rule reads, as its condition names them.
#[derive(Debug)]
struct RuleTexts<'s, 'a> {
    scene: &'s Scene<'a>,
    rule: &'s CompiledRule,
}

impl Texts for RuleTexts<'_, '_> {
    fn part(&self, name: &str) -> Option<&str> {
        let mut parts = self.scene.parts(self.rule);
        let part = parts.find(|view| view.part.name.as_str() == name);
        part.map(|view| view.visible().text.as_str())
    }

    fn parts(&self) -> BTreeMap<&str, &str> {
        let parts = self.scene.parts(self.rule);
        parts
            .map(|view| (view.part.name.as_str(), view.visible().text.as_str()))
            .collect()
    }

    fn size(&self, size: Size) -> u32 {
        let sizes = self.scene.parts(self.rule).map(|view| match size {
            Size::Words => view.words(),
            Size::Characters => view.characters(),
            Size::Sentences => view.sentences(),
        });
        sizes.fold(0, u32::saturating_add)
    }
}

/// Whether a rule's `when` holds: known before any text is.
pub(crate) fn applies(rule: &CompiledRule, inputs: &Inputs<'_>) -> Result<bool, Failure> {
    rule.when
        .as_ref()
        .map_or(Ok(true), |when| when.holds(&before_text(inputs)))
}

fn before_text<'a>(inputs: &Inputs<'a>) -> Bindings<'a> {
    Bindings {
        variables: inputs.variables,
        labels: inputs.labels,
        language: inputs.language,
        step: inputs.step,
        findings: &[],
        texts: None,
    }
}
