//! SHA-256 of files.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use sha2::{Digest as _, Sha256};

use super::progress::Meter;

/// A SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Reads `sha256:` and 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hex_digits = text.strip_prefix("sha256:")?;
        if hex_digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(hex_digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// 64 hex digits, as `sha256sum` prints them.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Of what was hashed.
    pub fn of(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

/// Digest of a file; none when there is no file.
///
/// # Errors
/// When the file cannot be read.
pub async fn of_file(path: &Path, meter: Meter) -> io::Result<Option<Digest>> {
    Ok(hash(path, meter)
        .await?
        .map(|(hasher, _)| Digest::of(hasher)))
}

/// State of the hash after a whole file, and the file's length; none when there is no file. Weights
/// are large: a shutdown must not wait for them.
///
/// # Errors
/// When the file cannot be read.
pub async fn hash(path: &Path, meter: Meter) -> io::Result<Option<(Sha256, u64)>> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || hash_now(&path, meter))
        .await
        .map_err(io::Error::other)?
}

fn hash_now(path: &Path, mut meter: Meter) -> io::Result<Option<(Sha256, u64)>> {
    let total = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?.len(),
    };
    let mut hasher = Sha256::new();
    let length = add(&mut hasher, path, |length| meter.at(length, Some(total)))?;
    Ok(Some((hasher, length)))
}

/// Adds a file to a hash, telling how far it is; gives the file's length.
pub fn add(hasher: &mut Sha256, path: &Path, mut tell: impl FnMut(u64)) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut length = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(length);
        }
        length += count as u64;
        hasher.update(buffer.get(..count).unwrap_or_default());
        tell(length);
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn only_the_canonical_form_is_a_digest() {
        let good = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(Digest::parse(&good).unwrap().to_string(), good);
        for bad in [
            "",
            "ab",
            "sha256:",
            "sha256:zz",
            "md5:ab",
            &good.to_uppercase(),
            &good[..70],
        ] {
            assert_eq!(Digest::parse(bad), None, "{bad}");
        }
    }
}
