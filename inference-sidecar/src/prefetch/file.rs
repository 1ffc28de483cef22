//! One file: fetched unless it is there already, and proven by its digest either way.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use http::HeaderValue;
use reqwest::Url;
use serde::Deserialize;

use super::{
    PrefetchError,
    digest::{self, Digest},
    download::Download,
    folder::{self, Folder},
    hub::{self, Snapshot},
    progress::{Doing, Teller},
    snapshot::Bringing,
};

/// First bytes of a GGUF file.
const MAGIC: &[u8] = b"GGUF";

/// A file that is to stand somewhere; flag `--file`, as JSON.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What people call it.
    pub name: String,
    pub origin: Origin,
    pub digest: Digest,
    pub path: PathBuf,
    /// Bearer token for the origin.
    pub token_file: Option<PathBuf>,
    pub format: Format,
}

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is mounted, and only checked.
    Mounted,
    File(Url),
    /// A folder in place of a file.
    Snapshot(Snapshot),
}

/// What must stand there; one GGUF file when left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Format {
    #[default]
    Gguf,
    Folder(Folder),
    /// Any file, or any folder where it is mounted or a snapshot.
    Any,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    name: String,
    uri: Option<String>,
    snapshot: Option<hub::Written>,
    digest: String,
    path: PathBuf,
    token_file: Option<PathBuf>,
    #[serde(default)]
    format: Format,
}

/// How patiently files are fetched.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub tries: u32,
    pub backoff: Duration,
    pub stall: Duration,
}

impl Patience {
    /// Before the try after so many failed ones.
    pub fn pause(&self, failed: u32) -> Duration {
        self.backoff * 2_u32.pow(failed.saturating_sub(1).min(5))
    }
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let digest = Digest::parse(&written.digest).ok_or_else(|| {
            format!(
                "digest `{}` must be sha256: and 64 hex digits",
                written.digest
            )
        })?;
        let origin = match (written.uri.as_deref(), written.snapshot) {
            (None, None) => Origin::Mounted,
            (Some(_), None) if matches!(written.format, Format::Folder(_)) => {
                return Err("a folder is mounted or a snapshot and has no uri".to_owned());
            }
            (Some(uri), None) => Origin::File(address(uri)?),
            (None, Some(_)) if written.format == Format::Gguf => {
                return Err("a snapshot is a folder and no GGUF file".to_owned());
            }
            (None, Some(snapshot)) => Origin::Snapshot(Snapshot::new(snapshot)?),
            (Some(_), Some(_)) => return Err("give uri or snapshot, not both".to_owned()),
        };
        Ok(Self {
            name: written.name,
            origin,
            digest,
            path: written.path,
            token_file: written.token_file,
            format: written.format,
        })
    }
}

impl Wanted {
    /// Makes the file stand at its path.
    ///
    /// # Errors
    /// See [`PrefetchError`].
    pub async fn bring(
        &self,
        http: &reqwest::Client,
        patience: &Patience,
        teller: &Teller,
    ) -> Result<(), PrefetchError> {
        match &self.origin {
            Origin::Mounted => self.check(teller).await?,
            Origin::File(_) | Origin::Snapshot(_) => self.fetch(http, patience, teller).await?,
        }
        self.check_format()?;
        tracing::info!(file = self.name, path = %self.path.display(), "the file is right");
        Ok(())
    }

    fn check_format(&self) -> Result<(), PrefetchError> {
        let file = self.name.clone();
        match self.format {
            Format::Folder(folder) => {
                let checked = folder.check(&self.path);
                checked.map_err(|reason| PrefetchError::Folder { file, reason })
            }
            Format::Gguf if !starts_with_magic(&self.path).map_err(|e| self.volume(e))? => {
                Err(PrefetchError::Format { file })
            }
            Format::Gguf | Format::Any => Ok(()),
        }
    }

    /// A mounted file is never written.
    async fn check(&self, teller: &Teller) -> Result<(), PrefetchError> {
        match self.found(teller).await? {
            Some(found) if found == self.digest => Ok(()),
            Some(found) => Err(self.mismatch(found)),
            None => Err(PrefetchError::Missing {
                file: self.name.clone(),
                path: self.path.clone(),
            }),
        }
    }

    async fn fetch(
        &self,
        http: &reqwest::Client,
        patience: &Patience,
        teller: &Teller,
    ) -> Result<(), PrefetchError> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(|error| self.volume(error))?;
        }
        // A second pod that appended to the same part would spoil it unseen.
        let _alone = self.lock().await?;
        match self.found(teller).await? {
            Some(found) if found == self.digest => return Ok(()),
            Some(_) => tracing::info!(
                file = self.name,
                "another file stands there and is replaced"
            ),
            None => {}
        }
        match &self.origin {
            Origin::Mounted => Ok(()),
            Origin::File(uri) => self.download(uri, http, patience, teller).await,
            Origin::Snapshot(snapshot) => {
                let bringing = Bringing {
                    wanted: self,
                    snapshot,
                    http,
                    authorization: self.authorization()?,
                    patience,
                    teller,
                };
                bringing.run().await
            }
        }
    }

    async fn download(
        &self,
        uri: &Url,
        http: &reqwest::Client,
        patience: &Patience,
        teller: &Teller,
    ) -> Result<(), PrefetchError> {
        let partial = beside(&self.path, "partial");
        let download = Download {
            http: http.clone(),
            file: self.name.clone(),
            uri: uri.clone(),
            authorization: self.authorization()?,
            partial: partial.clone(),
            patience: *patience,
        };
        let mut fetched = download.run(teller).await?;
        if fetched.digest != self.digest && fetched.resumed {
            // The rest may have come from another file than the start: once more, from nothing.
            tracing::warn!(
                file = self.name,
                "the resumed file does not match: starting over"
            );
            remove(&partial).map_err(|error| self.volume(error))?;
            fetched = download.run(teller).await?;
        }
        if fetched.digest != self.digest {
            remove(&partial).map_err(|error| self.volume(error))?;
            return Err(self.mismatch(fetched.digest));
        }
        fs::rename(&partial, &self.path).map_err(|error| self.volume(error))
    }

    /// Digest of what stands there now.
    async fn found(&self, teller: &Teller) -> Result<Option<Digest>, PrefetchError> {
        let meter = teller.meter(&self.name, Doing::Checking);
        let is_folder = match self.format {
            Format::Gguf => false,
            Format::Folder(_) => true,
            Format::Any => self.path.is_dir(),
        };
        let found = if is_folder {
            folder::digest(&self.path, meter).await
        } else {
            digest::of_file(&self.path, meter).await
        };
        found.map_err(|error| self.volume(error))
    }

    /// Waits until no other process fetches the same file. Held until dropped, also by a kill.
    async fn lock(&self) -> Result<File, PrefetchError> {
        let path = beside(&self.path, "lock");
        let file = File::create(&path).map_err(|error| self.volume(error))?;
        let locked = tokio::task::spawn_blocking(move || -> io::Result<File> {
            match file.lock() {
                // Some network file systems have no locks; the digest still decides.
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    tracing::warn!(%error, "no lock");
                }
                done => done?,
            }
            Ok(file)
        })
        .await;
        locked
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| self.volume(error))
    }

    /// The header that carries the token. Its value never shows in logs.
    fn authorization(&self) -> Result<Option<HeaderValue>, PrefetchError> {
        let Some(path) = &self.token_file else {
            return Ok(None);
        };
        let wrong = |reason: &str| PrefetchError::Token {
            file: self.name.clone(),
            reason: reason.to_owned(),
        };
        let token = fs::read_to_string(path).map_err(|error| wrong(&error.to_string()))?;
        let token = token.trim();
        if token.is_empty() {
            return Err(wrong("it is empty"));
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| wrong("it holds characters that no token has"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    pub(super) fn mismatch(&self, found: Digest) -> PrefetchError {
        PrefetchError::Mismatch {
            file: self.name.clone(),
            found: found.to_string(),
            wanted: self.digest.to_string(),
        }
    }

    pub(super) fn volume(&self, error: io::Error) -> PrefetchError {
        PrefetchError::Volume {
            path: self.path.clone(),
            error,
        }
    }
}

pub(super) fn address(uri: &str) -> Result<Url, String> {
    let uri = Url::parse(uri).map_err(|error| format!("uri: {error}"))?;
    if !matches!(uri.scheme(), "http" | "https") {
        return Err("uri must start with http:// or https://".to_owned());
    }
    Ok(uri)
}

fn starts_with_magic(path: &Path) -> io::Result<bool> {
    let mut start = Vec::with_capacity(MAGIC.len());
    let length = u64::try_from(MAGIC.len()).unwrap_or_default();
    File::open(path)?.take(length).read_to_end(&mut start)?;
    Ok(start == MAGIC)
}

pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
