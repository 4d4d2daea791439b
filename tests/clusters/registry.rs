//! A registry of charts on this machine: what `helm pull oci://` asks for of
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>, by HTTPS with an authority of its own, as a
//! company's registry has one.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::pki::Authority;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// What it does with those who ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manner {
    /// Everybody gets everything.
    Open,
    /// Only who logs in with this name and password.
    Login(&'static str, &'static str),
    /// Chart archives end in the middle, and so does the connection.
    BreaksOff,
    /// One byte of each chart archive is another one.
    Changes,
}

/// Tags of a chart with their manifests.
type Tags = BTreeMap<String, Vec<u8>>;

/// What it holds.
#[derive(Default)]
struct Content {
    tags: BTreeMap<String, Tags>,
    blobs: BTreeMap<String, Vec<u8>>,
    archives: Vec<String>,
}

/// A running registry; it ends with the test's process.
pub struct Registry {
    /// Address and port, as references begin.
    pub host: String,
    /// The certificate of its authority, as PEM.
    pub authority: String,
    content: Arc<Content>,
    asked: Arc<Mutex<Vec<String>>>,
}

/// `sha256:` and the digest.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// Starts one with archives of this folder, each as name of the chart, tag and file; the charts lie in its folder
/// `charts`.
pub fn serve(folder: &Path, charts: &[(&str, &str, &str)], manner: Manner) -> Registry {
    let mut content = Content::default();
    for (name, tag, file) in charts {
        let archive = std::fs::read(folder.join(file)).expect("a chart");
        content.put(&format!("charts/{name}"), tag, archive);
    }
    let authority = Authority::new().expect("an authority");
    let pair = authority
        .server("registry", vec!["127.0.0.1".into()])
        .expect("a certificate");
    let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a pair");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let registry = Registry {
        host: listener.local_addr().expect("an address").to_string(),
        authority: authority.pair.certificate,
        content: Arc::new(content),
        asked: Arc::default(),
    };
    let (content, asked) = (registry.content.clone(), registry.asked.clone());
    let config = Arc::new(config);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (content, asked, config) = (content.clone(), asked.clone(), config.clone());
            // A client that goes away is no failure of the server's.
            thread::spawn(move || drop(converse(stream, config, &content, &asked, manner)));
        }
    });
    registry
}

impl Registry {
    /// The reference of a chart.
    pub fn chart(&self, name: &str) -> String {
        format!("oci://{}/charts/{name}", self.host)
    }

    /// The digest of a tag's manifest, as registries show it.
    pub fn digest(&self, name: &str, tag: &str) -> String {
        digest(&self.content.tags[&format!("charts/{name}")][tag])
    }

    /// What `helm registry login` leaves behind.
    pub fn login(&self, name: &str, password: &str) -> String {
        let login = STANDARD.encode(format!("{name}:{password}"));
        json!({"auths": {&self.host: {"auth": login}}}).to_string()
    }

    /// What was asked of it so far: method and path, each with its query.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("whole").clone()
    }

    /// How many chart archives it gave away.
    pub fn pulls(&self) -> usize {
        let archives = &self.content.archives;
        let is_archive = |line: &&String| archives.iter().any(|digest| line.ends_with(digest.as_str()));
        self.asked()
            .iter()
            .filter(|line| line.starts_with("GET "))
            .filter(is_archive)
            .count()
    }
}

impl Content {
    fn put(&mut self, name: &str, tag: &str, archive: Vec<u8>) {
        let config = json!({"apiVersion": "v2", "name": name, "version": tag})
            .to_string()
            .into_bytes();
        // Keys in the order of the alphabet, which they have however the JSON is built: digests stay.
        let manifest = json!({
            "config": {"digest": digest(&config), "mediaType": CONFIG, "size": config.len()},
            "layers": [{"digest": digest(&archive), "mediaType": CHART, "size": archive.len()}],
            "mediaType": MANIFEST,
            "schemaVersion": 2,
        });
        let tags = self.tags.entry(name.to_owned()).or_default();
        tags.insert(tag.to_owned(), manifest.to_string().into_bytes());
        self.archives.push(digest(&archive));
        self.blobs.insert(digest(&config), config);
        self.blobs.insert(digest(&archive), archive);
    }
}

/// An answer before it is sent.
struct Answer {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// How much of the body is sent before the connection ends.
    sent: usize,
}

impl Answer {
    fn with(kind: &str, body: Vec<u8>) -> Answer {
        Answer {
            status: "200 OK",
            headers: vec![("Content-Type", kind.to_owned())],
            sent: body.len(),
            body,
        }
    }

    fn refused(status: &'static str, code: &str) -> Answer {
        let message = code.to_lowercase().replace('_', " ");
        let body = json!({"errors": [{"code": code, "message": message}]}).to_string();
        Answer {
            status,
            ..Answer::with("application/json", body.into_bytes())
        }
    }
}

/// One request and its answer.
fn converse(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    content: &Content,
    asked: &Mutex<Vec<String>>,
    manner: Manner,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let session = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = BufReader::new(StreamOwned::new(session, stream));
    let mut head = vec![];
    for line in tls.by_ref().lines() {
        match line? {
            line if line.is_empty() => break,
            line => head.push(line),
        }
    }
    let mut words = head.first().map_or("", String::as_str).split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if let Ok(mut asked) = asked.lock() {
        asked.push(format!("{method} {target}"));
    }
    let login = head
        .iter()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        .map(|(_, value)| value);
    let answer = answer(target, login, content, manner);
    let mut text = format!("HTTP/1.1 {}\r\nConnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("Content-Length: {}\r\n\r\n", answer.body.len());
    let tls = tls.get_mut();
    tls.write_all(text.as_bytes())?;
    if method != "HEAD" {
        tls.write_all(&answer.body[..answer.sent])?;
    }
    if answer.sent == answer.body.len() {
        tls.conn.send_close_notify();
    }
    tls.flush()?;
    // Closed with something unread, the system would take back what is still on its way.
    tls.sock.shutdown(Shutdown::Write)?;
    std::io::copy(&mut tls.sock, &mut std::io::sink()).map(drop)
}

fn answer(target: &str, login: Option<&str>, content: &Content, manner: Manner) -> Answer {
    if let Manner::Login(name, password) = manner {
        let wanted = format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
        if login != Some(wanted.as_str()) {
            let mut refused = Answer::refused("401 Unauthorized", "UNAUTHORIZED");
            refused
                .headers
                .push(("WWW-Authenticate", "Basic realm=\"charts\"".into()));
            return refused;
        }
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path == "/v2/" {
        return Answer::with("application/json", b"{}".to_vec());
    }
    let parts: Vec<&str> = path.trim_start_matches("/v2/").rsplitn(3, '/').collect();
    let [reference, kind, name] = parts[..] else {
        return Answer::refused("404 Not Found", "NAME_UNKNOWN");
    };
    let Some(tags) = content.tags.get(name) else {
        return Answer::refused("404 Not Found", "NAME_UNKNOWN");
    };
    match kind {
        "tags" => listed(name, tags, query),
        "manifests" => {
            let mut known = tags
                .iter()
                .map(|(tag, manifest)| (tag, manifest, digest(manifest)));
            match known.find(|(tag, _, digest)| *tag == reference || digest == reference) {
                Some((_, manifest, digest)) => {
                    let mut found = Answer::with(MANIFEST, manifest.clone());
                    found.headers.push(("Docker-Content-Digest", digest));
                    found
                }
                None => Answer::refused("404 Not Found", "MANIFEST_UNKNOWN"),
            }
        }
        _ => {
            let Some(blob) = content.blobs.get(reference) else {
                return Answer::refused("404 Not Found", "BLOB_UNKNOWN");
            };
            let mut found = Answer::with("application/octet-stream", blob.clone());
            found
                .headers
                .push(("Docker-Content-Digest", reference.to_owned()));
            let archive = content.archives.iter().any(|known| known == reference);
            match manner {
                Manner::BreaksOff if archive => found.sent /= 2,
                Manner::Changes if archive => found.body[blob.len() / 2] ^= 1,
                _ => {}
            }
            found
        }
    }
}

/// Tags come in pages of two, as they do from registries with many: who reads the first alone misses most.
fn listed(name: &str, tags: &Tags, query: &str) -> Answer {
    const PAGE: usize = 2;
    let last = query.split('&').find_map(|part| part.strip_prefix("last="));
    let behind: Vec<&String> = tags
        .keys()
        .filter(|tag| last.is_none_or(|last| tag.as_str() > last))
        .collect();
    let page = &behind[..behind.len().min(PAGE)];
    let body = json!({"name": name, "tags": page}).to_string().into_bytes();
    let mut answer = Answer::with("application/json", body);
    if let Some(last) = page.last().filter(|_| behind.len() > PAGE) {
        let next = format!("</v2/{name}/tags/list?n={PAGE}&last={last}>; rel=\"next\"");
        answer.headers.push(("Link", next));
    }
    answer
}
