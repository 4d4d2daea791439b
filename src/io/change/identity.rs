//! Who makes a change: shown to whoever finds the lock held.
#![expect(
    clippy::disallowed_methods,
    reason = "the user's and the machine's names are in the environment"
)]

use std::{
    env,
    hash::{BuildHasher, Hasher, RandomState},
};

use crate::core::text::Text;

/// Sixteen hexadecimal digits that nobody else has: the standard library seeds each of its hashers at random.
pub fn random() -> String {
    let number = RandomState::new().build_hasher().finish();
    format!("{number:016x}")
}

/// `user@host`.
pub fn who() -> String {
    let first = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| env::var(name).ok().filter(|value| !value.trim().is_empty()))
    };
    let user = first(&["USER", "LOGNAME", "USERNAME"]).unwrap_or_else(|| "someone".into());
    let host = host().or_else(|| first(&["HOSTNAME", "COMPUTERNAME"]));
    Text::new(&format!("{user}@{}", host.as_deref().unwrap_or("somewhere"))).line(120)
}

#[cfg(unix)]
fn host() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_string();
    Some(name).filter(|name| !name.is_empty())
}

#[cfg(not(unix))]
fn host() -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_is_never_the_same() {
        let many: std::collections::HashSet<String> = (0..100).map(|_| random()).collect();
        assert_eq!(many.len(), 100);
    }
}
