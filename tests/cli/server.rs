//! A server of a few lines on this machine that answers every request in the same way.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

/// What it does with each connection.
#[derive(Clone)]
pub enum Behaviour {
    /// Answers with this status line and body.
    Answers(&'static str, String),
    /// Answers requests of these paths, query left out, with 200 and this body, all others with 404.
    Knows(Vec<(&'static str, String)>),
    /// Begins an answer and lets a byte follow every tenth of a second.
    Drips,
    /// Never says a word.
    Silent,
}

/// Starts it; it ends with the test. Returns its URL.
pub fn serve(behaviour: Behaviour) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let behaviour = behaviour.clone();
            // A client that goes away is no failure of the server's.
            thread::spawn(move || drop(answer(stream, &behaviour)));
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: TcpStream, behaviour: &Behaviour) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let target = first.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    while lines
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    let known = match behaviour {
        Behaviour::Knows(all) => all
            .iter()
            .find(|(known, _)| *known == path)
            .map(|(_, body)| Behaviour::Answers("200 OK", body.clone())),
        other => Some(other.clone()),
    };
    let missing = || Behaviour::Answers("404 Not Found", refusal(404, "NotFound", "not found"));
    match &known.unwrap_or_else(missing) {
        Behaviour::Knows(_) => Ok(()),
        Behaviour::Answers(status, body) => {
            let kind = if body.starts_with('<') {
                "text/html"
            } else {
                "application/json"
            };
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
            )
        }
        Behaviour::Drips => {
            stream.write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n",
            )?;
            loop {
                thread::sleep(Duration::from_millis(100));
                stream.write_all(b" ")?;
            }
        }
        Behaviour::Silent => {
            thread::sleep(Duration::from_secs(120));
            Ok(())
        }
    }
}

/// Kubernetes' own words for a refusal.
pub fn refusal(code: u16, reason: &str, message: &str) -> String {
    serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
    .to_string()
}
