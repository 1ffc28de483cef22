//! The provider's key: read from its file, again when the file changed, never logged.

use std::{fs, path::PathBuf, sync::Mutex, time::SystemTime};

use bytes::Bytes;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::{error::ApiError, lock::lock};

/// Stands for the key in what is told.
const HIDDEN: &str = "[key]";

/// A key in a mounted Secret.
pub struct KeyFile {
    path: PathBuf,
    /// The file's time of change, and what it held then.
    last: Mutex<Option<(SystemTime, SecretString)>>,
}

impl KeyFile {
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            last: Mutex::new(None),
        }
    }

    /// The key as a header value with `prefix`, marked sensitive. A file that cannot be read leaves
    /// the last key in use.
    ///
    /// # Errors
    /// `CredentialsUnavailable` when there never was a key, or it fits no header.
    pub fn header(&self, prefix: &str) -> Result<HeaderValue, ApiError> {
        let mut last = lock(&self.last);
        let changed = fs::metadata(&self.path)
            .and_then(|meta| meta.modified())
            .ok();
        let stale = last
            .as_ref()
            .is_none_or(|(known, _)| changed.is_some_and(|at| at != *known));
        if let (true, Some(changed)) = (stale, changed)
            && let Ok(text) = fs::read_to_string(&self.path)
            && !text.trim().is_empty()
        {
            *last = Some((changed, SecretString::from(text.trim())));
        }
        let Some((_, key)) = last.as_ref() else {
            tracing::warn!(path = %self.path.display(), "no key in the file");
            return Err(ApiError::CredentialsUnavailable);
        };
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", key.expose_secret()))
            .map_err(|_| ApiError::CredentialsUnavailable)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// What a server said, without the key: some repeat in their errors what they were sent.
    pub fn hidden_in(file: Option<&Self>, body: Bytes) -> Bytes {
        let last = file.map(|file| lock(&file.last));
        let Some((_, key)) = last.as_ref().and_then(|last| last.as_ref()) else {
            return body;
        };
        match std::str::from_utf8(&body) {
            Ok(text) if text.contains(key.expose_secret()) => {
                text.replace(key.expose_secret(), HIDDEN).into()
            }
            _ => body,
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
        fs::remove_file(&path).unwrap();
        let value = file.header("").unwrap();
        assert_eq!(value, "two");
        assert!(!format!("{value:?}").contains("two"));
    }
}
