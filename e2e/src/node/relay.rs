//! Carries connections between the host and the node: UNIX sockets cross network namespaces.
//!
//! A connection to the socket inside begins with one line: the address it wants, or, to let pods
//! reach the host, `listen PORT SOCKET`: as long as that connection lasts, what arrives at the
//! node's port goes out through SOCKET.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::NODE_IP;

const LONGEST_LINE: usize = 256;
const LISTENING: &str = "listening";

/// The end inside: dials what each connection asks for, or listens for it.
pub async fn serve_inside(socket: &Path) -> Result<()> {
    let listener = listen_at(socket)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // An end that hangs up is no matter for the others.
            let _ = carry_inside(stream).await;
        });
    }
}

async fn carry_inside(mut outside: UnixStream) -> Result<()> {
    let line = line(&mut outside).await?;
    if let Some(wanted) = line.strip_prefix("listen ") {
        let (port, socket) = wanted.split_once(' ').context("listen PORT SOCKET")?;
        return listen_inside(outside, port, Path::new(socket)).await;
    }
    let mut inside = TcpStream::connect(line).await?;
    inside.set_nodelay(true)?;
    copy_bidirectional(&mut outside, &mut inside).await?;
    Ok(())
}

async fn listen_inside(mut holder: UnixStream, port: &str, socket: &Path) -> Result<()> {
    let listener = match TcpListener::bind(format!("{NODE_IP}:{port}")).await {
        Ok(listener) => listener,
        Err(error) => return Ok(holder.write_all(format!("{error}\n").as_bytes()).await?),
    };
    holder
        .write_all(format!("{LISTENING}\n").as_bytes())
        .await?;
    let mut ignored = [0; 64];
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (mut inside, _) = accepted?;
                let socket = socket.to_path_buf();
                tokio::spawn(async move {
                    if let Ok(mut outside) = UnixStream::connect(socket).await {
                        let _ = copy_bidirectional(&mut inside, &mut outside).await;
                    }
                });
            }
            read = holder.read(&mut ignored) => if !read.is_ok_and(|read| read > 0) {
                return Ok(());
            }
        }
    }
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

/// A way from the node's port to an address that the host reaches. It lasts as long as this.
pub struct WayOut {
    serving: JoinHandle<Result<()>>,
    socket: PathBuf,
    _holder: UnixStream,
}

impl WayOut {
    /// # Errors
    /// If the node's port is taken.
    pub async fn open(dial_socket: &Path, port: u16, target: &str) -> Result<Self> {
        let socket = dial_socket.with_extension(format!("out-{port}"));
        let _ = std::fs::remove_file(&socket);
        let listener = listen_at(&socket)?;
        let mut holder = dial(dial_socket, &format!("listen {port} {}", socket.display())).await?;
        let said = line(&mut holder).await?;
        ensure!(said == LISTENING, "port {port} of the node: {said}");
        Ok(Self {
            serving: tokio::spawn(carry_outside(listener, target.to_owned())),
            socket,
            _holder: holder,
        })
    }
}

impl Drop for WayOut {
    fn drop(&mut self) {
        self.serving.abort();
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn carry_outside(listener: UnixListener, target: String) -> Result<()> {
    loop {
        let (mut inside, _) = listener.accept().await?;
        let target = target.clone();
        tokio::spawn(async move {
            if let Ok(mut outside) = TcpStream::connect(target).await {
                let _ = outside.set_nodelay(true);
                let _ = copy_bidirectional(&mut inside, &mut outside).await;
            }
        });
    }
}

fn listen_at(socket: &Path) -> Result<UnixListener> {
    UnixListener::bind(socket).with_context(|| format!("cannot listen at {}", socket.display()))
}

/// One line, byte by byte: what follows belongs to somebody else.
async fn line(stream: &mut UnixStream) -> Result<String> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await? {
            b'\n' => return Ok(String::from_utf8(line)?),
            byte if line.len() < LONGEST_LINE => line.push(byte),
            _ => anyhow::bail!("the line is too long"),
        }
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
