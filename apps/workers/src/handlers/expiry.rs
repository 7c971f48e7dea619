//! How an e-mail says until when its link works.

use aftercommit_domain::time::Timestamp;

/// Such as `2 December 2026, 15:04 UTC`.
pub(super) fn for_people(time: Timestamp) -> String {
    time.format("%-d %B %Y, %H:%M UTC").to_string()
}
