//! The index's other half: what data planes say, and who runs what.

use std::{collections::BTreeMap, time::Duration};

use aios_proto::control::{
    Ack, ItemAck, ModelDemand, PipelineReport, Report, RunReport, WeightsReport,
};
use jiff::Timestamp;

use crate::{
    ca::{Expected, Heard, Papers},
    control::{
        Audience, Enforcement, Index, Key, Kind, Load, Offer, Pod, Seat, enforcement,
        tenant::Tenant,
    },
};

/// Pods named in a message.
const NAMED: usize = 5;

impl Index {
    pub fn pod(&mut self, namespace: &str, pod: Pod) {
        self.tenant(namespace).pods.insert(pod.uid.clone(), pod);
    }

    pub fn pod_gone(&mut self, namespace: &str, uid: &str) {
        if let Some(tenant) = self.tenants.get_mut(namespace) {
            tenant.pods.remove(uid);
            tenant.first_tokens.remove(uid);
            tenant.papers.remove(uid);
            tenant.acks.retain(|(pod, _), _| pod != uid);
        }
    }

    /// Records an acknowledgement. The items about which something new was said.
    pub fn acknowledge(&mut self, namespace: &str, uid: &str, seat: &Seat, ack: Ack) -> Vec<Key> {
        let said: BTreeMap<Key, ItemAck> = ack
            .items
            .into_iter()
            .filter_map(|item| Some((Key::new(Kind::of_wire(item.kind)?, &item.name), item)))
            .collect();
        let acks = &mut self.tenant(namespace).acks;
        let before = acks
            .insert((uid.to_owned(), seat.clone()), said.clone())
            .unwrap_or_default();
        said.into_iter()
            .filter(|(key, item)| before.get(key) != Some(item))
            .map(|(key, _)| key)
            .collect()
    }

    /// Records counts of a gateway's pod. The pipelines and the uids of runs whose counts changed.
    /// What a pod counted before another one that still runs did is no news.
    pub fn report(
        &mut self,
        namespace: &str,
        pod: &str,
        report: Report,
    ) -> (Vec<String>, Vec<String>) {
        let tenant = self.tenant(namespace);
        let (mut pipelines, mut runs) = (Vec::new(), Vec::new());
        let is_outrun = tenant.reported.as_ref().is_some_and(|(last, size)| {
            last != pod && *size > report.log_size && tenant.pods.contains_key(last)
        });
        if is_outrun {
            return (pipelines, runs);
        }
        tenant.reported = Some((pod.to_owned(), report.log_size));
        for counts in report.pipelines {
            let name = counts.pipeline.clone();
            if tenant.pipeline_reports.get(&name) != Some(&counts) {
                tenant.pipeline_reports.insert(name.clone(), counts);
                pipelines.push(name);
            }
        }
        for counts in report.runs {
            let uid = counts.run_uid.clone();
            if tenant.run_reports.get(&uid) != Some(&counts) {
                tenant.run_reports.insert(uid.clone(), counts);
                runs.push(uid);
            }
        }
        (pipelines, runs)
    }

    /// Records how far a model's weights are. Whether that is new.
    pub fn weights_came(&mut self, namespace: &str, model: &str, report: WeightsReport) -> bool {
        let reports = &mut self.tenant(namespace).weights_reports;
        reports.insert(model.to_owned(), report.clone()) != Some(report)
    }

    pub fn weights_report(&self, namespace: &str, model: &str) -> Option<&WeightsReport> {
        self.tenants.get(namespace)?.weights_reports.get(model)
    }

    /// Records which CAs the files of a pod's process name.
    pub fn papers_came(&mut self, (namespace, uid): (&str, &str), seat: &Seat, papers: Papers) {
        let of_pod = self.tenant(namespace).papers.entry(uid.to_owned());
        of_pod.or_default().insert(seat.clone(), papers);
    }

    /// How far the running pods are with what is expected of their files. Those that show and trust
    /// nothing count for nothing.
    pub fn heard(&self, expected: &Expected) -> Heard {
        let mut heard = Heard::default();
        for (namespace, tenant) in &self.tenants {
            let pods = tenant.pods.values();
            for pod in pods.filter(|pod| pod.speaks()) {
                let Some(said) = tenant.papers.get(&pod.uid) else {
                    heard.silent += 1;
                    continue;
                };
                if said.values().all(|papers| expected.is_met_by(papers)) {
                    continue;
                }
                heard.behind += 1;
                if heard.named.len() < NAMED {
                    heard.named.push(format!("{namespace}/{}", pod.name));
                }
            }
        }
        heard
    }

    /// Records that the engine of a pod gave its first token. Whether that is new.
    pub fn first_token_came(&mut self, namespace: &str, uid: &str, took: Duration) -> bool {
        let known = &mut self.tenant(namespace).first_tokens;
        known.insert(uid.to_owned(), took) != Some(took)
    }

    pub fn first_token(&self, namespace: &str, uid: &str) -> Option<Duration> {
        self.tenants.get(namespace)?.first_tokens.get(uid).copied()
    }

    /// Records what an egress asks of models. The models that may need another number of groups.
    pub fn demand(
        &mut self,
        namespace: &str,
        (pod, stream): (&str, u64),
        mut demands: Vec<ModelDemand>,
        now: Timestamp,
    ) -> Vec<String> {
        let models = &self.tenant(namespace).models;
        demands.retain(|demand| models.contains_key(&demand.model));
        let news = demands.into_iter().filter_map(|demand| {
            let name = demand.model.clone();
            let load = self.load(namespace, &name, now);
            load.tell(pod, stream, demand, now).then_some(name)
        });
        news.collect()
    }

    /// An egress's stream ended. The models that may need another number of groups.
    pub fn hung_up(
        &mut self,
        namespace: &str,
        (pod, stream): (&str, u64),
        now: Timestamp,
    ) -> Vec<String> {
        let loads = self
            .tenants
            .get_mut(namespace)
            .map(|tenant| &mut tenant.loads);
        let news = loads
            .into_iter()
            .flatten()
            .filter_map(|(name, load)| load.hung_up(pod, stream, now).then(|| name.clone()));
        news.collect()
    }

    /// What is asked of a model.
    pub fn load(&mut self, namespace: &str, model: &str, now: Timestamp) -> &mut Load {
        let loads = &mut self.tenant(namespace).loads;
        loads
            .entry(model.to_owned())
            .or_insert_with(|| Load::new(now))
    }

    pub fn pipeline_report(&self, namespace: &str, pipeline: &str) -> Option<&PipelineReport> {
        self.tenants.get(namespace)?.pipeline_reports.get(pipeline)
    }

    pub fn run_report(&self, namespace: &str, uid: &str) -> Option<&RunReport> {
        self.tenants.get(namespace)?.run_reports.get(uid)
    }

    /// How many data planes run the item as it is offered. A ClusterPolicySet counts in every
    /// namespace that it selects.
    pub fn enforcement(
        &self,
        namespace: &str,
        key: &Key,
        audience: Audience,
        now: Timestamp,
    ) -> Enforcement {
        let count =
            |tenant: &Tenant, item: &Offer| enforcement::count(tenant, key, item, audience, now);
        let Some(item) = self.offered(namespace, key) else {
            return Enforcement::default();
        };
        if key.kind == Kind::ClusterPolicy {
            let Some(policy) = self.mandatory.get(&key.name) else {
                return Enforcement::default();
            };
            let selected = self
                .tenants
                .iter()
                .filter(|(_, tenant)| policy.selects(&tenant.labels));
            return selected
                .map(|(namespace, tenant)| count(tenant, item).of(namespace))
                .fold(Enforcement::default(), Enforcement::merge);
        }
        self.tenants
            .get(namespace)
            .map_or_else(Enforcement::default, |tenant| count(tenant, item))
    }
}
