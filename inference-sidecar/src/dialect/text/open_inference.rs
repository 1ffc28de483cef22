//! Texts as tensors of Open Inference Protocol V2.
//! <https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md>

use aios_proto::config::TextShape;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Asked;

pub(super) const TEXT: &str = "BYTES";

#[derive(Deserialize)]
struct Response {
    outputs: Vec<Tensor>,
}

/// A tensor of an answer.
#[derive(Deserialize)]
pub(super) struct Tensor {
    pub name: String,
    pub datatype: String,
    #[serde(default)]
    pub data: Value,
}

/// Some of KServe's model servers fail where a request has no id to give back.
pub fn request(asked: &Asked, shape: &TextShape, id: &str) -> Value {
    let mut body = json!({"id": id, "inputs": [{
        "name": shape.input, "shape": [1], "datatype": TEXT, "data": [asked.prompt],
    }]});
    if let Some(output) = &shape.output {
        body["outputs"] = json!([{ "name": output }]);
    }
    if !asked.settings.is_empty() {
        body["parameters"] = Value::Object(asked.settings.clone());
    }
    body
}

pub fn text(body: &[u8], shape: &TextShape) -> Result<String, String> {
    let response: Response = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    text_in(&response.outputs, shape)
}

/// The text in a tensor of those.
pub(super) fn text_in(tensors: &[Tensor], shape: &TextShape) -> Result<String, String> {
    let tensor = tensor(tensors, shape.output.as_deref())?;
    let name = &tensor.name;
    if tensor.datatype != TEXT {
        let found = &tensor.datatype;
        return Err(format!(
            "tensor `{name}` is of {found}, and a text is of {TEXT}: set engine.kserve.output to the text's"
        ));
    }
    let mut elements = Vec::new();
    flatten(&tensor.data, &mut elements);
    let [element] = elements.as_slice() else {
        let count = elements.len();
        return Err(format!(
            "tensor `{name}` has {count} elements, where one text was asked for"
        ));
    };
    let text = element.as_str().map(str::to_owned);
    text.ok_or_else(|| format!("the element of tensor `{name}` is no text"))
}

fn tensor<'a>(tensors: &'a [Tensor], wanted: Option<&str>) -> Result<&'a Tensor, String> {
    let listed = || {
        let names: Vec<_> = tensors
            .iter()
            .map(|one| format!("`{}`", one.name))
            .collect();
        match names.as_slice() {
            [] => "no tensor".to_owned(),
            _ => names.join(", "),
        }
    };
    match (wanted, tensors) {
        (None, [only]) => Ok(only),
        (None, _) => Err(format!(
            "it has {}: set engine.kserve.output to the text's tensor",
            listed()
        )),
        (Some(name), _) => tensors.iter().find(|one| one.name == name).ok_or_else(|| {
            let listed = listed();
            format!(
                "it has {listed} and not `{name}`: set engine.kserve.output to the text's tensor"
            )
        }),
    }
}

/// The protocol allows data as nested lists, by the tensor's shape, or flat.
fn flatten<'a>(data: &'a Value, elements: &mut Vec<&'a Value>) {
    match data {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, elements)),
        element => elements.push(element),
    }
}

#[cfg(test)]
mod tests {
    use aios_proto::config::TextShape;
    use rstest::rstest;
    use serde_json::{Map, Value, json};

    use super::{request, text};
    use crate::dialect::text::Asked;

    fn shape(output: Option<&str>) -> TextShape {
        TextShape {
            input: "input-0".into(),
            output: output.map(str::to_owned),
            settings: Vec::new(),
        }
    }

    #[test]
    fn a_prompt_is_one_tensor_of_bytes() {
        let mut asked = Asked {
            prompt: "Zoë".into(),
            settings: Map::new(),
            dropped: Vec::new(),
        };
        let input =
            json!([{"name": "input-0", "shape": [1], "datatype": "BYTES", "data": ["Zoë"]}]);
        assert_eq!(
            request(&asked, &shape(None), "7"),
            json!({"id": "7", "inputs": input})
        );
        asked.settings.insert("max_tokens".into(), json!(9));
        assert_eq!(
            request(&asked, &shape(Some("text")), "7"),
            json!({"id": "7", "inputs": input, "outputs": [{"name": "text"}], "parameters": {"max_tokens": 9}})
        );
    }

    #[rstest]
    #[case::only(None, json!([{"name": "a", "shape": [1], "datatype": "BYTES", "data": ["hi"]}]))]
    #[case::nested(None, json!([{"name": "a", "shape": [1, 1], "datatype": "BYTES", "data": [["hi"]]}]))]
    #[case::named(Some("b"), json!([
        {"name": "a", "shape": [1], "datatype": "FP32", "data": [1.0]},
        {"name": "b", "shape": [1], "datatype": "BYTES", "data": ["hi"]}]))]
    fn a_text_is_found_in_its_tensor(#[case] output: Option<&str>, #[case] outputs: Value) {
        let body = json!({"model_name": "m", "id": "7", "outputs": outputs}).to_string();
        let text = text(body.as_bytes(), &shape(output)).unwrap();
        assert_eq!(text, "hi");
    }

    #[rstest]
    #[case::none(None, json!([]), "it has no tensor")]
    #[case::two(None, json!([{"name": "a", "datatype": "BYTES"}, {"name": "b", "datatype": "BYTES"}]),
        "it has `a`, `b`: set engine.kserve.output")]
    #[case::other(Some("c"), json!([{"name": "a", "datatype": "BYTES"}]), "`a` and not `c`")]
    #[case::number(None, json!([{"name": "a", "datatype": "FP32", "data": [1.0]}]), "is of FP32")]
    #[case::many(None, json!([{"name": "a", "datatype": "BYTES", "data": ["x", "y"]}]), "2 elements")]
    #[case::no_text(None, json!([{"name": "a", "datatype": "BYTES", "data": [7]}]), "no text")]
    #[case::no_list(None, json!({}), "invalid type")]
    fn an_answer_of_another_shape_is_an_error_that_names_it(
        #[case] output: Option<&str>,
        #[case] outputs: Value,
        #[case] says: &str,
    ) {
        let body = json!({ "outputs": outputs }).to_string();
        let error = text(body.as_bytes(), &shape(output)).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}
