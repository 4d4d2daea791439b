//! Width, colour, symbols, and a standard output that is gone.

use super::run::{Run, byocni, example, shot};

fn fresh(arguments: &str) -> Run {
    byocni("status --from fresh-byocni.yaml")
        .example("fresh-byocni.yaml")
        .arg_words(arguments)
}

#[test]
fn a_narrow_terminal() {
    shot!("narrow_status", fresh("").env("COLUMNS", "40").end());
    shot!(
        "narrow_explain",
        byocni("explain BYO0201").env("COLUMNS", "40").end()
    );
    for columns in ["1", "0", "-3", "many", "100000"] {
        assert_eq!(
            fresh("").env("COLUMNS", columns).end().code,
            Some(3),
            "COLUMNS={columns}"
        );
    }
}

#[test]
fn colour_is_decided_once() {
    let colored = |run: Run| run.end().stdout.contains('\u{1b}');
    assert!(!colored(fresh("")), "a pipe");
    assert!(colored(fresh("--color always")));
    assert!(
        colored(fresh("--color always").env("NO_COLOR", "1")),
        "the flag is what the user said last"
    );
    assert!(colored(fresh("").env("CLICOLOR_FORCE", "1")));
    assert!(!colored(fresh("").env("CLICOLOR_FORCE", "0")));
    assert!(!colored(
        fresh("").env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1")
    ));
    assert!(
        colored(fresh("").env("CLICOLOR_FORCE", "1").env("NO_COLOR", "")),
        "an empty NO_COLOR is none"
    );
    assert!(!colored(fresh("--color never").env("CLICOLOR_FORCE", "1")));
    for format in ["json", "yaml", "markdown", "name"] {
        assert!(
            !colored(fresh("--color always -o").arg(format)),
            "{format} is for programs"
        );
    }
    let plain = fresh("").end().stdout;
    let colours = fresh("--color always").end().stdout;
    let stripped: String = colours
        .split('\u{1b}')
        .enumerate()
        .map(|(at, part)| {
            if at == 0 {
                part
            } else {
                part.split_once('m').map_or(part, |(_, rest)| rest)
            }
        })
        .collect();
    assert_eq!(stripped, plain, "nothing is said by colour alone");
}

#[test]
fn without_utf8_there_is_only_ascii() {
    for lang in ["C", "POSIX", "en_US.ISO-8859-1", ""] {
        for arguments in ["", "-o wide", "--summary", "-o name"] {
            let ended = fresh(arguments).env("LANG", lang).end();
            assert!(
                ended.stdout.is_ascii(),
                "LANG={lang} {arguments}: {}",
                ended.stdout
            );
        }
        let ended = byocni("explain BYO0201").env("LANG", lang).end();
        assert!(ended.stdout.is_ascii(), "LANG={lang}: {}", ended.stdout);
    }
    assert!(
        fresh("").env("LC_ALL", "C").end().stdout.is_ascii(),
        "LC_ALL stands above LANG"
    );
    shot!("ascii", fresh("").env("LANG", "C").end());
}

#[test]
fn without_a_home() {
    let ended = byocni("status --from")
        .arg(example("fresh-byocni.yaml").display().to_string())
        .env("HOME", "")
        .end();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    shot!("no_home", byocni("status").env("HOME", "").end());
}

/// `| head` is no failure of ours, and a panic would be seen.
#[test]
fn a_closed_stdout_is_no_failure() {
    for (arguments, code) in [
        ("explain", 0),
        ("explain BYO0201", 0),
        ("--help", 0),
        ("version --client", 0),
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = byocni(arguments).stdout(writer).end();
        assert_eq!((ended.code, &*ended.stderr), (Some(code), ""), "{arguments}");
    }
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = fresh("-o json").stdout(writer).end();
    assert_eq!(
        (ended.code, &*ended.stderr),
        (Some(3), ""),
        "the verdict is told all the same"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_one() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux");
    shot!("full_disk", fresh("").stdout(full).end());
}
