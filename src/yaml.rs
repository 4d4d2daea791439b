//! The only file that names `serde_yaml`, so that the library can be changed in one place.

use serde::{Serialize, de::DeserializeOwned};

/// Writes a value as YAML.
///
/// # Errors
/// When the value cannot be represented, such as a map with keys that are not strings.
pub fn to_string<T: Serialize>(value: &T) -> Result<String, String> {
    serde_yaml::to_string(value).map_err(|e| e.to_string())
}

/// Reads every document of a YAML (or JSON) stream.
///
/// # Errors
/// The parser's message with line and column, for the first document that cannot be read.
pub fn documents<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, String> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| T::deserialize(document).map_err(|e| e.to_string()))
        .collect()
}
