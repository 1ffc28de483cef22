//! Bounds that a longer text can only break further: they stop a writer where they are broken, and nowhere
//! else, however the text is cut.
#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeMap, sync::Arc};

use aios_policy::{
    Class, CompiledPolicy, Evaluation, Inputs, PolicyStack, Pushed, StreamScanner, VerdictAction,
};
use common::{document, judge_all, policy};
use proptest::prelude::*;
use serde_json::{Value, json};

const WORDS: [&str; 14] = [
    "so",
    "it",
    "goes",
    "Größe",
    "10.5",
    "don't",
    "银行",
    "ไปธนาคาร",
    "e\u{301}te\u{301}",
    "👩\u{200d}👧",
    "🇩🇪🇫🇷",
    "...",
    "\r\n",
    "\u{200b}",
];

/// How a text went through a scanner.
struct Streamed {
    /// Bytes that had arrived when the writer was stopped.
    stopped: Option<usize>,
    released: usize,
    evaluation: Evaluation,
}

fn stream(policy: &Arc<CompiledPolicy>, pieces: &[&str]) -> Streamed {
    let stack = PolicyStack::new(vec![Arc::clone(policy)]);
    let labels = BTreeMap::from([("segment".to_owned(), "savings".to_owned())]);
    let inputs = Inputs {
        variables: &Value::Null,
        labels: &labels,
        language: "en",
        passages: &[],
        template: &[],
        step: aios_policy::Step::Final,
    };
    let mut scanner = StreamScanner::new(&stack, "text".parse().unwrap(), &inputs);
    let (mut arrived, mut stopped) = (0, None);
    for piece in pieces {
        arrived += piece.len();
        if let Pushed::Blocked(_) = scanner.push(piece) {
            stopped.get_or_insert(arrived);
        }
    }
    let released = scanner.released();
    let evaluation = scanner.finish().unwrap().evaluation;
    Streamed {
        stopped,
        released,
        evaluation,
    }
}

fn judge(policy: &Arc<CompiledPolicy>, text: &str) -> Evaluation {
    judge_all(
        &[Arc::clone(policy)],
        &document(&[("text", text)]),
        &Value::Null,
    )
}

fn pieces<'t>(text: &'t str, cuts: &[prop::sample::Index], step: usize) -> Vec<&'t str> {
    let cut = |cut: &prop::sample::Index| text.floor_char_boundary(cut.index(text.len() + 1));
    let even = (0..text.len()).step_by(step.min(text.len() + 1));
    let mut at: Vec<_> = cuts.iter().map(cut).collect();
    at.extend(even.map(|at| text.floor_char_boundary(at)));
    at.extend([0, text.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_bound_stops_a_text_where_it_is_broken_and_nowhere_else(
        bound in prop::sample::select(vec!["maxWords", "maxCharacters"]),
        most in 1..300_u32,
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..400),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
        step in prop_oneof![1..40_usize, 100..800_usize, Just(usize::MAX)],
    ) {
        let text = words.join(" ");
        let policy = policy("p", &json!([{"name": "r", "length": {bound: most}, "action": "Block"}]));
        prop_assert_eq!(policy.explain()[0].class, Class::Monotone);
        let streamed = stream(&policy, &pieces(&text, &cuts, step));
        prop_assert_eq!(streamed.released, 0);
        prop_assert_eq!(&streamed.evaluation, &judge(&policy, &text));

        let breaks = |end: usize| {
            let action = judge(&policy, &text[..text.floor_char_boundary(end)]).verdict.action;
            action == VerdictAction::Block
        };
        if let Some(stopped) = streamed.stopped {
            prop_assert!(breaks(stopped) && breaks(text.len()));
        }
        // Sizes are counted when the text has grown by a sixty-fourth, up to its last cluster.
        let early = text.len().saturating_sub(text.len() / 16 + 128);
        if early > 0 && breaks(early) {
            prop_assert!(streamed.stopped.is_some(), "{} bytes went on", text.len());
        }
    }
}
