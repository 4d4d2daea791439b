//! Reads kubeconfigs as kubectl does, and picks the cluster and the user that flags and context ask for.
#![expect(clippy::disallowed_methods, reason = "the door to kubeconfigs")]

use std::path::{Path, PathBuf};

use kube::config::{AuthInfo, Cluster, Context, Kubeconfig};

use super::Flags;
use super::environment::Environment;
use super::error::{ConnectError, printable};

/// The name shown for context and cluster when a pod's service account is used.
const IN_CLUSTER: &str = "in-cluster";

/// One chosen cluster and user, flags already applied.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub context: String,
    pub cluster_name: String,
    pub namespace: String,
    pub cluster: Cluster,
    pub user: AuthInfo,
}

/// Finds the kubeconfig and chooses from it.
///
/// # Errors
/// When no kubeconfig is found or readable, or when a name asked for is not in it.
pub(crate) fn target(flags: &Flags, env: &Environment) -> Result<Target, ConnectError> {
    let (config, looked) = load(flags, env)?;
    let mut target = choose(&config, flags, env, looked)?;
    apply_cluster_flags(&mut target.cluster, flags)?;
    apply_user_flags(&mut target.user, flags)?;
    Ok(target)
}

/// The names in the kubeconfigs that apply, in their order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Names {
    /// Each context with its cluster.
    pub contexts: Vec<(String, String)>,
    /// The current context.
    pub current: Option<String>,
    /// The clusters.
    pub clusters: Vec<String>,
    /// The users.
    pub users: Vec<String>,
}

/// What the kubeconfigs name.
///
/// # Errors
/// When one is not readable, or is none.
pub(crate) fn names(flags: &Flags, env: &Environment) -> Result<Names, ConnectError> {
    let (config, _) = load(flags, env)?;
    let contexts = config.contexts.into_iter();
    Ok(Names {
        contexts: contexts
            .map(|named| (named.name, named.context.unwrap_or_default().cluster))
            .collect(),
        current: config.current_context,
        clusters: config.clusters.into_iter().map(|named| named.name).collect(),
        users: config.auth_infos.into_iter().map(|named| named.name).collect(),
    })
}

/// Every kubeconfig that applies, merged, with the places looked at.
fn load(flags: &Flags, env: &Environment) -> Result<(Kubeconfig, Vec<PathBuf>), ConnectError> {
    if let Some(path) = flags
        .kubeconfig
        .as_ref()
        .filter(|path| !path.as_os_str().is_empty())
    {
        let config = read(path)?.ok_or_else(|| ConnectError::KubeconfigMissing { path: path.clone() })?;
        return Ok((config, vec![path.clone()]));
    }
    let paths: Vec<PathBuf> = match &env.kubeconfig {
        Some(list) => std::env::split_paths(list)
            .filter(|path| !path.as_os_str().is_empty())
            .collect(),
        None => {
            let candidates: Vec<PathBuf> = env
                .homes
                .iter()
                .map(|home| home.join(".kube").join("config"))
                .collect();
            let chosen = candidates
                .iter()
                .find(|path| path.exists())
                .or(candidates.first());
            chosen.cloned().into_iter().collect()
        }
    };
    let mut merged = Kubeconfig::default();
    for path in &paths {
        // A file of the list that does not exist is skipped: kubectl would create it on the next write.
        if let Some(next) = read(path)? {
            merged = merge(merged, next, path)?;
        }
    }
    Ok((merged, paths))
}

/// First file wins, per name and for the current context.
fn merge(first: Kubeconfig, next: Kubeconfig, path: &Path) -> Result<Kubeconfig, ConnectError> {
    first.merge(next).map_err(|e| ConnectError::KubeconfigUnparsable {
        path: path.to_owned(),
        line: None,
        why: e.to_string(),
    })
}

/// One kubeconfig with its relative paths made absolute; `None` when there is no such file.
fn read(path: &Path) -> Result<Option<Kubeconfig>, ConnectError> {
    let unreadable = |why: String| ConnectError::KubeconfigUnreadable {
        path: path.to_owned(),
        why,
    };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(e.to_string())),
    };
    let text = decode(&bytes).ok_or_else(|| unreadable("it is neither UTF-8 nor UTF-16 text".into()))?;
    let unparsable = |line, why| ConnectError::KubeconfigUnparsable {
        path: path.to_owned(),
        line,
        why,
    };
    let mut merged = Kubeconfig::default();
    if text.trim().is_empty() {
        return Ok(Some(merged));
    }
    let documents = crate::yaml::documents::<Option<Kubeconfig>>(&text)
        .map_err(|message| unparsable(line_of(&message), without_values(&message)))?;
    for mut config in documents.into_iter().flatten() {
        match config.kind.take() {
            Some(kind) if !kind.is_empty() && kind != "Config" => {
                let why = format!("its kind is {:?}, not \"Config\"", printable(&kind));
                return Err(unparsable(None, why));
            }
            _ => config.api_version = None,
        }
        // An empty current-context is no choice; the next file may make it.
        config.current_context = config.current_context.filter(|name| !name.is_empty());
        make_absolute(&mut config, path.parent().unwrap_or(Path::new("")));
        merged = merge(merged, config, path)?;
    }
    Ok(Some(merged))
}

/// UTF-8 with or without a byte order mark, or UTF-16 with one (as PowerShell's `>` writes).
fn decode(bytes: &[u8]) -> Option<String> {
    let utf16 = |body: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, odd) = body.as_chunks::<2>();
        odd.is_empty()
            .then(|| String::from_utf16(&pairs.iter().map(|pair| unit(*pair)).collect::<Vec<_>>()).ok())?
    };
    match bytes {
        [0xff, 0xfe, body @ ..] => utf16(body, u16::from_le_bytes),
        [0xfe, 0xff, body @ ..] => utf16(body, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, body @ ..] => String::from_utf8(body.to_vec()).ok(),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

/// The number after `line ` in a YAML parser's message.
fn line_of(message: &str) -> Option<u64> {
    let after = &message[message.find("line ")? + "line ".len()..];
    after
        .chars()
        .take_while(char::is_ascii_digit)
        .collect::<String>()
        .parse()
        .ok()
}

/// A parser's message without the values it quotes, which may be tokens.
fn without_values(message: &str) -> String {
    let mut parts = message.split('"');
    let mut clean = parts.next().unwrap_or_default().to_owned();
    while let Some(_value) = parts.next() {
        clean.push('…');
        clean.push_str(parts.next().unwrap_or_default());
    }
    printable(&clean)
}

fn make_absolute(config: &mut Kubeconfig, folder: &Path) {
    let resolve = |field: &mut Option<String>| {
        if let Some(path) = field
            .as_mut()
            .filter(|path| !path.is_empty() && Path::new(path.as_str()).is_relative())
        {
            *path = folder.join(&*path).to_string_lossy().into_owned();
        }
    };
    for cluster in config
        .clusters
        .iter_mut()
        .filter_map(|named| named.cluster.as_mut())
    {
        resolve(&mut cluster.certificate_authority);
    }
    for user in config
        .auth_infos
        .iter_mut()
        .filter_map(|named| named.auth_info.as_mut())
    {
        resolve(&mut user.client_certificate);
        resolve(&mut user.client_key);
        resolve(&mut user.token_file);
        if let Some(exec) = &mut user.exec
            // A bare name is looked up on the PATH; only one with a separator is a path.
            && exec.command.as_ref().is_some_and(|command| command.contains(std::path::is_separator))
        {
            resolve(&mut exec.command);
        }
    }
}

/// Context, then cluster and user, each overridden by its flag.
fn choose(
    config: &Kubeconfig,
    flags: &Flags,
    env: &Environment,
    looked: Vec<PathBuf>,
) -> Result<Target, ConnectError> {
    let context_name = given(&flags.context).or_else(|| given(&config.current_context));
    let known_contexts = || {
        config
            .contexts
            .iter()
            .map(|named| named.name.clone())
            .collect::<Vec<_>>()
    };
    let context = match context_name {
        Some(name) => config
            .contexts
            .iter()
            .find(|named| named.name == name)
            .map(|named| named.context.clone().unwrap_or_default())
            .ok_or_else(|| unknown("context", name, known_contexts()))?,
        None if given(&flags.server).is_some() || given(&flags.cluster).is_some() => Context::default(),
        None if flags.kubeconfig.is_none() && config.contexts.is_empty() && config.clusters.is_empty() => {
            return in_cluster(env).ok_or(ConnectError::NoKubeconfig { looked });
        }
        None => {
            return Err(ConnectError::NoCurrentContext {
                known: known_contexts(),
            });
        }
    };
    let cluster_name = given(&flags.cluster).unwrap_or(&context.cluster);
    let cluster = config.clusters.iter().find(|named| named.name == cluster_name);
    if cluster.is_none() && (given(&flags.server).is_none() || given(&flags.cluster).is_some()) {
        return Err(unknown(
            "cluster",
            cluster_name,
            config.clusters.iter().map(|named| named.name.clone()).collect(),
        ));
    }
    let user_name = given(&flags.user).or_else(|| given(&context.user));
    let user = user_name.and_then(|name| config.auth_infos.iter().find(|named| named.name == name));
    if let (None, Some(name)) = (user, given(&flags.user)) {
        // Like kubectl: a user named by the flag must exist, one named by the context may be missing (anonymous).
        return Err(unknown(
            "user",
            name,
            config.auth_infos.iter().map(|named| named.name.clone()).collect(),
        ));
    }
    Ok(Target {
        context: context_name.unwrap_or_default().to_owned(),
        cluster_name: cluster_name.to_owned(),
        namespace: given(&context.namespace).unwrap_or("default").to_owned(),
        cluster: cluster
            .and_then(|named| named.cluster.clone())
            .unwrap_or_default(),
        user: user.and_then(|named| named.auth_info.clone()).unwrap_or_default(),
    })
}

/// The service account of the pod we run in, if we run in one.
fn in_cluster(env: &Environment) -> Option<Target> {
    let (host, port) = (env.service_host.as_ref()?, env.service_port.as_ref()?);
    let token = env.service_account.join("token");
    if !token.exists() {
        return None;
    }
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    let namespace = std::fs::read_to_string(env.service_account.join("namespace")).unwrap_or_default();
    let authority = env.service_account.join("ca.crt");
    Some(Target {
        context: IN_CLUSTER.to_owned(),
        cluster_name: IN_CLUSTER.to_owned(),
        namespace: given_text(namespace.trim()).unwrap_or("default").to_owned(),
        cluster: Cluster {
            server: Some(format!("https://{host}:{port}")),
            certificate_authority: authority
                .exists()
                .then(|| authority.to_string_lossy().into_owned()),
            ..Cluster::default()
        },
        user: AuthInfo {
            token_file: Some(token.to_string_lossy().into_owned()),
            ..AuthInfo::default()
        },
    })
}

fn apply_cluster_flags(cluster: &mut Cluster, flags: &Flags) -> Result<(), ConnectError> {
    let authority = path_given(&flags.certificate_authority);
    if flags.insecure_skip_tls_verify && authority.is_some() {
        return Err(ConnectError::BadFlag {
            flag: "--insecure-skip-tls-verify",
            why: "it cannot be combined with --certificate-authority".into(),
        });
    }
    if flags.insecure_skip_tls_verify || authority.is_some() {
        cluster.insecure_skip_tls_verify = Some(flags.insecure_skip_tls_verify);
        cluster.certificate_authority = authority;
        cluster.certificate_authority_data = None;
    }
    if let Some(server) = given(&flags.server) {
        cluster.server = Some(server.to_owned());
        // The kubeconfig's name belongs to the kubeconfig's server, not to this one.
        cluster.tls_server_name = None;
    }
    if let Some(name) = given(&flags.tls_server_name) {
        cluster.tls_server_name = Some(name.to_owned());
    }
    if flags.disable_compression {
        cluster.disable_compression = Some(true);
    }
    Ok(())
}

fn apply_user_flags(user: &mut AuthInfo, flags: &Flags) -> Result<(), ConnectError> {
    if let Some(token) = given(&flags.token) {
        *user = AuthInfo {
            token: Some(token.to_owned().into()),
            // A token replaces every other way to log in, but not the TLS identity nor who is impersonated.
            client_certificate: user.client_certificate.take(),
            client_certificate_data: user.client_certificate_data.take(),
            client_key: user.client_key.take(),
            client_key_data: user.client_key_data.take(),
            impersonate: user.impersonate.take(),
            impersonate_uid: user.impersonate_uid.take(),
            impersonate_groups: user.impersonate_groups.take(),
            impersonate_user_extra: user.impersonate_user_extra.take(),
            ..AuthInfo::default()
        };
    }
    if let Some(path) = path_given(&flags.client_certificate) {
        user.client_certificate = Some(path);
        user.client_certificate_data = None;
    }
    if let Some(path) = path_given(&flags.client_key) {
        user.client_key = Some(path);
        user.client_key_data = None;
    }
    if let Some(name) = given(&flags.as_user) {
        user.impersonate = Some(name.to_owned());
    }
    if let Some(uid) = given(&flags.as_uid) {
        user.impersonate_uid = Some(uid.to_owned());
    }
    if !flags.as_groups.is_empty() {
        user.impersonate_groups = Some(flags.as_groups.clone());
    }
    for pair in &flags.as_user_extra {
        let (key, value) = pair
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| ConnectError::BadFlag {
                flag: "--as-user-extra",
                why: format!("{pair:?} is not of the form key=value"),
            })?;
        let extra = user.impersonate_user_extra.get_or_insert_default();
        extra.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    let more = user.impersonate_uid.is_some()
        || user
            .impersonate_groups
            .as_ref()
            .is_some_and(|groups| !groups.is_empty())
        || user
            .impersonate_user_extra
            .as_ref()
            .is_some_and(|extra| !extra.is_empty());
    if more && given(&user.impersonate).is_none() {
        return Err(ConnectError::BadFlag {
            flag: "--as",
            why: "a group, uid or extra to impersonate needs a user to impersonate as well".into(),
        });
    }
    Ok(())
}

fn unknown(what: &'static str, name: &str, known: Vec<String>) -> ConnectError {
    let nearest = nearest(name, &known).map(str::to_owned);
    ConnectError::Unknown {
        what,
        name: name.to_owned(),
        nearest,
        known,
    }
}

/// The most similar name, if it is similar enough to be a typing error.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let contains = |other: &str| !wanted.is_empty() && (other.contains(&wanted) || wanted.contains(other));
    known
        .iter()
        .filter(|other| !other.is_empty())
        .map(|other| {
            let lower = other.to_lowercase();
            let apart = edits(&wanted, &lower);
            // Half a name (`prod` for `aks-prod-west`) is many edits away but clearly meant.
            (if contains(&lower) { apart.min(2) } else { apart }, other)
        })
        .min_by_key(|(apart, _)| *apart)
        .filter(|(apart, _)| *apart <= wanted.chars().count().div_ceil(3).max(2))
        .map(|(_, other)| other.as_str())
}

/// Insertions, deletions and replacements between two words (Levenshtein), one row at a time.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

/// A flag or field that is set and not empty; kubectl takes an empty one for unset.
fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().and_then(given_text)
}

fn given_text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn path_given(path: &Option<PathBuf>) -> Option<String> {
    path.as_ref()
        .filter(|path| !path.as_os_str().is_empty())
        .map(|path| path.to_string_lossy().into_owned())
}
