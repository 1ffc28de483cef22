//! Server-sent events, cut from a byte stream without losing a byte: what is not changed is
//! forwarded as it came. <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use bytes::{Bytes, BytesMut};

/// Longest event that is held in memory.
pub const MAX_EVENT: usize = 1 << 20;

/// One event as it came, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The bytes up to and including the empty line.
    pub raw: Bytes,
    /// Value of the last `event` field.
    pub name: Option<String>,
    /// The `data` fields, joined by line feeds; none for comments.
    pub data: Option<String>,
}

/// An event grew over [`MAX_EVENT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {MAX_EVENT} bytes")]
pub struct TooLong;

/// Cuts events from bytes that arrive in any pieces.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: BytesMut,
    /// Start of the line that is not complete yet.
    line: usize,
}

impl Splitter {
    /// Takes bytes, gives the events that are complete now.
    ///
    /// # Errors
    /// When an event is too long to hold.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut from = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.next_line_feed(from) {
            let line = self.buffer.get(self.line..end).unwrap_or_default();
            if line.is_empty() || line == b"\r" {
                let raw = self.buffer.split_to(end + 1).freeze();
                self.line = 0;
                from = 0;
                events.push(Event::parse(&raw));
            } else {
                self.line = end + 1;
                from = end + 1;
            }
        }
        if self.buffer.len() > MAX_EVENT {
            Err(TooLong)
        } else {
            Ok(events)
        }
    }

    /// The last event, if the stream ended without its empty line.
    pub fn finish(&mut self) -> Option<Event> {
        self.line = 0;
        let mut rest = self.buffer.split();
        if rest.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        rest.extend_from_slice(b"\n\n");
        Some(Event::parse(&rest.freeze()))
    }

    /// What belongs to no whole event yet.
    pub fn rest(&mut self) -> Bytes {
        self.line = 0;
        self.buffer.split().freeze()
    }

    fn next_line_feed(&self, from: usize) -> Option<usize> {
        let rest = self.buffer.get(from..)?;
        rest.iter()
            .position(|byte| *byte == b'\n')
            .map(|at| from + at)
    }
}

impl Event {
    /// An event that carries `data` alone.
    pub fn of_data(data: &str) -> Self {
        Self {
            raw: format!("data: {data}\n\n").into(),
            name: None,
            data: Some(data.to_owned()),
        }
    }

    fn parse(raw: &Bytes) -> Self {
        let text = String::from_utf8_lossy(raw);
        let (mut name, mut data) = (None, None::<String>);
        for line in text.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match (field, &mut data) {
                ("event", _) => name = Some(value.to_owned()),
                ("data", Some(data)) => {
                    data.push('\n');
                    data.push_str(value);
                }
                ("data", none) => *none = Some(value.to_owned()),
                _ => {}
            }
        }
        Self {
            name,
            data,
            raw: raw.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_EVENT, Splitter, TooLong};

    const STREAM: &[u8] = b": hi\n\nevent: a\r\ndata: 1\r\ndata:2\r\n\r\ndata: [DONE]\n\n";

    #[test]
    fn any_cut_gives_the_same_events_and_loses_no_byte() {
        for size in 1..STREAM.len() {
            let mut splitter = Splitter::default();
            let mut events = Vec::new();
            for piece in STREAM.chunks(size) {
                events.extend(splitter.push(piece).unwrap());
            }
            let raw: Vec<u8> = events.iter().flat_map(|event| event.raw.to_vec()).collect();
            assert_eq!(raw, STREAM);
            let data: Vec<_> = events.iter().map(|event| event.data.as_deref()).collect();
            assert_eq!(data, [None, Some("1\n2"), Some("[DONE]")]);
            assert_eq!(events[1].name.as_deref(), Some("a"));
            assert_eq!(splitter.finish(), None);
        }
    }

    #[test]
    fn a_last_event_without_its_empty_line_is_not_lost() {
        let mut splitter = Splitter::default();
        assert!(splitter.push(b"data: x").unwrap().is_empty());
        assert_eq!(splitter.finish().unwrap().data.as_deref(), Some("x"));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.push(&vec![b'x'; MAX_EVENT + 1]), Err(TooLong));
    }
}
