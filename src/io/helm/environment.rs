//! What helm may see of our environment: everything that says who the user is and how the network is reached, and
//! nothing that silently turns a command into another one.
#![expect(clippy::disallowed_methods, reason = "the door to helm's environment")]

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// Of helm's own variables those that are the user's business: logins to registries, where releases are stored, how
/// fast it may ask. All others of its name (`HELM_NAMESPACE`, `HELM_KUBECONTEXT`, `HELM_DEBUG`, `HELM_PLUGINS`, …)
/// would change what our commands do.
const KEPT: &[&str] = &[
    "HELM_BURST_LIMIT",
    "HELM_DRIVER",
    "HELM_DRIVER_SQL_CONNECTION_STRING",
    "HELM_QPS",
    "HELM_REGISTRY_CONFIG",
];

/// The variables of a process.
#[derive(Clone, Default)]
pub struct Environment {
    variables: Vec<(OsString, OsString)>,
}

impl std::fmt::Debug for Environment {
    /// Only names: values may be credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.variables.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Environment {
    /// This process's own.
    pub fn read() -> Self {
        Environment {
            variables: std::env::vars_os().collect(),
        }
    }

    /// Of these variables.
    pub fn of<K: Into<OsString>, V: Into<OsString>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        Environment {
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }

    /// The variable's value; an empty one counts as none.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let found = self.variables.iter().find(|(known, _)| same(known, name))?;
        Some(found.1.as_os_str()).filter(|value| !value.is_empty())
    }

    /// Where a program of this name lies on the `PATH`; a name with a folder in it is taken as it is.
    pub(crate) fn program(&self, name: &OsStr) -> Option<PathBuf> {
        let path = Path::new(name);
        if path.components().count() > 1 {
            return runs(path).then(|| path.to_path_buf());
        }
        std::env::split_paths(self.get("PATH")?)
            // An empty entry would be the current folder: nothing is run from there unasked.
            .filter(|folder| folder.is_absolute())
            .flat_map(|folder| [folder.join(path), folder.join(path).with_extension("exe")])
            .find(|candidate| runs(candidate))
    }

    /// What helm gets, with its own files in `folder`.
    pub(crate) fn for_helm(&self, folder: &Path) -> Vec<(OsString, OsString)> {
        let mut variables: Vec<(OsString, OsString)> = self
            .variables
            .iter()
            .filter(|(name, _)| {
                let name = name.to_string_lossy().to_uppercase();
                !name.starts_with("HELM_") || KEPT.contains(&name.as_str())
            })
            .filter(|(name, _)| !same(name, "NO_COLOR"))
            .cloned()
            .collect();
        let mut set = |name: &str, value: OsString| variables.push((name.into(), value));
        set("NO_COLOR", "1".into());
        for (name, place) in [
            ("HELM_CACHE_HOME", "cache"),
            ("HELM_CONFIG_HOME", "config"),
            ("HELM_DATA_HOME", "data"),
            ("HELM_REPOSITORY_CACHE", "repositories"),
            ("HELM_REPOSITORY_CONFIG", "repositories.yaml"),
        ] {
            set(name, folder.join(place).into());
        }
        // The login is the user's, so it stays where `helm registry login` wrote it, although the rest of helm's
        // configuration is ours.
        if self.get("HELM_REGISTRY_CONFIG").is_none()
            && let Some(home) = self.config_home()
        {
            variables.retain(|(name, _)| !same(name, "HELM_REGISTRY_CONFIG"));
            variables.push((
                "HELM_REGISTRY_CONFIG".into(),
                home.join("registry/config.json").into(),
            ));
        }
        variables
    }

    /// The user's own folder of helm's configuration, as helm finds it (its `helmpath` package).
    fn config_home(&self) -> Option<PathBuf> {
        let of = |name: &str| self.get(name).map(PathBuf::from);
        of("HELM_CONFIG_HOME")
            .or_else(|| of("XDG_CONFIG_HOME").map(|home| home.join("helm")))
            .or_else(|| match std::env::consts::OS {
                "windows" => of("APPDATA").map(|home| home.join("helm")),
                "macos" => of("HOME").map(|home| home.join("Library/Preferences/helm")),
                _ => of("HOME").map(|home| home.join(".config/helm")),
            })
    }
}

/// Whether two names are the same variable: Windows does not look at case.
fn same(name: &OsStr, other: &str) -> bool {
    match cfg!(windows) {
        true => name.to_string_lossy().eq_ignore_ascii_case(other),
        false => name == other,
    }
}

/// Whether the file is there and may be run.
fn runs(path: &Path) -> bool {
    let Ok(found) = std::fs::metadata(path) else {
        return false;
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        found.is_file() && found.permissions().mode() & 0o111 != 0
    }
    #[cfg(not(unix))]
    found.is_file()
}
