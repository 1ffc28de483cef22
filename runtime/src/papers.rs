//! The files by which a data plane is known and knows others, watched for changes: the operator is
//! told which CAs they name, and is shown each token that takes the place of the one before.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use aios_proto::control::{Papers, Renewal, up};
use rustls_pki_types::CertificateDer;
use tokio::time::{Interval, MissedTickBehavior, interval};
use x509_parser::{
    certificate::X509Certificate, extensions::ParsedExtension, prelude::FromDer as _,
};

/// How often the files are looked at. The kubelet takes longer to write them.
const LOOK: Duration = Duration::from_secs(3);

/// Paths of a process's files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub ca: Option<PathBuf>,
    /// Certificates that are shown to others, without their keys.
    pub certificates: Vec<PathBuf>,
    pub token: Option<PathBuf>,
}

/// What has been told of the files on one stream.
pub(crate) struct Watched {
    files: Files,
    papers_at: Vec<Option<SystemTime>>,
    papers: Option<Papers>,
    token_at: Option<SystemTime>,
    look: Interval,
}

impl Watched {
    /// The stream was opened with the token as it is by now.
    pub fn new(files: Files) -> Self {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            token_at: files.token.as_deref().and_then(written),
            papers_at: Vec::new(),
            papers: None,
            files,
            look,
        }
    }

    /// What is to be told next; waits until there is something. Losing the future loses nothing.
    pub async fn news(&mut self) -> up::Message {
        loop {
            self.look.tick().await;
            if let Some(papers) = self.new_papers() {
                return up::Message::Papers(papers);
            }
            if let Some(token) = self.new_token() {
                return up::Message::Renewal(Renewal { token });
            }
        }
    }

    fn new_papers(&mut self) -> Option<Papers> {
        let ca = self.files.ca.as_deref()?;
        let paths = self.files.certificates.iter().map(PathBuf::as_path);
        let stamps: Vec<_> = paths.chain([ca]).map(written).collect();
        if self.papers_at == stamps {
            return None;
        }
        let papers = match read(ca, &self.files.certificates) {
            Ok(papers) => papers,
            Err(error) => {
                // Half written, perhaps: looked at again.
                tracing::debug!(%error, "certificates");
                return None;
            }
        };
        self.papers_at = stamps;
        if self.papers.as_ref() == Some(&papers) {
            return None;
        }
        self.papers = Some(papers.clone());
        Some(papers)
    }

    fn new_token(&mut self) -> Option<String> {
        let path = self.files.token.as_deref()?;
        let stamp = written(path)?;
        if self.token_at == Some(stamp) {
            return None;
        }
        let token = fs::read_to_string(path).ok()?;
        self.token_at = Some(stamp);
        Some(token.trim().to_owned())
    }
}

/// Which CAs the files name.
fn read(ca: &Path, certificates: &[PathBuf]) -> std::io::Result<Papers> {
    let trusted = all(ca)?.iter().filter_map(|der| own_key(der)).collect();
    let mut shown = Vec::new();
    for path in certificates {
        // Only the first is the process's own. What cannot be told is told as nobody's.
        let issuer = all(path)?.first().and_then(|der| issuers_key(der));
        shown.push(issuer.unwrap_or_default());
    }
    Ok(Papers { trusted, shown })
}

fn all(path: &Path) -> std::io::Result<Vec<CertificateDer<'static>>> {
    let bytes = fs::read(path)?;
    rustls_pemfile::certs(&mut bytes.as_slice()).collect()
}

/// Subject key identifier, RFC 5280, 4.2.1.2.
fn own_key(der: &[u8]) -> Option<Vec<u8>> {
    extension(der, |extension| match extension {
        ParsedExtension::SubjectKeyIdentifier(key) => Some(key.0.to_vec()),
        _ => None,
    })
}

/// Authority key identifier, RFC 5280, 4.2.1.1.
fn issuers_key(der: &[u8]) -> Option<Vec<u8>> {
    extension(der, |extension| match extension {
        ParsedExtension::AuthorityKeyIdentifier(named) => {
            named.key_identifier.as_ref().map(|key| key.0.to_vec())
        }
        _ => None,
    })
}

fn extension(
    der: &[u8],
    wanted: impl Fn(&ParsedExtension<'_>) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut extensions = certificate.extensions().iter();
    extensions.find_map(|extension| wanted(extension.parsed_extension()))
}

fn written(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::read;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_certificate_names_the_ca_that_signed_it_among_those_that_are_trusted() {
        let (one, two) = (authority(), authority());
        let folder = tempfile::tempdir().unwrap();
        let (ca, leaf) = (folder.path().join("ca.crt"), folder.path().join("tls.crt"));
        std::fs::write(&ca, format!("{}{}", one.pem(), two.pem())).unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.use_authority_key_identifier_extension = true;
        let signed = params
            .signed_by(&KeyPair::generate().unwrap(), &two)
            .unwrap();
        std::fs::write(&leaf, signed.pem()).unwrap();
        let papers = read(&ca, &[leaf]).unwrap();
        assert_eq!(papers.trusted.len(), 2);
        assert_eq!(papers.shown, [papers.trusted[1].clone()]);
    }
}
