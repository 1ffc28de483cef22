//! The operator's own serving certificate: fresh at each start, renewed while it leads. It stands in
//! files because servers reload from files; nothing of it reaches the API server.

use std::{io::Write, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use aios_runtime::tls::ServerTls;
use jiff::Timestamp;

use crate::{
    ca::{Authority, Subject},
    names::{self, OPERATOR},
    process::ProcessError,
    settings::Settings,
};

/// Far below two thirds of its life; renewing costs nothing.
pub const RENEW: Duration = Duration::from_hours(24);

/// Issues the certificate and opens it.
pub fn open(authority: &Authority, settings: &Settings) -> Result<ServerTls, ProcessError> {
    renew(authority, settings)?;
    let folder = &settings.tls_dir;
    Ok(ServerTls::new(
        &folder.join("operator.crt"),
        &folder.join("operator.key"),
        None,
    )?)
}

/// Issues it again, in place.
pub fn renew(authority: &Authority, settings: &Settings) -> Result<(), ProcessError> {
    let mut hosts = names::service_hosts(OPERATOR, &settings.namespace);
    // For `kubectl port-forward`.
    hosts.push("localhost".into());
    let issued = authority.issue(&Subject::Server(hosts), Timestamp::now())?;
    // A reader between the two writes keeps what it had until both fit.
    write(&settings.tls_dir.join("operator.key"), &issued.key)?;
    write(&settings.tls_dir.join("operator.crt"), &issued.certificate)
}

fn write(path: &Path, text: &str) -> Result<(), ProcessError> {
    let failed = |error| ProcessError::CertificateFile {
        path: path.to_owned(),
        error,
    };
    let fresh = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    std::fs::rename(&fresh, path).map_err(failed)
}
