//! Flags that every verb has, in kubectl's words.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, ValueEnum};

use crate::io::connection::{self, parse_duration};

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal that can, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

const CONNECTION: &str = "Connection";

/// Flags that every verb has.
#[derive(Debug, Args)]
pub struct Global {
    /// The kubeconfig context to use
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION)]
    pub context: Option<String>,
    /// The kubeconfig file to use
    #[arg(long, global = true, value_name = "FILE", help_heading = CONNECTION)]
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig cluster to use
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION)]
    pub cluster: Option<String>,
    /// The kubeconfig user to use
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION)]
    pub user: Option<String>,
    /// Where the CNI's release lives (found by itself; never the context's namespace)
    #[arg(short, long, global = true, value_name = "NAMESPACE", hide_short_help = true)]
    pub namespace: Option<String>,
    /// Give up on a request after this time: 30s, 2m, 0 for never [default: 30s]
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_duration, help_heading = CONNECTION)]
    pub request_timeout: Option<Duration>,
    /// Act as this user
    #[arg(long = "as", global = true, value_name = "USER", help_heading = CONNECTION)]
    pub as_user: Option<String>,
    /// Act as a member of this group (may be repeated)
    #[arg(long = "as-group", global = true, value_name = "GROUP", help_heading = CONNECTION)]
    pub as_groups: Vec<String>,
    /// Act as this UID
    #[arg(long, global = true, value_name = "UID", help_heading = CONNECTION, hide_short_help = true)]
    pub as_uid: Option<String>,
    /// Act with this extra attribute, key=value (may be repeated)
    #[arg(long, global = true, value_name = "KEY=VALUE", help_heading = CONNECTION, hide_short_help = true)]
    pub as_user_extra: Vec<String>,
    /// The API server's address
    #[arg(short, long, global = true, value_name = "URL", help_heading = CONNECTION, hide_short_help = true)]
    pub server: Option<String>,
    /// The bearer token
    #[arg(long, global = true, value_name = "TOKEN", help_heading = CONNECTION, hide_short_help = true)]
    pub token: Option<String>,
    /// The name that the server's certificate must have
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION, hide_short_help = true)]
    pub tls_server_name: Option<String>,
    /// Do not check the server's certificate: anybody on the way can then read and change what is said
    #[arg(long, global = true, help_heading = CONNECTION, hide_short_help = true)]
    pub insecure_skip_tls_verify: bool,
    /// The authority that the server's certificate is checked against
    #[arg(long, global = true, value_name = "FILE", help_heading = CONNECTION, hide_short_help = true)]
    pub certificate_authority: Option<PathBuf>,
    /// The client certificate
    #[arg(long, global = true, value_name = "FILE", help_heading = CONNECTION, hide_short_help = true)]
    pub client_certificate: Option<PathBuf>,
    /// The client certificate's key
    #[arg(long, global = true, value_name = "FILE", help_heading = CONNECTION, hide_short_help = true)]
    pub client_key: Option<PathBuf>,
    /// Ask the server for uncompressed answers
    #[arg(long, global = true, help_heading = CONNECTION, hide_short_help = true)]
    pub disable_compression: bool,
    /// When to colour
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        display_order = 997
    )]
    pub color: Color,
    /// Say on standard error what is read and how long it takes
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 998)]
    pub verbose: u8,
}

impl Global {
    /// What of it concerns the way to the cluster.
    pub fn connection(&self) -> connection::Flags {
        connection::Flags {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.user.clone(),
            server: self.server.clone(),
            token: self.token.clone(),
            tls_server_name: self.tls_server_name.clone(),
            insecure_skip_tls_verify: self.insecure_skip_tls_verify,
            certificate_authority: self.certificate_authority.clone(),
            client_certificate: self.client_certificate.clone(),
            client_key: self.client_key.clone(),
            as_user: self.as_user.clone(),
            as_groups: self.as_groups.clone(),
            as_uid: self.as_uid.clone(),
            as_user_extra: self.as_user_extra.clone(),
            request_timeout: self.request_timeout,
            disable_compression: self.disable_compression,
        }
    }
}
