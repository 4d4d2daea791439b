//! Paged lists: one page is parsed while the next is on its way, and a list whose token has expired begins again.

use std::{borrow::Cow, fmt, future::Future, marker::PhantomData};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::io::connection::{Connection, RequestError};

/// The Accept header for objects.
pub const JSON: &str = "application/json";

/// The Accept header for metadata alone.
pub const METADATA: &str =
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";

/// Nodes are large (17 KB each, most of it image names): a page is 4 MB.
pub const NODES_A_PAGE: usize = 250;

/// Agents' pods are 16 KB each.
pub const PODS_A_PAGE: usize = 200;

/// Of the others there are few; the limit bounds what a surprise costs.
pub const SMALL_A_PAGE: usize = 1000;

/// How often a list may begin again after its token has expired (410). Tokens live for five minutes and more.
const BEGINNINGS: usize = 3;

/// What lists are made of.
pub trait Slim: DeserializeOwned + Send + 'static {}
impl<T: DeserializeOwned + Send + 'static> Slim for T {}

/// A page as the API server writes it, each item trimmed as soon as it is read. `items` are `null` where a list of
/// metadata is empty.
struct Page<T, F>(F, PhantomData<T>);

impl<'de, T: Slim, F: Fn(T) -> T> DeserializeSeed<'de> for Page<T, F> {
    type Value = Vec<T>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Slim, F: Fn(T) -> T> Visitor<'de> for Page<T, F> {
    type Value = Vec<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<T>, A::Error> {
        let mut items = vec![];
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "items" {
                items = map.next_value_seed(Items(&self.0, PhantomData))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(items)
    }
}

struct Items<'f, T, F>(&'f F, PhantomData<T>);

impl<'de, T: Slim, F: Fn(T) -> T> DeserializeSeed<'de> for Items<'_, T, F> {
    type Value = Vec<T>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Slim, F: Fn(T) -> T> Visitor<'de> for Items<'_, T, F> {
    type Value = Vec<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list's items")
    }
    fn visit_unit<E>(self) -> Result<Vec<T>, E> {
        Ok(vec![])
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut items = vec![];
        while let Some(item) = seq.next_element()? {
            items.push((self.0)(item));
        }
        Ok(items)
    }
}

/// The head of a page.
#[derive(Deserialize, Default)]
struct Head {
    metadata: Option<ListMeta>,
}

#[derive(Deserialize, Default)]
struct ListMeta {
    #[serde(default, rename = "continue")]
    next: String,
}

/// One list, without paging.
pub async fn page<T: Slim>(
    connection: &Connection,
    path: &str,
    accept: &str,
) -> Result<Vec<T>, RequestError> {
    let body = connection.get(path, accept).await?;
    parsed(body, |item| item).await
}

/// A list of custom objects, in one piece from the server's watch cache: their second and later pages come from etcd and
/// are decoded there one by one, which took ten times as long for the CiliumNodes of 5,000 nodes (20 MB).
pub async fn from_cache<T: Slim>(
    connection: &Connection,
    path: &str,
    trim: impl Fn(T) -> T + Send + 'static,
) -> Result<Vec<T>, RequestError> {
    let body = connection.get(&format!("{path}?resourceVersion=0"), JSON).await?;
    parsed(body, trim).await
}

/// All pages of a list, trimmed while the next page is fetched.
pub async fn all<T: Slim>(
    connection: &Connection,
    path: &str,
    a_page: usize,
    accept: &'static str,
    trim: impl Fn(T) -> T + Clone + Send + 'static,
) -> Result<Vec<T>, RequestError> {
    let mut beginnings = 0;
    loop {
        beginnings += 1;
        match from_the_start(connection, path, a_page, accept, trim.clone()).await {
            // Not half of an old list and half of a new one: from the start again.
            Err(RequestError::Gone { .. }) if beginnings < BEGINNINGS => {}
            outcome => return outcome,
        }
    }
}

async fn from_the_start<T: Slim>(
    connection: &Connection,
    path: &str,
    a_page: usize,
    accept: &'static str,
    trim: impl Fn(T) -> T + Clone + Send + 'static,
) -> Result<Vec<T>, RequestError> {
    let mut items = vec![];
    let mut body = connection.get(&page_path(path, a_page, ""), accept).await?;
    loop {
        let next = next_token(&body);
        let parsing = parsed(body, trim.clone());
        if next.is_empty() {
            items.extend(parsing.await?);
            return Ok(items);
        }
        let path = page_path(path, a_page, &next);
        let (page, following) = tokio::join!(parsing, connection.get(&path, accept));
        items.extend(page?);
        body = following?;
    }
}

/// The path of a page.
pub fn page_path(path: &str, a_page: usize, token: &str) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    let token = if token.is_empty() {
        String::new()
    } else {
        format!("&continue={}", super::escaped(token))
    };
    format!("{path}{joint}limit={a_page}{token}")
}

/// The token of the next page. It nearly always stands in the first bytes of the body: those alone are looked at then, so
/// that the next request is sent before this page is parsed.
pub fn next_token(body: &Bytes) -> String {
    const HEAD: usize = 8192;
    let head = &body[..body.len().min(HEAD)];
    let text = String::from_utf8_lossy(head);
    let end = ["\"items\":", "\"columnDefinitions\":", "\"rows\":"]
        .iter()
        .filter_map(|key| text.find(key))
        .min();
    let whole = |text: &str| serde_json::from_str::<Head>(text).ok();
    // Up to `"items"` the object is complete but for its closing brace.
    let parsed = end.and_then(|end| whole(&format!("{}}}", text[..end].trim_end().trim_end_matches(','))));
    // Lists of custom objects are written by the alphabet: metadata comes last, and the whole body is gone through.
    let head = parsed
        .filter(|head| head.metadata.is_some())
        .or_else(|| serde_json::from_slice::<Head>(body).ok());
    head.and_then(|head| head.metadata)
        .map(|m| m.next)
        .unwrap_or_default()
}

/// Parses a page away from the runtime's one thread.
async fn parsed<T: Slim>(
    body: Bytes,
    trim: impl Fn(T) -> T + Send + 'static,
) -> Result<Vec<T>, RequestError> {
    let parse = move || {
        let page = Page(trim, PhantomData);
        let mut reader = serde_json::Deserializer::from_slice(&body);
        page.deserialize(&mut reader)
            .map_err(|e| RequestError::NotTheApi { why: e.to_string() })
    };
    match tokio::task::spawn_blocking(parse).await {
        Ok(outcome) => outcome,
        Err(panic) => Err(RequestError::NotTheApi {
            why: panic.to_string(),
        }),
    }
}

/// Waits for all of these at once; outcomes in the order of the questions.
pub async fn together<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<std::pin::Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut outcomes: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut open = false;
        for (future, outcome) in waiting.iter_mut().zip(&mut outcomes) {
            if outcome.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *outcome = Some(value),
                    std::task::Poll::Pending => open = true,
                }
            }
        }
        if open {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;
    outcomes.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_read_from_the_head() {
        let body = Bytes::from_static(
            br#"{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"7","continue":"abc="},"items":[{"#,
        );
        assert_eq!(next_token(&body), "abc=");
        let last =
            Bytes::from_static(br#"{"kind":"NodeList","metadata":{"resourceVersion":"7"},"items":[]}"#);
        assert_eq!(next_token(&last), "");
        let table = Bytes::from_static(
            br#"{"kind":"Table","metadata":{"continue":"x"},"columnDefinitions":[],"rows":[]}"#,
        );
        assert_eq!(next_token(&table), "x");
        let turned = Bytes::from_static(br#"{"items":[],"metadata":{"continue":"late"}}"#);
        assert_eq!(next_token(&turned), "late");
    }

    #[test]
    fn a_list_of_nothing_may_be_null() {
        for body in [r#"{"items":null}"#, r#"{"items":[]}"#, "{}"] {
            let mut reader = serde_json::Deserializer::from_str(body);
            let items: Vec<String> = Page(|item| item, PhantomData)
                .deserialize(&mut reader)
                .expect("a page");
            assert!(items.is_empty(), "{body}");
        }
    }

    #[test]
    fn a_token_is_escaped() {
        assert_eq!(
            page_path("/api/v1/nodes", 5, "a=/+"),
            "/api/v1/nodes?limit=5&continue=a%3D%2F%2B"
        );
        assert_eq!(
            page_path("/x?labelSelector=a", 5, ""),
            "/x?labelSelector=a&limit=5"
        );
    }
}
