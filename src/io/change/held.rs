//! The lock and the journal together: what a change has in its hands from its beginning to its end.

use super::{
    ChangeError,
    journal::{self, Book, JournalError, Luggage},
    kept,
    lock::{Lock, LockError},
};
use crate::{
    core::{
        change::Event,
        codes::change::CHANGE_LOCKED,
        finding::{Finding, Subject},
        journal::{Operation, Phase},
    },
    io::connection::Connection,
};

/// The lock, and the journal as it stands.
pub struct Held {
    connection: Connection,
    /// The journal.
    pub book: Book,
    /// The lock.
    pub lock: Lock,
}

/// What takes a change out of one's hands.
#[derive(Debug)]
pub enum Slipped {
    /// The lock is no longer ours.
    Lost,
    /// The journal cannot be written, and nothing goes on unwritten.
    Journal(JournalError),
}

impl Held {
    /// Takes the lock and reads the journal; a finding where somebody else has the lock. While a lease of somebody else
    /// is watched, `tell` hears of it.
    pub async fn take(
        connection: &Connection,
        by: &str,
        tell: &(dyn Fn(&Event) + Sync),
    ) -> Result<Result<Held, Finding>, ChangeError> {
        let lock = match Lock::take(connection, by, tell).await {
            Ok(lock) => lock,
            Err(LockError::Held(holder)) => {
                let since = holder
                    .since
                    .map(|t| format!(" since {}", t.strftime("%H:%M:%SZ")));
                return Ok(Err(Finding::new(
                    &CHANGE_LOCKED,
                    vec![Subject::namespaced("Lease", kept::NAMESPACE, kept::NAME)],
                    format!(
                        "another change is under way, by {}{}",
                        holder.identity,
                        since.unwrap_or_default()
                    ),
                    "wait until it has ended: kubectl get lease kubectl-byocni -n kube-system",
                )));
            }
            Err(error) => return Err(ChangeError::Lock(error)),
        };
        // What follows is a change: it does not end because one read of many was lost.
        connection.be_patient();
        match journal::read(connection).await {
            Ok(book) => Ok(Ok(Held {
                connection: connection.clone(),
                book,
                lock,
            })),
            Err(error) => {
                let _ = lock.release().await;
                Err(error.into())
            }
        }
    }

    /// Writes down what begins now.
    pub async fn phase(&mut self, phase: Phase) -> Result<(), Slipped> {
        self.note(|operation| operation.phase = phase).await
    }

    /// Writes down what `change` makes of the operation.
    pub async fn note(&mut self, change: impl FnOnce(&mut Operation)) -> Result<(), Slipped> {
        if !self.lock.ours().await {
            return Err(Slipped::Lost);
        }
        if let Some(operation) = &mut self.book.journal.operation {
            change(operation);
        }
        match self.book.write(&self.connection).await {
            Ok(()) => Ok(()),
            Err(JournalError::Changed) => Err(Slipped::Lost),
            Err(error) => Err(Slipped::Journal(error)),
        }
    }

    /// Ends the change: nothing of ours stays but the record, where there is one.
    pub async fn end(self) -> Result<(), ChangeError> {
        let ended = async {
            if !self.lock.ours().await {
                return Err(JournalError::Changed.into());
            }
            // The Secret first: without the journal nobody would know whose it is.
            Luggage::forget(&self.connection).await?;
            self.book.close(&self.connection).await?;
            Ok(())
        };
        let ended = ended.await;
        // A lease that cannot be removed runs out by itself.
        let _ = self.lock.release().await;
        ended
    }

    /// Leaves the change as the journal says, for somebody to finish it.
    pub async fn leave(self) {
        let _ = self.lock.release().await;
    }
}
