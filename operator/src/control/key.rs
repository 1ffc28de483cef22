//! What an item is called, and which seat a data plane takes.

use aios_proto::control::{ItemKind, Role};

use crate::names::Component;

/// Kinds of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    ClusterPolicy,
    Policy,
    Model,
    Pipeline,
    Run,
}

/// An item of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub kind: Kind,
    pub name: String,
}

/// What a process of a data plane is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seat {
    Gateway,
    Worker,
    Egress,
    /// Before the model of this name.
    Ingress(String),
    /// Brings the weights of the model of this name.
    Prefetch(String),
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::ClusterPolicy,
        Self::Policy,
        Self::Model,
        Self::Pipeline,
        Self::Run,
    ];

    /// As manifests call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterPolicy => "ClusterPolicySet",
            Self::Policy => "PolicySet",
            Self::Model => "ModelDeployment",
            Self::Pipeline => "WritingPipeline",
            Self::Run => "WritingRun",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    pub fn of_wire(kind: i32) -> Option<Self> {
        match ItemKind::try_from(kind).ok()? {
            ItemKind::Policy => Some(Self::Policy),
            ItemKind::ClusterPolicy => Some(Self::ClusterPolicy),
            ItemKind::Pipeline => Some(Self::Pipeline),
            ItemKind::Model => Some(Self::Model),
            ItemKind::Run => Some(Self::Run),
            ItemKind::Unspecified => None,
        }
    }

    pub const fn to_wire(self) -> ItemKind {
        match self {
            Self::Policy => ItemKind::Policy,
            Self::ClusterPolicy => ItemKind::ClusterPolicy,
            Self::Pipeline => ItemKind::Pipeline,
            Self::Model => ItemKind::Model,
            Self::Run => ItemKind::Run,
        }
    }
}

impl Key {
    pub fn new(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
        }
    }
}

impl Seat {
    /// `model` is the name that an ingress or a prefetch says it works for.
    pub fn of_wire(role: i32, model: &str) -> Option<Self> {
        match Role::try_from(role).ok()? {
            Role::Gateway => Some(Self::Gateway),
            Role::Worker => Some(Self::Worker),
            Role::Egress => Some(Self::Egress),
            Role::Ingress => Some(Self::Ingress(model.to_owned())),
            Role::Prefetch => Some(Self::Prefetch(model.to_owned())),
            Role::Unspecified => None,
        }
    }

    /// Whether this seat needs an item.
    pub fn reads(&self, key: &Key) -> bool {
        match self {
            Self::Gateway => true,
            // An egress judges calls by the policies of its pipelines.
            Self::Worker | Self::Egress => key.kind != Kind::Run,
            Self::Ingress(model) => key.kind == Kind::Model && key.name == *model,
            Self::Prefetch(_) => false,
        }
    }

    /// The seat that enforces policy or admits calls in a pod of this component, if there is one.
    pub fn of_component(component: Component, model: Option<&str>) -> Option<Self> {
        match component {
            Component::Gateway => Some(Self::Gateway),
            Component::Worker => Some(Self::Worker),
            Component::Ingress | Component::Engine | Component::Standby | Component::Candidate => {
                Some(Self::Ingress(model?.to_owned()))
            }
            Component::Tenant | Component::Shard | Component::Prefetch | Component::Evaluation => {
                None
            }
        }
    }

    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::Egress => "egress",
            Self::Ingress(_) => "ingress",
            Self::Prefetch(_) => "prefetch",
        }
    }
}
