//! The lock and the journal against a real API server.

#[path = "clusters/mod.rs"]
mod clusters;

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use clusters::{ControlPlane, Options, required_or_skip};
use kubectl_byocni::{
    core::change::Event,
    io::{
        change::{
            journal::{self, Luggage},
            lock::{self, Lock, LockError},
        },
        connection::{Connection, Flags},
    },
};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kubectl-byocni";

async fn connected(plane: &std::path::Path) -> Connection {
    let flags = Flags {
        kubeconfig: Some(plane.to_path_buf()),
        ..Flags::default()
    };
    Connection::open(&flags).await.expect("the test's own kubeconfig")
}

/// Acceptance scenario 37, as far as the lock goes: one wins, the other is told who holds it and writes nothing; after a
/// holder's death the lease runs out; a holder that was stopped finds out that it is no longer his.
#[test]
fn one_at_a_time() {
    let Some(plane) = required_or_skip("control-plane", ControlPlane::start(Options::default())) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let connection = connected(plane.kubeconfig()).await;
        let first = Lock::take(&connection, "first@here", &|_| {})
            .await
            .expect("a free lock");
        assert!(first.held());
        let begun = Instant::now();
        match Lock::take(&connection, "second@there", &|_| {}).await {
            Err(LockError::Held(holder)) => assert!(holder.identity.starts_with("first@here"), "{holder:?}"),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("two hold the lock"),
        }
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "a living holder is seen at its next renewal"
        );
        first.release().await.expect("released");
        assert!(plane.get(LEASE).is_none(), "nothing is left behind");

        let dead = Lock::take(&connection, "dead@here", &|_| {})
            .await
            .expect("a free lock");
        drop(dead);
        let begun = Instant::now();
        let told = Mutex::new(vec![]);
        let tell = |event: &Event| {
            if let Event::Wait { what, limit } = event {
                told.lock().expect("told").push((what.clone(), *limit));
            }
        };
        let heir = Lock::take(&connection, "heir@there", &tell)
            .await
            .expect("the lease of the dead runs out");
        let told = told.lock().expect("told").clone();
        let [(what, limit)] = told.as_slice() else {
            panic!("one wait is told: {told:?}")
        };
        assert!(what.contains("dead@here"), "whose lease is waited for: {what}");
        assert_eq!(*limit, Duration::from_secs(15));
        assert!(begun.elapsed() >= Duration::from_secs(14), "not before its time");

        // Somebody has taken it, as after a pause of ours that was longer than the lease: the renewal notices.
        plane.apply(
            "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: kubectl-byocni, namespace: kube-system}\n\
             spec: {holderIdentity: thief@there, leaseDurationSeconds: 15}\n",
        );
        tokio::time::timeout(Duration::from_secs(10), heir.lost()).await.expect("the loss is noticed");
        assert!(!heir.held());
        let holder = lock::holder(&connection).await.expect("readable").expect("the thief's");
        assert_eq!(holder.identity, "thief@there");
    });
}

#[test]
fn a_journal_is_written_once_and_read_back() {
    let Some(plane) = required_or_skip("control-plane", ControlPlane::start(Options::default())) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let connection = connected(plane.kubeconfig()).await;
        let mut book = journal::read(&connection).await.expect("an empty journal");
        let mut other = journal::read(&connection).await.expect("an empty journal");
        book.journal
            .records
            .entry("kube-system/cilium".into())
            .or_default()
            .first_installed = Some("1.19.6".into());
        book.write(&connection).await.expect("written");
        other
            .write(&connection)
            .await
            .expect_err("somebody else was faster");
        let again = journal::read(&connection).await.expect("readable");
        assert_eq!(again.journal, book.journal);

        let mut luggage = Luggage {
            user_values: serde_json::json!({"token": "canary-1"}),
            ..Luggage::default()
        };
        luggage
            .archives
            .insert("cilium-1.19.6.tgz".into(), vec![0, 159, 146, 150]);
        luggage.keep(&connection).await.expect("kept");
        luggage
            .keep(&connection)
            .await
            .expect("kept in the place of the first");
        let fetched = Luggage::fetch(&connection)
            .await
            .expect("readable")
            .expect("there");
        assert_eq!(
            (fetched.archives, fetched.user_values),
            (luggage.archives, luggage.user_values)
        );
        Luggage::forget(&connection).await.expect("removed");
        Luggage::forget(&connection).await.expect("fine when it is gone");
        assert!(Luggage::fetch(&connection).await.expect("readable").is_none());
    });
}
