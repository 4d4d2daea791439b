//! `version`: this plugin's and the commit that it was built from, helm's, and the cluster's where one can be reached.

use clap::{Args as ClapArgs, ValueEnum};

use crate::{
    cli::{Failure, Outcome, global::Global, terminal::Terminal},
    core::text::Text,
    io::{
        connection::Connection,
        helm::{Environment, Helm},
    },
    render::versions::Versions,
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

/// What this binary was built from. Release builds know their commit (`src/build.rs`).
struct Built {
    version: &'static str,
    /// All of its digits, and `-dirty` where the sources were edited.
    commit: Option<&'static str>,
    /// When the commit was made: RFC 3339, UTC.
    date: Option<&'static str>,
}

impl Built {
    const THIS: Built = Built {
        version: env!("CARGO_PKG_VERSION"),
        commit: option_env!("BYOCNI_COMMIT"),
        date: option_env!("BYOCNI_DATE"),
    };

    /// `v0.1.0 (commit 0123456789ab of 2026-11-21)`: as many digits as make a commit one of its kind.
    fn words(&self) -> String {
        let commit = self.commit.map(|commit| {
            let digits = commit.trim_end_matches("-dirty");
            let short = digits.get(..12).unwrap_or(digits);
            format!("{short}{}", &commit[digits.len()..])
        });
        let day = self.date.and_then(|date| date.split('T').next());
        match (commit, day) {
            (Some(commit), Some(day)) => format!("v{} (commit {commit} of {day})", self.version),
            (Some(commit), None) => format!("v{} (commit {commit})", self.version),
            (None, Some(day)) => format!("v{} (of {day})", self.version),
            (None, None) => format!("v{}", self.version),
        }
    }
}

/// Prints all; a cluster that cannot be reached is said and is no failure, as with kubectl's own client part.
pub async fn run(args: &Args, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
    let built = Built::THIS;
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
                "kubectl-byocni  {}\nhelm            {helm}\n{}",
                built.words(),
                cluster.unwrap_or_default()
            )
        }
        Output::Json => {
            let mut versions = Versions::of(built.version, built.commit, built.date).with_kubernetes(known);
            if let Ok(helm) = &helm {
                let program = helm.program().to_string_lossy();
                versions = versions.with_helm(&helm.version().to_string(), &program);
            }
            versions.json()
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

#[cfg(test)]
mod tests {
    use super::Built;

    #[test]
    fn what_it_was_built_from() {
        let words = |commit, date| {
            let version = "1.2.3";
            Built {
                version,
                commit,
                date,
            }
            .words()
        };
        let date = Some("2026-11-21T10:00:00Z");
        assert_eq!(words(None, None), "v1.2.3");
        assert_eq!(words(None, date), "v1.2.3 (of 2026-11-21)");
        assert_eq!(words(Some("0123456"), None), "v1.2.3 (commit 0123456)");
        assert_eq!(
            words(Some("0123456789abcdef0123456789abcdef01234567-dirty"), date),
            "v1.2.3 (commit 0123456789ab-dirty of 2026-11-21)"
        );
    }
}
