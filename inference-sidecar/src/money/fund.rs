//! What calls are paid from: the budgets of pipelines, runs, models and policies.

use std::sync::Arc;

use aios_crds::budget::{Budget, BudgetPeriod, Unit};
use aios_proto::{config::PolicyScope, control::BudgetScope};

/// One budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fund {
    pub scope: BudgetScope,
    /// Of the object that has it.
    pub name: String,
    pub unit: Unit,
    pub terms: Terms,
}

/// What is known of what a budget allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Terms {
    Known(Budget),
    /// The operator alone knows.
    Elsewhere,
}

/// The budgets that a call draws on, but for its model's. Cloned for each call, without a copy.
#[derive(Clone, Debug, Default)]
pub struct Funds {
    pub run: Option<Arc<Fund>>,
    /// From the narrowest to the widest.
    pub shared: Arc<[Arc<Fund>]>,
}

impl Funds {
    /// With the model's, from the narrowest to the widest: what finds no room in a narrow one is put aside
    /// in no wide one, where others may need it.
    pub fn with<'a>(&'a self, model: Option<&'a Arc<Fund>>) -> impl Iterator<Item = &'a Arc<Fund>> {
        self.run.iter().chain(model).chain(self.shared.iter())
    }
}

impl Fund {
    pub fn new(scope: BudgetScope, name: &str, budget: Budget) -> Arc<Self> {
        Arc::new(Self {
            scope,
            name: name.to_owned(),
            unit: budget.unit(),
            terms: Terms::Known(budget),
        })
    }

    /// Of a run, as a caller says.
    pub fn of_run(name: String, unit: Unit) -> Arc<Self> {
        Arc::new(Self {
            scope: BudgetScope::Run,
            name,
            unit,
            terms: Terms::Elsewhere,
        })
    }

    pub fn of_policy(scope: PolicyScope, name: &str, budget: Budget) -> Arc<Self> {
        let scope = match scope {
            PolicyScope::Cluster => BudgetScope::ClusterPolicy,
            PolicyScope::Namespace => BudgetScope::Policy,
        };
        Self::new(scope, name, budget)
    }

    /// As a metric's label says whose it is.
    pub fn scope(&self) -> &'static str {
        match self.scope {
            BudgetScope::Pipeline => "pipeline",
            BudgetScope::Run => "run",
            BudgetScope::Model => "model",
            BudgetScope::Policy => "policy",
            BudgetScope::ClusterPolicy => "cluster policy",
        }
    }

    /// Whose it is, for people.
    pub fn owner(&self) -> String {
        format!("{} `{}`", self.scope(), self.name)
    }

    /// What it allows, for people; empty where that is not known here.
    pub fn allows(&self) -> String {
        let Terms::Known(budget) = &self.terms else {
            return String::new();
        };
        let span = match budget.period {
            BudgetPeriod::Day => "day",
            BudgetPeriod::Month => "month",
        };
        format!(", {} a {span},", self.unit.say(budget.limit()))
    }

    /// What a person can do where it has no room.
    pub fn remedy(&self) -> String {
        let object = match self.scope {
            BudgetScope::Policy | BudgetScope::ClusterPolicy => "spec.quotas.budget",
            _ => "spec.budget",
        };
        let wait = match self.scope {
            BudgetScope::Run => "or lower max_tokens",
            _ => "lower max_tokens, or wait for the next period",
        };
        format!("raise {object}.{}, {wait}", self.unit.field())
    }
}
