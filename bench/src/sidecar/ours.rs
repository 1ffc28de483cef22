//! The sidecar as the operator would start it, from a committed file: everything off, or everything on that
//! exists. One hop is an egress that calls the model itself; two are an egress and an ingress over mutual TLS.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use aios_e2e::files;
use aios_proto::{
    config::{Owner, pack},
    control::{Item, ItemKind, Snapshot},
    snapshot_file,
};
use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::features::{self, Feature};

const NAMESPACE: &str = "bench";
/// Model before which an ingress stands in either file.
const MODEL: &str = "writer";

/// What is configured.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// `everything-off.json`.
    Off,
    /// `everything-on.json`.
    On,
    /// Of that, some features.
    Only(&'static [Feature]),
    /// The same, and a rule that only the whole text can be judged by.
    WholeText(&'static [Feature]),
    /// A price, and late calls are sent a second time, or not.
    Rescue { is_hedged: bool },
}

/// What one of the committed files says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Everything {
    /// Name that requests ask for.
    pub model: String,
    /// What callers say in headers.
    pub headers: BTreeMap<String, String>,
    models: Vec<Value>,
    #[serde(default)]
    policies: Vec<Value>,
    pipelines: Vec<Value>,
}

/// Programs' arguments, and the files that they name.
pub struct Arguments {
    pub egress: Vec<String>,
    pub ingress: Vec<String>,
}

/// Where everybody listens.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub egress: u16,
    pub egress_admin: u16,
    pub ingress: u16,
    pub ingress_admin: u16,
    pub model: u16,
}

impl Everything {
    /// With addresses in the place of `ENDPOINT` and `UPSTREAM`.
    ///
    /// # Errors
    /// When the file is not as expected.
    pub fn read(which: &Which, endpoint: &str, upstream: &str) -> Result<Self> {
        let name = match which {
            Which::Off | Which::Rescue { .. } => "off",
            Which::On | Which::Only(_) | Which::WholeText(_) => "on",
        };
        let path = files::repository().join(format!("bench/sidecar/everything-{name}.json"));
        let text = fs::read_to_string(&path)?;
        let text = text
            .replace("ENDPOINT", endpoint)
            .replace("UPSTREAM", upstream);
        let named = || path.display().to_string();
        let mut file: Value = serde_json::from_str(&text).with_context(named)?;
        file = match which {
            Which::Off | Which::On => file,
            Which::Only(these) => features::only(file, these),
            Which::WholeText(these) => features::held_to_its_end(features::only(file, these)),
            Which::Rescue { is_hedged } => {
                let model = &mut file["models"][0];
                model["pricing"] = json!({"inputPerMillion": "0.15", "outputPerMillion": "0.60", "currency": "USD"});
                if *is_hedged {
                    model["resilience"]["hedge"] = json!({"afterPercentile": 95, "maxPercent": 5});
                }
                file
            }
        };
        serde_json::from_value(file).with_context(named)
    }

    fn snapshot(&self) -> Result<Snapshot> {
        let models = self.models.iter().map(|body| item(ItemKind::Model, body));
        let policies = self.policies.iter();
        let policies = policies.map(|body| item(ItemKind::ClusterPolicy, body));
        let mut items = models.chain(policies).collect::<Result<Vec<_>>>()?;
        for pipeline in &self.pipelines {
            let pipeline = pinned(pipeline.clone(), &items);
            items.push(item(ItemKind::Pipeline, &pipeline)?);
        }
        Ok(Snapshot { sequence: 1, items })
    }
}

/// The pipeline pins its policies as they are here.
fn pinned(mut pipeline: Value, items: &[Item]) -> Value {
    for pin in pipeline["policies"].as_array_mut().into_iter().flatten() {
        let is_it = |item: &&Item| {
            item.kind() == ItemKind::ClusterPolicy
                && Some(item.name.as_str()) == pin["name"].as_str()
        };
        if let Some(policy) = items.iter().find(is_it) {
            pin["digest"] = json!(policy.digest);
        }
    }
    pipeline
}

/// A body as the operator sends it.
pub fn item(kind: ItemKind, body: &Value) -> Result<Item> {
    let owner = Owner {
        name: body["name"].as_str().context("an item has no name")?.into(),
        uid: "bench".into(),
        generation: 1,
    };
    Ok(pack(kind, owner, body)?)
}

/// One hop: the egress calls the model.
pub fn one_hop(folder: &Path, which: &Which, ports: Ports) -> Result<(Everything, Arguments)> {
    let model = format!("http://127.0.0.1:{}", ports.model);
    let everything = Everything::read(which, &model, &model)?;
    let config = written(folder, &everything.snapshot()?)?;
    let egress = arguments("egress", (ports.egress, ports.egress_admin), &config);
    let ingress = Vec::new();
    Ok((everything, Arguments { egress, ingress }))
}

/// Two hops: the egress calls an ingress, which calls the model and holds its key.
pub fn two_hops(folder: &Path, which: &Which, ports: Ports) -> Result<(Everything, Arguments)> {
    let endpoint = format!("https://127.0.0.1:{}", ports.ingress);
    let model = format!("http://127.0.0.1:{}", ports.model);
    let everything = Everything::read(which, &endpoint, &model)?;
    let config = written(folder, &everything.snapshot()?)?;
    let secrets = Secrets::new(folder)?;
    let egress = secrets.egress((ports.egress, ports.egress_admin), &config);
    let ingress = secrets.ingress((ports.ingress, ports.ingress_admin), &config, MODEL);
    Ok((everything, Arguments { egress, ingress }))
}

/// What an egress and the ingresses of its namespace know each other by, and a provider's key.
pub struct Secrets {
    ca: PathBuf,
    server: (PathBuf, PathBuf),
    client: (PathBuf, PathBuf),
    key: PathBuf,
}

impl Secrets {
    pub fn new(folder: &Path) -> Result<Self> {
        let pki = Pki::new(folder)?;
        let key = folder.join("provider.key");
        fs::write(&key, "sk-bench")?;
        Ok(Self {
            ca: folder.join("ca.crt"),
            server: pki.server()?,
            client: pki.client()?,
            key,
        })
    }

    /// An egress that shows its namespace.
    pub fn egress(&self, ports: (u16, u16), config: &Path) -> Vec<String> {
        let mut egress = arguments("egress", ports, config);
        egress.extend(named("--ca-file", &self.ca));
        egress.extend(named("--client-cert-file", &self.client.0));
        egress.extend(named("--client-key-file", &self.client.1));
        egress
    }

    /// The ingress of a model, which takes calls of its namespace alone.
    pub fn ingress(&self, ports: (u16, u16), config: &Path, model: &str) -> Vec<String> {
        let mut ingress = arguments("ingress", ports, config);
        ingress.extend(named("--ca-file", &self.ca));
        ingress.extend(named("--tls-cert-file", &self.server.0));
        ingress.extend(named("--tls-key-file", &self.server.1));
        ingress.extend(named("--provider-key-file", &self.key));
        ingress.extend(["--namespace", NAMESPACE, "--model", model].map(str::to_owned));
        ingress
    }
}

pub fn arguments(role: &str, (listen, admin): (u16, u16), config: &Path) -> Vec<String> {
    let at = |port| format!("127.0.0.1:{port}");
    let mut arguments = vec![role.to_owned()];
    arguments.extend(["--listen".to_owned(), at(listen)]);
    arguments.extend(["--admin".to_owned(), at(admin)]);
    arguments.extend(named("--config-file", config));
    arguments
}

pub fn written(folder: &Path, snapshot: &Snapshot) -> Result<PathBuf> {
    let path = folder.join("config.json");
    fs::write(&path, snapshot_file::encode(snapshot)?)?;
    Ok(path)
}

fn named(flag: &str, path: &Path) -> [String; 2] {
    [flag.to_owned(), shown(path)]
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A certificate authority in a folder, as the operator mounts it.
struct Pki<'a> {
    folder: &'a Path,
    issuer: Issuer<'static, KeyPair>,
}

impl<'a> Pki<'a> {
    fn new(folder: &'a Path) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        fs::write(folder.join("ca.crt"), certificate.pem())?;
        let issuer = Issuer::new(params, key);
        Ok(Self { folder, issuer })
    }

    fn server(&self) -> Result<(PathBuf, PathBuf)> {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue("server", &params)
    }

    fn client(&self) -> Result<(PathBuf, PathBuf)> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        let uri = format!("spiffe://aios/ns/{NAMESPACE}");
        params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue("client", &params)
    }

    fn issue(&self, name: &str, params: &CertificateParams) -> Result<(PathBuf, PathBuf)> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let at = |suffix| self.folder.join(format!("{name}.{suffix}"));
        fs::write(at("crt"), certificate.pem())?;
        fs::write(at("key"), key.serialize_pem())?;
        Ok((at("crt"), at("key")))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Everything, Ports, Which, two_hops};
    use crate::sidecar::features::{PLAIN, STREAMED};

    #[test]
    fn the_committed_files_and_parts_of_them_are_snapshots() {
        let address = "http://127.0.0.1:1";
        let parts = PLAIN.into_iter().chain(STREAMED);
        let parts = parts.map(|case| Which::Only(case.features));
        let rescue = Which::Rescue { is_hedged: true };
        for which in parts.chain([Which::Off, Which::On, rescue]) {
            let everything = Everything::read(&which, address, address).unwrap();
            let snapshot = everything.snapshot().unwrap();
            assert!(!snapshot.items.is_empty(), "{which:?}");
        }
    }

    #[test]
    fn between_two_hops_each_proves_who_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let ports = Ports {
            egress: 1,
            egress_admin: 2,
            ingress: 3,
            ingress_admin: 4,
            model: 5,
        };
        let (_, arguments) = two_hops(folder.path(), &Which::On, ports).unwrap();
        let has = |arguments: &[String], flag: &str| {
            let at = arguments.iter().position(|argument| argument == flag);
            let file = at.and_then(|at| arguments.get(at + 1));
            file.is_some_and(|file| Path::new(file).is_file())
        };
        for flag in ["--client-cert-file", "--client-key-file", "--ca-file"] {
            assert!(has(&arguments.egress, flag), "{flag}");
        }
        for flag in ["--tls-cert-file", "--ca-file", "--provider-key-file"] {
            assert!(has(&arguments.ingress, flag), "{flag}");
        }
        assert!(arguments.ingress.contains(&"--namespace".to_owned()));
    }
}
