//! Probes against a server of a few lines, which answers what it is told to and keeps what it was asked.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::io::connection::Flags;

/// One answer: the status line, and the body.
type Answer = (&'static str, String);

struct Server {
    connection: Connection,
    heard: Arc<Mutex<Vec<String>>>,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Answers one request after the other, the last answer again and again. An empty status line hangs up.
    async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = heard.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let asked = hear(&mut stream).await;
                let number = {
                    let mut kept = kept.lock().expect("whole");
                    kept.push(asked);
                    kept.len() - 1
                };
                let (status, body) = &answers[number.min(answers.len() - 1)];
                if status.is_empty() {
                    continue;
                }
                let text = format!(
                    "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                drop(stream.write_all(text.as_bytes()).await);
            }
        });
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config");
        let cluster = json!({"name": "c", "cluster": {"server": format!("http://{address}")}});
        let context = json!({"name": "c", "context": {"cluster": "c", "user": ""}});
        let config = json!({"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context], "current-context": "c"});
        std::fs::write(&path, config.to_string()).expect("written");
        let flags = Flags {
            kubeconfig: Some(path),
            ..Flags::default()
        };
        Server {
            connection: Connection::open(&flags).await.expect("a connection"),
            heard,
            _folder: folder,
        }
    }

    /// Method and path of every request.
    fn heard(&self) -> Vec<String> {
        let heard = self.heard.lock().expect("whole");
        let lines = heard.iter().filter_map(|text| text.lines().next());
        lines
            .map(|line| line.trim_end_matches(" HTTP/1.1").to_string())
            .collect()
    }
}

async fn hear(stream: &mut tokio::net::TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let complete = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.to_lowercase();
            let length = length
                .lines()
                .find_map(|l| l.strip_prefix("content-length: ")?.parse::<usize>().ok());
            body.len() >= length.unwrap_or(0)
        });
        if complete || count == 0 {
            return text;
        }
    }
}

fn status(line: &'static str, reason: &str, message: &str) -> Answer {
    let code: u16 = line[..3].parse().expect("a number");
    let body = json!({"kind": "Status", "code": code, "reason": reason, "message": message});
    (line, body.to_string())
}

fn spec() -> Value {
    probe::pod("node-1", "registry.example/agent:v1", "5f3a")
}

/// The probe as the server has it.
fn there(status: Value) -> Value {
    let mut pod = spec();
    pod["metadata"]["uid"] = json!("u-1");
    pod["status"] = status;
    pod
}

fn ok(body: &Value) -> Answer {
    ("200 OK", body.to_string())
}

fn items(pods: &[Value]) -> Answer {
    ok(&json!({"kind": "PodList", "items": pods}))
}

const PODS: &str = "/api/v1/namespaces/kube-system/pods";

fn path_of_pod() -> String {
    format!("{PODS}/{}", probe::name("node-1", "5f3a"))
}

fn conflict() -> Answer {
    status("409 Conflict", "AlreadyExists", "pods already exists")
}

#[tokio::test]
async fn a_probe_is_made_once_and_tried_without_effect() {
    let server = Server::start(vec![ok(&spec())]).await;
    create(&server.connection, &spec(), true).await.expect("tried");
    create(&server.connection, &spec(), false).await.expect("made");
    assert_eq!(
        server.heard(),
        [
            format!("POST {PODS}?fieldManager=kubectl-byocni&dryRun=All"),
            format!("POST {PODS}?fieldManager=kubectl-byocni"),
        ]
    );
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words() {
    let words = "admission webhook \"policy.example\" denied the request: \u{1b}[31mno tag latest";
    for answer in [
        status("403 Forbidden", "Forbidden", words),
        status("422 Unprocessable Entity", "Invalid", words),
    ] {
        let server = Server::start(vec![answer]).await;
        match create(&server.connection, &spec(), true).await {
            Err(ProbeError::Denied { why }) => {
                assert!(why.contains("denied the request"), "{why}");
                assert!(!why.contains('\u{1b}'));
            }
            other => panic!("{other:?}"),
        }
    }
    // A webhook that cannot be asked has not refused.
    let shy = status(
        "400 Bad Request",
        "BadRequest",
        "admission webhook \"x\" does not support dry run",
    );
    let server = Server::start(vec![shy.clone()]).await;
    create(&server.connection, &spec(), true).await.expect("untried");
    let server = Server::start(vec![shy]).await;
    assert!(create(&server.connection, &spec(), false).await.is_err());
}

#[tokio::test]
async fn one_that_is_there_is_as_good_as_made() {
    let server = Server::start(vec![conflict(), ok(&there(json!({"phase": "Running"})))]).await;
    create(&server.connection, &spec(), false).await.expect("there");
    assert_eq!(server.heard().len(), 2);
    // One that is over gives way.
    let over = ok(&there(json!({"phase": "Failed", "reason": "DeadlineExceeded"})));
    let server = Server::start(vec![conflict(), over, ok(&json!({})), ok(&spec())]).await;
    create(&server.connection, &spec(), false)
        .await
        .expect("made anew");
    let heard = server.heard();
    assert_eq!(heard[2], format!("DELETE {}", path_of_pod()));
    assert!(heard[3].starts_with("POST"));
}

#[tokio::test]
async fn an_answer_that_was_lost_is_read_back_and_not_sent_again() {
    let server = Server::start(vec![("", String::new()), ok(&there(json!({})))]).await;
    create(&server.connection, &spec(), false)
        .await
        .expect("it is there");
    let gone = status("404 Not Found", "NotFound", "no such pod");
    let lost = Server::start(vec![("", String::new()), gone]).await;
    let answer = create(&lost.connection, &spec(), false).await;
    assert!(matches!(answer, Err(ProbeError::Undecided { .. })), "{answer:?}");
    for server in [server, lost] {
        let posts = server
            .heard()
            .iter()
            .filter(|line| line.starts_with("POST"))
            .count();
        assert_eq!(posts, 1, "{:?}", server.heard());
    }
}

#[tokio::test]
async fn probes_are_found_by_their_change() {
    let up = there(json!({"phase": "Running", "podIP": "10.244.1.9", "podIPs": [{"ip": "10.244.1.9"}]}));
    let mut leaving = up.clone();
    leaving["metadata"]["deletionTimestamp"] = json!("2026-11-21T08:00:00Z");
    let server = Server::start(vec![items(&[up, leaving])]).await;
    let pools = ["10.244.0.0/16".parse().expect("a network")];
    let seen = look(&server.connection, "5f3a", &pools).await.expect("read");
    assert_eq!(seen.len(), 1, "one that leaves is none");
    assert!(seen[0].good() && seen[0].node == "node-1");
    assert_eq!(
        server.heard(),
        [format!("GET {PODS}?labelSelector=byocni.io%2Foperation%3D5f3a")]
    );
}

#[tokio::test]
async fn all_are_removed_and_what_failed_is_tried_again() {
    let pod = there(json!({"phase": "Running"}));
    let busy = status("500 Internal Server Error", "InternalError", "etcd");
    let none = items(&[]);
    let server = Server::start(vec![
        items(std::slice::from_ref(&pod)),
        busy.clone(),
        items(std::slice::from_ref(&pod)),
        ok(&json!({})),
        none.clone(),
    ])
    .await;
    assert_eq!(remove_all(&server.connection, "5f3a").await.expect("removed"), 1);
    let body = server.heard.lock().expect("whole")[1].clone();
    assert!(
        body.contains("\"uid\":\"u-1\"") && body.contains("\"gracePeriodSeconds\":0"),
        "{body}"
    );
    // Gone already is as good.
    let gone = status("404 Not Found", "NotFound", "no such pod");
    let server = Server::start(vec![items(std::slice::from_ref(&pod)), gone]).await;
    remove_all(&server.connection, "5f3a").await.expect("gone");
    // What stays is told.
    let denied = status("403 Forbidden", "Forbidden", "cannot delete pods");
    let server = Server::start(vec![
        items(std::slice::from_ref(&pod)),
        denied.clone(),
        items(std::slice::from_ref(&pod)),
        denied.clone(),
        items(&[pod]),
        denied,
    ])
    .await;
    assert!(remove_all(&server.connection, "5f3a").await.is_err());
}
