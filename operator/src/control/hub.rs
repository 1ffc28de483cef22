//! The index behind a lock, with those who wait for it: streams by namespace, reconcilers by object.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use aios_proto::control::{Ack, ModelDemand, Report, StartReport, WeightsReport};
use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::{
    ca::Papers,
    control::{Index, Key, Kind, Load, Pod, Seat, index::Changes},
    names::Component,
    triggers::Triggers,
};

/// By a pod's uid, its streams and who is told when it is gone.
type Lines = HashMap<String, Vec<(u64, Arc<Notify>)>>;

pub struct Hub {
    index: Mutex<Index>,
    /// Bumped whenever a namespace was composed.
    versions: Mutex<HashMap<String, watch::Sender<u64>>>,
    triggers: Triggers,
    streams: AtomicU64,
    /// Streams that live: they end with the pod.
    lines: Mutex<Lines>,
    /// Told when papers came or pods went.
    papers: Notify,
}

/// One stream of a pod; dropping it forgets what the pod asked for.
pub struct Line<'a> {
    hub: &'a Hub,
    namespace: &'a str,
    pod: &'a str,
    stream: u64,
    gone: Arc<Notify>,
}

impl Hub {
    pub fn new(index: Index, triggers: Triggers) -> Self {
        Self {
            index: Mutex::new(index),
            versions: Mutex::default(),
            triggers,
            streams: AtomicU64::new(0),
            lines: Mutex::default(),
            papers: Notify::new(),
        }
    }

    /// A pod's stream begins.
    pub fn line<'a>(&'a self, namespace: &'a str, pod: &'a str) -> Line<'a> {
        let stream = self.streams.fetch_add(1, Relaxed);
        let gone = Arc::new(Notify::new());
        let mut lines = self.lines();
        let of_pod = lines.entry(pod.to_owned()).or_default();
        of_pod.push((stream, gone.clone()));
        Line {
            hub: self,
            namespace,
            pod,
            stream,
            gone,
        }
    }

    /// Looks at what is asked of a model.
    pub fn load<T>(
        &self,
        namespace: &str,
        model: &str,
        now: Timestamp,
        look: impl FnOnce(&mut Load) -> T,
    ) -> T {
        look(self.index().load(namespace, model, now))
    }

    /// Asks the index.
    pub fn read<T>(&self, ask: impl FnOnce(&Index) -> T) -> T {
        ask(&self.index())
    }

    /// Changes the index and wakes whom it concerns.
    pub fn change(&self, change: impl FnOnce(&mut Index) -> Changes) {
        let (changes, rested) = {
            let mut index = self.index();
            (change(&mut index), index.take_rested())
        };
        for (namespace, key) in &rested {
            self.look_at(namespace, key);
        }
        for (namespace, keys) in changes {
            for key in keys.iter().filter(|key| key.kind == Kind::Pipeline) {
                self.triggers.pipeline(&namespace, &key.name);
            }
            if keys.iter().any(|key| key.kind != Kind::Run) {
                self.triggers.offer(&namespace);
            }
            self.wake(&namespace);
        }
    }

    /// Whether everything that was listed at start has been looked at. If not, the object will be
    /// looked at again once it has.
    pub fn await_settled(&self, namespace: &str, key: &Key) -> bool {
        self.index().await_settled(namespace, key)
    }

    /// Before every list is complete: the namespace waits for this object.
    pub fn expect(&self, namespace: &str, key: Key) {
        self.index().expect(namespace, key);
    }

    /// Every namespace may be complete now.
    pub fn listed(&self) {
        self.index().listed();
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions
            .values()
            .for_each(|version| version.send_modify(|v| *v += 1));
    }

    /// A namespace comes to this operator.
    pub fn arrive(&self, namespace: &str) {
        self.index().arrive(namespace);
    }

    /// Everything in it is known.
    pub fn arrived(&self, namespace: &str) {
        self.change(|index| index.arrived(namespace));
    }

    /// A namespace is gone, or no longer this operator's: nothing of it is kept, and its streams look
    /// whether they may stay.
    pub fn lost(&self, namespace: &str) {
        self.index().forget(namespace);
        self.wake(namespace);
    }

    /// Changes of a namespace, for one stream.
    pub fn subscribe(&self, namespace: &str) -> watch::Receiver<u64> {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        // Namespaces come and go: senders that nobody listens to are dropped here.
        versions.retain(|held, sender| held == namespace || !sender.is_closed());
        versions
            .entry(namespace.to_owned())
            .or_insert_with(|| watch::channel(0).0)
            .subscribe()
    }

    pub fn acknowledged(&self, namespace: &str, uid: &str, seat: &Seat, ack: Ack) {
        let keys = self.index().acknowledge(namespace, uid, seat, ack);
        for key in keys.iter().filter(|key| speaks_for(seat, key)) {
            self.look_at(namespace, key);
        }
    }

    pub fn reported(&self, namespace: &str, pod: &str, mut report: Report) {
        let of_policies = std::mem::take(&mut report.policies);
        let (pipelines, runs, policies) = {
            let mut index = self.index();
            let (pipelines, uids) = index.report(namespace, pod, report);
            let runs = uids.iter().filter_map(|uid| index.run_name(namespace, uid));
            let runs = runs.collect::<Vec<_>>();
            let policies = index.policies_reported(namespace, pod, of_policies);
            (pipelines, runs, policies)
        };
        for key in &policies {
            match key.kind {
                Kind::Policy => self.triggers.policy(namespace, &key.name),
                Kind::ClusterPolicy => self.triggers.cluster_policy(&key.name),
                Kind::Model | Kind::Pipeline | Kind::Run => {}
            }
        }
        for name in &pipelines {
            self.triggers.pipeline(namespace, name);
        }
        for name in &runs {
            self.triggers.run(namespace, name);
        }
    }

    pub fn weights_came(&self, namespace: &str, model: &str, report: WeightsReport) {
        if self.index().weights_came(namespace, model, report) {
            self.triggers.model(namespace, model);
        }
    }

    /// An ingress asked its engine for one token.
    pub fn started(&self, (namespace, uid): (&str, &str), model: &str, report: StartReport) {
        let took = Duration::from_millis(report.first_token_ms);
        if self.index().first_token_came(namespace, uid, took) {
            self.triggers.model(namespace, model);
        }
    }

    /// A process said which CAs its files name.
    pub fn papers_came(&self, pod: (&str, &str), seat: &Seat, papers: Papers) {
        self.index().papers_came(pod, seat, papers);
        self.papers.notify_one();
    }

    /// Waits until papers came or a pod went, since it was last waited for. For one alone.
    pub async fn papers_changed(&self) {
        self.papers.notified().await;
    }

    pub fn pod(&self, namespace: &str, pod: Pod) {
        let (component, model) = (pod.component, pod.model.clone());
        self.index().pod(namespace, pod);
        self.pods_changed(namespace, component, model.as_deref());
    }

    pub fn pod_gone(&self, namespace: &str, pod: &Pod) {
        self.index().pod_gone(namespace, &pod.uid);
        for (_, gone) in self.lines().get(&pod.uid).into_iter().flatten() {
            gone.notify_one();
        }
        self.papers.notify_one();
        self.pods_changed(namespace, pod.component, pod.model.as_deref());
    }

    fn pods_changed(&self, namespace: &str, component: Component, model: Option<&str>) {
        let Some(seat) = Seat::of_component(component, model) else {
            return;
        };
        let keys = self.read(|index| index.keys(namespace));
        for key in keys
            .iter()
            .filter(|key| seat.reads(key) && speaks_for(&seat, key))
        {
            self.look_at(namespace, key);
        }
    }

    /// Reconciles the object of an item, and those whose status tells of it.
    fn look_at(&self, namespace: &str, key: &Key) {
        match key.kind {
            Kind::Policy => self.triggers.policy(namespace, &key.name),
            Kind::ClusterPolicy => self.triggers.cluster_policy(&key.name),
            Kind::Model => self.triggers.model(namespace, &key.name),
            Kind::Pipeline => self.triggers.pipeline(namespace, &key.name),
            Kind::Run => self.triggers.run(namespace, &key.name),
        }
        if matches!(key.kind, Kind::Policy | Kind::ClusterPolicy) {
            let pipelines = self.read(|index| index.pipelines_with(namespace, key));
            for name in &pipelines {
                self.triggers.pipeline(namespace, name);
            }
        }
    }

    fn wake(&self, namespace: &str) {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = versions.get(namespace) {
            version.send_modify(|version| *version += 1);
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line<'_> {
    /// What the pod asks of models.
    pub fn demands(&self, demands: Vec<ModelDemand>, now: Timestamp) {
        let pod = (self.pod, self.stream);
        let models = self.hub.index().demand(self.namespace, pod, demands, now);
        self.look_at(&models);
    }

    /// Waits until the pod is gone.
    pub async fn cut(&self) {
        self.gone.notified().await;
    }

    fn look_at(&self, models: &[String]) {
        for name in models {
            self.hub.triggers.model(self.namespace, name);
        }
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let mut lines = self.hub.lines();
        if let Some(of_pod) = lines.get_mut(self.pod) {
            of_pod.retain(|(stream, _)| *stream != self.stream);
            if of_pod.is_empty() {
                lines.remove(self.pod);
            }
        }
        drop(lines);
        let pod = (self.pod, self.stream);
        let models = self
            .hub
            .index()
            .hung_up(self.namespace, pod, Timestamp::now());
        self.look_at(&models);
    }
}

/// Whether what this seat says of an item shows in a status.
fn speaks_for(seat: &Seat, key: &Key) -> bool {
    match (seat, key.kind) {
        (Seat::Gateway, kind) => kind != Kind::Model,
        // A pod runs a policy once the last of its processes does.
        (Seat::Worker | Seat::Egress, Kind::Policy | Kind::ClusterPolicy) => true,
        (Seat::Ingress(model), Kind::Model) => *model == key.name,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Kind, Seat, speaks_for};

    #[test]
    fn whoever_is_the_last_of_a_pod_to_run_a_policy_has_its_status_looked_at() {
        for kind in [Kind::Policy, Kind::ClusterPolicy] {
            let key = Key::new(kind, "p");
            for seat in [Seat::Gateway, Seat::Worker, Seat::Egress] {
                assert!(speaks_for(&seat, &key), "{seat:?}");
            }
            assert!(!speaks_for(&Seat::Ingress("m".to_owned()), &key));
        }
    }
}
