//! Folders of weights, as Hugging Face's repositories hold them: `config.json`, tokenizer, safetensors.

use super::Source;
use crate::Diagnostic;

/// Endings of files that stand in such a folder, or are no folder's.
const FILES: [&str; 5] = ["gguf", "safetensors", "bin", "pt", "json"];

/// Whether a source can be a folder: a repository, or one that is mounted and not named as a file is.
pub fn loadable(path: &str, uri: &str, source: &Source) -> Option<Diagnostic> {
    if matches!(source, Source::Snapshot { .. }) {
        return None;
    }
    if source.is_fetched() {
        return Some(Diagnostic::new(
            path,
            format!("engine VLLM loads a folder, and of `{uri}` one file would be fetched"),
            "name the whole repository, as in hf://ORG/REPO with its commit as revision, or a folder \
             (config.json, tokenizer, *.safetensors) on a claim or in an image, as in \
             pvc://CLAIM/FOLDER or oci://IMAGE:TAG/FOLDER",
        ));
    }
    let ending = source
        .file_name()
        .rsplit_once('.')
        .map(|(_, ending)| ending);
    let is_file =
        ending.is_some_and(|ending| FILES.iter().any(|known| known.eq_ignore_ascii_case(ending)));
    is_file.then(|| {
        Diagnostic::new(
            path,
            format!("`{uri}` is a file, and engine VLLM loads a folder"),
            "name the folder with config.json, tokenizer and *.safetensors, as in \
             pvc://CLAIM/FOLDER; a GGUF file is loaded by engine LlamaCpp",
        )
    })
}
