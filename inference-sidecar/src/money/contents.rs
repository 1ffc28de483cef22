//! What a body asks for whose tokens or price its length does not bound. Pure.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// How names of parts of prompts begin whose tokens no length bounds.
const MEDIA: [&str; 9] = [
    "image",
    "input_image",
    "audio",
    "input_audio",
    "video",
    "file",
    "input_file",
    "document",
    "cached_content",
];
/// Fields by which a provider reads or runs something by itself and bills for it, or asks another model.
const RUN: [&str; 10] = [
    "mcp_servers",
    "web_search_options",
    "web_search",
    "container",
    "search_parameters",
    "plugins",
    "data_sources",
    "enable_search",
    "models",
    "fallbacks",
];
/// Fields by whose other values tokens have another price.
const PRICED: [(&str, &[&str]); 3] = [
    (
        "service_tier",
        &["auto", "default", "flex", "standard", "standard_only"],
    ),
    ("speed", &["standard"]),
    ("inference_geo", &["global"]),
];
/// Asks Anthropic to write what stands before it into a cache.
const CACHE: &str = "cache_control";
/// Kinds of tools that the caller runs, whose answers come with the next call.
const OWN: [&str; 2] = ["function", "custom"];
/// The same, of which the provider adds a description of its own to the prompt.
const DESCRIBED: [&str; 4] = ["bash_", "text_editor_", "computer_", "memory_"];

/// What is in a body beside text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Parts that may fill the model's context.
    pub media: bool,
    /// Whether the provider is asked to write it into a cache.
    pub caches: bool,
    /// The field that asks for what nobody can price beforehand.
    pub unbounded: Option<String>,
}

/// Visits the fields at the top.
struct Top<'a>(&'a mut Contents);

/// Looks for media and caches at any depth.
struct Part<'a> {
    contents: &'a mut Contents,
    /// Whether the value says what kind of part it is.
    is_kind: bool,
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A tool as far as it says who runs it. Of a field that stands twice servers may read either.
#[derive(Default)]
struct Tool {
    kinds: Vec<Value>,
    is_named: bool,
    caches: bool,
}

impl Contents {
    /// Names are compared as JSON means them, however they are written.
    pub fn of(body: &[u8]) -> Self {
        let mut contents = Self::default();
        let mut json = serde_json::Deserializer::from_slice(body);
        if json.deserialize_map(Top(&mut contents)).is_err() {
            // Its end was not seen.
            contents.unbounded("body".to_owned());
        }
        contents
    }

    fn field<'de, M: MapAccess<'de>>(&mut self, name: &str, map: &mut M) -> Result<(), M::Error> {
        self.caches |= name == CACHE;
        let is_asked = if name == "tools" {
            let tools: Option<Vec<Tool>> = map.next_value()?;
            self.tools(&tools.unwrap_or_default());
            false
        } else if RUN.contains(&name) {
            asks(&map.next_value()?)
        } else if let Some((_, usual)) = PRICED.iter().find(|(field, _)| *field == name) {
            let value: Value = map.next_value()?;
            !value.is_null() && !value.as_str().is_some_and(|value| usual.contains(&value))
        } else if name == "modalities" {
            let value: Value = map.next_value()?;
            let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
            list.iter().any(|modality| modality != "text")
        } else if name == "context_management" {
            compacts(&map.next_value()?)
        } else {
            map.next_value_seed(Part {
                contents: self,
                is_kind: false,
            })?;
            false
        };
        if is_asked {
            self.unbounded(name.to_owned());
        }
        Ok(())
    }

    fn tools(&mut self, tools: &[Tool]) {
        for (at, tool) in tools.iter().enumerate() {
            let kinds = tool.kinds.iter().filter(|kind| !kind.is_null());
            let kinds: Vec<_> = kinds
                .map(|kind| kind.as_str().unwrap_or_default())
                .collect();
            let is_described = |kind: &&str| DESCRIBED.iter().any(|own| kind.starts_with(own));
            let is_own = |kind: &&str| OWN.contains(kind) || is_described(kind);
            self.media |= kinds.iter().any(is_described);
            self.caches |= tool.caches;
            if !kinds.iter().all(is_own) || (kinds.is_empty() && !tool.is_named) {
                self.unbounded(format!("tools[{at}]"));
            }
        }
    }

    fn unbounded(&mut self, field: String) {
        self.unbounded.get_or_insert(field);
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(Name(name)) = map.next_key()? {
            self.0.field(&name, &mut map)?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Tool {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(Self::default())
    }
}

impl<'de> Visitor<'de> for Tool {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tool")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<Self, M::Error> {
        while let Some(Name(name)) = map.next_key()? {
            if name == "type" {
                self.kinds.push(map.next_value()?);
            } else {
                self.is_named |= name == "name" || name == "function";
                self.caches |= name == CACHE;
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(self)
    }
}

/// Whether an answer may begin with a summary of what was said, which is counted beside it.
fn compacts(management: &Value) -> bool {
    let edits = management.get("edits").and_then(Value::as_array);
    let mut kinds = edits.into_iter().flatten().map(|edit| edit.get("type"));
    kinds.any(|kind| {
        !kind
            .and_then(Value::as_str)
            .is_some_and(|kind| kind.starts_with("clear_"))
    })
}

fn asks(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        _ => true,
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.contents.media |= self.is_kind && is_media(text);
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<(), S::Error> {
        let contents = self.contents;
        loop {
            let item = Part {
                contents: &mut *contents,
                is_kind: false,
            };
            if list.next_element_seed(item)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let contents = self.contents;
        while let Some(Name(name)) = map.next_key()? {
            contents.media |= is_media(&name);
            contents.caches |= name == CACHE;
            map.next_value_seed(Part {
                contents: &mut *contents,
                is_kind: name == "type",
            })?;
        }
        Ok(())
    }
}

fn is_media(name: &str) -> bool {
    MEDIA.iter().any(|media| name.starts_with(media))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Contents;

    fn of(body: &str) -> (bool, Option<String>) {
        let contents = Contents::of(body.as_bytes());
        (contents.media, contents.unbounded)
    }

    #[rstest]
    #[case::text(
        r#"{"messages":[{"role":"user","content":"an \"image\" of a file"}]}"#,
        false
    )]
    #[case::picture(r#"{"messages":[{"content":[{"type":"image_url"}]}]}"#, true)]
    #[case::without_a_type(r#"{"messages":[{"content":[{"image_url":{"url":"x"}}]}]}"#, true)]
    #[case::escaped(r#"{"messages":[{"content":[{"\u0069mage_url":1}]}]}"#, true)]
    #[case::escaped_kind(r#"{"messages":[{"content":[{"type":"\u0069mage_url"}]}]}"#, true)]
    #[case::escaped_type(r#"{"messages":[{"content":[{"t\u0079pe":"document"}]}]}"#, true)]
    #[case::given_to_a_tool(
        r#"{"messages":[{"content":[{"type":"tool_result","content":[{"type":"image"}]}]}]}"#,
        true
    )]
    #[case::said_before(r#"{"messages":[{"role":"assistant","audio":{"id":"a"}}]}"#, true)]
    #[case::kept_elsewhere(r#"{"extra_body":{"google":{"cached_content":"c"}}}"#, true)]
    #[case::described(r#"{"tools":[{"type":"computer_20250124","name":"computer"}]}"#, true)]
    #[case::a_tools_field(
        r#"{"tools":[{"type":"function","function":{"parameters":{"properties":{"file":{}}}}}]}"#,
        false
    )]
    fn parts_that_no_length_bounds_are_found_however_they_are_written(
        #[case] body: &str,
        #[case] media: bool,
    ) {
        assert_eq!(of(body), (media, None));
    }

    #[rstest]
    #[case::none(r#"{"messages":[{"content":"\"cache_control\""}]}"#, false)]
    #[case::of_all(r#"{"cache_control":{"type":"ephemeral"}}"#, true)]
    #[case::of_a_part(r#"{"system":[{"type":"text","cache\u005fcontrol":{}}]}"#, true)]
    #[case::of_a_tool(r#"{"tools":[{"name":"f","cache_control":{}}]}"#, true)]
    fn a_prompt_that_is_to_be_kept_is_known(#[case] body: &str, #[case] caches: bool) {
        assert_eq!(Contents::of(body.as_bytes()).caches, caches);
    }

    #[rstest]
    #[case::search(
        r#"{"tools":[{"name":"own"},{"type":"web_search_20250305"}]}"#,
        "tools[1]"
    )]
    #[case::escaped(r#"{"t\u006fols":[{"type":"web\u005fsearch"}]}"#, "tools[0]")]
    #[case::either_of_two(
        r#"{"tools":[{"type":"web_search","type":"function","name":"f"}]}"#,
        "tools[0]"
    )]
    #[case::without_a_type(r#"{"tools":[{"google_search":{}}]}"#, "tools[0]")]
    #[case::no_tool(r#"{"tools":["web_search"]}"#, "body")]
    #[case::behind_what_is_too_deep(&format!(r#"{{"x":{}{},"mcp_servers":[1]}}"#, "[".repeat(200), "]".repeat(200)), "body")]
    #[case::behind_what_is_too_large(r#"{"x":1e999,"mcp_servers":[1]}"#, "body")]
    #[case::mcp(r#"{"mcp_servers":[{"type":"url"}]}"#, "mcp_servers")]
    #[case::search_of_chats(r#"{"web_search_options":{}}"#, "web_search_options")]
    #[case::container(r#"{"container":"c"}"#, "container")]
    #[case::other_models(r#"{"models":["dearer"]}"#, "models")]
    #[case::speech(r#"{"modalities":["text","audio"]}"#, "modalities")]
    #[case::summary(
        r#"{"context_management":{"edits":[{"type":"compact_20260112"}]}}"#,
        "context_management"
    )]
    #[case::place(r#"{"inference_geo":"us"}"#, "inference_geo")]
    #[case::tier(r#"{"service_tier":"priority"}"#, "service_tier")]
    #[case::speed(r#"{"speed":"fast"}"#, "speed")]
    fn what_a_provider_runs_or_bills_by_itself_is_named(#[case] body: &str, #[case] field: &str) {
        assert_eq!(of(body), (false, Some(field.to_owned())));
    }

    #[rstest]
    #[case::own(
        r#"{"tools":[{"type":"function"},{"type":"custom"},{"type":null,"name":"own"},{"name":"own"}]}"#
    )]
    #[case::nothing(r#"{"mcp_servers":[],"web_search_options":null,"enable_search":false}"#)]
    #[case::usual(r#"{"service_tier":"auto","speed":"standard","modalities":["text"]}"#)]
    #[case::cleared(r#"{"context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}}"#)]
    #[case::none(r#"{"tools":null,"service_tier":null,"modalities":null}"#)]
    fn what_the_caller_runs_is_bounded_by_its_length(#[case] body: &str) {
        assert_eq!(of(body), (false, None));
    }
}
