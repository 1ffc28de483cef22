//! Condition types and reasons: closed sets, tabled in `docs/conditions.md`.

/// Declares a closed set of words with a sentence for each.
macro_rules! closed_set {
    ($(#[$meta:meta])* $name:ident { $($variant:ident: $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $(#[doc = $text] $variant,)+ }

        impl $name {
            /// Every word, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word as it stands in a condition.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// The word in a condition, if it is one of these.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }

            /// What it says, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

closed_set! {
    /// Truth of a condition.
    State {
        True: "It holds.",
        False: "It does not hold.",
        Unknown: "Whether it holds is not known yet.",
    }
}

closed_set! {
    /// Types of conditions. True is healthy for all but `Reconciling` and `Stalled`.
    ConditionType {
        Ready: "The object does what its spec says.",
        Reconciling: "Work is under way (kstatus).",
        Stalled: "No progress without a change by a person (kstatus).",
        CredentialsReady: "The Secrets with the provider's key or the weights' credentials exist and hold their keys.",
        NodePoolReady: "Every pod of the model has an initialized node of its GPU class.",
        WeightsReady: "The weights and adapters are on their volumes and their digests are right.",
        ShardsReady: "As many groups as desired answer.",
        StandbyWarm: "As many standby groups as desired are loaded.",
        EndpointReachable: "The model's Service has endpoints that enforce the configuration.",
        RolloutHealthy: "The revision that the spec makes takes all calls, and the evaluation can be carried out.",
        SLOMet: "What was measured last is within spec.slo. It is advice: Ready does not depend on it.",
        Compiled: "The policy compiles.",
        TestsPassed: "The policy says of its own tests' texts what they expect.",
        Enforced: "Every data plane of its namespaces runs this digest, by the same revisions of the checks.",
        ModelsReady: "Every model that a route names exists and is ready.",
        PoliciesEnforced: "Every policy of the pipeline is enforced.",
        RetrievalReady: "Every source is indexed.",
        TriggersReady: "Every trigger starts its runs when their time comes, or is held back by the spec.",
        Serving: "The namespace's gateway runs this configuration.",
        BudgetAvailable: "The budget has room for what calls may come to, and every model has a price in its currency, if it counts money. It is advice: Ready does not depend on it.",
        AuditVerified: "The last signed head of the tenant's log extends the one before.",
        Admitted: "The queue has admitted the run's workers.",
        Drafted: "Every item is past its draft.",
        Finished: "Every item is published, refused or waiting for a person, however the run ended.",
        Succeeded: "The run finished and no item was lost to a failure.",
    }
}

closed_set! {
    /// Reasons of conditions.
    Reason {
        Ready: "All is as the spec says.",
        Progressing: "Work is under way.",
        InvalidSpec: "The spec cannot be compiled; the message names path, column and remedy.",
        LastKnownGood: "The spec cannot be compiled or fails its own tests; the last good configuration stays in force.",
        TestsFailed: "The policy fails its own tests; the message names the test and what it says instead.",
        ReferenceNotFound: "An object that the spec names does not exist.",
        CredentialsMissing: "The Secret or its key does not exist.",
        GpuClassUnknown: "The platform does not offer the GPU class; the message names those it offers.",
        KarpenterMissing: "The GPU class makes nodes with Karpenter, which is not installed.",
        NodesProvisioning: "Nodes are on their way; the message says how far they are.",
        NodesUnavailable: "No node comes; the message says why and what to change.",
        WeightsDownloading: "The weights are being fetched or checked; the message says how far.",
        WeightsInvalid: "The weights are not those that the digest names.",
        WeightsUnavailable: "The weights cannot be fetched or read; it is tried again.",
        PodsNotReady: "Pods are not ready yet.",
        NoEndpoints: "No pod of the Service is ready.",
        ScaledToZero: "No group runs; where calls are held, the next one wakes a group.",
        Scaling: "Groups that demand asked for are starting; calls wait for them.",
        RevisionStarting: "Groups of a new revision are starting beside the old one, which takes the calls.",
        Evaluating: "A new revision answers the evaluation's inputs before it takes more calls.",
        RollingOut: "A new revision takes a part of the calls; the message says how many.",
        EvaluationFell: "A new revision answered the evaluation worse than the old one or the bound; it takes no calls. The message names the inputs.",
        EvaluationInvalid: "The evaluation cannot be carried out as it is written; the message says what to change.",
        EvaluationFailed: "The evaluation could not be carried out; it is tried again.",
        WithinObjective: "What was measured last is within the objective.",
        ObjectiveMissed: "What was measured last is not within the objective; the message says by how much, and which part took longest.",
        NotMeasured: "Nothing that the objective is about was measured yet.",
        WithinBudget: "The last call that asked for a part of the budget was given one.",
        BudgetExhausted: "The budget has no room for a call that asked; calls are refused until it is raised, others give back or the period turns.",
        ModelsUnpriced: "A model that a route names has no price in the budget's currency; calls to it are refused. The message names it.",
        ModelsNotReady: "A model of the pipeline is not ready.",
        PoliciesNotEnforced: "A policy of the pipeline is not enforced by every data plane.",
        NothingToEnforce: "No data plane uses the policy.",
        AwaitingDataPlane: "A data plane has not confirmed the digest, or judges by other revisions; the message names it.",
        Refused: "A data plane refused the configuration; the message says why.",
        GatewayNotReady: "The gateway's pod is not ready.",
        StoreConflict: "The namespace's documents are in another store than its Secret says; the message says how to mend it.",
        NameTaken: "A WritingRun that is not the trigger's has the name of its next run; the message names it.",
        NoLogYet: "The gateway has not shown a head yet.",
        LogForked: "A head does not extend the one before: the log was bent.",
        Suspended: "The run, or every trigger of the pipeline, is held back by the spec.",
        KueueMissing: "The pipeline names a queue and Kueue is not installed.",
        Queued: "The run's workers wait in their queue; the message says for what.",
        QuotaReserved: "The queue has quota for the run's workers; its admission checks are not passed yet.",
        Evicted: "The queue took the run's workers away again; they wait for their next turn.",
        Deactivated: "The run's Workload is switched off, by a person or by a limit of Kueue's.",
        Inadmissible: "The queue cannot admit the run's workers as things stand; the message says why.",
        Waiting: "Items wait for a person.",
        Running: "Items are under way.",
        Completed: "Every item ended.",
        ItemsFailed: "Items were lost to a failure.",
        DeadlineExceeded: "The run's deadline passed before every item was begun; the others are refused.",
        ServedByAnother: "Another operator serves the namespace, which this one selects, too, and has not looked at the object; the message names it.",
        ApiError: "The Kubernetes API refused a request; it is tried again.",
    }
}

#[cfg(test)]
mod tests {
    use super::{ConditionType, Reason};

    #[test]
    fn words_are_unique() {
        let mut types: Vec<_> = ConditionType::ALL.iter().map(|t| t.as_str()).collect();
        let mut reasons: Vec<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        let (t, r) = (types.len(), reasons.len());
        types.sort_unstable();
        types.dedup();
        reasons.sort_unstable();
        reasons.dedup();
        assert_eq!((types.len(), reasons.len()), (t, r));
    }
}
