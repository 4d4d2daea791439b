//! Tests of the room as a whole, against a server of a few lines that answers what it is told to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::environment::Environment;
use super::*;

mod choosing;
mod credentials;
mod requests;
mod secure;

/// Answers the n-th connection with the n-th text (the last one again and again) and keeps what was asked.
struct Server {
    address: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: Vec<String>) -> Self {
        Self::start_with_pause(answers, None).await
    }

    /// With a pause, the answer drips out one byte at a time.
    async fn start_with_pause(answers: Vec<String>, drip: Option<Duration>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = heard.clone();
        tokio::spawn(async move {
            let mut count = 0;
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = answers[count.min(answers.len() - 1)].clone();
                count += 1;
                let kept = kept.clone();
                tokio::spawn(async move {
                    let asked = hear(&mut stream).await;
                    kept.lock().expect("whole").push(asked);
                    match drip {
                        None => drop(stream.write_all(answer.as_bytes()).await),
                        Some(pause) => {
                            for byte in answer.bytes() {
                                if stream.write_all(&[byte]).await.is_err() {
                                    break;
                                }
                                tokio::time::sleep(pause).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("whole").clone()
    }

    /// A connection that knows nothing but this server.
    async fn connect(&self, flags: Flags) -> Connection {
        let flags = Flags {
            server: Some(self.address.clone()),
            ..flags
        };
        Connection::open_in(&flags, &Environment::default())
            .await
            .expect("nothing to go wrong")
    }
}

/// One request, head and body.
async fn hear(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let complete = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            body.len() >= length.unwrap_or(0)
        });
        if complete || count == 0 {
            return String::from_utf8_lossy(&bytes).into_owned();
        }
    }
}

/// A whole HTTP answer.
fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn ok(body: &str) -> String {
    answer("200 OK", "content-type: application/json\r\n", body)
}

/// A Kubernetes `Status` under this HTTP status.
fn status(line: &str, reason: &str, message: &str) -> String {
    let code = &line[..3];
    let body = format!(r#"{{"kind":"Status","code":{code},"reason":"{reason}","message":"{message}"}}"#);
    answer(line, "content-type: application/json\r\n", &body)
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a writable folder");
    path
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}
