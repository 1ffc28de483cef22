//! The least of an HTTP/1.1 client that a load needs: bytes out, one answer in, and when its first token came.
//! It shares a core with the simulator, so it parses no more than where an answer ends.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

/// How a stream says a token; every entrant passes it on as the simulator writes it.
const TOKEN: &[u8] = b"\"content\":\"";
const DONE: &[u8] = b"data: [DONE]";
const HEAD_END: &[u8] = b"\r\n\r\n";
/// Where a body has this, each request has its own number: no two ask the same, and no cache answers.
pub const NUMBER: &str = "No. 00000000";
const DIGITS: usize = 8;

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Request {
    pub address: SocketAddr,
    pub bytes: Vec<u8>,
    pub is_stream: bool,
    /// Where its number begins.
    number_at: Option<usize>,
}

/// What came back.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// None but of a stream.
    pub first_token: Option<Instant>,
    /// Whether the connection takes another request.
    pub is_open: bool,
}

/// A connection that is kept.
pub struct Connection {
    stream: TcpStream,
    sent: Vec<u8>,
    read: Vec<u8>,
}

/// How long a body is.
enum Length {
    Bytes(usize),
    Chunked,
    UntilClosed,
}

/// What a head says.
struct Head {
    status: u16,
    length: Length,
    closes: bool,
}

impl Request {
    /// A chat completion, at an address and a path.
    pub fn chat(
        (address, path): (SocketAddr, &str),
        headers: &[(String, String)],
        body: &str,
    ) -> Self {
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.extend([name.as_str(), ": ", value.as_str(), "\r\n"]);
        }
        let bytes = format!("{head}\r\n{body}").into_bytes();
        let number = find(&bytes, NUMBER.as_bytes());
        Self {
            address,
            number_at: number.map(|at| at + NUMBER.len() - DIGITS),
            bytes,
            is_stream: body.contains("\"stream\":true"),
        }
    }

    /// Writes the request of that number.
    fn write(&self, number: u64, to: &mut Vec<u8>) {
        to.clear();
        to.extend_from_slice(&self.bytes);
        let place = self.number_at.and_then(|at| to.get_mut(at..at + DIGITS));
        let mut rest = number;
        for digit in place.into_iter().flatten().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
    }
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("no connection")?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            sent: Vec::new(),
            read: Vec::with_capacity(16 << 10),
        })
    }

    /// Asks, and reads the whole answer.
    ///
    /// # Errors
    /// Whatever is not a whole answer with status 200.
    pub async fn ask(&mut self, request: &Request, number: u64) -> Result<Answer> {
        self.read.clear();
        request.write(number, &mut self.sent);
        self.stream.write_all(&self.sent).await?;
        let body_at = loop {
            if let Some(at) = find(&self.read, HEAD_END) {
                break at + HEAD_END.len();
            }
            ensure!(self.more().await? > 0, "closed before an answer");
        };
        let head = Head::read(self.read.get(..body_at).unwrap_or_default())?;
        let mut first_token = None;
        loop {
            let body = self.read.get(body_at..).unwrap_or_default();
            if request.is_stream && first_token.is_none() && has_token(body) {
                first_token = Some(Instant::now());
            }
            if head.length.is_reached(body) {
                break;
            }
            if self.more().await? == 0 {
                ensure!(matches!(head.length, Length::UntilClosed), "cut");
                break;
            }
        }
        let body = self.read.get(body_at..).unwrap_or_default();
        if head.status != 200 {
            let text = String::from_utf8_lossy(body.get(..body.len().min(200)).unwrap_or(body));
            bail!("status {}: {text}", head.status);
        }
        let is_whole = !request.is_stream || find(body, DONE).is_some();
        ensure!(is_whole, "a stream without its end");
        Ok(Answer {
            first_token,
            is_open: !head.closes,
        })
    }

    async fn more(&mut self) -> Result<usize> {
        Ok(self.stream.read_buf(&mut self.read).await?)
    }
}

impl Head {
    fn read(head: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(head).context("the head is no text")?;
        let mut lines = text.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status.and_then(|status| status.parse().ok());
        let mut length = Length::UntilClosed;
        let mut closes = false;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = Length::Bytes(value.parse().context("content-length")?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                length = Length::Chunked;
            } else if name.eq_ignore_ascii_case("connection") {
                closes |= value.eq_ignore_ascii_case("close");
            }
        }
        closes |= matches!(length, Length::UntilClosed);
        Ok(Self {
            status: status.context("no status")?,
            length,
            closes,
        })
    }
}

impl Length {
    fn is_reached(&self, body: &[u8]) -> bool {
        match self {
            Self::Bytes(bytes) => body.len() >= *bytes,
            // Trailers may follow the last chunk; texts of the simulator hold no such bytes.
            Self::Chunked => {
                let last = if body.starts_with(b"0\r\n") {
                    Some(0)
                } else {
                    rfind(body, b"\r\n0\r\n")
                };
                last.is_some_and(|at| find(body.get(at..).unwrap_or_default(), HEAD_END).is_some())
            }
            Self::UntilClosed => false,
        }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|at| at == wanted)
}

fn rfind(text: &[u8], wanted: &[u8]) -> Option<usize> {
    // The end is near: only trailers stand behind it.
    let from = text.len().saturating_sub(1 << 10);
    let near = text.get(from..)?;
    let at = near.windows(wanted.len()).rposition(|at| at == wanted)?;
    Some(from + at)
}

/// Whether a token came: a first event that only names the role has an empty content, which says nothing.
fn has_token(text: &[u8]) -> bool {
    let mut places = text.windows(TOKEN.len() + 1);
    places.any(|at| at.starts_with(TOKEN) && !at.ends_with(b"\""))
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::{Answer, Connection, NUMBER, Request};

    const CHAT: &str = "/v1/chat/completions";

    /// Asks a server that answers with these pieces.
    async fn asked(pieces: &'static [&'static str], body: &str) -> anyhow::Result<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let request = Request::chat((listener.local_addr().unwrap(), CHAT), &[], body);
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut connection = Connection::open(request.address).await?;
        connection.ask(&request, 0).await
    }

    #[test]
    fn every_request_has_its_own_number() {
        let address = ([127, 0, 0, 1], 1).into();
        let request = Request::chat((address, CHAT), &[], NUMBER);
        let mut bytes = Vec::new();
        request.write(1_234, &mut bytes);
        assert!(bytes.ends_with(b"No. 00001234"));
        assert_eq!(bytes.len(), request.bytes.len());
    }

    #[tokio::test]
    async fn an_answer_ends_where_its_length_says() {
        let answer = asked(
            &[
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
                "llo and more",
            ],
            "{}",
        );
        let answer = answer.await.unwrap();
        assert!(answer.is_open && answer.first_token.is_none());
    }

    #[tokio::test]
    async fn a_stream_ends_behind_its_trailers() {
        const PIECES: &[&str] = &[
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n19\r\ndata: {\"content\":\"\"}\n\n\r\n",
            "1a\r\ndata: {\"content\":\"a\"}\n\n\r\n",
            "28\r\ndata: {\"content\":\"b\"}\n\ndata: [DONE]\n\n\r\n",
            "0\r\naios-usage: exact\r\n",
            "\r\n",
        ];
        let answer = asked(PIECES, "{\"stream\":true}").await.unwrap();
        assert!(answer.first_token.is_some() && answer.is_open);
    }

    #[tokio::test]
    async fn what_is_no_whole_answer_is_an_error() {
        let refused = asked(
            &["HTTP/1.1 429 Too Many\r\ncontent-length: 2\r\n\r\nno"],
            "{}",
        );
        assert!(refused.await.unwrap_err().to_string().contains("429"));
        let cut = asked(&["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nno"], "{}");
        assert!(cut.await.is_err());
        let without_end = asked(
            &["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno"],
            "{\"stream\":true}",
        );
        assert!(without_end.await.is_err());
    }
}
