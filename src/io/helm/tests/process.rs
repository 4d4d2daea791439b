//! How a run ends: by itself, at its limit, or because the user wants to stop.

use std::time::Instant;

use tokio::sync::watch;

use super::*;

const VALUES: Value = Value::Null;

/// Whether a process is there and no corpse.
fn alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with('Z')
    })
}

/// The number that the script wrote, once it has.
async fn pid(fake: &Fake) -> String {
    for _ in 0..200 {
        if let Some(line) = fake.log().lines().next() {
            return line.to_string();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the script did not start");
}

/// With a short grace, so that the test is short.
async fn quick(fake: &Fake) -> Helm {
    let mut helm = fake.helm().await;
    helm.runner.grace = Duration::from_millis(600);
    helm
}

fn call(manner: Manner, limit: Duration, stop: Option<Stop>) -> Call<'static> {
    Call {
        doing: "helm install",
        arguments: vec!["install".into()],
        manner,
        limit,
        stop,
        secrets: &[],
    }
}

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_only_reads_is_killed_at_its_limit_with_all_that_it_started() {
    let fake = Fake::new("sleep 60 & echo $! > \"$LOG\"; trap '' TERM; wait");
    let helm = quick(&fake).await;
    let outcome = helm.runner.run(call(Manner::Reads, SHORT, None)).await;
    assert!(matches!(outcome, Err(HelmError::TimedOut { .. })), "{outcome:?}");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!alive(&pid(&fake).await), "what it started is still there");
}

#[tokio::test]
async fn what_only_reads_ends_with_its_future() {
    let fake = Fake::new("echo $$ > \"$LOG\"; exec sleep 60");
    let helm = quick(&fake).await;
    let number = tokio::select! {
        number = pid(&fake) => number,
        _ = helm.runner.run(call(Manner::Reads, LONG, None)) => panic!("it ended"),
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!alive(&number));
}

#[tokio::test]
async fn an_install_past_its_limit_is_asked_to_stop_and_has_time_for_it() {
    let body = "trap 'sleep 0.2; echo marked >> \"$LOG\"; echo \"Error: INSTALLATION FAILED: context canceled\" >&2; exit 1' TERM\n\
                echo $$ > \"$LOG\"; while :; do sleep 0.05; done";
    let fake = Fake::new(body);
    let helm = quick(&fake).await;
    let outcome = helm.runner.run(call(Manner::Marks, SHORT, None)).await;
    let wanted = "helm install did not end within 1 s and was asked to stop: context canceled";
    assert_eq!(outcome.expect_err("late").to_string(), wanted);
    assert!(fake.log().contains("marked"));
}

/// Waits until the script has written its last word: one that was killed never does.
async fn goes_on_to_its_end(fake: &Fake) {
    let end = Instant::now() + LONG;
    while !fake.log().contains("done") {
        assert!(Instant::now() < end, "it was killed: {}", fake.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_install_that_does_not_stop_is_left_alone_with_its_files() {
    let fake = Fake::new(
        "trap 'echo asked >> \"$LOG\"' TERM\necho $$ > \"$LOG\"\ni=0; while [ $i -lt 60 ]; do sleep 0.05; i=$((i+1)); done; echo done >> \"$LOG\"",
    );
    let helm = quick(&fake).await;
    let folder = helm.folder().path().to_path_buf();
    let outcome = helm.runner.run(call(Manner::Marks, SHORT, None)).await;
    let Err(HelmError::StillRunning {
        pid: number, output, ..
    }) = outcome
    else {
        panic!("{outcome:?}");
    };
    assert!(alive(&number.to_string()) && fake.log().contains("asked"));
    drop(helm);
    assert!(
        output.is_file() && output.starts_with(&folder),
        "its files are gone"
    );
    goes_on_to_its_end(&fake).await;
    std::fs::remove_dir_all(folder).expect("removed");
}

#[tokio::test]
async fn a_run_that_is_dropped_in_the_middle_of_a_write_goes_on() {
    for manner in [Manner::Marks, Manner::Finishes] {
        let fake = Fake::new("echo $$ > \"$LOG\"; sleep 1; echo done >> \"$LOG\"; echo out");
        let helm = quick(&fake).await;
        let folder = helm.folder().path().to_path_buf();
        tokio::select! {
            _ = pid(&fake) => {}
            _ = helm.runner.run(call(manner, LONG, None)) => panic!("it ended"),
        }
        drop(helm);
        goes_on_to_its_end(&fake).await;
        std::fs::remove_dir_all(folder).expect("kept, and removed here");
    }
}

#[tokio::test]
async fn the_folder_goes_with_the_last_that_uses_it() {
    let fake = Fake::new("true");
    let helm = quick(&fake).await;
    let other = helm.clone();
    let folder = helm.folder().path().to_path_buf();
    drop(helm);
    assert!(folder.is_dir());
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&folder).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    drop(other);
    assert!(!folder.exists());
}

#[tokio::test]
async fn asked_to_stop_an_install_stops_and_a_rollback_finishes() {
    let body = "trap 'echo asked >> \"$LOG\"; exit 1' TERM\necho $$ > \"$LOG\"\n\
                i=0; while [ $i -lt 20 ]; do sleep 0.05; i=$((i+1)); done; echo done >> \"$LOG\"";
    for (manner, stops) in [(Manner::Marks, true), (Manner::Finishes, false)] {
        let fake = Fake::new(body);
        let helm = quick(&fake).await;
        let (sender, stop) = watch::channel(false);
        let (outcome, ()) = tokio::join!(
            helm.runner.run(call(manner, LONG, Some(stop).filter(|_| stops))),
            async {
                pid(&fake).await;
                // A rollback does not listen.
                let _ = sender.send(true);
            }
        );
        match stops {
            true => assert!(matches!(outcome, Err(HelmError::Stopped { .. })), "{outcome:?}"),
            false => assert_eq!(outcome, Ok(Printed::default())),
        }
        assert_eq!(fake.log().contains("asked"), stops);
        assert_eq!(fake.log().contains("done"), !stops);
    }
}

#[tokio::test]
async fn releases_hand_the_wish_to_stop_to_what_can_stop() {
    let fake = Fake::new("echo \"$1\" >> \"$LOG\"; case $1 in history) echo '[]';; esac");
    let helm = quick(&fake).await;
    let target = target();
    let (_sender, stop) = watch::channel(true);
    let release = helm.release(&target, "r", Some(stop));
    let change = Change::new(Path::new("c.tgz"), &VALUES, LONG);
    // Wanted before it began: not even started.
    for outcome in [release.install(&change).await, release.upgrade(&change).await] {
        assert!(matches!(outcome, Err(HelmError::Stopped { .. })), "{outcome:?}");
    }
    assert_eq!(release.history().await, Ok(vec![]));
    assert_eq!(release.rollback(1, LONG, false).await, Ok(()));
    assert_eq!(release.uninstall(true, LONG).await, Ok(()));
    assert_eq!(fake.log(), "history\nrollback\nuninstall\n");
}

#[tokio::test]
async fn an_install_that_ends_well_all_the_same_is_a_success() {
    let fake = Fake::new("trap 'exit 0' TERM\necho $$ > \"$LOG\"; while :; do sleep 0.05; done");
    let helm = quick(&fake).await;
    let (sender, stop) = watch::channel(false);
    let (outcome, ()) = tokio::join!(helm.runner.run(call(Manner::Marks, LONG, Some(stop))), async {
        pid(&fake).await;
        // Nobody can say anything any more after this: that is not a wish to stop.
        sender.send(true).expect("heard");
        drop(sender);
    });
    assert_eq!(outcome, Ok(Printed::default()));
}

#[tokio::test]
async fn it_stands_in_a_group_of_its_own_and_reads_nothing() {
    let fake = Fake::new("ps -o pgid= -p $$ | tr -d ' ' > \"$LOG\"; echo $$ >> \"$LOG\"; cat >> \"$LOG\"");
    let helm = quick(&fake).await;
    let since = Instant::now();
    helm.runner
        .run(call(Manner::Marks, LONG, None))
        .await
        .expect("it ends");
    assert!(since.elapsed() < LONG);
    let log = fake.log();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], lines[1], "its group is another's");
}

#[tokio::test]
async fn rubbish_is_no_answer() {
    let target = target();
    for body in [
        "echo hello",
        "",
        "echo '{}'",
        "echo '[{\"revision\": 1}]'",
        "printf '\\377'",
    ] {
        let fake = Fake::new(body);
        let helm = quick(&fake).await;
        let outcome = helm.release(&target, "r", None).history().await;
        assert!(
            matches!(outcome, Err(HelmError::Strange { .. })),
            "{body}: {outcome:?}"
        );
    }
    for body in ["echo 's3cret: yes'", "", "echo '[]'", "echo '\"s3cret\"'"] {
        let fake = Fake::new(body);
        let helm = quick(&fake).await;
        let error = helm
            .release(&target, "r", None)
            .values(None)
            .await
            .expect_err(body);
        assert!(matches!(error, HelmError::Strange { .. }), "{body}: {error:?}");
        assert!(!error.to_string().contains("s3cret"));
    }
    // It says that it pulled a chart, and there is none.
    let fake = Fake::new("true");
    let helm = quick(&fake).await;
    let outcome = helm.pull("oci://r/c", Some("1.0.0"), None).await;
    assert!(matches!(outcome, Err(HelmError::Strange { .. })), "{outcome:?}");
}
