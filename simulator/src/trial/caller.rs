//! Plays a trial's caller: asks, listens, and goes away when its script says so.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    http::{self, Message},
    script::Script,
};

/// How long who is to go away listens to nothing.
const SILENCE: Duration = Duration::from_millis(200);

/// Whom callers ask.
#[derive(Clone, Debug)]
pub struct Gateway {
    pub address: SocketAddr,
    /// Stands before every path.
    pub prefix: &'static str,
    pub model: String,
    pub headers: Vec<(String, String)>,
}

/// What the caller got.
#[derive(Clone, Debug)]
pub enum Heard {
    /// All that came until the connection ended.
    Answer(Message),
    /// It went away.
    Left,
}

/// Asks once, on a connection of its own.
///
/// # Errors
/// When there is no connection, or it broke.
pub async fn play(script: &Script, gateway: &Gateway) -> io::Result<Heard> {
    let mut connection = TcpStream::connect(gateway.address).await?;
    connection.set_nodelay(true)?;
    connection.write_all(&request(script, gateway)).await?;
    let mut came = Vec::new();
    let Some(leaves) = script.leaves else {
        connection.read_to_end(&mut came).await?;
        return Ok(Heard::Answer(http::answer(&came)));
    };
    while came.len() < leaves {
        let read = timeout(SILENCE, connection.read_buf(&mut came)).await;
        if !matches!(read, Ok(Ok(count)) if count > 0) {
            break;
        }
    }
    Ok(Heard::Left)
}

fn request(script: &Script, gateway: &Gateway) -> Vec<u8> {
    let (path, body) = script.request(&gateway.model);
    let body = body.to_string();
    let headers: String = gateway
        .headers
        .iter()
        .flat_map(|(name, value)| [name.as_ref(), ": ", value.as_ref(), "\r\n"])
        .collect();
    format!(
        "POST {}{path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         te: trailers\r\nconnection: close\r\nanthropic-version: 2023-06-01\r\n{headers}\r\n{body}",
        gateway.prefix,
        gateway.address,
        body.len()
    )
    .into_bytes()
}
