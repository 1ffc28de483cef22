//! `PolicySet` and `ClusterPolicySet`: what a text must and must not say before it may leave.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Conditions, Decimal, Duration, RuleFired,
    budget::Budget,
    check::{
        Citations, Disclosure, Facts, Injection, Language, Leak, Length, Links, Pattern, Pii,
        Require, Schema, Secrets, Style, Terms,
    },
    data_bounds::DataBounds,
    moderation::Moderation,
    policy_test::PolicyTest,
    status::{conditions_schema, never_observed},
};

/// Rules for every text of the pipelines that refer to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "aios.dev",
        version = "v1alpha1",
        kind = "PolicySet",
        doc = "Rules that every text of a pipeline must pass before it may leave.",
        namespaced,
        status = "PolicySetStatus",
        shortname = "polset",
        category = "aios",
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Ready\")].status"
        ),
        printcolumn(
            name = "Reason",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
        ),
        printcolumn(name = "Rules", type_ = "integer", json_path = ".status.rules"),
        printcolumn(name = "Enforced", type_ = "string", json_path = ".status.enforcedBy"),
        printcolumn(
            name = "Age",
            type_ = "date",
            json_path = ".metadata.creationTimestamp"
        ),
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySetSpec {
    /// The rules; every one is evaluated, the strictest action wins.
    #[schemars(length(min = 1, max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<Rule>,
    /// When a person must decide.
    #[serde(default)]
    pub review: Review,
    /// How much may be written under these rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quotas: Option<Quotas>,
    /// Whether the rules only report what they would do. What other policies say stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Which models may be told texts. In dry run all may.
    #[serde(default, skip_serializing_if = "DataBounds::is_open")]
    pub data: DataBounds,
    /// What the policy must say of fixed texts. While one says otherwise, a change is not enforced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub tests: Vec<PolicyTest>,
}

/// A PolicySet that the platform makes mandatory for the namespaces it selects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "aios.dev",
        version = "v1alpha1",
        kind = "ClusterPolicySet",
        doc = "Rules that the platform makes mandatory for the namespaces it selects.",
        status = "PolicySetStatus",
        shortname = "cpolset",
        category = "aios",
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Ready\")].status"
        ),
        printcolumn(
            name = "Reason",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
        ),
        printcolumn(name = "Rules", type_ = "integer", json_path = ".status.rules"),
        printcolumn(name = "Enforced", type_ = "string", json_path = ".status.enforcedBy"),
        printcolumn(
            name = "Age",
            type_ = "date",
            json_path = ".metadata.creationTimestamp"
        ),
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.rules.all(r, !has(r.terms) || !has(r.terms.listRef))",
    "message": "a ClusterPolicySet is of no namespace, and listRef leads to one: write terms.list out",
}]))]
pub struct ClusterPolicySetSpec {
    /// Namespaces that must obey, by label; empty selects all.
    #[serde(default)]
    pub namespace_selector: NamespaceSelector,
    /// The rules; every one is evaluated, the strictest action wins.
    #[schemars(length(min = 1, max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<Rule>,
    /// When a person must decide.
    #[serde(default)]
    pub review: Review,
    /// How much may be written under these rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quotas: Option<Quotas>,
    /// Whether the rules only report what they would do. What other policies say stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Which models may be told texts. In dry run all may.
    #[serde(default, skip_serializing_if = "DataBounds::is_open")]
    pub data: DataBounds,
    /// What the policy must say of fixed texts. While one says otherwise, a change is not enforced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub tests: Vec<PolicyTest>,
}

/// Selects namespaces by label equality.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespaceSelector {
    /// Labels that the namespace must carry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

/// One rule: a name, one check, what it reads, when it applies and what follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.terms), has(self.pattern), has(self.pii), has(self.leak), has(self.secrets), has(self.links), has(self.require), has(self.disclosure), has(self.length), has(self.style), has(self.language), has(self.facts), has(self.citations), has(self.schema), has(self.injection), has(self.moderation), has(self.cel)].filter(x, x).size() == 1",
    "message": "a rule makes exactly one check: set one of terms, pattern, pii, leak, secrets, links, require, disclosure, length, style, language, facts, citations, schema, injection, moderation, cel",
}, {
    "rule": "self.action != 'Redact' || has(self.terms) || has(self.pattern) || has(self.pii) || has(self.leak) || has(self.secrets)",
    "message": "action Redact needs a check with spans: terms, pattern, pii, leak or secrets",
}, {
    "rule": "self.action != 'Normalize' || has(self.style) || has(self.links)",
    "message": "action Normalize needs a check that can mend: style or links",
}, {
    "rule": "self.action != 'Revise' || !has(self.injection)",
    "message": "injection is found before a text is written: no revision mends it; set action Warn, Review or Block",
}, {
    "rule": "!has(self.instruction) || self.action == 'Revise'",
    "message": "only the model that is asked again is instructed: set action Revise, or leave instruction out",
}, {
    "rule": "!has(self.calls) || has(self.terms) || has(self.pattern) || has(self.pii) || has(self.secrets) || has(self.links)",
    "message": "a call is judged by what stands in it alone: set calls with terms, pattern, pii, secrets or links",
}, {
    "rule": "!has(self.calls) || self.action == 'Warn' || self.action == 'Redact' || self.action == 'Block'",
    "message": "a call waits for nobody: with calls set action Warn, Redact or Block",
}, {
    "rule": "!has(self.calls) || (!has(self.parts) && !has(self.when) && (!has(self.pii) || !has(self.pii.allowVariables)))",
    "message": "a call has no parts and no record: with calls leave out parts, when and pii.allowVariables",
}]))]
pub struct Rule {
    /// Name of the rule in verdicts, metrics and the audit log.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Parts it reads; all when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"), inner(length(min = 1, max = 63)))]
    pub parts: Vec<String>,
    /// CEL over `vars`, `labels`, `language` and `step`: the rule applies where it is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub when: Option<String>,
    /// Where calls of models are judged too, beside documents: on each call of the pipelines that the
    /// policy is for, a ClusterPolicySet on each of the namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub calls: Vec<CallSide>,
    /// What follows when the check fails.
    pub action: Action,
    /// What follows when the check itself cannot run.
    #[serde(default)]
    pub on_error: OnError,
    /// Words for the editor, and for the model when the action is Revise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub message: Option<String>,
    /// Words for the model alone, when the action is Revise; what `message` says when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub instruction: Option<String>,
    /// Words that must not occur.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// A regular expression that must not match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// Identifying data that must not occur.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pii: Option<Pii>,
    /// Values of other people of the batch that must not occur.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leak: Option<Leak>,
    /// Keys, tokens and passwords that must not occur.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Secrets>,
    /// Where links may lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Links>,
    /// Wording that must occur.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<Require>,
    /// That a machine wrote, told to readers and programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disclosure: Option<Disclosure>,
    /// Bounds on size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<Length>,
    /// How the text is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<Style>,
    /// The language of each paragraph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// Numbers must be known, and names where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// Quotations must be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub citations: Option<Citations>,
    /// Parts must be JSON of a schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
    /// Inputs must not speak to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injection: Option<Injection>,
    /// What a model that judges texts says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moderation: Option<Moderation>,
    /// CEL over `vars`, `labels`, `language`, `step`, `parts`, `text` and `findings` that must be true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub cel: Option<String>,
}

/// A side of a call of a model.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum CallSide {
    /// What the model is asked: a match never leaves the pod.
    Prompt,
    /// What it answers: a match never reaches who asked.
    Answer,
}

/// What follows when a check fails, mildest first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Action {
    /// Recorded; the text passes.
    Warn,
    /// What the check finds is mended as it says; the result is checked again.
    Normalize,
    /// The spans are replaced; the result is checked again.
    Redact,
    /// The model is asked again, with the rule's message.
    Revise,
    /// A person decides.
    Review,
    /// The document is refused.
    Block,
}

/// What follows when a check cannot run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnError {
    /// As if the check had failed with action Block.
    #[default]
    Closed,
    /// A person decides.
    Review,
    /// The text passes, and the verdict names the rule that could not run.
    Open,
}

/// When a person must decide, and how long they have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Review {
    /// Which documents.
    #[serde(default)]
    pub when: ReviewWhen,
    /// Percent of the documents that no rule holds which a person must see all the same. Which ones
    /// follows from their text: the same text is chosen again, or never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub sample_percent: Option<i32>,
    /// Time to decide; afterwards the document is rejected. Without it documents wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Duration>,
}

/// How much may be written under a policy. Of several policies the least counts; a policy that only
/// reports limits nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.documentsPerDay) || has(self.budget)",
    "message": "set documentsPerDay, budget or both: quotas that bound nothing are left out",
}]))]
pub struct Quotas {
    /// Documents that each pipeline accepts in a day of UTC, those of runs with the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub documents_per_day: Option<i32>,
    /// Most that the calls of a namespace may come to together: of a ClusterPolicySet all calls of each
    /// namespace that it selects, of a PolicySet those of the pipelines that name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

/// How much of a policy's budget is gone in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSpent {
    /// The namespace.
    pub namespace: String,
    /// As in `2026-11` or `2026-11-26`.
    pub period: String,
    /// What calls came to, as data planes say.
    pub spent: Decimal,
    /// What is spent or may be.
    pub committed: Decimal,
    /// ISO 4217 code; `tokens` where these are counted.
    pub currency: String,
}

/// Which documents a person must see.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum ReviewWhen {
    /// Those a rule with action Review names.
    #[default]
    Flagged,
    /// All.
    Always,
}

/// What the operator has seen of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicySetStatus {
    /// Generation these facts are about; -1 until the first visit.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// See docs/conditions.md.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Conditions,
    /// Digest of the compiled policy, `sha256:` and 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Revisions by which the operator's version of AIOS judges, as in `engine.2 pii.2 terms.2`. A data
    /// plane enforces the policy if its own are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Rules compiled.
    #[serde(default)]
    pub rules: i32,
    /// Texts that were judged under this digest, those on which it only reported with them. Rounded down to
    /// one digit, to two from 100 on; the metrics count exactly.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub texts: i64,
    /// Rules that fired on some of them or could not run, rounded in the same way. Not told where several
    /// operators share a ClusterPolicySet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub fired: Vec<RuleFired>,
    /// `n/m` data planes enforce this digest by these revisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforced_by: Option<String>,
    /// Of a ClusterPolicySet: what each operator's namespaces do, where several share the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub operators: Vec<OperatorSeen>,
    /// How much of the budget is gone in each namespace, where most is gone first; 32 at most. Not told
    /// where several operators share a ClusterPolicySet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["namespace"]))]
    pub budgets: Vec<NamespaceSpent>,
}

/// What an operator has seen of a policy in its namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperatorSeen {
    /// The operator's own namespace.
    pub name: String,
    /// Digest that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Revisions that it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Data planes that enforce it.
    #[serde(default)]
    pub enforcing: i32,
    /// Data planes that should.
    #[serde(default)]
    pub total: i32,
    /// A few pods that do not yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaiting: Vec<String>,
    /// A pod that refused it, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(count: &i64) -> bool {
    *count == 0
}

impl Default for PolicySetStatus {
    fn default() -> Self {
        Self {
            observed_generation: never_observed(),
            conditions: Conditions::default(),
            digest: None,
            engine: None,
            rules: 0,
            texts: 0,
            fired: Vec::new(),
            enforced_by: None,
            operators: Vec::new(),
            budgets: Vec::new(),
        }
    }
}
