//! One document and its inputs under all views, shared by every rule of every policy.

use std::{cell::OnceCell, collections::BTreeMap};

use crate::{
    compile::CompiledRule,
    document::Document,
    inputs::Inputs,
    rule::{
        Failure,
        cel::{Bindings, TextBindings},
        citations::Sources,
        facts::Known,
    },
    view::PartView,
};

/// What rules are run on.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) inputs: &'a Inputs<'a>,
    pub(crate) views: Vec<PartView<'a>>,
    known: OnceCell<Known>,
    sources: OnceCell<Sources>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(document: &'a Document, inputs: &'a Inputs<'a>) -> Self {
        let views = document.parts().iter().map(PartView::new).collect();
        Self {
            inputs,
            views,
            known: OnceCell::new(),
            sources: OnceCell::new(),
        }
    }

    /// The parts that a rule reads, in document order.
    pub(crate) fn parts(&self, rule: &CompiledRule) -> impl Iterator<Item = &PartView<'a>> {
        self.views.iter().filter(|view| rule.reads(&view.part.name))
    }

    /// Numbers that the inputs vouch for.
    pub(crate) fn known(&self) -> &Known {
        self.known.get_or_init(|| Known::from_inputs(self.inputs))
    }

    /// Texts that quotations may come from.
    pub(crate) fn sources(&self) -> &Sources {
        self.sources
            .get_or_init(|| Sources::from_inputs(self.inputs))
    }

    /// Values of the names in the rule's `cel`.
    pub(crate) fn bindings(&self, rule: &CompiledRule) -> Bindings<'_> {
        let counts: Vec<_> = self.parts(rule).map(PartView::counts).collect();
        let sum = |count: fn(&crate::view::Counts) -> u32| {
            counts.iter().map(count).fold(0, u32::saturating_add)
        };
        let texts = self
            .parts(rule)
            .map(|view| (view.part.name.as_str(), view.visible().text.as_str()));
        let text = TextBindings {
            parts: texts.collect::<BTreeMap<_, _>>(),
            words: sum(|counts| counts.words),
            characters: sum(|counts| counts.characters),
            sentences: sum(|counts| counts.sentences),
        };
        Bindings {
            text: Some(text),
            ..before_text(self.inputs)
        }
    }

    /// Whether the rule's `when` holds.
    pub(crate) fn applies(&self, rule: &CompiledRule) -> Result<bool, Failure> {
        applies(rule, self.inputs)
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
        text: None,
    }
}
