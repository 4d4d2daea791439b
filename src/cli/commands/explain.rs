//! `explain`: what a code means, why it matters, how to see it, how to fix it.

use clap::Args as ClapArgs;

use crate::{
    cli::{Failure, Outcome, terminal::Terminal},
    core::codes,
    render,
};

/// Say what a finding means, why it matters, how to see it and how to fix it
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  kubectl byocni explain                 all codes\n  kubectl byocni explain BYO0201\n  kubectl byocni explain cni-missing"
)]
pub struct Args {
    /// A code (BYO0201) or its name (cni-missing); all of them are listed without
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

/// Prints the words of one code, or the list of all.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Outcome, Failure> {
    let Some(wanted) = &args.code else {
        terminal.print(&render::explain::list(codes::ALL, &terminal.style))?;
        return Ok(Outcome::Done);
    };
    let Some(code) = codes::find(wanted) else {
        let hint = match codes::nearest(wanted) {
            Some(near) => format!(
                "did you mean {} ({})? All codes: kubectl byocni explain",
                near.slug, near.id
            ),
            None => "all codes: kubectl byocni explain".into(),
        };
        return Err(Failure::usage(format!("there is no code {wanted:?}"), hint));
    };
    terminal.print(&render::explain::explain(code, &terminal.style))?;
    Ok(Outcome::Done)
}
