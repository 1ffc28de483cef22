//! The two kinds of policies, as one.

use std::{collections::BTreeMap, fmt::Debug};

use aios_compile::PolicySource;
use aios_crds::{ClusterPolicySet, PolicySet, PolicySetStatus};
use aios_proto::config::PolicyScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use crate::{control::Kind, status::Stated};

/// A kind of policy.
pub trait Policy:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    const KIND: Kind;
    const SCOPE: PolicyScope;

    fn source(&self) -> PolicySource<'_>;

    /// Labels of the namespaces that must obey; `None` for a namespace's own policy.
    fn selector(&self) -> Option<&BTreeMap<String, String>>;

    fn api(&self, client: Client, namespace: &str) -> Api<Self>;
}

impl Policy for PolicySet {
    const KIND: Kind = Kind::Policy;
    const SCOPE: PolicyScope = PolicyScope::Namespace;

    fn source(&self) -> PolicySource<'_> {
        (&self.spec).into()
    }

    fn selector(&self) -> Option<&BTreeMap<String, String>> {
        None
    }

    fn api(&self, client: Client, namespace: &str) -> Api<Self> {
        Api::namespaced(client, namespace)
    }
}

impl Policy for ClusterPolicySet {
    const KIND: Kind = Kind::ClusterPolicy;
    const SCOPE: PolicyScope = PolicyScope::Cluster;

    fn source(&self) -> PolicySource<'_> {
        (&self.spec).into()
    }

    fn selector(&self) -> Option<&BTreeMap<String, String>> {
        Some(&self.spec.namespace_selector.match_labels)
    }

    fn api(&self, client: Client, _: &str) -> Api<Self> {
        Api::all(client)
    }
}

impl Stated for PolicySet {
    type Status = PolicySetStatus;

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }
}

impl Stated for ClusterPolicySet {
    type Status = PolicySetStatus;

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }
}
