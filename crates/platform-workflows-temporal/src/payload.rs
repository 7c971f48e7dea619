//! Payloads: JSON, as every SDK of Temporal and its console read it.

use std::collections::HashMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use temporalio_common::data_converters::RawValue;
use temporalio_common::protos::temporal::api::common::v1::{Payload, Payloads};

/// Where a payload says what it is.
const ENCODING: &str = "encoding";
const JSON: &str = "json/plain";
const NULL: &str = "binary/null";

/// JSON that was written already.
pub(crate) fn of_text(json: String) -> Payload {
    Payload {
        metadata: HashMap::from([(ENCODING.to_owned(), JSON.into())]),
        data: json.into_bytes(),
        ..Payload::default()
    }
}

/// The JSON of a value. Writing a value that is data cannot fail; if it did, `null` would be refused by its reader.
pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> Payload {
    of_text(serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()))
}

/// The bytes of the JSON in a payload. `Err` says what it is instead.
pub(crate) fn bytes(payload: &Payload) -> Result<&[u8], String> {
    match payload.metadata.get(ENCODING).map(Vec::as_slice) {
        Some(encoding) if encoding == JSON.as_bytes() => Ok(&payload.data),
        Some(encoding) if encoding == NULL.as_bytes() => Ok(b"null"),
        Some(other) => Err(format!("it is {}, not JSON", String::from_utf8_lossy(other))),
        None => Err("it does not say that it is JSON".to_owned()),
    }
}

/// The value in a payload.
pub(crate) fn read<T: DeserializeOwned>(payload: &Payload) -> Result<T, String> {
    serde_json::from_slice(bytes(payload)?).map_err(|error| error.to_string())
}

/// The value that the first of these is; `null` when there is none.
pub(crate) fn first(payloads: &[Payload]) -> Result<Value, String> {
    payloads.first().map_or(Ok(Value::Null), read)
}

/// As the SDK hands them around.
pub(crate) fn raw(payloads: impl Into<Vec<Payload>>) -> RawValue {
    RawValue::new(payloads.into())
}

/// As requests hold them.
pub(crate) fn all(payloads: impl Into<Vec<Payload>>) -> Payloads {
    Payloads {
        payloads: payloads.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_survives_and_anything_else_is_named() {
        let value = json!({ "a": [1, "ü", null] });
        assert_eq!(read::<Value>(&of(&value)), Ok(value));
        assert_eq!(first(&[]), Ok(Value::Null));
        let binary = Payload {
            metadata: HashMap::from([(ENCODING.to_owned(), b"binary/protobuf".to_vec())]),
            ..Payload::default()
        };
        assert!(bytes(&binary).unwrap_err().contains("binary/protobuf"));
        assert!(bytes(&Payload::default()).is_err());
        assert!(read::<Value>(&of_text("{".to_owned())).is_err());
    }
}
