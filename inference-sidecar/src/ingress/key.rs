//! The provider's key: read from its file, again when the file changed, never logged.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use bytes::Bytes;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::{error::ApiError, lock::lock};

/// Stands for the key in what is told.
const HIDDEN: &str = "[key]";

/// A key in a mounted Secret. Its clones are one.
#[derive(Clone)]
pub struct KeyFile(Arc<Watched>);

struct Watched {
    path: PathBuf,
    last: Mutex<Option<Read>>,
}

/// What the file held.
struct Read {
    /// When the file had changed.
    changed: SystemTime,
    key: SecretString,
    /// The key before it: calls that carry it may be under way.
    before: Option<SecretString>,
}

impl KeyFile {
    pub fn new(path: PathBuf) -> Self {
        let last = Mutex::new(None);
        Self(Arc::new(Watched { path, last }))
    }

    /// The key as a header value with `prefix`, marked sensitive. A file that cannot be read leaves
    /// the last key in use.
    ///
    /// # Errors
    /// `CredentialsUnavailable` when there never was a key, or it fits no header.
    pub fn header(&self, prefix: &str) -> Result<HeaderValue, ApiError> {
        let Watched { path, last } = &*self.0;
        let mut last = lock(last);
        let changed = fs::metadata(path).and_then(|meta| meta.modified()).ok();
        let stale = last
            .as_ref()
            .is_none_or(|known| changed.is_some_and(|at| at != known.changed));
        if let (true, Some(changed)) = (stale, changed)
            && let Ok(text) = fs::read_to_string(path)
            && !text.trim().is_empty()
        {
            *last = Some(Read::after(last.take(), changed, text.trim()));
        }
        let Some(known) = last.as_ref() else {
            tracing::warn!(path = %path.display(), "no key in the file");
            return Err(ApiError::CredentialsUnavailable);
        };
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", known.key.expose_secret()))
            .map_err(|_| ApiError::CredentialsUnavailable)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// What a server said, without the key: some repeat in their errors what they were sent.
    pub fn hidden_in(file: Option<&Self>, body: Bytes) -> Bytes {
        let last = file.map(|file| lock(&file.0.last));
        let Some(known) = last.as_ref().and_then(|last| last.as_ref()) else {
            return body;
        };
        let keys = [Some(&known.key), known.before.as_ref()];
        let keys = keys.into_iter().flatten().map(ExposeSecret::expose_secret);
        keys.fold(body, |body, key| match std::str::from_utf8(&body) {
            Ok(text) if text.contains(key) => text.replace(key, HIDDEN).into(),
            _ => body,
        })
    }
}

impl Read {
    fn after(last: Option<Self>, changed: SystemTime, key: &str) -> Self {
        let before = last.and_then(|last| {
            if last.key.expose_secret() == key {
                last.before
            } else {
                Some(last.key)
            }
        });
        let key = SecretString::from(key);
        Self {
            changed,
            key,
            before,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        time::{Duration, SystemTime},
    };

    use super::KeyFile;

    #[test]
    fn a_changed_file_is_read_again_and_a_lost_one_keeps_the_last_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let file = KeyFile::new(path.clone());
        assert!(file.header("").is_err());
        fs::write(&path, " one\n").unwrap();
        assert_eq!(file.header("Bearer ").unwrap(), "Bearer one");
        fs::write(&path, "two").unwrap();
        let later = SystemTime::now() + Duration::from_secs(5);
        fs::File::open(&path).unwrap().set_modified(later).unwrap();
        assert_eq!(file.header("").unwrap(), "two");
        let said = KeyFile::hidden_in(Some(&file), "neither one nor two".into());
        assert_eq!(
            said, "neither [key] nor [key]",
            "calls with the key before may be under way"
        );
        fs::remove_file(&path).unwrap();
        let value = file.header("").unwrap();
        assert_eq!(value, "two");
        assert!(!format!("{value:?}").contains("two"));
    }
}
