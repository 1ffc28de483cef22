//! A whole repository of a hub, brought into a folder file by file: each is resumed where it was cut, and
//! the large ones are fetched only once it is known that the folder will have the digest that is wanted.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use http::HeaderValue;

use super::{
    PrefetchError,
    digest::Digest,
    download::Download,
    file::{Patience, Wanted, beside},
    folder,
    hub::{Files, Listed, Snapshot},
    progress::Teller,
};

/// What bringing needs.
pub struct Bringing<'a> {
    pub wanted: &'a Wanted,
    pub snapshot: &'a Snapshot,
    pub http: &'a reqwest::Client,
    pub authorization: Option<HeaderValue>,
    pub patience: &'a Patience,
    pub teller: &'a Teller,
}

/// How far all files are, in bytes.
#[derive(Clone, Copy)]
struct Far {
    done: u64,
    whole: u64,
}

impl Bringing<'_> {
    /// Makes the folder stand at its path.
    ///
    /// # Errors
    /// `Unavailable`, `Volume`, or `Mismatch` with the digest that the folder has.
    pub async fn run(&self) -> Result<(), PrefetchError> {
        let name = self.wanted.name.as_str();
        let files = self
            .snapshot
            .list(
                (name, self.http),
                self.authorization.as_ref(),
                self.patience,
            )
            .await?;
        let partial = beside(&self.wanted.path, "partial");
        drop_strays(&partial, &files).map_err(|error| self.wanted.volume(error))?;
        let mut far = Far {
            done: 0,
            whole: files.values().map(|file| file.size).sum(),
        };
        let listed = |(path, file): (&String, &Listed)| Some((path.clone(), file.sha256?));
        let mut proven: BTreeMap<String, Digest> = files.iter().filter_map(listed).collect();
        for (path, file) in files.iter().filter(|(_, file)| file.sha256.is_none()) {
            let digest = self.file(&partial, (path, file), far).await?;
            proven.insert(path.clone(), digest);
            far.done += file.size;
        }
        let found = folder::digest_of(proven.iter().map(|(path, digest)| (path.as_str(), *digest)));
        if found != self.wanted.digest {
            remove(&partial).map_err(|error| self.wanted.volume(error))?;
            return Err(self.wanted.mismatch(found));
        }
        for (path, file) in files.iter().filter(|(_, file)| file.sha256.is_some()) {
            self.file(&partial, (path, file), far).await?;
            far.done += file.size;
        }
        let replaced =
            remove(&self.wanted.path).and_then(|()| fs::rename(&partial, &self.wanted.path));
        replaced.map_err(|error| self.wanted.volume(error))
    }

    /// Brings one file below `folder`.
    async fn file(
        &self,
        folder: &Path,
        (path, listed): (&str, &Listed),
        far: Far,
    ) -> Result<Digest, PrefetchError> {
        let to = folder.join(path);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(|error| self.wanted.volume(error))?;
        }
        let download = self.download(path, to.clone());
        let teller = self.teller.part(far.done, far.whole);
        let run = async || download.run(&teller).await.map_err(|error| of(path, error));
        let mut fetched = run().await?;
        let mut flaw =
            flaw_of(&to, listed, fetched.digest).map_err(|error| self.wanted.volume(error))?;
        if flaw.is_some() && fetched.resumed {
            tracing::warn!(path, "the resumed file does not match: starting over");
            remove(&to).map_err(|error| self.wanted.volume(error))?;
            fetched = run().await?;
            flaw =
                flaw_of(&to, listed, fetched.digest).map_err(|error| self.wanted.volume(error))?;
        }
        let Some(reason) = flaw else {
            return Ok(fetched.digest);
        };
        remove(&to).map_err(|error| self.wanted.volume(error))?;
        Err(PrefetchError::Unavailable {
            file: self.wanted.name.clone(),
            reason: format!("{path}: {reason}"),
        })
    }

    fn download(&self, path: &str, partial: PathBuf) -> Download {
        Download {
            http: self.http.clone(),
            file: self.wanted.name.clone(),
            uri: self.snapshot.url(path),
            authorization: self.authorization.clone(),
            partial,
            patience: *self.patience,
        }
    }
}

/// In what a file differs from what the hub says of it.
fn flaw_of(path: &Path, listed: &Listed, found: Digest) -> io::Result<Option<String>> {
    let size = fs::metadata(path)?.len();
    Ok(match listed.sha256 {
        _ if size != listed.size => Some(format!(
            "{size} bytes came, and the hub lists {}",
            listed.size
        )),
        Some(wanted) if wanted != found => {
            Some(format!("what came is {found}, and the hub lists {wanted}"))
        }
        _ => None,
    })
}

/// Says of which file an error tells.
fn of(path: &str, error: PrefetchError) -> PrefetchError {
    match error {
        PrefetchError::Unavailable { file, reason } => PrefetchError::Unavailable {
            file,
            reason: format!("{path}: {reason}"),
        },
        error => error,
    }
}

/// Starts anew where something else was begun: the folder's digest counts every file.
fn drop_strays(partial: &Path, files: &Files) -> io::Result<()> {
    if !partial.is_dir() {
        return remove(partial);
    }
    let begun = folder::paths(partial)?;
    if begun.iter().all(|path| files.contains_key(path)) {
        return Ok(());
    }
    remove(partial)
}

/// Removes a file, or a folder with what is in it.
fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
