//! As much of HTTP/1.1 as a trial needs to say, and to hear, what a well-behaved library would not.

use std::{collections::BTreeMap, io};

use tokio::io::{AsyncRead, AsyncReadExt};

/// A message with its body, as far as it came.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The first line.
    pub start: String,
    /// By name in lower case; of a name that comes twice, the last.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub trailers: BTreeMap<String, String>,
    /// Whether it ended as its head says.
    pub is_whole: bool,
}

/// Reads a request. None when the connection ended before it was whole.
///
/// # Errors
/// When the connection broke.
pub async fn request<R: AsyncRead + Unpin>(
    from: &mut R,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Message>> {
    loop {
        if let Some(end) = head_end(buffer) {
            let (start, headers) = head(buffer.get(..end).unwrap_or_default());
            let length = headers.get("content-length");
            let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
            if buffer.len() >= end + length {
                let mut rest = buffer.split_off(end);
                *buffer = rest.split_off(length);
                return Ok(Some(Message {
                    start,
                    headers,
                    body: rest,
                    is_whole: true,
                    ..Message::default()
                }));
            }
        }
        if from.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// Reads an answer from all that came until the connection ended.
pub fn answer(bytes: &[u8]) -> Message {
    let Some(end) = head_end(bytes) else {
        return Message::default();
    };
    let (start, headers) = head(bytes.get(..end).unwrap_or_default());
    let rest = bytes.get(end..).unwrap_or_default();
    let mut message = Message {
        start,
        headers,
        ..Message::default()
    };
    if message
        .headers
        .get("transfer-encoding")
        .is_some_and(|coding| coding == "chunked")
    {
        message.read_chunks(rest);
        return message;
    }
    let length = message.headers.get("content-length");
    let length: Option<usize> = length.and_then(|length| length.parse().ok());
    message.is_whole = length.is_none_or(|length| length == rest.len());
    message.body = rest.to_vec();
    message
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(at + 4)
}

fn head(bytes: &[u8]) -> (String, BTreeMap<String, String>) {
    let text = String::from_utf8_lossy(bytes);
    let (start, rest) = text.split_once("\r\n").unwrap_or((&text, ""));
    (start.to_owned(), fields(rest))
}

fn fields(text: &str) -> BTreeMap<String, String> {
    let lines = text.split("\r\n").filter_map(|line| line.split_once(':'));
    lines
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect()
}

impl Message {
    /// 0 where there is none.
    pub fn status(&self) -> u16 {
        let status = self.start.split(' ').nth(1);
        status.and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn read_chunks(&mut self, mut rest: &[u8]) {
        while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
            let (line, after) = rest.split_at(end);
            let line = String::from_utf8_lossy(line);
            let Ok(size) = usize::from_str_radix(line.trim(), 16) else {
                return;
            };
            let after = after.get(2..).unwrap_or_default();
            if size == 0 {
                self.trailers = fields(&String::from_utf8_lossy(after));
                self.is_whole = after.ends_with(b"\r\n");
                return;
            }
            self.body
                .extend_from_slice(after.get(..size).unwrap_or(after));
            rest = after.get(size + 2..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{answer, request};

    #[test]
    fn an_answer_is_whole_only_with_its_last_chunk() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
        let cut = answer(head.as_bytes());
        assert_eq!(
            (cut.status(), cut.body.as_slice(), cut.is_whole),
            (200, &b"abc"[..], false)
        );
        let whole = answer(format!("{head}0\r\nx: y\r\n\r\n").as_bytes());
        assert!(whole.is_whole);
        assert_eq!(whole.trailers["x"], "y");
        let short = answer(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab");
        assert!(!short.is_whole);
    }

    #[tokio::test]
    async fn requests_follow_each_other_on_a_connection() {
        let one = "POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\nab";
        let both = format!("{one}{one}");
        let (mut from, mut buffer) = (both.as_bytes(), Vec::new());
        for _ in 0..2 {
            let read = request(&mut from, &mut buffer).await.unwrap().unwrap();
            assert_eq!(read.body, b"ab");
        }
        assert!(request(&mut from, &mut buffer).await.unwrap().is_none());
    }
}
