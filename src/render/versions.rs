//! `version -o json`.

use schemars::JsonSchema;
use serde::Serialize;

use super::schemas::API_VERSION;

/// What `version -o json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Versions<'a> {
    /// The version of this format.
    #[schemars(extend("const" = API_VERSION))]
    api_version: &'static str,
    /// Which document it is.
    #[schemars(extend("const" = Versions::KIND))]
    kind: &'static str,
    /// The plugin's version, with its `v`.
    plugin: String,
    /// The commit that it was built from, `-dirty` behind it where sources were edited; of release builds.
    commit: Option<&'a str>,
    /// When that commit was made.
    #[schemars(extend("format" = "date-time"))]
    date: Option<&'a str>,
    /// The helm that changes use; `null` where none can be used.
    helm: Option<Helm>,
    /// The API server's version; `null` with `--client`.
    kubernetes: Option<&'a str>,
}

/// The helm that changes use.
#[derive(Debug, Serialize, JsonSchema)]
struct Helm {
    /// Its version, with its `v`.
    version: String,
    /// Its path.
    program: String,
}

impl<'a> Versions<'a> {
    /// What `kind` says.
    pub const KIND: &'static str = "Versions";

    /// Of this plugin: its version, the commit that it was built from and when that was made (RFC 3339), as far as it
    /// knows them.
    pub fn of(plugin: &str, commit: Option<&'a str>, date: Option<&'a str>) -> Self {
        Versions {
            api_version: API_VERSION,
            kind: Self::KIND,
            plugin: format!("v{plugin}"),
            commit,
            date,
            helm: None,
            kubernetes: None,
        }
    }

    /// With the helm of that version at that path.
    pub fn with_helm(mut self, version: &str, program: &str) -> Self {
        self.helm = Some(Helm {
            version: format!("v{version}"),
            program: program.to_string(),
        });
        self
    }

    /// With what the API server says of itself.
    pub fn with_kubernetes(mut self, version: Option<&'a str>) -> Self {
        self.kubernetes = version;
        self
    }

    /// As JSON. Ends with a line feed.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings always have a JSON form");
        text.push('\n');
        text
    }
}
