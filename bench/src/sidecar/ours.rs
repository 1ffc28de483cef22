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
use serde_json::Value;

const NAMESPACE: &str = "bench";
/// Model before which an ingress stands in either file.
const MODEL: &str = "writer";

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
    /// `off` or `on`, with addresses in the place of `ENDPOINT` and `UPSTREAM`.
    ///
    /// # Errors
    /// When the file is not as expected.
    pub fn read(which: &str, endpoint: &str, upstream: &str) -> Result<Self> {
        let path = files::repository().join(format!("bench/sidecar/everything-{which}.json"));
        let text = fs::read_to_string(&path)?;
        let text = text
            .replace("ENDPOINT", endpoint)
            .replace("UPSTREAM", upstream);
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    fn snapshot(&self) -> Result<Snapshot> {
        let models = self.models.iter().map(|body| (ItemKind::Model, body));
        let policies = self.policies.iter();
        let policies = policies.map(|body| (ItemKind::ClusterPolicy, body));
        let pipelines = self.pipelines.iter().map(|body| (ItemKind::Pipeline, body));
        let items: Result<Vec<Item>> = models
            .chain(policies)
            .chain(pipelines)
            .map(|(kind, body)| {
                let owner = Owner {
                    name: body["name"].as_str().context("an item has no name")?.into(),
                    uid: "bench".into(),
                    generation: 1,
                };
                Ok(pack(kind, owner, body)?)
            })
            .collect();
        Ok(Snapshot {
            sequence: 1,
            items: items?,
        })
    }
}

/// One hop: the egress calls the model.
pub fn one_hop(folder: &Path, which: &str, ports: Ports) -> Result<(Everything, Arguments)> {
    let model = format!("http://127.0.0.1:{}", ports.model);
    let everything = Everything::read(which, &model, &model)?;
    let config = written(folder, &everything)?;
    let egress = arguments("egress", (ports.egress, ports.egress_admin), &config);
    let ingress = Vec::new();
    Ok((everything, Arguments { egress, ingress }))
}

/// Two hops: the egress calls an ingress, which calls the model and holds its key.
pub fn two_hops(folder: &Path, which: &str, ports: Ports) -> Result<(Everything, Arguments)> {
    let endpoint = format!("https://127.0.0.1:{}", ports.ingress);
    let model = format!("http://127.0.0.1:{}", ports.model);
    let everything = Everything::read(which, &endpoint, &model)?;
    let config = written(folder, &everything)?;
    let pki = Pki::new(folder)?;
    let (server, server_key) = pki.server()?;
    let (client, client_key) = pki.client()?;
    let key = folder.join("provider.key");
    fs::write(&key, "sk-bench")?;
    let ca = ["--ca-file".to_owned(), shown(&folder.join("ca.crt"))];
    let mut egress = arguments("egress", (ports.egress, ports.egress_admin), &config);
    egress.extend(ca.clone());
    egress.extend(named("--client-cert-file", &client));
    egress.extend(named("--client-key-file", &client_key));
    let mut ingress = arguments("ingress", (ports.ingress, ports.ingress_admin), &config);
    ingress.extend(ca);
    ingress.extend(named("--tls-cert-file", &server));
    ingress.extend(named("--tls-key-file", &server_key));
    ingress.extend(named("--provider-key-file", &key));
    ingress.extend(["--namespace", NAMESPACE, "--model", MODEL].map(str::to_owned));
    Ok((everything, Arguments { egress, ingress }))
}

fn arguments(role: &str, (listen, admin): (u16, u16), config: &Path) -> Vec<String> {
    let at = |port| format!("127.0.0.1:{port}");
    let mut arguments = vec![role.to_owned()];
    arguments.extend(["--listen".to_owned(), at(listen)]);
    arguments.extend(["--admin".to_owned(), at(admin)]);
    arguments.extend(named("--config-file", config));
    arguments
}

fn written(folder: &Path, everything: &Everything) -> Result<PathBuf> {
    let path = folder.join("config.json");
    fs::write(&path, snapshot_file::encode(&everything.snapshot()?)?)?;
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
    use super::Everything;

    #[test]
    fn the_committed_files_are_snapshots() {
        for which in ["off", "on"] {
            let address = "http://127.0.0.1:1";
            let everything = Everything::read(which, address, address).unwrap();
            let snapshot = everything.snapshot().unwrap();
            assert!(!snapshot.items.is_empty(), "{which}");
        }
    }
}
