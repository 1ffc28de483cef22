//! What the name of a GGUF file says of it.

use super::Source;
use crate::Diagnostic;

/// Types of llama.cpp, and the mixes of them that files are named after.
const QUANTIZED: [&str; 44] = [
    "Q4_0",
    "Q4_1",
    "Q5_0",
    "Q5_1",
    "Q8_0",
    "Q2_K",
    "Q2_K_S",
    "Q2_K_L",
    "Q2_K_XL",
    "Q3_K",
    "Q3_K_S",
    "Q3_K_M",
    "Q3_K_L",
    "Q3_K_XL",
    "Q4_K",
    "Q4_K_S",
    "Q4_K_M",
    "Q4_K_L",
    "Q4_K_XL",
    "Q5_K",
    "Q5_K_S",
    "Q5_K_M",
    "Q5_K_L",
    "Q5_K_XL",
    "Q6_K",
    "Q6_K_L",
    "Q6_K_XL",
    "Q8_K_XL",
    "IQ1_S",
    "IQ1_M",
    "IQ2_XXS",
    "IQ2_XS",
    "IQ2_S",
    "IQ2_M",
    "IQ3_XXS",
    "IQ3_XS",
    "IQ3_S",
    "IQ3_M",
    "IQ4_XS",
    "IQ4_NL",
    "TQ1_0",
    "TQ2_0",
    "MXFP4",
    "MXFP4_MOE",
];
const WHOLE: [&str; 3] = ["F32", "F16", "BF16"];

/// Whether a source is one file that llama.cpp loads by itself.
pub fn loadable(path: &str, uri: &str, source: &Source) -> Option<Diagnostic> {
    let name = source.file_name();
    let is_folder = matches!(source, Source::Snapshot { .. });
    let Some(stem) = stem(name).filter(|_| !is_folder) else {
        return Some(Diagnostic::new(
            path,
            format!("`{uri}` is not the address of one GGUF file"),
            "name one file, as in https://models.example.com/smollm2-135m-q8_0.gguf or \
             hf://org/repo/model-Q4_K_M.gguf",
        ));
    };
    is_part(stem).then(|| {
        Diagnostic::new(
            path,
            format!("`{name}` is one of several parts"),
            "merge them with `llama-gguf-split --merge` and name the whole file",
        )
    })
}

/// Whether a file is quantized as its name says.
pub fn quantized(path: &str, name: &str) -> Option<Diagnostic> {
    let tag = stem(name).and_then(tag);
    let Some(tag) = tag else {
        return Some(Diagnostic::new(
            path,
            format!("`{name}` does not say how it is quantized"),
            "name a file such as model-Q4_K_M.gguf, or leave quantization out",
        ));
    };
    if QUANTIZED.contains(&tag.as_str()) {
        return None;
    }
    let (message, remedy) = if WHOLE.contains(&tag.as_str()) {
        (
            "is not quantized",
            "leave quantization out, or name a quantized file",
        )
    } else {
        (
            "is no quantization of GGUF",
            "correct model.uri: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K_M and their like exist",
        )
    };
    Some(Diagnostic::new(path, format!("`{tag}` {message}"), remedy))
}

fn stem(name: &str) -> Option<&str> {
    let (stem, extension) = name.rsplit_once('.')?;
    (extension.eq_ignore_ascii_case("gguf") && !stem.is_empty()).then_some(stem)
}

/// The last word of a name that looks like a type, as `Q4_1` in `SmolLM2-135M-Instruct.Q4_1`.
fn tag(stem: &str) -> Option<String> {
    let words = stem.rsplit(['-', '.']).map(str::to_ascii_uppercase);
    words.into_iter().find(|word| {
        let number = |prefix: &str| {
            let rest = word.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        ["Q", "IQ", "TQ", "MXFP"].into_iter().any(number) || WHOLE.contains(&word.as_str())
    })
}

/// `…-00001-of-00003`, as `llama-gguf-split` names parts.
fn is_part(stem: &str) -> bool {
    let number = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    let mut words = stem.rsplit('-');
    matches!(
        (words.next(), words.next(), words.next()),
        (Some(last), Some("of"), Some(first)) if number(last) && number(first)
    )
}

#[cfg(test)]
mod tests {
    use super::{Source, loadable, quantized};

    #[test]
    fn known_quantizations_pass() {
        for name in [
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            "smollm2-135m-q8_0.gguf",
            "Qwen3-4B-UD-Q4_K_XL.gguf",
            "llama-3.1-8b-IQ3_XS.GGUF",
        ] {
            assert_eq!(quantized("spec", name), None, "{name}");
        }
    }

    #[test]
    fn names_without_with_unknown_and_with_whole_types_are_told_apart() {
        for (name, message) in [
            ("model.gguf", "does not say"),
            ("Qwen-4B.gguf", "does not say"),
            ("model-Q4_9.gguf", "is no quantization"),
            ("model-F16.gguf", "is not quantized"),
        ] {
            let found = quantized("spec", name).map(|found| found.message);
            assert!(
                found.as_ref().is_some_and(|found| found.contains(message)),
                "{name}: {found:?}"
            );
        }
    }

    #[test]
    fn only_whole_gguf_files_load() {
        let refused = |name: &str| {
            let url = format!("https://models.example/{name}");
            loadable("spec", &url.clone(), &Source::Http { url }).is_some()
        };
        assert!(!refused("model-00001.gguf"));
        for name in [
            "model.safetensors",
            "",
            ".gguf",
            "model-00001-of-00003.gguf",
        ] {
            assert!(refused(name), "{name}");
        }
        let folder = Source::Snapshot {
            org: "org".into(),
            repo: "model.gguf".into(),
            commit: "0".repeat(40),
        };
        assert!(loadable("spec", "hf://org/model.gguf", &folder).is_some());
    }
}
