//! `AFTERCOMMIT_REFERENCE__*`: what an operator may set about the reference product.

use crate::{
    key::{Form, Key, Preset},
    reading::Reading,
};
use std::time::Duration;

/// Settings of the reference product; an application of its own does not look at them.
#[derive(Debug, PartialEq, Eq)]
pub struct ReferenceSettings {
    /// How long an invitation can be accepted. Defaults to 7 d.
    pub invitation_ttl: Duration,
    /// How long a magic link works. Defaults to 15 min.
    pub sign_in_link_ttl: Duration,
    /// For how long a record must not have come again to be settled. Defaults to 90 s.
    pub record_quiet: Duration,
    /// After this a record is settled although it still comes. Defaults to 15 min.
    pub record_max_wait: Duration,
    /// How often the search index takes a record that keeps changing. Defaults to 1 h.
    pub search_refresh: Duration,
    /// How often what is used beyond what is included is reported. Defaults to 5 min.
    pub overage_report: Duration,
    /// How many records of a project and month are not charged for. Defaults to 10 000.
    pub included_records: u64,
}

pub(crate) static KEYS: [Key; 7] = [
    Key::new(
        "reference.invitation_ttl",
        Form::seconds(1, 90 * 86_400),
        Preset::Value("7d"),
        "How long an invitation of the reference product can be accepted.",
    ),
    Key::new(
        "reference.sign_in_link_ttl",
        Form::seconds(1, 86_400),
        Preset::Value("15m"),
        "How long a magic link of the reference product works.",
    ),
    Key::new(
        "reference.record_quiet",
        Form::seconds(1, 86_400),
        Preset::Value("90s"),
        "For how long a record of the reference product must not have come again to be settled.",
    ),
    Key::new(
        "reference.record_max_wait",
        Form::seconds(1, 86_400),
        Preset::Value("15m"),
        "After this a record of the reference product is settled although it still comes; never before record_quiet is over.",
    ),
    Key::new(
        "reference.search_refresh",
        Form::seconds(1, 30 * 86_400),
        Preset::Value("1h"),
        "How often the search index of the reference product takes a record that keeps changing.",
    ),
    Key::new(
        "reference.overage_report",
        Form::seconds(1, 30 * 86_400),
        Preset::Value("5m"),
        "How often the reference product reports what is used beyond what is included.",
    ),
    Key::new(
        "reference.included_records",
        Form::Count {
            min: 0,
            max: 100_000_000,
        },
        Preset::Value("10000"),
        "How many records of a project and month the reference product does not charge for.",
    ),
];

impl ReferenceSettings {
    pub(crate) fn read(reading: &mut Reading<'_>) -> Self {
        let [
            invitation_ttl,
            sign_in_link_ttl,
            record_quiet,
            record_max_wait,
            search_refresh,
            overage_report,
            included_records,
        ] = &KEYS;
        Self {
            invitation_ttl: reading.span(invitation_ttl),
            sign_in_link_ttl: reading.span(sign_in_link_ttl),
            record_quiet: reading.span(record_quiet),
            record_max_wait: reading.span(record_max_wait),
            search_refresh: reading.span(search_refresh),
            overage_report: reading.span(overage_report),
            included_records: reading.count(included_records),
        }
    }
}
