//! A server of files on this machine, for what is fetched by URL.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
};

/// Serves a folder's files by HTTP until the test's process ends, and says where. Some names answer in their own way, whatever
/// the folder holds: `busy.tgz`, `private.tgz`, `away.yaml` (to `net.yaml`), `round.yaml` (to itself).
pub fn serve(folder: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let folder = folder.to_path_buf();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(&stream);
            let mut first = String::new();
            let _ = reader.read_line(&mut first);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                line.clear();
            }
            let path = first
                .split([' ', '?'])
                .nth(1)
                .unwrap_or("/")
                .trim_start_matches('/');
            let (status, body) = match (path, std::fs::read(folder.join(path))) {
                ("away.yaml", _) => ("302 Found\r\nLocation: /net.yaml", vec![]),
                ("round.yaml", _) => ("302 Found\r\nLocation: /round.yaml", vec![]),
                ("busy.tgz", _) => ("429 Too Many Requests", vec![]),
                ("private.tgz", _) => ("401 Unauthorized", vec![]),
                (_, Ok(body)) => ("200 OK", body),
                (_, Err(_)) => ("404 Not Found", vec![]),
            };
            let mut out = &stream;
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = out.write_all(head.as_bytes()).and_then(|()| out.write_all(&body));
        }
    });
    format!("http://{address}")
}
