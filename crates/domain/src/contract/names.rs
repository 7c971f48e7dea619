//! Wire names: explicit constants, checked at compile time, never derived from a type's name.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub(crate) const MAX_NAME: usize = 120;
/// The longest key, in bytes.
pub(crate) const MAX_KEY: usize = 200;

/// The longest name of a handler: a topic's, a slash, a task's.
const MAX_HANDLER: usize = 2 * MAX_NAME + 1;

/// The text is no name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be {expected}")]
pub struct InvalidName {
    /// What was to be named.
    pub kind: &'static str,
    /// What such a name looks like.
    pub expected: &'static str,
}

const fn is_kebab(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > MAX_NAME || !bytes[0].is_ascii_lowercase() || bytes[bytes.len() - 1] == b'-' {
        return false;
    }
    let mut i = 1;
    while i < bytes.len() {
        let fits =
            bytes[i].is_ascii_lowercase() || bytes[i].is_ascii_digit() || (bytes[i] == b'-' && bytes[i - 1] != b'-');
        if !fits {
            return false;
        }
        i += 1;
    }
    true
}

const fn is_pascal(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > MAX_NAME || !bytes[0].is_ascii_uppercase() {
        return false;
    }
    let mut i = 1;
    while i < bytes.len() {
        if !bytes[i].is_ascii_alphanumeric() {
            return false;
        }
        i += 1;
    }
    true
}

const fn is_key(text: &str) -> bool {
    is_text(text, MAX_KEY)
}

const fn is_schedule(text: &str) -> bool {
    let bytes = text.as_bytes();
    is_text(text, MAX_NAME) && bytes[0] != b' ' && bytes[bytes.len() - 1] != b' '
}

const fn is_handler(text: &str) -> bool {
    is_text(text, MAX_HANDLER)
}

const fn is_text(text: &str, longest: usize) -> bool {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > longest {
        return false;
    }
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] < 0x20 || bytes[i] == 0x7f {
            return false;
        }
        i += 1;
    }
    true
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:ident, $kind:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Cow<'static, str>);

        impl $name {
            #[doc = concat!("A constant name. Does not compile in a `const` unless it is ", $expected, ".")]
            ///
            /// # Panics
            /// When called outside a `const` with a text that is no such name; use `new` for text from outside.
            pub const fn constant(text: &'static str) -> Self {
                assert!($check(text), concat!($kind, " must be ", $expected));
                Self(Cow::Borrowed(text))
            }

            #[doc = concat!("Takes text from outside. `Err` unless it is ", $expected, ".")]
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                if $check(&text) {
                    Ok(Self(Cow::Owned(text)))
                } else {
                    Err(InvalidName { kind: $kind, expected: $expected })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name!(
    /// An event's name, such as `ProjectCreated`.
    EventName,
    is_pascal,
    "an event name",
    "PascalCase in past tense, 1 to 120 letters and digits, such as ProjectCreated"
);
name!(
    /// A topic's name, such as `invitation-email`.
    TopicName,
    is_kebab,
    "a topic name",
    "lower-kebab-case, 1 to 120 bytes, such as invitation-email"
);
name!(
    /// A task's name within its topic, such as `send`.
    TaskName,
    is_kebab,
    "a task name",
    "lower-kebab-case, 1 to 120 bytes, such as send-receipt"
);
name!(
    /// The kind of thing an event is about, such as `invitation`.
    AggregateType,
    is_kebab,
    "an aggregate type",
    "lower-kebab-case, 1 to 120 bytes, such as invoice"
);
name!(
    /// The name under which a process takes work, such as `relay-1`.
    WorkerName,
    is_key,
    "a worker name",
    "1 to 200 bytes without control characters"
);
name!(
    /// Tasks of one topic with the same order key run one after another, in the order they were published.
    OrderKey,
    is_key,
    "an order key",
    "1 to 200 bytes without control characters"
);
name!(
    /// Tells apart two dispatches of one event to the same contract.
    DispatchKey,
    is_key,
    "a dispatch key",
    "1 to 200 bytes without control characters"
);
name!(
    /// What is the same thing to be done: publishes of one key are coalesced.
    CoalescingKey,
    is_key,
    "a coalescing key",
    "1 to 200 bytes without control characters"
);

name!(
    /// A schedule's key: one of a tenant.
    ScheduleKey,
    is_schedule,
    "a schedule's key",
    "1 to 120 bytes without control characters or spaces at its ends, such as weekly-digest"
);

name!(
    /// Who handles a message: what the inbox remembers it by.
    HandlerName,
    is_handler,
    "a handler's name",
    "1 to 241 bytes without control characters, such as receipts/send"
);

name!(
    /// A workflow's name, such as `collect-payment`.
    WorkflowName,
    is_kebab,
    "a workflow name",
    "lower-kebab-case, 1 to 120 bytes, such as collect-payment"
);
name!(
    /// An activity's name, such as `charge-card`.
    ActivityName,
    is_kebab,
    "an activity name",
    "lower-kebab-case, 1 to 120 bytes, such as charge-card"
);
name!(
    /// A signal's name, such as `payment-received`.
    SignalName,
    is_kebab,
    "a signal name",
    "lower-kebab-case, 1 to 120 bytes, such as payment-received"
);
name!(
    /// The name of a change of a workflow's code that runs begun before it must not see, such as `charge-before-mail`.
    ChangeName,
    is_kebab,
    "the name of a change",
    "lower-kebab-case, 1 to 120 bytes, such as charge-before-mail"
);
name!(
    /// Tells the workflows of one name and tenant apart, such as an invoice's id.
    WorkflowKey,
    is_key,
    "a workflow's key",
    "1 to 200 bytes without control characters"
);
name!(
    /// One run of a workflow, named by its engine. A workflow that is started again, or continued as new, has another.
    RunId,
    is_key,
    "a run id",
    "1 to 200 bytes without control characters"
);

impl HandlerName {
    /// The one handler of a task: `receipts/send`.
    pub fn of_task(topic: &TopicName, task: &TaskName) -> Self {
        Self(Cow::Owned(format!("{topic}/{task}")))
    }
}

impl OrderKey {
    /// The order key of what shows as this text. Text that is no key, being empty, too long or with control characters,
    /// stands for itself as a UUIDv5, so that equal texts stay in order whatever they are.
    pub fn of(text: impl fmt::Display) -> Self {
        Self(key_of(&text))
    }
}

impl From<uuid::Uuid> for RunId {
    fn from(id: uuid::Uuid) -> Self {
        Self(Cow::Owned(id.to_string()))
    }
}

impl CoalescingKey {
    /// The coalescing key of what shows as this text. Text that is no key, being empty, too long or with control characters,
    /// stands for itself as a UUIDv5, so that equal texts are one key whatever they are.
    pub fn of(text: impl fmt::Display) -> Self {
        Self(key_of(&text))
    }
}

fn key_of(text: &dyn fmt::Display) -> Cow<'static, str> {
    let text = text.to_string();
    if is_key(&text) {
        return Cow::Owned(text);
    }
    Cow::Owned(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, text.as_bytes()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outside_their_alphabet_or_length_are_refused() {
        for bad in [
            "",
            "Send",
            "send-",
            "-send",
            "send--mail",
            "send mail",
            "send#",
            "*",
            "a/b",
            "é",
            &"x".repeat(121),
        ] {
            assert!(TopicName::new(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "invitation-email", "v2", &"x".repeat(120)] {
            assert!(TopicName::new(good).is_ok(), "{good:?}");
        }
        for bad in [
            "",
            "projectCreated",
            "Project-Created",
            "Project Created",
            "1Created",
            &"X".repeat(121),
        ] {
            assert!(EventName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn keys_over_two_hundred_bytes_or_with_control_characters_are_refused() {
        assert!(OrderKey::new("x".repeat(200)).is_ok());
        for bad in ["x".repeat(201), String::new(), "a\0".into(), "a\r\nb".into()] {
            assert!(OrderKey::new(bad.clone()).is_err(), "{bad:?}");
        }
    }
}
