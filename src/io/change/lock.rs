//! The lock: one change at a time, in the whole cluster. A Lease that its holder renews; who finds it not renewed for its
//! whole duration, by his own clock, may take it. Clocks of two machines are never compared.
#![expect(
    clippy::disallowed_methods,
    reason = "a lease is renewed and expires by the clock"
)]

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    identity,
    kept::{self, Kind, Read},
};
use crate::{
    core::{change::Event, text::Text},
    io::connection::{Connection, RequestError},
};

/// How long a lease lives without being renewed.
const DURATION: Duration = Duration::from_secs(15);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(5);
/// How often a lease of somebody else is looked at while it is found out whether its holder lives, and how long after a
/// renewal that failed the next one is tried.
const LOOK: Duration = Duration::from_secs(1);
/// How long one try of a renewal may take: a server that does not answer is asked more than once within a lease's life.
const TRY: Duration = Duration::from_secs(4);
/// How long the API server may be away before the lock is given up, though nobody was seen to take it.
const AWAY: Duration = Duration::from_secs(120);

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// `user@host`, and the operation.
    pub identity: String,
    /// Since when, by the holder's clock.
    pub since: Option<Timestamp>,
}

/// Why the lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody holds it and renews it.
    #[error("another change is under way, by {}", .0.identity)]
    Held(Holder),
    /// The API server would not have it.
    #[error("cannot lock the cluster: {0}")]
    Request(#[from] RequestError),
}

/// The lock, held. Dropped without [`Lock::release`] it runs out by itself.
pub struct Lock {
    connection: Connection,
    /// The holder as the Lease names us: nobody else writes this.
    identity: Option<String>,
    state: Arc<Mutex<Renewed>>,
    lost: watch::Receiver<bool>,
    renewing: JoinHandle<()>,
}

/// The last renewal that succeeded.
#[derive(Debug, Clone)]
struct Renewed {
    version: String,
    at: Instant,
}

/// The holder of the lock as one look tells it: somebody may have died with it.
///
/// # Errors
/// Where the Lease cannot be read.
pub async fn holder(connection: &Connection) -> Result<Option<Holder>, RequestError> {
    let lease: Option<Read<Lease>> = kept::read(connection, Kind::Lease).await?;
    Ok(lease.and_then(|read| holder_of(&read.object)))
}

/// Whether the holder is alive: watches until he renews the lease, or it has run out. Nothing where nobody holds it.
///
/// # Errors
/// Where the Lease cannot be read.
pub async fn living_holder(connection: &Connection) -> Result<Option<Holder>, RequestError> {
    Ok(match observed(connection, &|_| {}).await? {
        Observed::Alive(holder) => Some(holder),
        Observed::Free { .. } => None,
    })
}

enum Observed {
    Alive(Holder),
    /// Free, or run out; the version that taking it must name.
    Free {
        version: Option<String>,
    },
}

async fn observed(connection: &Connection, tell: &(dyn Fn(&Event) + Sync)) -> Result<Observed, RequestError> {
    let Some(first) = kept::read::<Lease>(connection, Kind::Lease).await? else {
        return Ok(Observed::Free { version: None });
    };
    let Some(holder) = holder_of(&first.object) else {
        return Ok(Observed::Free {
            version: Some(first.version),
        });
    };
    let seconds = first.object.spec.as_ref().and_then(|s| s.lease_duration_seconds);
    let duration = seconds
        .and_then(|s| u64::try_from(s).ok())
        .map_or(DURATION, Duration::from_secs)
        .min(Duration::from_secs(120));
    tell(&Event::Wait {
        what: format!("waiting whether {} still holds the lock", holder.identity),
        limit: duration,
    });
    let begun = Instant::now();
    while begun.elapsed() < duration {
        tokio::time::sleep(LOOK.min(duration)).await;
        match kept::read::<Lease>(connection, Kind::Lease).await? {
            None => return Ok(Observed::Free { version: None }),
            Some(now) if now.version != first.version => {
                return Ok(match holder_of(&now.object) {
                    Some(holder) => Observed::Alive(holder),
                    None => Observed::Free {
                        version: Some(now.version),
                    },
                });
            }
            Some(_) => {}
        }
    }
    Ok(Observed::Free {
        version: Some(first.version),
    })
}

fn holder_of(lease: &Lease) -> Option<Holder> {
    let spec = lease.spec.as_ref()?;
    let identity = spec.holder_identity.as_ref().filter(|name| !name.is_empty())?;
    Some(Holder {
        identity: Text::new(identity).line(200),
        since: spec.acquire_time.as_ref().map(|time| time.0),
    })
}

impl Lock {
    /// Takes the lock, after the lease of a holder who does not renew it has run out; `tell` hears that this is waited
    /// for.
    ///
    /// # Errors
    /// [`LockError::Held`] where somebody renews it, or was faster.
    pub async fn take(
        connection: &Connection,
        identity: &str,
        tell: &(dyn Fn(&Event) + Sync),
    ) -> Result<Lock, LockError> {
        let version = match observed(connection, tell).await? {
            Observed::Alive(holder) => return Err(LockError::Held(holder)),
            Observed::Free { version } => version,
        };
        let lease = lease(identity, Timestamp::now());
        let sent = Instant::now();
        let version = match kept::write(connection, Kind::Lease, version.as_deref(), &lease).await {
            Ok(version) => version,
            Err(error) if error.is_conflict() => {
                let holder = holder(connection).await?.unwrap_or(Holder {
                    identity: "somebody who was faster".into(),
                    since: None,
                });
                return Err(LockError::Held(holder));
            }
            Err(error) => return Err(error.into()),
        };
        let state = Arc::new(Mutex::new(Renewed { version, at: sent }));
        let (tell, lost) = watch::channel(false);
        let identity = written_identity(&lease);
        let renewing = tokio::spawn(renew(connection.clone(), lease, Arc::clone(&state), tell));
        Ok(Lock {
            connection: connection.clone(),
            identity,
            state,
            lost,
            renewing,
        })
    }

    /// Whether the lock is ours at this moment. Also a process that was stopped for a while finds out here, before it
    /// writes anything.
    pub fn held(&self) -> bool {
        let renewed = self.state.lock().unwrap_or_else(PoisonError::into_inner).at;
        !*self.lost.borrow() && renewed.elapsed() < DURATION
    }

    /// Whether the lock is still ours: asked before every write. Where its time ran out while the API server was away,
    /// this waits until a renewal came through, which shows that nobody took it meanwhile, or until it is lost.
    pub async fn ours(&self) -> bool {
        while !self.held() {
            if *self.lost.borrow() {
                return false;
            }
            tokio::select! {
                () = self.lost() => return false,
                () = tokio::time::sleep(LOOK / 5) => {}
            }
        }
        true
    }

    /// Ends when the lock is lost.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        if lost.wait_for(|lost| *lost).await.is_err() {
            // The renewal has ended, and with it the lock.
        }
    }

    /// Gives the lock back: the Lease is removed, as it was not there before.
    ///
    /// # Errors
    /// Where the API server would not; the lease then runs out by itself.
    pub async fn release(self) -> Result<(), RequestError> {
        self.renewing.abort();
        let version = self
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .version
            .clone();
        match kept::remove(&self.connection, Kind::Lease, Some(&version)).await {
            // A renewal that was on its way came through.
            Err(error) if error.is_conflict() => {
                match kept::read::<Lease>(&self.connection, Kind::Lease).await? {
                    Some(found) if written_identity(&found.object) == self.identity => {
                        kept::remove(&self.connection, Kind::Lease, Some(&found.version)).await
                    }
                    _ => Ok(()),
                }
            }
            other => other,
        }
    }
}

fn written_identity(lease: &Lease) -> Option<String> {
    lease.spec.as_ref()?.holder_identity.clone()
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

fn lease(identity: &str, now: Timestamp) -> Lease {
    Lease {
        spec: Some(LeaseSpec {
            holder_identity: Some(format!("{identity} ({})", identity::random())),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: Some(MicroTime(now)),
            renew_time: Some(MicroTime(now)),
            ..LeaseSpec::default()
        }),
        ..Lease::default()
    }
}

/// Renews until the server says that the lease is another's or gone. A lease whose time ran out is renewed all the same:
/// where its version is still the one that we wrote, nobody had it meanwhile.
async fn renew(
    connection: Connection,
    mut lease: Lease,
    state: Arc<Mutex<Renewed>>,
    tell: watch::Sender<bool>,
) {
    let identity = written_identity(&lease);
    // Since when it is not known whether a renewal of ours came through.
    let mut open_since: Option<Instant> = None;
    loop {
        tokio::time::sleep(if open_since.is_none() { RENEWAL } else { LOOK }).await;
        let last = state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(spec) = &mut lease.spec {
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        let sent = Instant::now();
        let first = *open_since.get_or_insert(sent);
        let write = kept::write(&connection, Kind::Lease, Some(&last.version), &lease);
        let renewed = match tokio::time::timeout(TRY, write).await {
            Ok(Ok(version)) => Some(Renewed { version, at: sent }),
            // What stands there now decides; whatever the server said, or did not say.
            _ => match tokio::time::timeout(TRY, kept::read::<Lease>(&connection, Kind::Lease)).await {
                Ok(Ok(Some(found))) if written_identity(&found.object) == identity => {
                    let came_through = found.version != last.version;
                    came_through.then_some(Renewed {
                        version: found.version,
                        at: first,
                    })
                }
                Ok(Ok(_)) => {
                    let _ = tell.send(true);
                    return;
                }
                Ok(Err(_)) | Err(_) => None,
            },
        };
        match renewed {
            Some(renewed) => {
                *state.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
                open_since = None;
            }
            None if last.at.elapsed() > AWAY => {
                let _ = tell.send(true);
                return;
            }
            None => {}
        }
    }
}
