//! What the tenant signs about a published document.

use aios_audit as audit;

use super::{
    reason::Origin,
    slot::{Slot, SlotOrigin},
    state::{DecisionKind, State},
    writing::rules,
};

/// The statement's subject digest and predicate; none before the document was rendered. `tenant` is
/// filled in by whoever signs.
pub fn provenance(state: &State) -> Option<(audit::Hash, audit::Provenance)> {
    let version = state.version.as_ref()?;
    let material = state.material.as_ref()?;
    let verdict = version.verdict.as_ref()?;
    let predicate = audit::Provenance {
        tenant: String::new(),
        pipeline: state.pipeline.clone(),
        origin: match state.origin()? {
            Origin::Model => audit::Origin::Model,
            Origin::Edited => audit::Origin::Edited,
            Origin::Template => audit::Origin::Template,
        },
        template_digest: hash(&version.template),
        models: models(state),
        retrieved: material
            .passages
            .iter()
            .map(|passage| audit::Passage {
                id: passage.id.clone(),
                digest: hash(&passage.digest),
            })
            .collect(),
        policies: verdict
            .policies
            .iter()
            .map(|policy| audit::PolicyUse {
                name: policy.name.clone(),
                digest: audit::Hash(*policy.digest.as_bytes()),
            })
            .collect(),
        verdicts: state
            .verdicts
            .iter()
            .map(|judged| audit::Verdict {
                document_digest: audit::Hash(*judged.verdict.document.as_bytes()),
                action: judged.verdict.action.as_str().to_owned(),
                rules: rules(&judged.verdict),
                time_ms: judged.time_ms,
            })
            .collect(),
        reviews: state
            .decisions
            .iter()
            .map(|decision| audit::Review {
                reviewer: decision.by.clone(),
                decision: match decision.kind {
                    DecisionKind::Approved => audit::Decision::Approved,
                    DecisionKind::Rejected => audit::Decision::Rejected,
                    DecisionKind::Edited => audit::Decision::Edited,
                },
                document_digest: hash(&decision.digest),
                time_ms: decision.time_ms,
            })
            .collect(),
    };
    Some((hash(&version.digest), predicate))
}

fn models(state: &State) -> Vec<audit::ModelUse> {
    let mut uses: Vec<audit::ModelUse> = Vec::new();
    for slot in state.slots.values().filter_map(Slot::filled) {
        if let SlotOrigin::Model { deployment, digest } = &slot.origin {
            let model = audit::ModelUse {
                step: "draft".to_owned(),
                deployment: deployment.clone(),
                model: deployment.clone(),
                digest: hash(digest),
            };
            if !uses.contains(&model) {
                uses.push(model);
            }
        }
    }
    uses
}

/// A digest as it is; anything else by its own hash, so that no name is lost.
fn hash(text: &str) -> audit::Hash {
    text.strip_prefix("sha256:")
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_else(|| audit::sha256(text.as_bytes()))
}
