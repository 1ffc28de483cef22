//! How often the rules of policies fire, as gateways say: kept by namespace, summed for those that hold
//! in several.

use std::collections::BTreeMap;

use aios_proto::control::PolicyReport;

use crate::control::{Index, Key, Kind};

/// What a policy did to texts since its rules are what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    pub texts: u64,
    /// By rule: texts on which it fired, and on which it could not run.
    pub rules: BTreeMap<String, (u64, u64)>,
}

impl Rates {
    fn add(&mut self, report: &PolicyReport) {
        self.texts += report.texts;
        for rule in &report.rules {
            let counts = self.rules.entry(rule.rule.clone()).or_default();
            counts.0 += rule.fired;
            counts.1 += rule.failed;
        }
    }
}

impl Index {
    /// Records what policies did, as the pod says whose counts were taken last. The policies of which
    /// that is new.
    pub fn policies_reported(
        &mut self,
        namespace: &str,
        pod: &str,
        reports: Vec<PolicyReport>,
    ) -> Vec<Key> {
        let Some(tenant) = self.tenants.get_mut(namespace) else {
            return Vec::new();
        };
        if tenant.reported.as_ref().is_none_or(|(last, _)| last != pod) {
            return Vec::new();
        }
        let reports = reports.into_iter().filter_map(|report| {
            let kind = Kind::of_wire(report.kind)?;
            Some((Key::new(kind, &report.name), report))
        });
        let mut news = Vec::new();
        for (key, report) in reports {
            if tenant.policy_reports.get(&key) != Some(&report) {
                tenant.policy_reports.insert(key.clone(), report);
                news.push(key);
            }
        }
        news
    }

    /// What the policy did as it is offered; a ClusterPolicySet in every namespace.
    pub fn rates(&self, namespace: &str, key: &Key) -> Rates {
        let mut rates = Rates::default();
        let Some(item) = self.offered(namespace, key) else {
            return rates;
        };
        let tenants = self
            .tenants
            .iter()
            .filter(|(name, _)| key.kind == Kind::ClusterPolicy || name.as_str() == namespace);
        for report in tenants.filter_map(|(_, tenant)| tenant.policy_reports.get(key)) {
            if report.digest == item.digest() {
                rates.add(report);
            }
        }
        rates
    }
}
