//! Embeddings by feature hashing: texts that share words are near each other, and nothing more.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::model::fields::Fields;
use crate::model::problem::Problem;
use crate::model::request::Request;

/// A checked `POST /v1/embeddings`.
#[derive(Debug, Clone)]
pub struct Embeddings {
    /// For faults and the log.
    pub request: Request,
    inputs: Vec<String>,
    dimensions: u16,
    base64: bool,
}

/// `dimensions` is the length if the request names none.
pub fn embeddings_request(body: &Value, dimensions: u16) -> Result<Embeddings, Problem> {
    let fields = Fields::new(body)?;
    let model = fields.text("model")?.to_owned();
    fields.required("input")?;
    let inputs = fields
        .strings("input")
        .map_err(|_| Problem::invalid("input", "a string or a list of strings is expected"))?;
    if inputs.is_empty() || inputs.len() > 2_048 || inputs.iter().any(String::is_empty) {
        return Err(Problem::invalid(
            "input",
            "1 to 2048 non-empty strings are expected",
        ));
    }
    let base64 = match fields.get("encoding_format").map(Value::as_str) {
        None | Some(Some("float")) => false,
        Some(Some("base64")) => true,
        Some(_) => {
            return Err(Problem::invalid(
                "encoding_format",
                "float or base64 is expected",
            ));
        }
    };
    let dimensions = match fields.positive("dimensions")? {
        None => dimensions,
        Some(wanted) => u16::try_from(wanted)
            .map_err(|_| Problem::invalid("dimensions", "at most 65535 are possible"))?,
    };
    let request = Request::of_texts(model, &inputs);
    Ok(Embeddings {
        request,
        inputs,
        dimensions,
        base64,
    })
}

impl Embeddings {
    pub fn response(&self) -> Value {
        let data: Vec<_> = self
            .inputs
            .iter()
            .enumerate()
            .map(|(index, input)| {
                let embedding = self.encode(&embed(input, self.dimensions));
                json!({"object": "embedding", "index": index, "embedding": embedding})
            })
            .collect();
        let tokens = self.request.prompt_tokens;
        json!({
            "object": "list",
            "data": data,
            "model": self.request.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        })
    }

    fn encode(&self, vector: &[f32]) -> Value {
        if !self.base64 {
            return json!(vector);
        }
        let bytes: Vec<u8> = vector
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Value::String(STANDARD.encode(bytes))
    }
}

/// A vector of length 1.
fn embed(text: &str, dimensions: u16) -> Vec<f32> {
    let mut vector = vec![0.0_f32; usize::from(dimensions.max(1))];
    let lower = text.to_lowercase();
    for word in lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        let [a, b, c, d, sign, ..] = Sha256::digest(word).0;
        let at = u32::from_be_bytes([a, b, c, d]) as usize % vector.len();
        if let Some(value) = vector.get_mut(at) {
            *value += if sign % 2 == 0 { 1.0 } else { -1.0 };
        }
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        for value in &mut vector {
            *value /= length;
        }
    } else if let Some(first) = vector.first_mut() {
        *first = 1.0;
    }
    vector
}
