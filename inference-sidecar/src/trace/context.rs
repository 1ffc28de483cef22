//! W3C Trace Context, as it stands in header `traceparent`. Pure.
//! <https://www.w3.org/TR/trace-context/>

use http::{HeaderMap, HeaderName, HeaderValue};

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");
const SAMPLED: u8 = 1;

/// A span's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    pub trace: [u8; 16],
    pub span: [u8; 8],
    flags: u8,
}

impl Context {
    /// Of a trace that begins here.
    pub fn root() -> Self {
        Self {
            trace: rand::random(),
            span: rand::random(),
            flags: SAMPLED,
        }
    }

    /// What the caller says; none where it says nothing, or nothing that is right.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut said = headers.get_all(PARENT).iter();
        match (said.next(), said.next()) {
            (Some(one), None) => Self::parse(one.to_str().ok()?),
            _ => None,
        }
    }

    /// Of a span within this one.
    pub fn within(self) -> Self {
        Self {
            span: rand::random(),
            ..self
        }
    }

    /// Whether whoever began the trace keeps it.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Tells the next what it is called within: the span that calls it, or what the caller said where none does.
    pub fn pass_on(within: Option<Self>, caller: &HeaderMap, next: &mut HeaderMap) {
        for name in [PARENT, STATE] {
            if let Some(said) = caller.get(&name) {
                next.insert(name, said.clone());
            }
        }
        if let Some(within) = within {
            within.write(next);
            // Of a trace that is not gone on with.
            if Self::of(caller).is_none() {
                next.remove(STATE);
            }
        }
    }

    /// Puts it in the place of what a header said.
    fn write(self, headers: &mut HeaderMap) {
        let (trace, span, flags) = (hex::encode(self.trace), hex::encode(self.span), self.flags);
        if let Ok(value) = HeaderValue::try_from(format!("00-{trace}-{span}-{flags:02x}")) {
            headers.insert(PARENT, value);
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let [version] = bytes(parts.next()?)?;
        let context = Self {
            trace: bytes(parts.next()?)?,
            span: bytes(parts.next()?)?,
            flags: bytes::<1>(parts.next()?)?[0],
        };
        // Later versions may say more behind.
        let is_whole = version != 0 || parts.next().is_none();
        let is_named = context.trace != [0; 16] && context.span != [0; 8];
        (version != 0xff && is_whole && is_named).then_some(context)
    }
}

/// Lower-case hex of just so many bytes.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    let mut bytes = [0; N];
    (is_lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use rstest::rstest;

    use super::Context;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("traceparent", HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_context_is_read_and_goes_on_with_another_span() {
        let context = Context::of(&headers(&[GOOD])).unwrap();
        assert!(context.is_sampled());
        let mut same = HeaderMap::new();
        context.write(&mut same);
        assert_eq!(same["traceparent"], GOOD);
        let within = context.within();
        assert_eq!(within.trace, context.trace);
        assert_ne!(within.span, context.span);
    }

    #[test]
    fn whoever_does_not_keep_a_trace_is_heeded() {
        let unsampled = GOOD.replace("-01", "-00");
        assert!(!Context::of(&headers(&[&unsampled])).unwrap().is_sampled());
    }

    #[rstest]
    #[case::later_version("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true)]
    #[case::more("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", false)]
    #[case::upper("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false)]
    #[case::no_version("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false)]
    #[case::no_trace("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false)]
    #[case::no_span("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false)]
    #[case::short("00-1-1-01", false)]
    #[case::nothing("", false)]
    fn only_what_is_right_is_taken(#[case] text: &str, #[case] right: bool) {
        assert_eq!(Context::of(&headers(&[text])).is_some(), right);
    }

    #[test]
    fn two_contexts_are_none() {
        assert_eq!(Context::of(&headers(&[GOOD, GOOD])), None);
    }
}
