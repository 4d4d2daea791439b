//! A reverse proxy in front of an API server that fails as one is told: plain HTTP on one side, so that the plugin and helm
//! need no certificate of it; the administrator's client on the other.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::control_plane::{ControlPlane, client_from};

/// One request, as rules see it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    /// With its query.
    pub path: String,
    /// `kubectl-byocni/…` or `Helm/…`.
    pub agent: String,
    pub at: Instant,
    /// The how many-th of this proxy.
    pub number: usize,
}

impl Asked {
    pub fn by_helm(&self) -> bool {
        self.agent.starts_with("Helm/")
    }

    /// Whether it changes anything: reviews, which are posted, and what is only tried do not.
    pub fn writes(&self) -> bool {
        self.method != Method::GET
            && self.method != Method::HEAD
            && !self.path.contains("reviews")
            && !self.path.contains("dryRun=All")
    }
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, and nothing is passed on.
    Answer(u16),
    /// 429 with `Retry-After`.
    Busy(u64),
    /// Passed on, and then this status in place of the answer.
    PassThenAnswer(u16),
    /// Passed on, and the connection is closed in place of an answer.
    PassThenClose,
    /// Nothing is passed on and nothing answered: the connection is closed after this time.
    Silence(Duration),
    /// Passed on after this time.
    Slow(Duration),
    /// The answer comes in pieces, with this pause before each.
    Drip(Duration),
    /// The connection is closed at once.
    Close,
    /// Asked of the rule again and again, until it says something else.
    Hold,
}

type Rule = Arc<dyn Fn(&Asked) -> Option<Fault> + Send + Sync>;

struct Shared {
    client: Client,
    rule: RwLock<Rule>,
    seen: Mutex<Vec<Asked>>,
}

/// Runs until it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    kubeconfig: PathBuf,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Proxy {
    /// Starts one that passes everything on.
    pub fn start(plane: &ControlPlane) -> Proxy {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("proxy")
            .enable_all()
            .build()
            .expect("a tokio runtime");
        let (kubeconfig, (sender, receiver)) = (plane.kubeconfig().to_owned(), std::sync::mpsc::channel());
        runtime.spawn(async move {
            let client = client_from(&kubeconfig).await;
            let listener = TcpListener::bind("127.0.0.1:0").await;
            let _ = sender.send((client, listener));
        });
        let (client, listener) = receiver.recv().expect("an answer");
        let listener = listener.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            client: client.expect("a client from our own kubeconfig"),
            rule: RwLock::new(Arc::new(|_| None)),
            seen: Mutex::default(),
        });
        let path = plane.dir().join(format!("proxy-{port}.kubeconfig"));
        let text = serde_json::json!({
            "apiVersion": "v1", "kind": "Config",
            "clusters": [{"name": "byocni-test", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "byocni-test", "context": {"cluster": "byocni-test", "user": "nobody"}}],
            "current-context": "byocni-test",
        });
        std::fs::write(&path, text.to_string()).expect("a kubeconfig for the proxy");
        let accepting = shared.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = accepting.clone();
                tokio::spawn(async move {
                    // A client that went away is not our trouble.
                    let _ = serve(&shared, stream).await;
                });
            }
        });
        Proxy {
            shared,
            kubeconfig: path,
            runtime: Some(runtime),
        }
    }

    /// Names the proxy as its server.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// From now on each request is judged by this.
    pub fn rule(&self, rule: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static) {
        *self.shared.rule.write().expect("the rule") = Arc::new(rule);
    }

    /// From now on everything is passed on.
    pub fn heal(&self) {
        self.rule(|_| None);
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Asked> {
        self.shared.seen.lock().expect("what was seen").clone()
    }

    /// Requests that change something, so far.
    pub fn writes(&self) -> Vec<Asked> {
        self.seen().into_iter().filter(Asked::writes).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Head {
    method: Method,
    path: String,
    headers: HeaderMap,
    length: usize,
    chunked: bool,
}

async fn serve(shared: &Shared, stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(head) = read_head(&mut stream).await? {
        let body = read_body(&mut stream, &head).await?;
        let agent = head.headers.get("user-agent");
        let mut asked = Asked {
            method: head.method.clone(),
            path: head.path.clone(),
            agent: agent.and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned(),
            at: Instant::now(),
            number: 0,
        };
        {
            let mut seen = shared.seen.lock().expect("what was seen");
            asked.number = seen.len();
            seen.push(asked.clone());
        }
        let fault = loop {
            let rule = shared.rule.read().expect("the rule").clone();
            match rule(&asked) {
                Some(Fault::Hold) => tokio::time::sleep(Duration::from_millis(50)).await,
                other => break other,
            }
        };
        let mut drip = None;
        match fault {
            Some(Fault::Answer(status)) => {
                answer(&mut stream, status, "").await?;
                continue;
            }
            Some(Fault::Busy(seconds)) => {
                answer(&mut stream, 429, &format!("Retry-After: {seconds}\r\n")).await?;
                continue;
            }
            Some(Fault::PassThenAnswer(status)) => {
                let _ = pass(shared, &head, body).await;
                answer(&mut stream, status, "").await?;
                continue;
            }
            Some(Fault::PassThenClose) => {
                let _ = pass(shared, &head, body).await;
                return Ok(());
            }
            Some(Fault::Silence(time)) => {
                tokio::time::sleep(time).await;
                return Ok(());
            }
            Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
            Some(Fault::Drip(pause)) => drip = Some(pause),
            Some(Fault::Close) => return Ok(()),
            Some(Fault::Hold) | None => {}
        }
        match pass(shared, &head, body).await {
            Ok(response) => hand_back(&mut stream, response, drip).await?,
            Err(_) => answer(&mut stream, 502, "").await?,
        }
    }
    Ok(())
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Head>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let bad = || std::io::Error::other("not HTTP/1.1");
    let mut words = line.split_whitespace();
    let method = words.next().and_then(|word| word.parse().ok()).ok_or_else(bad)?;
    let path = words.next().ok_or_else(bad)?.to_owned();
    let mut headers = HeaderMap::new();
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        match name.as_str() {
            "content-length" => length = value.parse().map_err(|_| bad())?,
            "transfer-encoding" => chunked = true,
            "accept" | "content-type" | "user-agent" => {
                let name = http::HeaderName::try_from(name).map_err(|_| bad())?;
                headers.append(name, value.parse().map_err(|_| bad())?);
            }
            _ => {}
        }
    }
    Ok(Some(Head {
        method,
        path,
        headers,
        length,
        chunked,
    }))
}

async fn read_body(stream: &mut BufReader<TcpStream>, head: &Head) -> std::io::Result<Vec<u8>> {
    let mut body = vec![0; head.length];
    stream.read_exact(&mut body).await?;
    if !head.chunked {
        return Ok(body);
    }
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        let mut piece = vec![0; size + 2];
        stream.read_exact(&mut piece).await?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&piece[..size]);
    }
}

async fn pass(shared: &Shared, head: &Head, body: Vec<u8>) -> Result<http::Response<Body>, String> {
    let mut request = Request::builder().method(head.method.clone()).uri(&head.path);
    if let Some(headers) = request.headers_mut() {
        headers.extend(head.headers.clone());
        headers.insert("accept-encoding", http::HeaderValue::from_static("identity"));
    }
    let request = request.body(Body::from(body)).map_err(|e| e.to_string())?;
    shared.client.send(request).await.map_err(|e| e.to_string())
}

/// As it comes, so that a watch is one.
async fn hand_back(
    stream: &mut BufReader<TcpStream>,
    response: http::Response<Body>,
    drip: Option<Duration>,
) -> std::io::Result<()> {
    let (head, mut body) = response.into_parts();
    let mut text = format!("HTTP/1.1 {}\r\nTransfer-Encoding: chunked\r\n", head.status);
    for name in ["content-type", "retry-after", "warning"] {
        for value in head.headers.get_all(name) {
            text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
        }
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes()).await?;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(std::io::Error::other)?.into_data() else {
            continue;
        };
        let size = if drip.is_some() {
            16 * 1024
        } else {
            data.len().max(1)
        };
        for piece in data.chunks(size) {
            if let Some(pause) = drip {
                tokio::time::sleep(pause).await;
            }
            stream
                .write_all(format!("{:x}\r\n", piece.len()).as_bytes())
                .await?;
            stream.write_all(piece).await?;
            stream.write_all(b"\r\n").await?;
            stream.flush().await?;
        }
    }
    stream.write_all(b"0\r\n\r\n").await?;
    stream.flush().await
}

async fn answer(stream: &mut BufReader<TcpStream>, status: u16, headers: &str) -> std::io::Result<()> {
    let reason = match status {
        401 => "Unauthorized",
        403 => "Forbidden",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    let body = serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": "played by the proxy of the tests", "reason": reason, "code": status})
    .to_string();
    let text = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await
}
