//! The platform's GPU classes, from the file that the chart renders. Parsed once, at the start.

use std::{collections::BTreeMap, fs, io, path::Path};

use k8s_openapi::api::core::v1::Taint;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Taint of nodes whose class names none: what GPU operators and device plugins tolerate.
const DEFAULT_TAINT: &str = "nvidia.com/gpu";
/// Loading weights takes minutes: a node that serves is not moved, an empty one is soon given back.
const DEFAULT_POLICY: &str = "WhenEmpty";
const DEFAULT_AFTER: &str = "5m";
/// Together with `aios-` and a hash it is the value of a label.
const LONGEST_NAME: usize = 40;

/// Why the classes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClassError {
    #[error("cannot read the GPU classes in {path}: {error}")]
    File { path: String, error: io::Error },
    #[error("gpuClasses: {0}")]
    Json(#[from] serde_json::Error),
    #[error("gpuClasses: `{0}` is no DNS label of at most {LONGEST_NAME} characters")]
    Name(String),
    #[error("gpuClasses: there are two classes `{0}`")]
    Twice(String),
    #[error("gpuClasses: class `{0}` makes nodes with Karpenter: give it a nodeClass")]
    NoNodeClass(String),
    #[error("gpuClasses: class `{0}` is of existing nodes: give it labels that select them")]
    NoLabels(String),
    #[error("gpuClasses: class `{0}` is of existing nodes, which have no {1}: leave it out")]
    OnlyKarpenter(String, &'static str),
    #[error(
        "gpuClasses: headroom of class `{0}` is for no pod or no GPU: name at least 1, or leave it out"
    )]
    NoHeadroom(String),
}

/// Every class that the platform offers, by name.
#[derive(Clone, Debug, Default)]
pub struct GpuClasses(BTreeMap<String, GpuClass>);

#[derive(Clone, Debug, PartialEq)]
pub struct GpuClass {
    pub name: String,
    pub taints: Vec<Taint>,
    pub nodes: Nodes,
    pub headroom: Option<Headroom>,
}

/// Room that is kept free in each namespace whose models name the class.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Headroom {
    /// Pods that find it.
    pub pods: u16,
    /// GPUs of each.
    #[serde(default = "one")]
    pub gpus: u16,
}

fn one() -> u16 {
    1
}

#[derive(Clone, Debug, PartialEq)]
pub enum Nodes {
    /// Nodes that are there, selected by these labels.
    Existing {
        labels: BTreeMap<String, String>,
    },
    Karpenter(Box<Template>),
}

/// What a NodePool is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pub node_class: NodeClass,
    pub requirements: Vec<Requirement>,
    pub labels: BTreeMap<String, String>,
    /// Of each namespace.
    pub limits: BTreeMap<String, String>,
    pub disruption: Disruption,
}

/// The provider's template of nodes, as in `karpenter.k8s.aws` `EC2NodeClass`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeClass {
    pub group: String,
    pub kind: String,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requirement {
    pub key: String,
    pub operator: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Disruption {
    pub consolidation_policy: String,
    pub consolidate_after: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Value>,
}

impl Default for Disruption {
    fn default() -> Self {
        Self {
            consolidation_policy: DEFAULT_POLICY.into(),
            consolidate_after: DEFAULT_AFTER.into(),
            budgets: Vec::new(),
        }
    }
}

/// As it stands in the values.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    nodes: Source,
    node_class: Option<NodeClass>,
    #[serde(default)]
    requirements: Vec<Requirement>,
    #[serde(default)]
    capacity_types: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    taints: Option<Vec<Taint>>,
    #[serde(default)]
    limits: BTreeMap<String, Value>,
    disruption: Option<Disruption>,
    headroom: Option<Headroom>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
enum Source {
    #[default]
    Karpenter,
    Existing,
}

impl GpuClasses {
    /// The classes of a file, or none without a file.
    pub fn load(path: Option<&Path>) -> Result<Self, ClassError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let text = fs::read_to_string(path).map_err(|error| ClassError::File {
            path: path.display().to_string(),
            error,
        })?;
        Self::parse(&text)
    }

    /// A JSON list, as the chart's `gpuClasses`.
    pub fn parse(text: &str) -> Result<Self, ClassError> {
        let mut classes = BTreeMap::new();
        for written in serde_json::from_str::<Vec<Written>>(text)? {
            let class = GpuClass::try_from(written)?;
            if let Some(double) = classes.insert(class.name.clone(), class) {
                return Err(ClassError::Twice(double.name));
            }
        }
        Ok(Self(classes))
    }

    /// The class, or what to tell who asked for it.
    pub fn find(&self, name: &str) -> Result<&GpuClass, String> {
        self.0.get(name).ok_or_else(|| {
            if self.0.is_empty() {
                return format!(
                    "the platform offers no GPU class: `{name}` is to be added to gpuClasses in \
                     the values of the chart aios"
                );
            }
            let offered: Vec<_> = self.0.keys().map(|name| format!("`{name}`")).collect();
            format!(
                "the platform offers no GPU class `{name}`, but {}: name one of them, or leave \
                 gpu.class out",
                offered.join(", ")
            )
        })
    }

    /// Whether any class asks for headroom.
    pub fn offer_headroom(&self) -> bool {
        self.0.values().any(|class| class.headroom.is_some())
    }

    /// Whether any class needs Karpenter.
    pub fn need_karpenter(&self) -> bool {
        self.0.values().any(GpuClass::is_karpenter)
    }
}

impl GpuClass {
    pub fn is_karpenter(&self) -> bool {
        matches!(self.nodes, Nodes::Karpenter(_))
    }
}

impl TryFrom<Written> for GpuClass {
    type Error = ClassError;

    fn try_from(written: Written) -> Result<Self, ClassError> {
        let name = written.name;
        if !is_dns_label(&name) {
            return Err(ClassError::Name(name));
        }
        if let Some(room) = &written.headroom
            && (room.pods == 0 || room.gpus == 0)
        {
            return Err(ClassError::NoHeadroom(name));
        }
        let nodes = match written.nodes {
            Source::Existing => {
                let only_karpenter = [
                    ("nodeClass", written.node_class.is_some()),
                    ("requirements", !written.requirements.is_empty()),
                    ("capacityTypes", !written.capacity_types.is_empty()),
                    ("limits", !written.limits.is_empty()),
                    ("disruption", written.disruption.is_some()),
                ];
                if let Some((field, _)) = only_karpenter.into_iter().find(|(_, is_set)| *is_set) {
                    return Err(ClassError::OnlyKarpenter(name, field));
                }
                if written.labels.is_empty() {
                    return Err(ClassError::NoLabels(name));
                }
                Nodes::Existing {
                    labels: written.labels,
                }
            }
            Source::Karpenter => {
                let Some(node_class) = written.node_class else {
                    return Err(ClassError::NoNodeClass(name));
                };
                let mut requirements = written.requirements;
                if !written.capacity_types.is_empty() {
                    requirements.push(Requirement {
                        key: "karpenter.sh/capacity-type".into(),
                        operator: "In".into(),
                        values: written.capacity_types,
                    });
                }
                Nodes::Karpenter(Box::new(Template {
                    node_class,
                    requirements,
                    labels: written.labels,
                    limits: written.limits.into_iter().map(quantity).collect(),
                    disruption: written.disruption.unwrap_or_default(),
                }))
            }
        };
        let taints = written.taints.unwrap_or_else(|| {
            vec![Taint {
                key: DEFAULT_TAINT.into(),
                effect: "NoSchedule".into(),
                ..Taint::default()
            }]
        });
        Ok(Self {
            name,
            taints,
            nodes,
            headroom: written.headroom,
        })
    }
}

fn quantity((resource, amount): (String, Value)) -> (String, String) {
    let amount = match amount {
        Value::String(text) => text,
        other => other.to_string(),
    };
    (resource, amount)
}

fn is_dns_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=LONGEST_NAME).contains(&name.len())
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{GpuClasses, Nodes};

    #[test]
    fn a_class_of_karpenter_has_sensible_defaults() {
        let classes = GpuClasses::parse(
            r#"[{"name": "l4", "nodeClass": {"group": "g", "kind": "K", "name": "n"},
                "capacityTypes": ["spot"], "limits": {"nvidia.com/gpu": 4}}]"#,
        )
        .unwrap();
        let class = classes.find("l4").unwrap();
        assert_eq!(class.taints[0].key, "nvidia.com/gpu");
        let Nodes::Karpenter(template) = &class.nodes else {
            unreachable!()
        };
        assert_eq!(template.limits["nvidia.com/gpu"], "4");
        assert_eq!(template.disruption.consolidation_policy, "WhenEmpty");
        assert_eq!(template.requirements[0].values, ["spot"]);
        assert!(classes.need_karpenter());
    }

    #[test]
    fn existing_nodes_need_no_karpenter() {
        let classes = GpuClasses::parse(
            r#"[{"name": "rack", "nodes": "Existing", "labels": {"gpu": "l4"}, "taints": []}]"#,
        )
        .unwrap();
        assert!(!classes.need_karpenter());
        assert!(classes.find("rack").unwrap().taints.is_empty());
    }

    #[test]
    fn a_class_that_cannot_work_is_refused_with_the_remedy() {
        for (text, remedy) in [
            (r#"[{"name": "l4"}]"#, "give it a nodeClass"),
            (
                r#"[{"name": "l4", "nodes": "Existing"}]"#,
                "give it labels that select them",
            ),
            (
                r#"[{"name": "l4", "nodes": "Existing", "labels": {"a": "b"}, "limits": {"cpu": 1}}]"#,
                "no limits: leave it out",
            ),
            (r#"[{"name": "L4"}]"#, "no DNS label"),
            (
                r#"[{"name": "l4", "headroom": {"pods": 0}, "nodes": "Existing", "labels": {"a": "b"}}]"#,
                "name at least 1",
            ),
            (
                r#"[{"name": "a", "nodes": "Existing", "labels": {"a": "b"}},
                    {"name": "a", "nodes": "Existing", "labels": {"a": "b"}}]"#,
                "two classes `a`",
            ),
            (r#"[{"name": "a", "sort": "x"}]"#, "unknown field `sort`"),
        ] {
            let said = GpuClasses::parse(text).unwrap_err().to_string();
            assert!(said.contains(remedy), "{text}: {said}");
        }
    }

    #[test]
    fn an_unknown_class_is_told_with_those_that_are_offered() {
        let none = GpuClasses::default().find("l4").unwrap_err();
        assert!(none.contains("gpuClasses"), "{none}");
        let some = GpuClasses::parse(
            r#"[{"name": "rack", "nodes": "Existing", "labels": {"gpu": "l4"}}]"#,
        )
        .unwrap();
        let said = some.find("l4").unwrap_err();
        assert!(said.contains("`rack`"), "{said}");
    }
}
