//! Ctrl-C, SIGTERM and SIGHUP while a cluster is being changed: the first asks for a stop at the next safe point, the
//! second leaves at once, with the journal intact.

use tokio::sync::watch;

use super::{Failure, Outcome, terminal::Terminal};

/// How often we were asked to stop.
#[derive(Debug, Clone)]
pub struct Signals(watch::Receiver<u32>);

impl Signals {
    /// Listens from now on.
    pub fn listen() -> Self {
        let (tell, heard) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                one().await;
                tell.send_modify(|count| *count += 1);
            }
        });
        Signals(heard)
    }

    /// Ends when we were asked so often.
    pub async fn asked(&self, times: u32) {
        let mut heard = self.0.clone();
        if heard.wait_for(|count| *count >= times).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Does this, unless we are asked a second time: then it is left where it is, and `said` tells how to go on.
    ///
    /// # Errors
    /// Those of what is done.
    pub async fn unless_left(
        &self,
        doing: impl Future<Output = Result<Outcome, Failure>>,
        terminal: &Terminal,
        said: &str,
    ) -> Result<Outcome, Failure> {
        tokio::select! {
            outcome = doing => outcome,
            () = self.asked(2) => {
                terminal.leave_block();
                terminal.say(said);
                Ok(Outcome::Interrupted)
            }
        }
    }

    /// Becomes true when we are asked for the first time.
    pub fn stop(&self) -> watch::Receiver<bool> {
        let (tell, stop) = watch::channel(false);
        let signals = self.clone();
        tokio::spawn(async move {
            signals.asked(1).await;
            let _ = tell.send(true);
            // Kept open: a closed channel would read as an end of asking.
            std::future::pending::<()>().await;
        });
        stop
    }
}

#[cfg(unix)]
async fn one() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

#[cfg(not(unix))]
async fn one() {
    let _ = tokio::signal::ctrl_c().await;
}
