//! Issues certificates: ECDSA P-256, signed by the operator's CA.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
    date_time_ymd,
};
use sha2::{Digest, Sha256};
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    pem::Pem,
};

use crate::ca::{KeyId, Seen, renewal::renewal_of};

/// Life of the CA.
const CA_LIFE: Duration = Duration::from_hours(10 * 365 * 24);
/// Life of every other certificate.
const LEAF_LIFE: Duration = Duration::from_hours(90 * 24);
/// Nodes whose clocks run behind must not refuse a fresh certificate.
const SKEW: Duration = Duration::from_mins(5);

#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("{0}")]
    Rcgen(#[from] rcgen::Error),
    #[error(
        "the Secret of the CA holds no certificate and key: delete it to have a new CA made, \
             which replaces every certificate"
    )]
    Unreadable,
    #[error("the certificate of the CA names no key")]
    Nameless,
    #[error("the clock is before 1970")]
    Clock,
}

/// Whom a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A server, by DNS names.
    Server(Vec<String>),
    /// A client, by URI.
    Client(String),
}

/// A certificate and its key, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

/// The CA.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    /// Its certificate and those that are trusted beside it.
    bundle: String,
}

impl Authority {
    /// Makes a CA. The result is to be kept.
    pub fn generate(now: Timestamp) -> Result<Issued, CaError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        // Names differ: verifiers that look a CA up by its name find one.
        let name = hex::encode(Sha256::digest(key.der_bytes()));
        let name = name.get(..8).unwrap_or_default();
        params.distinguished_name = common_name(&format!("AIOS operator CA {name}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        live(&mut params, now, CA_LIFE)?;
        let certificate = params.self_signed(&key)?;
        Ok(Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Takes up a CA that was kept.
    pub fn open(kept: &Issued) -> Result<Self, CaError> {
        let key = KeyPair::from_pem(&kept.key)?;
        let issuer = Issuer::from_ca_cert_pem(&kept.certificate, key)?;
        Ok(Self {
            issuer,
            certificate: kept.certificate.clone(),
            bundle: kept.certificate.clone(),
        })
    }

    /// Others are to trust another CA, too, PEM.
    pub fn trusted_beside(mut self, other: &str) -> Self {
        if !self.bundle.ends_with('\n') {
            self.bundle.push('\n');
        }
        self.bundle.push_str(other);
        self
    }

    /// Its own certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// What others must trust, PEM: this CA first.
    pub fn bundle(&self) -> &str {
        &self.bundle
    }

    pub fn key_id(&self) -> Result<KeyId, CaError> {
        let pem = pem(&self.certificate).ok_or(CaError::Unreadable)?;
        let certificate = pem.parse_x509().map_err(|_| CaError::Unreadable)?;
        let mut extensions = certificate.extensions().iter();
        extensions
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(key) => Some(KeyId::new(key.0)),
                _ => None,
            })
            .ok_or(CaError::Nameless)
    }

    /// When another is to take its place: at two thirds of its life, as with every certificate.
    pub fn renewal(&self) -> Result<Timestamp, CaError> {
        let pem = pem(&self.certificate).ok_or(CaError::Unreadable)?;
        let certificate = pem.parse_x509().map_err(|_| CaError::Unreadable)?;
        let (from, to) = life(&certificate).ok_or(CaError::Unreadable)?;
        Ok(renewal_of(from, to))
    }

    /// When it ends.
    pub fn expiry(&self) -> Option<Timestamp> {
        Some(life(&pem(&self.certificate)?.parse_x509().ok()?)?.1)
    }

    pub fn issue(&self, subject: &Subject, now: Timestamp) -> Result<Issued, CaError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        match subject {
            Subject::Server(hosts) => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                params.distinguished_name = common_name("aios");
                for host in hosts {
                    params
                        .subject_alt_names
                        .push(SanType::DnsName(host.as_str().try_into()?));
                }
            }
            Subject::Client(uri) => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                params.distinguished_name = common_name("aios");
                params
                    .subject_alt_names
                    .push(SanType::URI(uri.as_str().try_into()?));
            }
        }
        live(&mut params, now, LEAF_LIFE)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Reads a stored certificate.
    pub fn see(&self, stored: &Issued) -> Option<Seen> {
        let found = pem(&stored.certificate)?;
        let certificate = found.parse_x509().ok()?;
        let key = KeyPair::from_pem(&stored.key).ok()?;
        let ca = pem(&self.certificate)?;
        let ca = ca.parse_x509().ok()?;
        let names = certificate
            .subject_alternative_name()
            .ok()
            .flatten()
            .map(|names| names.value.general_names.iter().filter_map(name).collect())
            .unwrap_or_default();
        let signed = signed_by(&certificate, &ca);
        let own_key = certificate.public_key().subject_public_key.data.as_ref() == key.der_bytes();
        let (not_before, not_after) = life(&certificate)?;
        Some(Seen {
            not_before,
            not_after,
            names: sorted(names),
            ours: signed && own_key,
        })
    }
}

impl Subject {
    /// The names as [`Seen`] lists them.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Server(hosts) => sorted(hosts.clone()),
            Self::Client(uri) => vec![uri.clone()],
        }
    }
}

/// Whether `ca` signed `certificate` (ECDSA P-256 with SHA-256).
fn signed_by(
    certificate: &x509_parser::certificate::X509Certificate<'_>,
    ca: &x509_parser::certificate::X509Certificate<'_>,
) -> bool {
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1,
        ca.public_key().subject_public_key.data.as_ref(),
    );
    key.verify(
        certificate.tbs_certificate.as_ref(),
        certificate.signature_value.data.as_ref(),
    )
    .is_ok()
}

/// The first of a text.
fn pem(text: &str) -> Option<Pem> {
    Pem::iter_from_buffer(text.as_bytes()).next()?.ok()
}

fn life(
    certificate: &x509_parser::certificate::X509Certificate<'_>,
) -> Option<(Timestamp, Timestamp)> {
    let validity = certificate.validity();
    let at = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
    Some((at(validity.not_before)?, at(validity.not_after)?))
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        _ => None,
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    names
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn live(params: &mut CertificateParams, now: Timestamp, life: Duration) -> Result<(), CaError> {
    let since = u64::try_from(now.as_second()).map_err(|_| CaError::Clock)?;
    let start = date_time_ymd(1970, 1, 1) + Duration::from_secs(since);
    params.not_before = start - SKEW;
    params.not_after = start + life;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Authority, Subject};
    use crate::ca::{KeyId, Need, need};
    use jiff::Timestamp;
    use x509_parser::extensions::ParsedExtension;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn authority() -> Authority {
        Authority::open(&Authority::generate(now()).unwrap()).unwrap()
    }

    #[test]
    fn what_was_issued_is_kept_as_ours() {
        let authority = authority();
        for subject in [
            Subject::Server(vec!["b.ns.svc".into(), "a.ns.svc".into()]),
            Subject::Client("spiffe://aios/ns/team".into()),
        ] {
            let issued = authority.issue(&subject, now()).unwrap();
            let seen = authority.see(&issued).unwrap();
            assert!(seen.ours);
            assert!(matches!(
                need(Some(&seen), &subject.names(), now()),
                Need::Keep(_)
            ));
        }
    }

    #[test]
    fn a_certificate_of_another_ca_is_not_ours() {
        let subject = Subject::Client("spiffe://aios/ns/team".into());
        let foreign = authority().issue(&subject, now()).unwrap();
        assert!(!authority().see(&foreign).unwrap().ours);
    }

    #[test]
    fn a_certificate_names_the_key_of_the_ca_that_signed_it() {
        let authority = authority();
        let subject = Subject::Client("spiffe://aios/ns/team".into());
        let issued = authority.issue(&subject, now()).unwrap();
        let found = super::pem(&issued.certificate).unwrap();
        let certificate = found.parse_x509().unwrap();
        let named = certificate.extensions().iter().find_map(|extension| {
            match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(of) => of.key_identifier.as_ref(),
                _ => None,
            }
        });
        assert_eq!(KeyId::new(named.unwrap().0), authority.key_id().unwrap());
    }

    #[test]
    fn a_ca_is_to_be_replaced_at_two_thirds_of_its_life() {
        let authority = authority();
        let (due, end) = (authority.renewal().unwrap(), authority.expiry().unwrap());
        assert!(now() < due && due < end);
        let left = end.duration_since(due).as_secs();
        assert_eq!(left / 86_400, 10 * 365 / 3);
    }

    #[test]
    fn a_certificate_with_another_key_is_not_ours() {
        let authority = authority();
        let subject = Subject::Client("spiffe://aios/ns/team".into());
        let mut issued = authority.issue(&subject, now()).unwrap();
        issued.key = authority.issue(&subject, now()).unwrap().key;
        assert!(!authority.see(&issued).unwrap().ours);
    }
}
