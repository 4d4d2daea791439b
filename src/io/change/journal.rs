//! The journal in the cluster: a ConfigMap, and beside it a Secret with the charts' bytes and the values, so that another
//! machine can finish the change with the same bytes.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use serde_json::Value;

use super::kept::{self, Kind, Read};
use crate::{
    core::journal::{Journal, Operation, Record},
    io::connection::{Connection, RequestError},
};

const OPERATION: &str = "operation";
const RECORDS: &str = "records";

/// The journal as it stands in the cluster, and its version.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// What it says.
    pub journal: Journal,
    version: Option<String>,
}

/// Why the journal is of no use.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It could not be read or written.
    #[error("the journal in kube-system (ConfigMap kubectl-byocni): {0}")]
    Request(#[from] RequestError),
    /// Somebody else has written to it.
    #[error("the journal was changed by somebody else: this change stops writing")]
    Changed,
    /// It is not what we write.
    #[error("the journal in kube-system (ConfigMap kubectl-byocni, key {key}) cannot be understood: {why}")]
    Damaged {
        /// The ConfigMap's key.
        key: &'static str,
        /// The parser's reason.
        why: String,
    },
}

/// Reads the journal; an empty one where there is none.
///
/// # Errors
/// See [`JournalError`].
pub async fn read(connection: &Connection) -> Result<Book, JournalError> {
    let Some(Read { version, object }) = kept::read::<ConfigMap>(connection, Kind::ConfigMap).await? else {
        return Ok(Book::default());
    };
    let data = object.data.unwrap_or_default();
    let damaged = |key| {
        move |e: serde_json::Error| JournalError::Damaged {
            key,
            why: e.to_string(),
        }
    };
    let operation: Option<Operation> = match data.get(OPERATION) {
        Some(text) => Some(serde_json::from_str(text).map_err(damaged(OPERATION))?),
        None => None,
    };
    let records: BTreeMap<String, Record> = match data.get(RECORDS) {
        Some(text) => serde_json::from_str(text).map_err(damaged(RECORDS))?,
        None => BTreeMap::new(),
    };
    Ok(Book {
        journal: Journal { operation, records },
        version: Some(version),
    })
}

impl Book {
    /// Writes what it now says.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub async fn write(&mut self, connection: &Connection) -> Result<(), JournalError> {
        let text = |value: Result<String, serde_json::Error>| {
            value.map_err(|e| RequestError::Malformed { why: e.to_string() })
        };
        let mut data = BTreeMap::new();
        if let Some(operation) = &self.journal.operation {
            data.insert(OPERATION.to_string(), text(serde_json::to_string(operation))?);
        }
        data.insert(
            RECORDS.to_string(),
            text(serde_json::to_string(&self.journal.records))?,
        );
        let map = ConfigMap {
            data: Some(data),
            ..ConfigMap::default()
        };
        match kept::write(connection, Kind::ConfigMap, self.version.as_deref(), &map).await {
            Ok(version) => {
                self.version = Some(version);
                Ok(())
            }
            Err(error) if error.is_conflict() => Err(JournalError::Changed),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes it, or removes it where it says nothing.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub async fn close(mut self, connection: &Connection) -> Result<(), JournalError> {
        self.journal.operation = None;
        if !self.journal.records.is_empty() {
            return self.write(connection).await;
        }
        match (
            &self.version,
            kept::remove(connection, Kind::ConfigMap, self.version.as_deref()).await,
        ) {
            (None, _) | (_, Ok(())) => Ok(()),
            (_, Err(error)) if error.is_conflict() => Err(JournalError::Changed),
            (_, Err(error)) => Err(error.into()),
        }
    }
}

/// What a change needs besides its journal.
#[derive(Clone, Default)]
pub struct Luggage {
    /// Archives by file name.
    pub archives: BTreeMap<String, Vec<u8>>,
    /// The values that Helm gets.
    pub values: Value,
    /// Those of them that are the user's.
    pub user_values: Value,
    /// The operation that it is for: what an earlier one left is not taken for it.
    pub operation: String,
}

const VALUES: &str = "values.json";
const USER_VALUES: &str = "user-values.json";
const OF_OPERATION: &str = "operation";

impl Luggage {
    /// Keeps it in the cluster, in place of what an earlier change left.
    ///
    /// # Errors
    /// Where it could not be written; charts above the 1 MiB of a Secret are refused by the server.
    pub async fn keep(&self, connection: &Connection) -> Result<(), RequestError> {
        let json = |value: &Value| ByteString(value.to_string().into_bytes());
        let archives = self.archives.iter();
        let mut data: BTreeMap<String, ByteString> = archives
            .map(|(name, bytes)| (name.clone(), ByteString(bytes.clone())))
            .collect();
        data.insert(VALUES.into(), json(&self.values));
        data.insert(USER_VALUES.into(), json(&self.user_values));
        data.insert(
            OF_OPERATION.into(),
            ByteString(self.operation.clone().into_bytes()),
        );
        let secret = Secret {
            data: Some(data),
            type_: Some("byocni.io/change".into()),
            ..Secret::default()
        };
        let there: Option<Read<Value>> = kept::read(connection, Kind::Secret).await?;
        let version = there.as_ref().map(|read| read.version.as_str());
        kept::write(connection, Kind::Secret, version, &secret)
            .await
            .map(drop)
    }

    /// Takes it out of the cluster again; nothing where it is not there.
    ///
    /// # Errors
    /// Where it could not be read or is damaged.
    pub async fn fetch(connection: &Connection) -> Result<Option<Luggage>, RequestError> {
        let Some(Read { object, .. }) = kept::read::<Secret>(connection, Kind::Secret).await? else {
            return Ok(None);
        };
        let mut luggage = Luggage::default();
        for (name, ByteString(bytes)) in object.data.unwrap_or_default() {
            let json = || {
                serde_json::from_slice::<Value>(&bytes).map_err(|e| RequestError::NotTheApi {
                    // Not the parser's sentence: it could quote a value.
                    why: format!(
                        "{name} in the Secret kubectl-byocni is damaged at column {}",
                        e.column()
                    ),
                })
            };
            match name.as_str() {
                VALUES => luggage.values = json()?,
                USER_VALUES => luggage.user_values = json()?,
                OF_OPERATION => luggage.operation = String::from_utf8_lossy(&bytes).into_owned(),
                _ => {
                    luggage.archives.insert(name, bytes);
                }
            }
        }
        Ok(Some(luggage))
    }

    /// Removes it from the cluster.
    ///
    /// # Errors
    /// What the server said.
    pub async fn forget(connection: &Connection) -> Result<(), RequestError> {
        kept::remove(connection, Kind::Secret, None).await
    }
}
