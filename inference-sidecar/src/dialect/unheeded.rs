//! What some models take and do not heed: no refusal tells, so who does so is known beforehand.

use super::unwanted::{Unwanted, thinking};

/// Settings of `DeepSeek`'s API that do nothing while a model thinks. So says its documentation; what becomes of
/// `top_p` differs by model.
const THINKING: [Unwanted; 3] = [
    Unwanted::Setting("temperature"),
    Unwanted::Setting("presence_penalty"),
    Unwanted::Setting("frequency_penalty"),
];

/// What `DeepSeek`'s API would not heed in this request. Its models think unless they are told not to; one did not by
/// that name.
pub fn by_deepseek(model: &str, body: &[u8]) -> &'static [Unwanted] {
    let thinking = thinking(body);
    let thinking = thinking.as_ref().and_then(|kind| kind["type"].as_str());
    match thinking {
        Some("disabled") => &[],
        None if model == "deepseek-chat" => &[],
        _ => &THINKING,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::by_deepseek;

    #[rstest]
    #[case("deepseek-v4-pro", r#"{"temperature":0.4,"frequency_penalty":1,"top_p":0.9}"#,
        r#"{"top_p":0.9}"#, &["temperature", "frequency_penalty"])]
    #[case("deepseek-v4-pro", r#"{"temperature":0.4,"thinking":{"type":"disabled"}}"#,
        r#"{"temperature":0.4,"thinking":{"type":"disabled"}}"#, &[])]
    #[case("deepseek-chat", r#"{"temperature":0.4}"#, r#"{"temperature":0.4}"#, &[])]
    #[case("deepseek-chat", r#"{"temperature":0.4,"thinking":{"type":"enabled"}}"#,
        r#"{"thinking":{"type":"enabled"}}"#, &["temperature"])]
    #[case("deepseek-reasoner", r#"{"presence_penalty":1}"#, "{}", &["presence_penalty"])]
    fn settings_that_a_thinking_model_does_not_heed_are_left_out_by_name(
        #[case] model: &str,
        #[case] body: &str,
        #[case] sent: &str,
        #[case] dropped: &[&str],
    ) {
        let mut left = body.as_bytes().to_vec();
        let mut names = Vec::new();
        for unwanted in by_deepseek(model, body.as_bytes()) {
            if let Some((body, name)) = unwanted.left_out(&left).unwrap() {
                left = body;
                names.push(name);
            }
        }
        assert_eq!(
            (String::from_utf8(left).unwrap().as_str(), names.as_slice()),
            (sent, dropped)
        );
    }
}
