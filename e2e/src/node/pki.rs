//! The cluster's certificates, made anew for every cluster.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::{API_SERVICE_IP, NODE, NODE_IP};

/// One leaf certificate: file stem, common name, organisation, names it serves.
struct Leaf {
    file: &'static str,
    name: String,
    group: Option<&'static str>,
    serves: Vec<String>,
}

/// Writes `ca`, `front-proxy-ca`, the leaves and `service-accounts` as
/// `NAME.crt` and `NAME.key`.
pub fn write(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let ca = authority(folder, "ca")?;
    let front_proxy = authority(folder, "front-proxy-ca")?;
    for leaf in leaves() {
        sign(folder, &ca, &leaf)?;
    }
    sign(
        folder,
        &front_proxy,
        &client("front-proxy-client", "front-proxy-client", None),
    )?;
    let accounts = KeyPair::generate()?;
    write_secret(
        &folder.join("service-accounts.key"),
        &accounts.serialize_pem(),
    )?;
    fs::write(
        folder.join("service-accounts.pub"),
        accounts.public_key_pem(),
    )?;
    Ok(())
}

fn leaves() -> Vec<Leaf> {
    let api_server = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        API_SERVICE_IP,
        NODE_IP,
    ];
    vec![
        Leaf {
            file: "apiserver",
            name: "kube-apiserver".into(),
            group: None,
            serves: api_server.map(Into::into).to_vec(),
        },
        client(
            "apiserver-kubelet-client",
            "kube-apiserver-kubelet-client",
            Some("system:masters"),
        ),
        client("admin", "admin", Some("system:masters")),
        client(
            "kubelet",
            &format!("system:node:{NODE}"),
            Some("system:nodes"),
        ),
        client("controller-manager", "system:kube-controller-manager", None),
        client("scheduler", "system:kube-scheduler", None),
        client("proxy", "system:kube-proxy", None),
        client("coredns", "system:coredns", None),
    ]
}

fn client(file: &'static str, name: &str, group: Option<&'static str>) -> Leaf {
    Leaf {
        file,
        name: name.to_owned(),
        group,
        serves: Vec::new(),
    }
}

fn authority(folder: &Path, name: &str) -> Result<Issuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    fs::write(folder.join(format!("{name}.crt")), certificate.pem())?;
    write_secret(&folder.join(format!("{name}.key")), &key.serialize_pem())?;
    Ok(Issuer::new(params, key))
}

fn sign(folder: &Path, issuer: &Issuer<'_, KeyPair>, leaf: &Leaf) -> Result<()> {
    let mut params = CertificateParams::new(leaf.serves.clone())?;
    params
        .distinguished_name
        .push(DnType::CommonName, leaf.name.as_str());
    if let Some(group) = leaf.group {
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
    }
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = if leaf.serves.is_empty() {
        vec![ExtendedKeyUsagePurpose::ClientAuth]
    } else {
        vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ]
    };
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    fs::write(folder.join(format!("{}.crt", leaf.file)), certificate.pem())?;
    write_secret(
        &folder.join(format!("{}.key", leaf.file)),
        &key.serialize_pem(),
    )
}

fn write_secret(path: &Path, pem: &str) -> Result<()> {
    fs::write(path, pem)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_gets_a_certificate_and_a_key_that_only_root_reads() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        for leaf in leaves() {
            assert!(folder.path().join(format!("{}.crt", leaf.file)).is_file());
            let key = fs::metadata(folder.path().join(format!("{}.key", leaf.file))).unwrap();
            assert_eq!(key.permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn the_api_server_answers_to_the_loopback_the_host_forwards() {
        let leaves = leaves();
        let api_server = leaves.iter().find(|leaf| leaf.file == "apiserver").unwrap();
        assert!(api_server.serves.iter().any(|name| name == "127.0.0.1"));
    }
}
