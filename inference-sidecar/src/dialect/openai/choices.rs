//! What the choices of an answer, or of a chunk, generated: in bytes, on every channel that costs tokens.

use serde::de::{IgnoredAny, MapAccess, SeqAccess};

use super::tally::{Counted, Number, Present, Tally, Text};

/// One answer of those asked for, whole or a piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice {
    /// Which of them.
    pub index: u64,
    /// Of generated text.
    pub bytes: u64,
    /// Whether it gave its `finish_reason`.
    pub finished: bool,
}

/// A message or a delta.
#[derive(Default)]
struct Channels(u64);

#[derive(Default)]
struct Calls(u64);

#[derive(Default)]
struct Call(u64);

#[derive(Default)]
struct Function(u64);

impl Tally for Choice {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "message" | "delta" => self.bytes += map.next_value::<Counted<Channels>>()?.0.0,
            "index" => self.index = map.next_value::<Counted<Number>>()?.0.0,
            "finish_reason" => self.finished |= map.next_value::<Counted<Present>>()?.0.0,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl Tally for Channels {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "content" | "reasoning_content" | "reasoning" | "refusal" => {
                self.0 += map.next_value::<Counted<Text>>()?.0.0;
            }
            "tool_calls" => self.0 += map.next_value::<Counted<Calls>>()?.0.0,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl Tally for Calls {
    fn item<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let call = list.next_element::<Counted<Call>>()?;
        self.0 += call.as_ref().map_or(0, |call| call.0.0);
        Ok(call.is_some())
    }
}

impl Tally for Call {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name == "function" {
            self.0 += map.next_value::<Counted<Function>>()?.0.0;
            return Ok(());
        }
        map.next_value::<IgnoredAny>().map(drop)
    }
}

impl Tally for Function {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if matches!(name, "name" | "arguments") {
            self.0 += map.next_value::<Counted<Text>>()?.0.0;
            return Ok(());
        }
        map.next_value::<IgnoredAny>().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Choice;
    use crate::dialect::openai::tally::Counted;

    #[rstest]
    #[case::text(r#"{"message":{"role":"assistant","content":"hello"}}"#, 5, false)]
    #[case::escaped(r#"{"delta":{"c\u006fntent":"\u00e9\n"}}"#, 3, false)]
    #[case::thoughts(
        r#"{"delta":{"reasoning_content":"ab","reasoning":"c","refusal":"d"}}"#,
        4,
        false
    )]
    #[case::calls(
        r#"{"delta":{"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}},{}]}}"#,
        3,
        false
    )]
    #[case::end(r#"{"delta":{},"finish_reason":"stop"}"#, 0, true)]
    #[case::no_end(r#"{"delta":{"content":null},"finish_reason":null}"#, 0, false)]
    #[case::other_shapes(
        r#"{"message":"x","delta":[{"content":"y"}],"logprobs":{"content":"z"}}"#,
        0,
        false
    )]
    #[case::parts(
        r#"{"message":{"content":[{"text":"x"}],"tool_calls":{"function":1}}}"#,
        0,
        false
    )]
    #[case::no_object("7", 0, false)]
    fn every_channel_counts_and_other_shapes_do_not(
        #[case] json: &str,
        #[case] bytes: u64,
        #[case] finished: bool,
    ) {
        let Counted(choice) = serde_json::from_str::<Counted<Choice>>(json).unwrap();
        assert_eq!((choice.bytes, choice.finished), (bytes, finished));
    }
}
