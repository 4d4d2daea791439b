//! `version`: this plugin's, helm's, and the cluster's where one can be reached.

use clap::{Args as ClapArgs, ValueEnum};

use crate::{
    cli::{Failure, Outcome, global::Global, terminal::Terminal},
    core::text::Text,
    io::{
        connection::Connection,
        helm::{Environment, Helm},
    },
};

/// Show the versions of the plugin, of the helm that it uses, and of the cluster
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  kubectl byocni version\n  kubectl byocni version --client -o json")]
pub struct Args {
    /// Without asking a cluster
    #[arg(long)]
    client: bool,
    /// The format
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
}

/// Prints both; a cluster that cannot be reached is said and is no failure, as with kubectl's own client part.
pub async fn run(args: &Args, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
    let plugin = env!("CARGO_PKG_VERSION");
    let cluster = if args.client {
        Ok(None)
    } else {
        cluster(global).await.map(Some)
    };
    let helm = Helm::find(&Environment::read()).await;
    let known = cluster.as_ref().ok().and_then(|c| c.as_ref()).map(|v| v.as_str());
    let text = match args.output {
        Output::Text => {
            let helm = match &helm {
                Ok(helm) => format!("v{} ({})", helm.version(), helm.program().display()),
                // Only changes need it, and they say how to get one.
                Err(error) => format!("none that can be used: {error}"),
            };
            let cluster = known.map(|version| format!("kubernetes      {version}\n"));
            format!(
                "kubectl-byocni  v{plugin}\nhelm            {helm}\n{}",
                cluster.unwrap_or_default()
            )
        }
        Output::Json => {
            let helm = helm.ok().map(|helm| {
                serde_json::json!({ "version": format!("v{}", helm.version()), "program": helm.program() })
            });
            let body =
                serde_json::json!({ "plugin": format!("v{plugin}"), "helm": helm, "kubernetes": known });
            format!("{body:#}\n")
        }
    };
    terminal.print(&text)?;
    match cluster {
        Ok(_) => Ok(Outcome::Done),
        Err(failure) => Err(failure),
    }
}

async fn cluster(global: &Global) -> Result<Text, Failure> {
    let connection = Connection::open(&global.connection()).await?;
    let body = connection
        .get("/version", "application/json")
        .await
        .map_err(|error| Failure {
            hint: error.hint(),
            message: error.to_string(),
            outcome: Outcome::Failed,
        })?;
    let version: serde_json::Value = serde_json::from_slice(&body)
        .map_err(|e| Failure::new(format!("the server's version cannot be read: {e}")))?;
    Ok(Text::new(
        version
            .get("gitVersion")
            .and_then(|v| v.as_str())
            .unwrap_or("unknown"),
    ))
}
