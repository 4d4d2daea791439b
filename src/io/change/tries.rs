//! Writes whose answer was lost or that the server failed at, and that may be sent again: an apply, a removal by name, what
//! was looked for and is not there. An API server behind a load balancer that loses an instance fails for some seconds.

use std::time::Duration;

use bytes::Bytes;
use http::Method;

use crate::io::connection::{Connection, RequestError};

/// How often in all.
const TRIES: u32 = 5;
/// The pause before the second try; it doubles with each further one.
const PAUSE: Duration = Duration::from_millis(250);

/// Counts the tries of one write.
pub struct Tries(u32);

impl Tries {
    /// Before the first.
    pub fn new() -> Self {
        Tries(1)
    }

    /// Whether there was one before this.
    pub fn begun(&self) -> bool {
        self.0 > 1
    }

    /// Pauses before another try; false where there were enough.
    pub async fn another(&mut self) -> bool {
        if self.0 >= TRIES {
            return false;
        }
        tokio::time::sleep(PAUSE * 2u32.pow(self.0 - 1)).await;
        self.0 += 1;
        true
    }
}

/// Sends a write that may happen twice without harm, until its outcome is known.
///
/// # Errors
/// What the last try brought.
pub async fn send(
    connection: &Connection,
    method: Method,
    path: &str,
    content_type: &str,
    body: &[u8],
) -> Result<Bytes, RequestError> {
    let mut tries = Tries::new();
    loop {
        match connection
            .send(method.clone(), path, content_type, body.to_vec())
            .await
        {
            Err(error) if error.leaves_open_what_happened() => {
                if !tries.another().await {
                    return Err(error);
                }
            }
            other => return other,
        }
    }
}
