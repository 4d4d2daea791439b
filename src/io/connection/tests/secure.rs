//! What TLS refuses, in words. The certificates in `testdata` belong to nobody and protect nothing.

use std::io::{Read, Write};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/io/connection/testdata")
        .join(name)
}

/// A TLS server for any number of connections; returns its port.
fn serve(certificate: &str) -> u16 {
    let chain = vec![CertificateDer::from_pem_file(testdata(certificate)).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(testdata("key.pem")).expect("a key");
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a pair");
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Ok(session) = rustls::ServerConnection::new(config.clone()) else {
                continue;
            };
            let mut tls = rustls::StreamOwned::new(session, stream);
            if tls.read(&mut [0; 4096]).is_ok() {
                let _ = tls.write_all(ok("{}").as_bytes());
            }
        }
    });
    port
}

async fn ask(certificate: &str, flags: Flags) -> Result<Bytes, RequestError> {
    let flags = Flags {
        server: Some(format!("https://127.0.0.1:{}", serve(certificate))),
        ..flags
    };
    let connection = Connection::open_in(&flags, &Environment::default())
        .await
        .expect("opens");
    connection.get("/x", "application/json").await
}

fn trusting(authority: &str) -> Flags {
    Flags {
        certificate_authority: Some(testdata(authority)),
        ..Flags::default()
    }
}

#[tokio::test]
async fn a_good_certificate_is_accepted() {
    ask("good.pem", trusting("authority.pem"))
        .await
        .expect("an answer");
    let named = Flags {
        tls_server_name: Some("other.example.com".into()),
        ..trusting("authority.pem")
    };
    ask("other-name.pem", named)
        .await
        .expect("an answer under the other name");
    let careless = Flags {
        insecure_skip_tls_verify: true,
        ..Flags::default()
    };
    ask("expired.pem", careless).await.expect("an answer unverified");
}

#[tokio::test]
async fn a_bad_certificate_is_refused_in_words() {
    for (certificate, authority, words) in [
        ("expired.pem", "authority.pem", "has expired"),
        ("good.pem", "stranger.pem", "unknown authority"),
        (
            "other-name.pem",
            "authority.pem",
            "is not for the host name 127.0.0.1",
        ),
    ] {
        let error = ask(certificate, trusting(authority))
            .await
            .expect_err(certificate);
        assert!(
            matches!(error, RequestError::Insecure { .. }),
            "{certificate}: {error:?}"
        );
        assert!(error.to_string().contains(words), "{certificate}: {error}");
    }
}

#[tokio::test]
async fn http_where_tls_is_expected_is_said_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let server = format!("https://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(answer("400 Bad Request", "", "not TLS").as_bytes());
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    let flags = Flags {
        server: Some(server),
        ..trusting("authority.pem")
    };
    let connection = Connection::open_in(&flags, &Environment::default())
        .await
        .expect("opens");
    let said = connection
        .get("/x", "application/json")
        .await
        .expect_err("no TLS")
        .to_string();
    assert!(said.contains("does not speak TLS"), "{said}");
}

#[tokio::test]
async fn an_expired_client_certificate_is_noticed_before_asking() {
    let flags = Flags {
        server: Some("https://aks.example.com".into()),
        client_certificate: Some(testdata("expired.pem")),
        client_key: Some(testdata("key.pem")),
        ..Flags::default()
    };
    let error = Connection::open_in(&flags, &Environment::default())
        .await
        .expect_err("expired");
    assert_eq!(
        error.to_string(),
        "the client certificate expired on 2021-02-03T04:05:06Z"
    );
    let with_token = Flags {
        token: Some("t".into()),
        ..flags.clone()
    };
    Connection::open_in(&with_token, &Environment::default())
        .await
        .expect("the token may do");
    let fine = Flags {
        client_certificate: Some(testdata("good.pem")),
        ..flags
    };
    Connection::open_in(&fine, &Environment::default())
        .await
        .expect("not expired");
}
