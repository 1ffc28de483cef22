//! Packs layers into a `docker-archive`: what `docker save` writes, which
//! containerd and kind both import.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// A layer's tar file and its digest, in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    pub path: PathBuf,
    pub digest: String,
}

/// A file in a layer: where it is now, where it is in the image, its mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub source: PathBuf,
    pub target: String,
    pub mode: u32,
}

/// Writes a layer of files. The same files give the same bytes: entries are
/// sorted, and belong to root at time 0.
pub fn layer(path: &Path, entries: &[Entry]) -> Result<Layer> {
    let mut entries = entries.to_vec();
    entries.sort_by(|a, b| a.target.cmp(&b.target));
    let mut tar = Builder::new(Hashing::new(File::create(path)?));
    for entry in &entries {
        let source = File::open(&entry.source)
            .with_context(|| format!("cannot read {}", entry.source.display()))?;
        let size = source.metadata()?.len();
        append(&mut tar, &entry.target, entry.mode, size, source)?;
    }
    let digest = tar.into_inner()?.finish();
    Ok(Layer {
        path: path.to_path_buf(),
        digest,
    })
}

/// A layer that is a tar file already.
pub fn existing_layer(path: &Path) -> Result<Layer> {
    let mut hashing = Hashing::new(io::sink());
    io::copy(&mut File::open(path)?, &mut hashing)?;
    Ok(Layer {
        path: path.to_path_buf(),
        digest: hashing.finish(),
    })
}

/// An image's configuration, by the OCI image specification. Its digest is the
/// image's identity: it changes if and only if a layer or a setting does.
pub fn config(layers: &[Layer], entrypoint: &[String], command: &[String]) -> Value {
    json!({
        "architecture": match std::env::consts::ARCH { "x86_64" => "amd64", "aarch64" => "arm64", other => other },
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": "65532:65532",
            "Env": [
                "PATH=/usr/local/bin:/usr/bin:/bin",
                "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            ],
            "Entrypoint": entrypoint,
            "Cmd": command,
            "WorkingDir": "/",
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": layers.iter().map(|layer| format!("sha256:{}", layer.digest)).collect::<Vec<_>>(),
        },
    })
}

/// The digest of a configuration, in hex.
pub fn digest(config: &Value) -> String {
    hex::encode(Sha256::digest(config.to_string().as_bytes()))
}

/// Writes the archive of one image.
pub fn write(path: &Path, reference: &str, config: &Value, layers: &[Layer]) -> Result<()> {
    let mut tar = Builder::new(io::BufWriter::new(File::create(path)?));
    let config_name = format!("{}.json", digest(config));
    let layer_name = |layer: &Layer| format!("{}.tar", layer.digest);
    let manifest = json!([{
        "Config": config_name,
        "RepoTags": [reference],
        "Layers": layers.iter().map(layer_name).collect::<Vec<_>>(),
    }]);
    for (name, text) in [
        (config_name.as_str(), config.to_string()),
        ("manifest.json", manifest.to_string()),
    ] {
        append(&mut tar, name, 0o644, text.len() as u64, text.as_bytes())?;
    }
    for layer in layers {
        let file = File::open(&layer.path)?;
        let size = file.metadata()?.len();
        append(&mut tar, &layer_name(layer), 0o644, size, file)?;
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

fn append(
    tar: &mut Builder<impl Write>,
    name: &str,
    mode: u32,
    size: u64,
    content: impl Read,
) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, name.trim_start_matches('/'), content)?;
    Ok(())
}

/// Hashes what passes through.
struct Hashing<W> {
    inner: W,
    digest: Sha256,
}

impl<W: Write> Hashing<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            digest: Sha256::new(),
        }
    }

    fn finish(self) -> String {
        hex::encode(self.digest.finalize())
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        if let Some(part) = bytes.get(..written) {
            self.digest.update(part);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(folder: &Path, name: &str, content: &str) -> Entry {
        let source = folder.join(name);
        std::fs::write(&source, content).unwrap();
        Entry {
            source,
            target: format!("/bin/{name}"),
            mode: 0o755,
        }
    }

    #[test]
    fn the_same_files_give_the_same_layer_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (
            entry(folder.path(), "a", "1"),
            entry(folder.path(), "b", "2"),
        );
        let one = layer(&folder.path().join("1.tar"), &[a.clone(), b.clone()]).unwrap();
        let two = layer(&folder.path().join("2.tar"), &[b, a]).unwrap();
        assert_eq!(one.digest, two.digest);
        assert_eq!(existing_layer(&one.path).unwrap().digest, one.digest);
    }

    #[test]
    fn an_images_identity_changes_with_its_layers_and_its_command() {
        let layer = |digest: &str| {
            vec![Layer {
                path: PathBuf::new(),
                digest: digest.to_owned(),
            }]
        };
        let first = digest(&config(&layer("aa"), &[], &["x".into()]));
        assert_ne!(first, digest(&config(&layer("bb"), &[], &["x".into()])));
        assert_ne!(first, digest(&config(&layer("aa"), &[], &["y".into()])));
    }
}
