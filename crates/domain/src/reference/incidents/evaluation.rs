//! What a record means for the incidents of its source. Pure.

use crate::reference::IncidentId;
use crate::reference::incidents::Incident;
use crate::reference::records::RecordBody;
use crate::time::Timestamp;

/// How bad it is what a record tells: the text `severity` of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// `error`: something is wrong.
    Error,
    /// `ok`: nothing is wrong any more.
    Ok,
}

impl Severity {
    /// What a record tells. `None` when it tells of neither.
    pub fn of(body: &RecordBody) -> Option<Self> {
        match body.text_field("severity").as_deref() {
            Some("error") => Some(Self::Error),
            Some("ok") => Some(Self::Ok),
            Some(_) | None => None,
        }
    }
}

/// What is to be done about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evaluation {
    /// Open an incident.
    Open,
    /// Close this one.
    Close(IncidentId),
    /// Nothing, for this reason.
    Nothing(&'static str),
}

/// Decides by the record that came last: one that is evaluated late, or twice, changes nothing about what a later one has told.
/// `latest` is the newest incident of the record's source.
pub fn evaluate(severity: Option<Severity>, told_at: Timestamp, latest: Option<&Incident>) -> Evaluation {
    let Some(severity) = severity else {
        return Evaluation::Nothing("the record tells of nothing good or bad");
    };
    let is_open = latest.is_some_and(|incident| incident.closed.is_none());
    match (severity, latest) {
        (_, Some(incident)) if told_at < incident.last_told_at() => {
            Evaluation::Nothing("a later record of the source was evaluated")
        }
        (Severity::Error, _) if is_open => Evaluation::Nothing("an incident of the source is open already"),
        // The same record again.
        (Severity::Error, Some(incident)) if told_at == incident.last_told_at() => {
            Evaluation::Nothing("a later record of the source was evaluated")
        }
        (Severity::Error, _) => Evaluation::Open,
        (Severity::Ok, Some(incident)) if is_open => Evaluation::Close(incident.id),
        (Severity::Ok, _) => Evaluation::Nothing("no incident of the source is open"),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::reference::incidents::IncidentSource;
    use crate::reference::records::RecordKey;
    use crate::time::{after, seconds};

    fn at(second: u64) -> Timestamp {
        after(Timestamp::UNIX_EPOCH, seconds(second))
    }

    fn incident(told: u64, closed: Option<u64>) -> Incident {
        Incident {
            id: Uuid::from_u128(7).into(),
            organization_id: 1.into(),
            project_id: 2.into(),
            source: IncidentSource::from(RecordKey::new("pump").unwrap()),
            record_id: Uuid::from_u128(3).into(),
            told_at: at(told),
            opened_at: at(told),
            closed: closed.map(|second| (at(second + 90), at(second))),
        }
    }

    #[test]
    fn the_record_that_came_last_decides_whatever_the_order_of_evaluation() {
        let (error, ok) = (Some(Severity::Error), Some(Severity::Ok));
        let close = Evaluation::Close(Uuid::from_u128(7).into());
        let nothing = |told| matches!(told, Evaluation::Nothing(_));
        let (open, closed) = (incident(10, None), incident(10, Some(20)));
        assert_eq!(evaluate(error, at(10), None), Evaluation::Open);
        assert!(nothing(evaluate(ok, at(10), None)));
        assert!(nothing(evaluate(None, at(30), Some(&open))));

        assert!(nothing(evaluate(error, at(30), Some(&open))), "one is open at most");
        assert_eq!(evaluate(ok, at(11), Some(&open)), close);
        assert_eq!(evaluate(ok, at(10), Some(&open)), close, "of one batch");
        assert!(
            nothing(evaluate(ok, at(9), Some(&open))),
            "it is older than the trouble"
        );

        assert_eq!(evaluate(error, at(21), Some(&closed)), Evaluation::Open);
        for late in [9, 10, 15, 20] {
            assert!(nothing(evaluate(error, at(late), Some(&closed))), "{late}");
        }
        assert!(nothing(evaluate(ok, at(30), Some(&closed))));
    }

    #[test]
    fn a_record_tells_by_its_severity_and_by_nothing_else() {
        let of = |body: &str| Severity::of(&RecordBody::new(body).unwrap());
        assert_eq!(of(r#"{"severity": "error"}"#), Some(Severity::Error));
        assert_eq!(of(r#"{"severity": "ok", "value": 1}"#), Some(Severity::Ok));
        for other in [
            r#"{"severity": "ERROR"}"#,
            r#"{"severity": 3}"#,
            r#"["severity"]"#,
            "7",
            "{}",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
