//! A Helm chart as far as a plan looks at it. Unpacking and fetching are in `io/charts`.

use serde_json::Value;

/// A chart that was read whole.
#[derive(Debug, Clone)]
pub struct Chart {
    /// The chart's name: `cilium`.
    pub name: String,
    /// The chart's version as its `Chart.yaml` has it: `1.19.6`, `v3.32.1`.
    pub version: String,
    /// What it installs: `1.19.6`, `v3.32.1`.
    pub app_version: String,
    /// The Kubernetes versions that it asks for: `>= 1.21.0-0`.
    pub kube_version: Option<String>,
    /// `sha256:` and the digest of the archive's bytes: those that are rendered and installed.
    pub digest: String,
    /// Where it came from, as the user would write it: `https://helm.cilium.io`, `./cilium-1.19.6.tgz`.
    pub source: String,
    /// The chart's defaults (`values.yaml`).
    pub values: Value,
    /// The text of `values.yaml`: optional keys stand there as comments.
    pub values_text: String,
    /// `values.schema.json`, where the chart has one.
    pub schema: Option<Value>,
    /// The texts of `crds/`, which Helm installs once and never changes.
    pub crds: Vec<String>,
}

/// One version that a chart source offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The chart's version as the index has it.
    pub version: String,
    /// What it installs.
    pub app_version: String,
    /// The Kubernetes versions that it asks for.
    pub kube_version: Option<String>,
    /// The archive's digest as the index has it, `sha256:…`.
    pub digest: Option<String>,
}
