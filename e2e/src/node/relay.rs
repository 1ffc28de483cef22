//! Carries connections from the host into the node: UNIX sockets cross network
//! namespaces. A connection begins with the address it wants, and a newline.

use std::path::Path;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

const LONGEST_ADDRESS: usize = 64;

/// The end inside: dials what each connection asks for.
pub async fn serve_inside(socket: &Path) -> Result<()> {
    let listener = UnixListener::bind(socket)
        .with_context(|| format!("cannot listen at {}", socket.display()))?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // An end that hangs up is no matter for the others.
            let _ = carry_inside(stream).await;
        });
    }
}

async fn carry_inside(mut outside: UnixStream) -> Result<()> {
    let mut address = Vec::new();
    loop {
        match outside.read_u8().await? {
            b'\n' => break,
            byte if address.len() < LONGEST_ADDRESS => address.push(byte),
            _ => anyhow::bail!("the address is too long"),
        }
    }
    let mut inside = TcpStream::connect(String::from_utf8(address)?).await?;
    inside.set_nodelay(true)?;
    copy_bidirectional(&mut outside, &mut inside).await?;
    Ok(())
}

/// A connection to an address inside the node.
pub async fn dial(socket: &Path, address: &str) -> Result<UnixStream> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(format!("{address}\n").as_bytes()).await?;
    Ok(stream)
}

/// The end outside: carries every connection to one address inside.
pub async fn serve_outside(listener: TcpListener, socket: &Path, address: &str) -> Result<()> {
    loop {
        let (mut outside, _) = listener.accept().await?;
        outside.set_nodelay(true)?;
        let (socket, address) = (socket.to_path_buf(), address.to_owned());
        tokio::spawn(async move {
            if let Ok(mut inside) = dial(&socket, &address).await {
                let _ = copy_bidirectional(&mut outside, &mut inside).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_reaches_the_address_it_asks_for() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("dial");
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = echo.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = echo.accept().await.unwrap();
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write).await.unwrap();
        });
        let inside = socket.clone();
        tokio::spawn(async move { serve_inside(&inside).await });
        while !socket.exists() {
            tokio::task::yield_now().await;
        }
        let outside = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let entry = outside.local_addr().unwrap();
        tokio::spawn(async move { serve_outside(outside, &socket, &address).await });

        let mut stream = TcpStream::connect(entry).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "hello");
    }
}
