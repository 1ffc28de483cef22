//! The same in the messages of the protocol's gRPC API.
//! <https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_grpc.md>

use aios_proto::{
    config::TextShape,
    inference::{
        InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse,
        infer_parameter::ParameterChoice,
        model_infer_request::{InferInputTensor, InferRequestedOutputTensor},
        model_infer_response::InferOutputTensor,
    },
};
use serde_json::Value;

use super::{
    Asked,
    open_inference::{TEXT, Tensor, text_in},
};

pub fn request(asked: &Asked, shape: &TextShape, model: &str, id: &str) -> ModelInferRequest {
    let prompt = InferTensorContents {
        bytes_contents: vec![asked.prompt.clone().into_bytes()],
        ..InferTensorContents::default()
    };
    let settings = asked.settings.iter();
    ModelInferRequest {
        model_name: model.to_owned(),
        id: id.to_owned(),
        parameters: settings
            .map(|(name, value)| (name.clone(), parameter(value)))
            .collect(),
        inputs: vec![InferInputTensor {
            name: shape.input.clone(),
            datatype: TEXT.to_owned(),
            shape: vec![1],
            contents: Some(prompt),
            ..InferInputTensor::default()
        }],
        outputs: shape.output.as_deref().map(asked_for).into_iter().collect(),
        ..ModelInferRequest::default()
    }
}

fn asked_for(name: &str) -> InferRequestedOutputTensor {
    InferRequestedOutputTensor {
        name: name.to_owned(),
        ..InferRequestedOutputTensor::default()
    }
}

/// Settings are numbers.
fn parameter(value: &Value) -> InferParameter {
    let whole = value.as_i64().map(ParameterChoice::Int64Param);
    let number = whole.or_else(|| value.as_f64().map(ParameterChoice::DoubleParam));
    InferParameter {
        parameter_choice: number,
    }
}

pub fn text(response: &ModelInferResponse, shape: &TextShape) -> Result<String, String> {
    let outputs = response.outputs.iter().enumerate();
    let tensors: Vec<_> = outputs
        .map(|(index, output)| Tensor {
            name: output.name.clone(),
            datatype: output.datatype.clone(),
            data: elements(output, response.raw_output_contents.get(index)),
        })
        .collect();
    text_in(&tensors, shape)
}

/// A server gives them typed, or all of them raw.
fn elements(output: &InferOutputTensor, raw: Option<&Vec<u8>>) -> Value {
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => Value::Null,
    };
    if let Some(mut raw) = raw.map(Vec::as_slice) {
        let mut elements = Vec::new();
        while let Some((element, rest)) = first(raw) {
            elements.push(text(element));
            raw = rest;
        }
        if !raw.is_empty() {
            elements.push(Value::Null);
        }
        return Value::Array(elements);
    }
    let contents = output.contents.as_ref();
    let typed = contents
        .into_iter()
        .flat_map(|contents| &contents.bytes_contents);
    typed.map(|bytes| text(bytes)).collect()
}

/// The first element after its length, and what follows.
fn first(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = raw.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length).try_into().ok()?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use aios_proto::{
        config::TextShape,
        inference::{
            InferTensorContents, ModelInferResponse, infer_parameter::ParameterChoice,
            model_infer_response::InferOutputTensor,
        },
    };
    use rstest::rstest;
    use serde_json::{Map, json};

    use super::{request, text};
    use crate::dialect::text::Asked;

    fn shape(output: Option<&str>) -> TextShape {
        TextShape {
            input: "text_input".into(),
            output: output.map(str::to_owned),
            settings: Vec::new(),
        }
    }

    fn tensor(name: &str, datatype: &str, elements: &[&[u8]]) -> InferOutputTensor {
        let contents = InferTensorContents {
            bytes_contents: elements.iter().map(|bytes| bytes.to_vec()).collect(),
            ..InferTensorContents::default()
        };
        InferOutputTensor {
            name: name.into(),
            datatype: datatype.into(),
            shape: vec![1],
            contents: Some(contents),
            ..InferOutputTensor::default()
        }
    }

    fn of(outputs: Vec<InferOutputTensor>, raw: Vec<Vec<u8>>) -> ModelInferResponse {
        ModelInferResponse {
            outputs,
            raw_output_contents: raw,
            ..ModelInferResponse::default()
        }
    }

    #[test]
    fn a_prompt_is_one_tensor_and_settings_are_parameters() {
        let asked = Asked {
            prompt: "Zoë".into(),
            settings: Map::from_iter([
                ("max_tokens".to_owned(), json!(9)),
                ("temperature".to_owned(), json!(0.4)),
            ]),
            dropped: Vec::new(),
        };
        let request = request(&asked, &shape(Some("text_output")), "house", "7");
        assert_eq!((&*request.model_name, &*request.id), ("house", "7"));
        let input = &request.inputs[0];
        assert_eq!((&*input.name, &*input.datatype), ("text_input", "BYTES"));
        assert_eq!(input.shape, [1]);
        let prompt = &input.contents.as_ref().unwrap().bytes_contents;
        assert_eq!(prompt, &["Zoë".as_bytes()]);
        assert_eq!(request.outputs[0].name, "text_output");
        let told = |name: &str| request.parameters[name].parameter_choice.clone().unwrap();
        assert_eq!(told("max_tokens"), ParameterChoice::Int64Param(9));
        assert_eq!(told("temperature"), ParameterChoice::DoubleParam(0.4));
    }

    #[rstest]
    #[case::typed(None, of(vec![tensor("a", "BYTES", &[b"hi"])], vec![]), "hi")]
    #[case::raw(None, of(vec![tensor("a", "BYTES", &[])], vec![b"\x02\0\0\0hi".to_vec()]), "hi")]
    #[case::named(Some("b"), of(vec![tensor("a", "FP32", &[]), tensor("b", "BYTES", &[])],
        vec![b"\0\0\0\0".to_vec(), b"\x03\0\0\0Zo\xc3".to_vec()]), "!is no text")]
    #[case::second(Some("b"), of(vec![tensor("a", "FP32", &[]), tensor("b", "BYTES", &[])],
        vec![b"\0\0\x80\x3f".to_vec(), b"\x04\0\0\0Zo\xc3\xab".to_vec()]), "Zoë")]
    #[case::many(None, of(vec![tensor("a", "BYTES", &[b"x", b"y"])], vec![]), "!2 elements")]
    #[case::cut(None, of(vec![tensor("a", "BYTES", &[])], vec![b"\x09\0\0\0hi".to_vec()]), "!is no text")]
    #[case::number(None, of(vec![tensor("a", "FP32", &[])], vec![]), "!is of FP32")]
    #[case::none(None, of(vec![], vec![]), "!it has no tensor")]
    fn a_text_is_found_in_its_tensor_or_what_is_wrong_is_named(
        #[case] output: Option<&str>,
        #[case] response: ModelInferResponse,
        #[case] says: &str,
    ) {
        match (text(&response, &shape(output)), says.strip_prefix('!')) {
            (Ok(text), None) => assert_eq!(text, says),
            (Err(error), Some(named)) => assert!(error.contains(named), "{error}"),
            (other, _) => panic!("{other:?}"),
        }
    }
}
