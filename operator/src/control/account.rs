//! Whose budget a book is of, and what it allows by what is in force.

use aios_budget::{Allowance, PeriodError};
use aios_crds::{
    budget::{Budget, RunBudget},
    policy_set::Quotas,
};
use aios_proto::{
    config::{ItemError, unpack},
    control::{BudgetScope, Item},
};
use jiff::Timestamp;
use serde::Deserialize;

use crate::control::{Index, Key, Kind, Offer};

/// Whose budget it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    pub namespace: String,
    pub kind: Kind,
    pub name: String,
    /// Of a run: another of its name begins anew.
    pub run_uid: Option<String>,
}

/// Why nothing is lent.
#[derive(Debug, thiserror::Error)]
pub enum NoAccount {
    #[error("{} `{name}` has no budget in force", kind.as_str())]
    NoBudget { kind: Kind, name: String },
    /// A run that is gone bounds nothing.
    #[error("the run is gone")]
    Gone,
    #[error(transparent)]
    Period(#[from] PeriodError),
    #[error(transparent)]
    Item(#[from] ItemError),
}

/// Of a configuration, what budgets are about.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Budgeted {
    budget: Option<Budget>,
}

#[derive(Deserialize)]
struct BudgetedRun {
    budget: Option<RunBudget>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BudgetedPolicy {
    quotas: Option<Quotas>,
    #[serde(default)]
    dry_run: bool,
}

impl Account {
    pub fn new(namespace: &str, kind: Kind, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            kind,
            name: name.to_owned(),
            run_uid: None,
        }
    }

    pub fn of_run(namespace: &str, name: &str, uid: &str) -> Self {
        Self {
            run_uid: Some(uid.to_owned()),
            ..Self::new(namespace, Kind::Run, name)
        }
    }

    /// The budget that a question from a namespace is about, as it is offered.
    pub fn find(
        index: &Index,
        namespace: &str,
        (scope, name): (BudgetScope, &str),
        now: Timestamp,
    ) -> Result<(Self, Allowance), NoAccount> {
        let key = Key::new(kind(scope), name);
        let none = || NoAccount::NoBudget {
            kind: key.kind,
            name: name.to_owned(),
        };
        let binds = key.kind != Kind::ClusterPolicy || index.platforms(namespace).contains(&key);
        let offer = index.offered(namespace, &key).filter(|_| binds);
        let Some(item) = offer.map(Offer::item) else {
            let is_gone = key.kind == Kind::Run && index.is_settled(namespace);
            return Err(if is_gone { NoAccount::Gone } else { none() });
        };
        if key.kind == Kind::Run {
            let run: BudgetedRun = unpack(&item)?;
            let budget = run.budget.ok_or_else(none)?;
            let account = Self::of_run(namespace, name, &item.owner_uid);
            return Ok((account, Allowance::of_run(&budget)));
        }
        let budget = budget(key.kind, &item)?.ok_or_else(none)?;
        let account = Self::new(namespace, key.kind, name);
        Ok((account, Allowance::of(&budget, now)?))
    }
}

fn budget(kind: Kind, item: &Item) -> Result<Option<Budget>, ItemError> {
    if matches!(kind, Kind::Policy | Kind::ClusterPolicy) {
        let policy: BudgetedPolicy = unpack(item)?;
        let quotas = policy.quotas.filter(|_| !policy.dry_run);
        return Ok(quotas.and_then(|quotas| quotas.budget));
    }
    let budgeted: Budgeted = unpack(item)?;
    Ok(budgeted.budget)
}

fn kind(scope: BudgetScope) -> Kind {
    match scope {
        BudgetScope::Pipeline => Kind::Pipeline,
        BudgetScope::Run => Kind::Run,
        BudgetScope::Model => Kind::Model,
        BudgetScope::Policy => Kind::Policy,
        BudgetScope::ClusterPolicy => Kind::ClusterPolicy,
    }
}
