//! TLS from files that rotate: a changed certificate, key or CA is used for the next connection.

use std::{
    fs,
    io::BufReader,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use rustls::{ClientConfig, RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {path}: {error}")]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("{path} holds no {what} in PEM form")]
    Empty { path: PathBuf, what: &'static str },
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
    #[error("the client CA cannot be used: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// A server's certificate, and the CA of the clients it demands certificates from.
#[derive(Clone)]
pub struct ServerTls(Arc<Reloading<ServerFiles>>);

/// What a client trusts, and the certificate it shows.
#[derive(Clone)]
pub struct ClientTls(Arc<Reloading<ClientFiles>>);

struct ServerFiles {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

struct ClientFiles {
    ca: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
}

/// Files and the configuration last built from them.
struct Reloading<F: Files> {
    files: F,
    built: Mutex<Built<F::Config>>,
}

/// A configuration, and when the files it was built from were last written.
struct Built<C> {
    stamps: Vec<Option<SystemTime>>,
    config: Arc<C>,
}

trait Files {
    type Config;
    fn paths(&self) -> Vec<&Path>;
    fn build(&self) -> Result<Self::Config, TlsError>;
}

// === impl ServerTls ===

impl ServerTls {
    /// Loads the files once, so that a wrong path is named at start.
    ///
    /// # Errors
    /// When a file is missing or holds nothing usable.
    pub fn new(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, TlsError> {
        let files = ServerFiles {
            cert: cert.to_owned(),
            key: key.to_owned(),
            client_ca: client_ca.map(Path::to_owned),
        };
        Ok(Self(Arc::new(Reloading::new(files)?)))
    }

    /// The configuration for the next connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.0.current()
    }
}

// === impl ClientTls ===

impl ClientTls {
    /// Loads the files once. Without a CA nothing is trusted but what the files name.
    ///
    /// # Errors
    /// When a file is missing or holds nothing usable.
    pub fn new(ca: Option<&Path>, identity: Option<(&Path, &Path)>) -> Result<Self, TlsError> {
        let files = ClientFiles {
            ca: ca.map(Path::to_owned),
            identity: identity.map(|(cert, key)| (cert.to_owned(), key.to_owned())),
        };
        Ok(Self(Arc::new(Reloading::new(files)?)))
    }

    /// The configuration for the next connection.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.0.current()
    }

    /// Where the CAs are that it trusts.
    pub(crate) fn ca_file(&self) -> Option<PathBuf> {
        self.0.files.ca.clone()
    }
}

// === impl Reloading ===

impl<F: Files> Reloading<F> {
    fn new(files: F) -> Result<Self, TlsError> {
        let stamps = stamps(&files);
        let config = Arc::new(files.build()?);
        Ok(Self {
            files,
            built: Mutex::new(Built { stamps, config }),
        })
    }

    /// Keeps the last good configuration while the files are unreadable or half written.
    fn current(&self) -> Arc<F::Config> {
        let mut built = self
            .built
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let stamps = stamps(&self.files);
        if stamps != built.stamps {
            match self.files.build() {
                Ok(config) => {
                    *built = Built {
                        stamps,
                        config: Arc::new(config),
                    }
                }
                Err(error) => tracing::warn!(%error, "keeping the previous TLS files"),
            }
        }
        built.config.clone()
    }
}

fn stamps<F: Files>(files: &F) -> Vec<Option<SystemTime>> {
    files
        .paths()
        .into_iter()
        .map(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok())
        .collect()
}

// === impl Files ===

impl Files for ServerFiles {
    type Config = ServerConfig;

    fn paths(&self) -> Vec<&Path> {
        let mut paths = vec![self.cert.as_path(), self.key.as_path()];
        paths.extend(self.client_ca.as_deref());
        paths
    }

    fn build(&self) -> Result<ServerConfig, TlsError> {
        let builder = match &self.client_ca {
            Some(ca) => ServerConfig::builder().with_client_cert_verifier(
                WebPkiClientVerifier::builder(Arc::new(roots(ca)?)).build()?,
            ),
            None => ServerConfig::builder().with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(certificates(&self.cert)?, key(&self.key)?)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl Files for ClientFiles {
    type Config = ClientConfig;

    fn paths(&self) -> Vec<&Path> {
        let mut paths: Vec<&Path> = self.ca.as_deref().into_iter().collect();
        if let Some((cert, key)) = &self.identity {
            paths.extend([cert.as_path(), key.as_path()]);
        }
        paths
    }

    fn build(&self) -> Result<ClientConfig, TlsError> {
        let roots = match &self.ca {
            Some(ca) => roots(ca)?,
            None => RootCertStore::empty(),
        };
        let builder = ClientConfig::builder().with_root_certificates(roots);
        Ok(match &self.identity {
            Some((cert, file)) => builder.with_client_auth_cert(certificates(cert)?, key(file)?)?,
            None => builder.with_no_client_auth(),
        })
    }
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |error| TlsError::Read {
        path: path.to_owned(),
        error,
    };
    let mut reader = BufReader::new(fs::File::open(path).map_err(read)?);
    let found: Vec<_> = rustls_pemfile::certs(&mut reader)
        .collect::<Result<_, _>>()
        .map_err(read)?;
    if found.is_empty() {
        return Err(TlsError::Empty {
            path: path.to_owned(),
            what: "certificate",
        });
    }
    Ok(found)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let read = |error| TlsError::Read {
        path: path.to_owned(),
        error,
    };
    let mut reader = BufReader::new(fs::File::open(path).map_err(read)?);
    rustls_pemfile::private_key(&mut reader)
        .map_err(read)?
        .ok_or_else(|| TlsError::Empty {
            path: path.to_owned(),
            what: "private key",
        })
}
