//! Tries, limits and what each answer means.

use super::*;
use crate::{core::capture::Node, io::cluster::list};

const JSON: &str = "application/json";

#[tokio::test]
async fn a_read_says_who_asks_for_what() {
    let server = Server::start(vec![ok("{}")]).await;
    let flags = Flags {
        token: Some("t0ken\n".into()),
        as_user: Some("jane".into()),
        as_groups: vec!["ops".into(), "dev".into()],
        as_uid: Some("u1".into()),
        as_user_extra: vec!["scopes=a=b".into(), "scopes=c".into()],
        ..Flags::default()
    };
    let body = server
        .connect(flags)
        .await
        .get("/api/v1/nodes?limit=5", "application/json;as=Table")
        .await;
    assert_eq!(body.expect("an answer"), "{}");
    let heard = server.heard().join("").to_lowercase();
    for line in [
        "get /api/v1/nodes?limit=5 http/1.1",
        "accept: application/json;as=table",
        "accept-encoding: identity",
        concat!("user-agent: kubectl-byocni/", env!("CARGO_PKG_VERSION")),
        "authorization: bearer t0ken",
        "impersonate-user: jane",
        "impersonate-group: ops",
        "impersonate-group: dev",
        "impersonate-uid: u1",
        "impersonate-extra-scopes: a=b",
        "impersonate-extra-scopes: c",
    ] {
        assert!(
            heard.contains(&format!("{line}\r\n")),
            "{line} is not in\n{heard}"
        );
    }
}

#[tokio::test]
async fn too_many_requests_is_tried_again_when_the_server_says() {
    let busy = answer("429 Too Many Requests", "retry-after: 1\r\n", "");
    let server = Server::start(vec![busy, ok("[1]")]).await;
    let start = std::time::Instant::now();
    let body = server.connect(Flags::default()).await.get("/version", JSON).await;
    assert_eq!(body.expect("the second try"), "[1]");
    assert_eq!(server.heard().len(), 2);
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

/// The API server says it in a header, a webhook or an aggregated server perhaps only in the `Status` that it answers with.
#[tokio::test]
async fn a_write_too_is_sent_again_when_the_server_says_and_not_before() {
    let busy = r#"{"kind":"Status","reason":"TooManyRequests","code":429,"details":{"retryAfterSeconds":2}}"#;
    for (headers, body) in [("retry-after: 2\r\n", ""), ("", busy)] {
        let server = Server::start(vec![answer("429 Too Many Requests", headers, body), ok("{}")]).await;
        let start = std::time::Instant::now();
        let sent = server
            .connect(Flags::default())
            .await
            .post_json("/api/v1/namespaces/x/pods", b"{}".to_vec())
            .await;
        let took = start.elapsed();
        assert!(sent.is_ok(), "{sent:?}");
        assert_eq!(server.heard().len(), 2, "{headers}{body}");
        assert!(took >= Duration::from_secs(2), "{headers}{body}: {took:?}");
    }
}

#[tokio::test]
async fn a_wait_beyond_the_limit_is_not_begun() {
    let busy = answer("429 Too Many Requests", "retry-after: 3600\r\n", "");
    let server = Server::start(vec![busy]).await;
    let start = std::time::Instant::now();
    let error = server
        .connect(Flags::default())
        .await
        .get("/version", JSON)
        .await
        .expect_err("429");
    assert!(matches!(error, RequestError::Status { code: 429, .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn three_server_errors_are_named() {
    let server = Server::start(vec![status(
        "500 Internal Server Error",
        "InternalError",
        "etcd is away",
    )])
    .await;
    let error = server
        .connect(Flags::default())
        .await
        .get("/version", JSON)
        .await
        .expect_err("500");
    assert_eq!(
        error.to_string(),
        "the server answered 500 InternalError: etcd is away (3 tries)"
    );
    assert_eq!(server.heard().len(), 3);
    assert!(error.hint().is_some_and(|hint| hint.contains("readyz")));
}

/// Whoever changes a cluster begins a read anew once, and a write never.
#[tokio::test]
async fn patience_begins_a_read_anew_once() {
    let ill = || status("500 Internal Server Error", "InternalError", "etcd is away");
    let server = Server::start(vec![ill(), ill(), ill(), ill(), ok("{}"), ill()]).await;
    let connection = server.connect(Flags::default()).await;
    let other = connection.clone();
    other.be_patient();
    connection.get("/version", JSON).await.expect("the fifth try");
    assert_eq!(server.heard().len(), 5);
    connection
        .post_json("/apis/x", b"{}".to_vec())
        .await
        .expect_err("500");
    assert_eq!(server.heard().len(), 6);
    connection.get("/version", JSON).await.expect_err("500 for ever");
    assert_eq!(server.heard().len(), 12);

    let gone = status("403 Forbidden", "Forbidden", "why");
    let server = Server::start(vec![gone]).await;
    let connection = server.connect(Flags::default()).await;
    connection.be_patient();
    connection.get("/version", JSON).await.expect_err("403");
    assert_eq!(
        server.heard().len(),
        1,
        "what is no failure of the moment is final"
    );
}

#[tokio::test]
async fn a_post_is_never_tried_again() {
    let server = Server::start(vec![status(
        "503 Service Unavailable",
        "ServiceUnavailable",
        "later",
    )])
    .await;
    let error = server
        .connect(Flags::default())
        .await
        .post_json("/apis/x", b"{\"a\":1}".to_vec())
        .await;
    assert!(
        matches!(error, Err(RequestError::Status { code: 503, .. })),
        "{error:?}"
    );
    let heard = server.heard();
    assert_eq!(heard.len(), 1);
    assert!(heard[0].ends_with("{\"a\":1}"), "{}", heard[0]);
    assert!(
        heard[0]
            .to_lowercase()
            .contains("content-type: application/json\r\n"),
        "{}",
        heard[0]
    );
}

#[tokio::test]
async fn refusals_are_told_apart_and_not_tried_again() {
    type Check = fn(&RequestError) -> bool;
    let table: [(&str, &str, Check); 5] = [
        (
            "403 Forbidden",
            "Forbidden",
            |e| matches!(e, RequestError::Forbidden { message } if message == "why"),
        ),
        (
            "401 Unauthorized",
            "Unauthorized",
            |e| matches!(e, RequestError::Unauthorized { message } if message == "why"),
        ),
        ("404 Not Found", "NotFound", |e| {
            matches!(e, RequestError::NotFound)
        }),
        (
            "410 Gone",
            "Expired",
            |e| matches!(e, RequestError::Gone { message } if message == "why"),
        ),
        (
            "406 Not Acceptable",
            "NotAcceptable",
            |e| matches!(e, RequestError::Status { code: 406, reason, message } if reason == "NotAcceptable" && message == "why"),
        ),
    ];
    for (line, reason, fits) in table {
        let server = Server::start(vec![status(line, reason, "why")]).await;
        let error = server
            .connect(Flags::default())
            .await
            .get("/x", JSON)
            .await
            .expect_err(line);
        assert!(fits(&error), "{line}: {error:?}");
        assert_eq!(server.heard().len(), 1, "{line}");
    }
}

#[tokio::test]
async fn text_from_the_server_cannot_steer_the_terminal() {
    let server = Server::start(vec![status(
        "403 Forbidden",
        "Forbidden",
        r"a\u001b[31mb\u202ec\nd",
    )])
    .await;
    let error = server
        .connect(Flags::default())
        .await
        .get("/x", JSON)
        .await
        .expect_err("403");
    assert_eq!(error.to_string(), "forbidden: a[31mbc d");
}

#[tokio::test]
async fn a_dripping_answer_hits_the_limit() {
    let server =
        Server::start_with_pause(vec![ok(&"x".repeat(10_000))], Some(Duration::from_millis(20))).await;
    let limit = Duration::from_millis(700);
    let flags = Flags {
        request_timeout: Some(limit),
        ..Flags::default()
    };
    let start = std::time::Instant::now();
    let error = server
        .connect(flags)
        .await
        .get("/x", JSON)
        .await
        .expect_err("too slow");
    assert!(
        matches!(error, RequestError::TimedOut { after } if after == limit),
        "{error:?}"
    );
    assert!(start.elapsed() < limit * 3, "{:?}", start.elapsed());
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("--request-timeout"))
    );
}

#[tokio::test]
async fn a_body_in_many_pieces_arrives_whole() {
    let text = "0123456789".repeat(20);
    let server = Server::start_with_pause(vec![ok(&text)], Some(Duration::from_millis(1))).await;
    let flags = Flags {
        request_timeout: Some(Duration::ZERO),
        ..Flags::default()
    };
    assert_eq!(
        server.connect(flags).await.get("/x", JSON).await.expect("whole"),
        text
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_read_again() {
    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\nhalf".to_owned();
    let server = Server::start(vec![broken, ok("whole")]).await;
    assert_eq!(
        server
            .connect(Flags::default())
            .await
            .get("/x", JSON)
            .await
            .expect("the second try"),
        "whole"
    );
}

#[tokio::test]
async fn nobody_listening_is_said_in_words() {
    let address = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("an address");
    let flags = Flags {
        server: Some(format!("http://user:secret@{address}/")),
        ..Flags::default()
    };
    let connection = Connection::open_in(&flags, &Environment::default())
        .await
        .expect("opens without asking");
    assert_eq!(connection.server(), format!("http://{address}"));
    let error = connection.get("/x", JSON).await.expect_err("nobody there");
    assert!(matches!(error, RequestError::Unreachable { .. }), "{error:?}");
    let said = error.to_string();
    assert_eq!(
        said,
        format!("cannot reach the API server: {address} refused the connection (3 tries)")
    );
}

#[tokio::test]
async fn a_login_page_is_no_answer() {
    let page = answer(
        "200 OK",
        "content-type: Text/HTML; charset=utf-8\r\n",
        "<html>log in</html>",
    );
    let server = Server::start(vec![page]).await;
    let error = server
        .connect(Flags::default())
        .await
        .get("/x", JSON)
        .await
        .expect_err("a page");
    assert!(
        matches!(error, RequestError::NotTheApi { .. }) && error.to_string().contains("web page"),
        "{error}"
    );

    let moved = answer(
        "302 Found",
        "location: https://login.example.com/a?secret=1\r\n",
        "",
    );
    let server = Server::start(vec![moved]).await;
    let error = server
        .connect(Flags::default())
        .await
        .get("/x", JSON)
        .await
        .expect_err("a redirect");
    let said = error.to_string();
    assert!(
        said.contains("redirects to login.example.com (302)") && !said.contains("secret"),
        "{said}"
    );
}

#[tokio::test]
async fn a_server_below_a_path_keeps_it() {
    let server = Server::start(vec![ok("{}")]).await;
    let flags = Flags {
        server: Some(format!("{}/k8s/clusters/c-1/", server.address)),
        ..Flags::default()
    };
    let connection = Connection::open_in(&flags, &Environment::default())
        .await
        .expect("opens");
    connection.get("/version", JSON).await.expect("an answer");
    assert!(
        server.heard()[0].starts_with("GET /k8s/clusters/c-1/version HTTP/1.1"),
        "{}",
        server.heard()[0]
    );
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_and_its_refusals_are_told() {
    for (reply, words) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "wants a user name and password (HTTP 407)",
        ),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "refused to connect"),
    ] {
        let proxy = Server::start(vec![reply.to_owned()]).await;
        let env = Environment {
            http_proxy: Some(proxy.address.replace("http://", "http://me:secret@")),
            no_proxy: Some("other.example.com,<local>,".into()),
            ..Environment::default()
        };
        let flags = Flags {
            server: Some("http://aks.example.com:8443".into()),
            ..Flags::default()
        };
        let connection = Connection::open_in(&flags, &env).await.expect("opens");
        let said = connection
            .get("/x", JSON)
            .await
            .expect_err("no tunnel")
            .to_string();
        assert!(
            said.contains(words) && said.contains(&proxy.address) && !said.contains("secret"),
            "{said}"
        );
        assert!(
            proxy.heard()[0].starts_with("CONNECT aks.example.com:8443 HTTP/1.1"),
            "{}",
            proxy.heard()[0]
        );
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_said_so() {
    let flags = Flags {
        server: Some("http://no-such-host.invalid".into()),
        ..Flags::default()
    };
    let connection = Connection::open_in(&flags, &Environment::default())
        .await
        .expect("opens");
    let said = connection
        .get("/x", JSON)
        .await
        .expect_err("no such name")
        .to_string();
    assert!(said.contains("no-such-host.invalid cannot be resolved"), "{said}");
}

#[tokio::test]
async fn far_servers_may_compress_unless_told_not_to() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, b"{\"far\":true}").expect("memory");
    let packed = packed.finish().expect("memory");
    // Behind a proxy, so that the server's name is not this machine's.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let proxy = listener.local_addr().expect("an address").to_string();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            hear(&mut stream).await;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
                .await
                .expect("the tunnel");
            let asked = hear(&mut stream).await.to_lowercase();
            let zipped = asked.contains("accept-encoding: gzip\r\n");
            kept.lock().expect("whole").push(asked);
            let (head, body) = match zipped {
                true => ("content-encoding: gzip\r\n", packed.as_slice()),
                false => ("", b"{\"far\":false}".as_slice()),
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\n{head}content-length: {}\r\n\r\n",
                body.len()
            );
            stream
                .write_all(&[head.as_bytes(), body].concat())
                .await
                .expect("the answer");
        }
    });
    let env = Environment {
        http_proxy: Some(proxy),
        ..Environment::default()
    };
    for (disable_compression, wanted) in [(false, "{\"far\":true}"), (true, "{\"far\":false}")] {
        let flags = Flags {
            server: Some("http://aks.example.com".into()),
            disable_compression,
            ..Flags::default()
        };
        let connection = Connection::open_in(&flags, &env).await.expect("opens");
        assert_eq!(connection.get("/x", JSON).await.expect("an answer"), wanted);
    }
    assert!(heard.lock().expect("whole")[1].contains("accept-encoding: identity\r\n"));
}

/// The token of a second page has expired: the list is read from its beginning once more, not half of either.
#[tokio::test]
async fn a_list_whose_token_has_expired_begins_again() {
    let page = |next: &str, name: &str| {
        ok(&format!(
            r#"{{"kind":"NodeList","metadata":{{"continue":"{next}"}},"items":[{{"metadata":{{"name":"{name}"}}}}]}}"#
        ))
    };
    let gone = status("410 Gone", "Expired", "the token is too old");
    let server = Server::start(vec![
        page("t1", "old"),
        gone.clone(),
        page("t2", "a"),
        page("", "b"),
    ])
    .await;
    let connection = server.connect(Flags::default()).await;
    let nodes = list::all::<Node>(&connection, "/api/v1/nodes", 1, JSON, |node| node).await;
    let nodes = nodes.expect("the list");
    let names: Vec<String> = nodes.iter().map(|node| node.meta.name.to_string()).collect();
    assert_eq!(names, ["a", "b"]);
    let heard = server.heard();
    let tokens = heard.iter().map(|asked| asked.contains("continue="));
    assert_eq!(tokens.collect::<Vec<_>>(), [false, true, false, true]);

    // A server that goes on so is not asked for ever.
    let server = Server::start(vec![page("t1", "a"), gone.clone(), page("t2", "a"), gone]).await;
    let connection = server.connect(Flags::default()).await;
    let asking = list::all::<Node>(&connection, "/api/v1/nodes", 1, JSON, |node| node);
    let ended = tokio::time::timeout(Duration::from_secs(30), asking).await;
    let ended = ended.expect("an end");
    assert!(matches!(ended, Err(RequestError::Gone { .. })), "{ended:?}");
}
