//! The cluster and the namespace that helm is sent to. It must be the cluster that we look at ourselves: what helm
//! cannot be told on its command line is refused before anything starts.

use std::{ffi::OsString, path::PathBuf};

use super::error::HelmError;
use crate::io::connection::Flags;

/// Which cluster, as whom, and in which namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// `--kubeconfig`; without it helm reads `$KUBECONFIG`, as we do.
    pub kubeconfig: Option<PathBuf>,
    /// The context; always given where there is one, so that a `kubectl config use-context` meanwhile changes nothing.
    pub context: Option<String>,
    /// `--as`
    pub as_user: Option<String>,
    /// `--as-group`
    pub as_groups: Vec<String>,
    /// `--server`
    pub server: Option<String>,
    /// `--tls-server-name`
    pub tls_server_name: Option<String>,
    /// `--certificate-authority`
    pub certificate_authority: Option<PathBuf>,
    /// `--insecure-skip-tls-verify`
    pub insecure_skip_tls_verify: bool,
    /// The namespace of the release.
    pub namespace: String,
}

impl Target {
    /// What these flags name; `context` is the one that the connection uses.
    ///
    /// # Errors
    /// [`HelmError::Flag`] for a flag that helm has no counterpart of. `--token` has one, but a command line is no
    /// place for a secret: every process of the machine can read it.
    pub fn of(flags: &Flags, context: Option<&str>, namespace: &str) -> Result<Target, HelmError> {
        let refused = [
            ("--as-uid", flags.as_uid.is_some()),
            ("--as-user-extra", !flags.as_user_extra.is_empty()),
            ("--client-certificate", flags.client_certificate.is_some()),
            ("--client-key", flags.client_key.is_some()),
            ("--cluster", flags.cluster.is_some()),
            ("--token", flags.token.is_some()),
            ("--user", flags.user.is_some()),
        ];
        if let Some((flag, _)) = refused.into_iter().find(|(_, given)| *given) {
            return Err(HelmError::Flag { flag });
        }
        Ok(Target {
            kubeconfig: flags.kubeconfig.clone(),
            context: context
                .map(str::to_string)
                .or_else(|| flags.context.clone())
                .filter(|name| !name.is_empty()),
            as_user: flags.as_user.clone(),
            as_groups: flags.as_groups.clone(),
            server: flags.server.clone(),
            tls_server_name: flags.tls_server_name.clone(),
            certificate_authority: flags.certificate_authority.clone(),
            insecure_skip_tls_verify: flags.insecure_skip_tls_verify,
            namespace: namespace.to_string(),
        })
    }

    /// As helm's flags, which both majors have.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec![];
        // `--flag=value` in one word: a name that begins with a dash stays a name.
        let mut put = |flag: &str, value: OsString| {
            let mut argument = OsString::from(flag);
            argument.push("=");
            argument.push(value);
            arguments.push(argument);
        };
        put("--namespace", (&self.namespace).into());
        if let Some(path) = &self.kubeconfig {
            put("--kubeconfig", path.into());
        }
        let texts = [
            ("--kube-context", &self.context),
            ("--kube-as-user", &self.as_user),
            ("--kube-apiserver", &self.server),
            ("--kube-tls-server-name", &self.tls_server_name),
        ];
        for (flag, value) in texts {
            if let Some(value) = value {
                put(flag, value.into());
            }
        }
        for group in &self.as_groups {
            put("--kube-as-group", group.into());
        }
        if let Some(path) = &self.certificate_authority {
            put("--kube-ca-file", path.into());
        }
        if self.insecure_skip_tls_verify {
            arguments.push("--kube-insecure-skip-tls-verify".into());
        }
        arguments
    }
}
