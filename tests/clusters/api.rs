//! Any object of the API, as JSON and by path.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request};
use kube::Client;
use serde::Deserialize as _;
use serde_json::Value;

/// Reads and writes objects of any kind.
#[derive(Clone)]
pub struct Objects {
    client: Client,
    /// What each `apiVersion` offers, asked once.
    kinds: Arc<Mutex<HashMap<String, Value>>>,
}

const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

impl Objects {
    pub fn new(client: Client) -> Objects {
        Objects {
            client,
            kinds: Arc::default(),
        }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub async fn get(&self, path: &str) -> Result<Value, String> {
        self.send(Method::GET, path, "", &Value::Null).await.map_err(said)
    }

    pub async fn find(&self, path: &str) -> Result<Option<Value>, String> {
        match self.send(Method::GET, path, "", &Value::Null).await {
            Ok(found) => Ok(Some(found)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(said(error)),
        }
    }

    /// `None` if it was there already.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Option<Value>, String> {
        match self.send(Method::POST, path, "application/json", object).await {
            Ok(made) => Ok(Some(made)),
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(None),
            Err(error) => Err(said(error)),
        }
    }

    /// `None` if there is no such object.
    pub async fn merge(&self, path: &str, patch: &Value) -> Result<Option<Value>, String> {
        match self.send(Method::PATCH, path, MERGE, patch).await {
            Ok(changed) => Ok(Some(changed)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(said(error)),
        }
    }

    /// For conditions: those of types that are not named stay. Only for kinds that the server is built with.
    pub async fn merge_conditions(&self, path: &str, patch: &Value) -> Result<(), String> {
        match self
            .send(
                Method::PATCH,
                path,
                "application/strategic-merge-patch+json",
                patch,
            )
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop).map_err(said),
        }
    }

    pub async fn delete(&self, path: &str) -> Result<(), String> {
        self.delete_with(path, &Value::Null).await
    }

    /// As a kubelet ends a pod that has stopped: at once, and only the one that it knew.
    pub async fn delete_now(&self, path: &str, uid: &str) -> Result<(), String> {
        let options = serde_json::json!({"gracePeriodSeconds": 0, "preconditions": {"uid": uid}});
        self.delete_with(path, &options).await
    }

    async fn delete_with(&self, path: &str, options: &Value) -> Result<(), String> {
        match self.send(Method::DELETE, path, "application/json", options).await {
            Ok(_) => Ok(()),
            // Gone, or another one of that name.
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            Err(error) => Err(said(error)),
        }
    }

    async fn send(&self, method: Method, path: &str, content: &str, body: &Value) -> kube::Result<Value> {
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            serde_json::to_vec(body).unwrap_or_default()
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("accept", "application/json");
        if !bytes.is_empty() {
            request = request.header("content-type", content);
        }
        self.client
            .request(request.body(bytes).map_err(kube::Error::HttpError)?)
            .await
    }

    /// Server-side apply of every object in `yaml`: documents and Lists, in their order.
    pub async fn apply(&self, yaml: &str) -> Result<(), String> {
        // Read before the first await: the reader cannot move between threads.
        let documents: Result<Vec<Value>, _> = serde_yaml::Deserializer::from_str(yaml)
            .map(Value::deserialize)
            .collect();
        for object in documents.map_err(|e| e.to_string())? {
            self.apply_object(&object).await?;
        }
        Ok(())
    }

    pub async fn apply_object(&self, object: &Value) -> Result<(), String> {
        if object.is_null() {
            return Ok(());
        }
        if let (Some("List"), Some(items)) = (object["kind"].as_str(), object["items"].as_array()) {
            for item in items {
                Box::pin(self.apply_object(item)).await?;
            }
            return Ok(());
        }
        let path = self.path(object).await?;
        let url = format!("{path}?fieldManager=byocni-tests&force=true");
        // A custom resource's kind, a namespace's service account and a webhook take a moment to appear.
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.send(Method::PATCH, &url, APPLY, object).await {
                Ok(_) => break,
                Err(error) if attempt == 50 => return Err(format!("{path}: {error}")),
                Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404 | 409 | 429 | 500..) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(format!("{path}: {error}")),
            }
        }
        // A definition's status is the API server's own, whatever a chart or a capture holds.
        if object.get("status").is_some() && object["kind"] != "CustomResourceDefinition" {
            let patch = serde_json::json!({"status": object["status"]});
            self.merge(&format!("{path}/status"), &patch).await?;
        }
        Ok(())
    }

    /// The path of an object, from its `apiVersion`, kind, namespace and name.
    pub async fn path(&self, object: &Value) -> Result<String, String> {
        let version = object["apiVersion"]
            .as_str()
            .ok_or("an object without apiVersion")?;
        let kind = object["kind"].as_str().ok_or("an object without kind")?;
        let name = object["metadata"]["name"]
            .as_str()
            .ok_or_else(|| format!("a {kind} without a name"))?;
        let root = if version.contains('/') {
            format!("/apis/{version}")
        } else {
            format!("/api/{version}")
        };
        for _ in 0..100 {
            let known = self.kinds.lock().ok().and_then(|kinds| kinds.get(&root).cloned());
            let offered = match known {
                Some(offered) => offered,
                None => self.find(&root).await?.unwrap_or_default(),
            };
            let resources = offered["resources"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            let resource = resources
                .iter()
                .find(|r| r["kind"] == kind && !r["name"].as_str().unwrap_or_default().contains('/'));
            if let Some(resource) = resource {
                let plural = resource["name"].as_str().unwrap_or_default();
                let namespaced = resource["namespaced"] == true;
                let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
                let path = match namespaced {
                    true => format!("{root}/namespaces/{namespace}/{plural}/{name}"),
                    false => format!("{root}/{plural}/{name}"),
                };
                if let Ok(mut kinds) = self.kinds.lock() {
                    kinds.insert(root, offered);
                }
                return Ok(path);
            }
            // Its definition may have been applied just now.
            if let Ok(mut kinds) = self.kinds.lock() {
                kinds.remove(&root);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(format!("the server has no {kind} in {version}"))
    }
}

fn said(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} {}: {}", status.code, status.reason, status.message),
        other => {
            // kube says "client error" and keeps the cause to itself.
            let mut text = other.to_string();
            let mut cause = std::error::Error::source(&other);
            while let Some(source) = cause {
                text = format!("{text}: {source}");
                cause = source.source();
            }
            text
        }
    }
}
