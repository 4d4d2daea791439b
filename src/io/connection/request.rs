//! One request and its answer: tries, time limits, and what each status means.
#![expect(clippy::disallowed_methods, reason = "requests end by the clock")]

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER, USER_AGENT,
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use serde::Deserialize;
use tokio::time::Instant;

use super::error::{RequestError, printable};
use super::why::{Failure, Route, explain};

/// How often a read is tried in all.
const TRIES: u32 = 3;
/// How often a server that says when to come back may say so.
const INVITATIONS: u32 = 30;
/// The pause before the second try; it doubles twice for the third.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// What is asked; cheap to send again.
#[derive(Debug, Clone)]
pub(crate) struct Question<'a> {
    pub method: Method,
    pub path_and_query: &'a str,
    pub accept: &'a str,
    pub body: Option<Bytes>,
    /// What the body is.
    pub content_type: &'a str,
    /// Whether the answer may come compressed.
    pub compressed: bool,
}

/// Asks until there is an answer, the tries are used up, or the limit is reached.
///
/// Only reads are tried again after 5xx or a broken connection. After a 429 the server has done nothing yet: then writes
/// are tried again too, and where it says when to come back that does not count as a try, so that an overloaded server
/// is waited for as long as the limit allows.
///
/// # Errors
/// What the last try brought, or `TimedOut`.
pub(crate) async fn ask(
    client: &kube::Client,
    question: &Question<'_>,
    limit: Option<Duration>,
    route: &Route,
) -> Result<Bytes, RequestError> {
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let tries = ask_until(client, question, deadline, route);
    match (limit, deadline) {
        (Some(after), Some(deadline)) => tokio::time::timeout_at(deadline, tries)
            .await
            .unwrap_or(Err(RequestError::TimedOut { after })),
        _ => tries.await,
    }
}

async fn ask_until(
    client: &kube::Client,
    question: &Question<'_>,
    deadline: Option<Instant>,
    route: &Route,
) -> Result<Bytes, RequestError> {
    let tries = if question.method == Method::GET { TRIES } else { 1 };
    let mut pause = FIRST_PAUSE;
    let mut tried = 0;
    let mut sent_away = 0;
    loop {
        tried += 1;
        let missed = match once(client, question, route).await {
            Ok(bytes) => return Ok(bytes),
            Err(missed) => missed,
        };
        let wait = missed.wait.unwrap_or(pause);
        let too_late =
            deadline.is_some_and(|deadline| deadline.saturating_duration_since(Instant::now()) <= wait);
        let busy = missed.failure.error.is_too_many_requests();
        let invited = busy && missed.wait.is_some() && sent_away < INVITATIONS;
        let allowed = if busy { TRIES } else { tries };
        if !missed.failure.again || (tried >= allowed && !invited) || too_late {
            return Err(counted(missed.failure.error, tried + sent_away));
        }
        if invited {
            tried -= 1;
            sent_away += 1;
        }
        tokio::time::sleep(wait).await;
        pause *= 4;
    }
}

/// Says in the error how often it was tried, where that was more than once.
fn counted(error: RequestError, tried: u32) -> RequestError {
    if tried < 2 {
        return error;
    }
    match error {
        RequestError::Status {
            code,
            reason,
            message,
        } => RequestError::Status {
            code,
            reason,
            message: format!("{message} ({tried} tries)"),
        },
        RequestError::Unreachable { why } => RequestError::Unreachable {
            why: format!("{why} ({tried} tries)"),
        },
        other => other,
    }
}

/// One try that brought nothing.
struct Missed {
    failure: Failure,
    /// How long the server asks us to stay away.
    wait: Option<Duration>,
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        Self { failure, wait: None }
    }
}

impl From<RequestError> for Missed {
    fn from(error: RequestError) -> Self {
        Failure { error, again: false }.into()
    }
}

async fn once(client: &kube::Client, question: &Question<'_>, route: &Route) -> Result<Bytes, Missed> {
    let mut request = Request::builder()
        .method(question.method.clone())
        .uri(question.path_and_query)
        .header(ACCEPT, question.accept)
        .header(
            ACCEPT_ENCODING,
            if question.compressed { "gzip" } else { "identity" },
        )
        .header(USER_AGENT, concat!("kubectl-byocni/", env!("CARGO_PKG_VERSION")));
    if question.body.is_some() {
        request = request.header(CONTENT_TYPE, question.content_type);
    }
    let body = question.body.clone().map_or_else(Body::empty, Body::from);
    let request = request
        .body(body)
        .map_err(|e| RequestError::Malformed { why: e.to_string() })?;
    let answer = client.send(request).await.map_err(|e| explain(&e, route))?;
    let (head, body) = answer.into_parts();
    if head.status.is_redirection() {
        return Err(RequestError::NotTheApi {
            why: redirect(head.status, &head.headers, route),
        }
        .into());
    }
    let body = collect(&head.headers, body)
        .await
        .map_err(|e| explain(&e, route))?;
    let html = is_html(&head.headers);
    if head.status.is_success() && !html {
        return Ok(body);
    }
    if html && !head.status.is_server_error() && head.status != StatusCode::TOO_MANY_REQUESTS {
        let why = format!(
            "{} answered {} with a web page; is a proxy asking for a login?",
            who(route),
            head.status
        );
        return Err(RequestError::NotTheApi { why }.into());
    }
    Err(refused(head.status, &head.headers, &body))
}

/// The whole body in one buffer; one that arrives in one piece is not copied at all.
async fn collect(headers: &HeaderMap, mut body: Body) -> Result<Bytes, kube::Error> {
    let mut first: Option<Bytes> = None;
    let mut all: Option<BytesMut> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        match (&mut all, first.take()) {
            (Some(all), _) => all.extend_from_slice(&data),
            (None, None) => first = Some(data),
            (None, Some(start)) => {
                // The length is only a promise; a huge one must not cost memory before it is kept.
                let promised = headers
                    .get(CONTENT_LENGTH)
                    .and_then(|value| value.to_str().ok()?.parse().ok());
                let room = promised
                    .unwrap_or(0usize)
                    .min(64 << 20)
                    .max(start.len() + data.len());
                let mut joined = BytesMut::with_capacity(room);
                joined.extend_from_slice(&start);
                joined.extend_from_slice(&data);
                all = Some(joined);
            }
        }
    }
    Ok(all.map(BytesMut::freeze).or(first).unwrap_or_default())
}

/// An answer that is no success, as an error.
fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Missed {
    let said: Said = serde_json::from_slice(body).unwrap_or_default();
    let message = match printable(&said.message) {
        text if !text.is_empty() => text,
        // No Status object: a load balancer or a webhook's plain text. Its first words are better than nothing.
        _ if is_html(headers) => "a web page, not an answer of the API server".to_owned(),
        _ => match printable(&String::from_utf8_lossy(&body[..body.len().min(300)])) {
            text if text.is_empty() => "no reason given".to_owned(),
            text => text,
        },
    };
    let error = match status {
        StatusCode::UNAUTHORIZED => RequestError::Unauthorized { message },
        StatusCode::FORBIDDEN => RequestError::Forbidden { message },
        StatusCode::NOT_FOUND => RequestError::NotFound,
        StatusCode::GONE => RequestError::Gone { message },
        _ => {
            let reason = match printable(&said.reason) {
                text if !text.is_empty() => text,
                _ => status.canonical_reason().unwrap_or("unknown status").to_owned(),
            };
            RequestError::Status {
                code: status.as_u16(),
                reason,
                message,
            }
        }
    };
    let again = status == StatusCode::TOO_MANY_REQUESTS
        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED);
    let header = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let wait = header
        .or(said.details.and_then(|details| details.retry_after_seconds))
        .map(Duration::from_secs);
    Missed {
        failure: Failure { error, again },
        wait,
    }
}

/// The fields of a Kubernetes `Status` that we use.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Said {
    message: String,
    reason: String,
    details: Option<SaidDetails>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct SaidDetails {
    retry_after_seconds: Option<u64>,
}

fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    kind.trim_start()
        .get(..9)
        .is_some_and(|start| start.eq_ignore_ascii_case("text/html"))
}

/// Names where a redirect points, without the path and query: login links carry secrets there.
fn redirect(status: StatusCode, headers: &HeaderMap, route: &Route) -> String {
    let target = headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok()?.parse::<http::Uri>().ok());
    let to = match target.as_ref().and_then(http::Uri::host) {
        Some(host) => format!(" to {}", printable(host)),
        None => " to another page".to_owned(),
    };
    format!("{} redirects{to} ({})", who(route), status.as_u16())
}

fn who(route: &Route) -> String {
    match &route.proxy {
        Some(proxy) => format!("{} (through the proxy {proxy})", route.host),
        None => route.host.clone(),
    }
}
