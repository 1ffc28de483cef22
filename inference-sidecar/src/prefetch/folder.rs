//! A folder of weights, as Hugging Face's repositories hold them: proven by one digest over all
//! its files, and asked how it is quantized.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aios_crds::weights::QuantizationMethod;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    digest::{Digest, add},
    progress::Meter,
};

/// Folders in folders; more is a link that leads back.
pub const MAX_DEPTH: usize = 32;

/// What a folder must be besides its digest; a field of `--file`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// How its `config.json` must say that it is quantized.
    pub quantization: Option<QuantizationMethod>,
}

/// Digest of a folder: of the lines that `sha256sum` prints for its files, in the order of the bytes of
/// their paths. None when nothing is there. Links are followed.
///
/// # Errors
/// When it is no folder, a file cannot be read, or a name would need an escape.
pub async fn digest(path: &Path, meter: Meter) -> io::Result<Option<Digest>> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || digest_now(&path, meter))
        .await
        .map_err(io::Error::other)?
}

impl Folder {
    /// Whether the folder is what an engine can load and was asked for.
    ///
    /// # Errors
    /// Why not.
    pub fn check(self, path: &Path) -> Result<(), String> {
        let Some(config) = ["config.json", "adapter_config.json"]
            .into_iter()
            .find_map(|name| fs::read(path.join(name)).ok())
        else {
            return Err("holds neither config.json nor adapter_config.json".to_owned());
        };
        let Some(wanted) = self.quantization else {
            return Ok(());
        };
        let config: Value = serde_json::from_slice(&config)
            .map_err(|error| format!("has a config.json that cannot be read: {error}"))?;
        let found = Quantized::of(&config);
        if found.is(wanted) {
            return Ok(());
        }
        let found = found.method.unwrap_or("no quantization");
        Err(format!(
            "is of {found} by its config.json, and not of {wanted:?}"
        ))
    }
}

/// What a `config.json` says of quantization.
struct Quantized<'a> {
    method: Option<&'a str>,
    format: Option<&'a str>,
}

impl<'a> Quantized<'a> {
    fn of(config: &'a Value) -> Self {
        let text = |field: &str| {
            config
                .pointer(&format!("/quantization_config/{field}"))?
                .as_str()
        };
        Self {
            method: text("quant_method"),
            format: text("format"),
        }
    }

    /// Compressed tensors tell by their format how many bits there are, but not how they were chosen.
    fn is(&self, wanted: QuantizationMethod) -> bool {
        let (methods, format): (&[&str], &str) = match wanted {
            QuantizationMethod::AWQ => (&["awq", "awq_marlin"], "pack-quantized"),
            QuantizationMethod::GPTQ => (&["gptq", "gptq_marlin"], "pack-quantized"),
            QuantizationMethod::FP8 => (&["fp8", "fbgemm_fp8"], "float-quantized"),
            QuantizationMethod::GGUF => (&["gguf"], ""),
        };
        match self.method {
            Some("compressed-tensors") => self.format == Some(format),
            Some(method) => methods.contains(&method),
            None => false,
        }
    }
}

fn digest_now(path: &Path, mut meter: Meter) -> io::Result<Option<Digest>> {
    if !fs::exists(path)? {
        return Ok(None);
    }
    let mut files = Vec::new();
    walk(path, "", MAX_DEPTH, &mut files)?;
    files.sort();
    let sizes = files.iter().map(|(_, path)| Ok(fs::metadata(path)?.len()));
    let total = sizes.sum::<io::Result<u64>>()?;
    let (mut digests, mut done) = (Vec::new(), 0);
    for (name, path) in &files {
        let mut file = Sha256::new();
        let length = add(&mut file, path, |length| {
            meter.at(done + length, Some(total));
        })?;
        done += length;
        digests.push((name.as_str(), Digest::of(file)));
    }
    Ok(Some(digest_of(digests.into_iter())))
}

/// Digest of a folder of which each file's is known; in the order of the bytes of their paths.
pub fn digest_of<'a>(files: impl Iterator<Item = (&'a str, Digest)>) -> Digest {
    let mut lines = Sha256::new();
    for (name, digest) in files {
        lines.update(format!("{}  {name}\n", digest.hex()));
    }
    Digest::of(lines)
}

/// Paths of every file below a folder.
///
/// # Errors
/// As of [`digest`].
pub fn paths(folder: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    walk(folder, "", MAX_DEPTH, &mut files)?;
    Ok(files.into_iter().map(|(name, _)| name).collect())
}

/// Every file below, by its path from the root.
fn walk(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut Vec<(String, PathBuf)>,
) -> io::Result<()> {
    let wrong = |problem: &str| {
        let problem = format!("{}: {problem}", folder.display());
        io::Error::new(io::ErrorKind::InvalidData, problem)
    };
    let Some(depth) = depth.checked_sub(1) else {
        return Err(wrong("a link leads back, or folders are too deep"));
    };
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|name| !name.contains(['\\', '\n', '\r'])) else {
            return Err(wrong("a file's name has characters that sha256sum escapes"));
        };
        let name = format!("{prefix}{name}");
        if fs::metadata(&path)?.is_dir() {
            walk(&path, &format!("{name}/"), depth, files)?;
        } else {
            files.push((name, path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aios_crds::weights::QuantizationMethod::{AWQ, FP8, GPTQ};
    use serde_json::json;

    use super::Quantized;

    #[test]
    fn a_config_says_how_weights_are_quantized() {
        let is = |config, wanted| Quantized::of(&json!({"quantization_config": config})).is(wanted);
        assert!(is(json!({"quant_method": "awq", "bits": 4}), AWQ));
        assert!(!is(json!({"quant_method": "awq", "bits": 4}), GPTQ));
        let compressed = json!({"quant_method": "compressed-tensors", "format": "float-quantized"});
        assert!(is(compressed.clone(), FP8));
        assert!(!is(compressed, AWQ));
        assert!(!Quantized::of(&json!({})).is(FP8));
    }
}
