//! What the model is told: the pipeline's own prompt, and on later calls what was wrong.

use serde::Serialize;

use crate::machine::OpenSlot;

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    pub role: &'static str,
    pub content: String,
}

/// For the first version, or for another one after policy refused the last.
pub fn draft(prompt: String, open: &OpenSlot) -> Vec<Message> {
    let mut messages = vec![user(prompt)];
    if let Some(previous) = &open.previous {
        messages.push(Message {
            role: "assistant",
            content: previous.clone(),
        });
        let why: Vec<String> = open
            .feedback
            .iter()
            .map(|rule| format!("- {rule}"))
            .collect();
        messages.push(user(format!(
            "That text breaks these rules:\n{}\nWrite it again so that it keeps them. Answer with the \
             text alone.",
            why.join("\n")
        )));
    }
    messages
}

/// For the final version of a draft.
pub fn finish(prompt: String, draft: String) -> Vec<Message> {
    vec![
        user(prompt),
        Message { role: "assistant", content: draft },
        user(
            "Give this text its final wording: the same meaning and language, no new facts, names or \
             numbers. Answer with the text alone."
                .to_owned(),
        ),
    ]
}

fn user(content: String) -> Message {
    Message {
        role: "user",
        content,
    }
}
