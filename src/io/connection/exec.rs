//! Credential plugins (`exec` in a kubeconfig, kubelogin for AKS): run by us, once, instead of three times by the
//! client library.
#![expect(clippy::disallowed_methods, reason = "the door to credential plugins")]

use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kube::config::{Cluster, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::error::{ConnectError, printable};

/// What a plugin or a token file yields: a token, a client certificate with its key, or both.
#[derive(Default)]
pub(crate) struct Credential {
    pub token: Option<String>,
    /// PEM of the certificate chain and of the key.
    pub certificate: Option<(String, String)>,
    /// When to ask for a new one; `None` when it does not say.
    pub expires: Option<Timestamp>,
}

/// One plugin, ready to run.
#[derive(Debug, Clone)]
pub(crate) struct Plugin {
    command: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    api_version: String,
    install_hint: Option<String>,
    interactive: bool,
    mute: bool,
    /// The value of `KUBERNETES_EXEC_INFO`.
    info: String,
}

impl Plugin {
    /// Reads the kubeconfig's `exec`; `authority` is the cluster's CA in PEM, handed on if the plugin wants it.
    ///
    /// # Errors
    /// When it names no command, an API version that no kubectl speaks any more, or needs a terminal that is not there.
    pub fn new(
        exec: &ExecConfig,
        cluster: &Cluster,
        authority: Option<&[u8]>,
        stdin_is_terminal: bool,
    ) -> Result<Self, ConnectError> {
        let command = exec.command.clone().unwrap_or_default();
        let broken = |why: String| ConnectError::ExecFailed {
            command: command.clone(),
            why,
        };
        if command.is_empty() {
            return Err(broken("the kubeconfig's exec names no command".into()));
        }
        let api_version = exec.api_version.clone().unwrap_or_default();
        if !matches!(
            api_version.as_str(),
            "client.authentication.k8s.io/v1" | "client.authentication.k8s.io/v1beta1"
        ) {
            let asked = if api_version.is_empty() {
                "(none)"
            } else {
                api_version.as_str()
            };
            return Err(broken(format!(
                "the kubeconfig's exec has the apiVersion {asked:?}, not v1 or v1beta1"
            )));
        }
        let interactive = match exec.interactive_mode {
            Some(ExecInteractiveMode::Never) => false,
            Some(ExecInteractiveMode::Always) if !stdin_is_terminal => {
                return Err(ConnectError::ExecNeedsTerminal { command });
            }
            _ => stdin_is_terminal,
        };
        let mut spec = json!({ "interactive": interactive });
        if exec.provide_cluster_info {
            spec["cluster"] = cluster_info(cluster, authority);
        }
        let info = json!({ "kind": "ExecCredential", "apiVersion": api_version, "spec": spec }).to_string();
        let env = exec.env.iter().flatten();
        let env = env
            .filter_map(|pair| Some((pair.get("name")?.clone(), pair.get("value")?.clone())))
            .collect();
        Ok(Self {
            command,
            args: exec.args.clone().unwrap_or_default(),
            env,
            api_version,
            install_hint: exec.install_hint.clone().filter(|hint| !hint.is_empty()),
            interactive,
            mute: false,
            info,
        })
    }

    /// The same, with its complaints passed on or kept from everybody.
    pub fn muted(self, mute: bool) -> Self {
        Self { mute, ..self }
    }

    /// Runs the plugin and reads its credential. There is no time limit, because a person may be logging in.
    ///
    /// What it writes to standard error is passed on as it comes: it may be the device code to type in.
    ///
    /// # Errors
    /// When it is not installed, fails, or prints something else than a credential.
    pub async fn run(&self) -> Result<Credential, ConnectError> {
        let failed = |why: String| ConnectError::ExecFailed {
            command: self.command.clone(),
            why,
        };
        let mut command = Command::new(&self.command);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env("KUBERNETES_EXEC_INFO", &self.info)
            .stdin(if self.interactive {
                Stdio::inherit()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => ConnectError::ExecNotFound {
                command: self.command.clone(),
                install_hint: self.install_hint.clone(),
            },
            _ => failed(format!("it cannot be started: {e}")),
        })?;
        let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(failed("its output cannot be read".into()));
        };
        let mut output = Vec::new();
        let (read, complaint) = tokio::join!(stdout.read_to_end(&mut output), pass_on(stderr, self.mute));
        read.map_err(|e| failed(format!("its output cannot be read: {e}")))?;
        let status = child.wait().await.map_err(|e| failed(e.to_string()))?;
        if !status.success() {
            let how = match status.code() {
                Some(code) => format!("exit code {code}"),
                None => "ended by a signal".to_owned(),
            };
            let last = complaint.map(|line| format!(": {line}")).unwrap_or_default();
            return Err(failed(format!("{how}{last}")));
        }
        self.credential(&output)
    }

    fn credential(&self, output: &[u8]) -> Result<Credential, ConnectError> {
        let wrong = |why: String| ConnectError::ExecOutput {
            command: self.command.clone(),
            why,
        };
        // The parser's own message is dropped: it may quote the token.
        let answer: Answer = std::str::from_utf8(output)
            .ok()
            .and_then(|text| crate::yaml::documents::<Answer>(text).ok())
            .and_then(|documents| documents.into_iter().next())
            .filter(|answer| !answer.kind.is_empty())
            .ok_or_else(|| {
                wrong(format!(
                    "its {} bytes of output are no ExecCredential",
                    output.len()
                ))
            })?;
        if answer.kind != "ExecCredential" {
            return Err(wrong("the kind of its output is not ExecCredential".into()));
        }
        if answer.api_version != self.api_version {
            let (asked, got) = (&self.api_version, printable(&answer.api_version));
            return Err(wrong(format!(
                "the kubeconfig asks for {asked}, it answered in {got:?}"
            )));
        }
        let status = answer
            .status
            .ok_or_else(|| wrong("its output has no status".into()))?;
        let token = status.token.filter(|token| !token.is_empty());
        let certificate = match (status.client_certificate_data, status.client_key_data) {
            (Some(certificate), Some(key)) if !certificate.is_empty() && !key.is_empty() => {
                Some((certificate, key))
            }
            (None, None) => None,
            (Some(a), Some(b)) if a.is_empty() && b.is_empty() => None,
            _ => {
                return Err(wrong(
                    "it returned a certificate without a key, or a key without a certificate".into(),
                ));
            }
        };
        if token.is_none() && certificate.is_none() {
            return Err(wrong("it returned neither a token nor a certificate".into()));
        }
        let expires = match status.expiration_timestamp {
            Some(text) if !text.is_empty() => Some(
                text.parse()
                    .map_err(|_| wrong("its expirationTimestamp is no RFC 3339 time".into()))?,
            ),
            _ => None,
        };
        Ok(Credential {
            token,
            certificate,
            expires,
        })
    }
}

/// The cluster as `provideClusterInfo` asks for it.
fn cluster_info(cluster: &Cluster, authority: Option<&[u8]>) -> Value {
    let mut info = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            info.insert(name.to_owned(), value);
        }
    };
    put("server", cluster.server.clone().map(Value::from));
    put(
        "tls-server-name",
        cluster.tls_server_name.clone().map(Value::from),
    );
    put(
        "insecure-skip-tls-verify",
        cluster
            .insecure_skip_tls_verify
            .filter(|skip| *skip)
            .map(Value::from),
    );
    put(
        "certificate-authority-data",
        authority.map(|pem| Value::from(STANDARD.encode(pem))),
    );
    put(
        "proxy-url",
        cluster
            .proxy_url
            .clone()
            .filter(|url| !url.is_empty())
            .map(Value::from),
    );
    put(
        "disable-compression",
        cluster.disable_compression.filter(|off| *off).map(Value::from),
    );
    let extension = cluster
        .extensions
        .iter()
        .flatten()
        .find(|named| named.name == "client.authentication.k8s.io/exec");
    put("config", extension.map(|named| named.extension.clone()));
    Value::Object(info)
}

/// Copies to our own standard error, unless mute, and keeps the last line that says anything.
async fn pass_on(mut from: tokio::process::ChildStderr, mute: bool) -> Option<String> {
    const KEPT: usize = 4096;
    let mut tail: Vec<u8> = Vec::new();
    let mut buffer = [0u8; 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if !mute {
            // A closed standard error is no reason to fail a login.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), &buffer[..count]);
        }
        tail.extend_from_slice(&buffer[..count]);
        tail.drain(..tail.len().saturating_sub(KEPT));
    }
    let text = String::from_utf8_lossy(&tail);
    text.lines().rev().map(printable).find(|line| !line.is_empty())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    api_version: String,
    status: Option<AnswerStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerStatus {
    expiration_timestamp: Option<String>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}
