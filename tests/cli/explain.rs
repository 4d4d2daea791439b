//! `explain`.

use super::run::{byocni, shot};

#[test]
fn explain() {
    shot!("explain_list", byocni("explain").end());
    shot!("explain_code", byocni("explain BYO0001").end());
    let by_name = byocni("explain Source-Forbidden").end();
    assert_eq!(by_name.stdout, byocni("explain byo0001").end().stdout);
    shot!("explain_unknown", byocni("explain cni-mising").end());
    shot!("explain_far", byocni("explain weather").end());
    let ended = byocni("explain").arg("\u{1b}[31mred\u{202e}").end();
    assert_eq!(ended.code, Some(2));
    assert!(
        !ended.stderr.contains(['\u{1b}', '\u{202e}']),
        "{:?}",
        ended.stderr
    );
}

/// Every code that `explain` lists can be explained.
#[test]
fn every_code_is_explained() {
    for code in kubectl_byocni::core::codes::ALL {
        let ended = byocni("explain").arg(code.id).end();
        assert_eq!(ended.code, Some(0), "{}", code.id);
        assert!(ended.stdout.contains(code.slug), "{}", code.id);
    }
}
