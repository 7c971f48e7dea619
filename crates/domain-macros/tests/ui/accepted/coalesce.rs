#![deny(warnings)]

use std::time::Duration;

use aftercommit_domain::contract::{OrganizationId, ProjectId};
use aftercommit_domain::tasks::{Coalescing, Task, WhenActive};
use serde::{Deserialize, Serialize};

macro_rules! task {
    ($name:ident, $($policy:tt)*) => {
        #[derive(Serialize, Deserialize, Task)]
        #[task(topic = "search-index", name = "refresh", version = 1)]
        #[coalesce($($policy)*, key = record_id)]
        struct $name {
            organization_id: OrganizationId,
            project_id: ProjectId,
            record_id: i64,
        }

        impl $name {
            fn of(record_id: i64) -> Option<Coalescing> {
                Self { organization_id: 1.into(), project_id: 2.into(), record_id }.coalescing()
            }
        }
    };
}

task!(Replaced, replace);
task!(Once, once(ttl = "7d"));
task!(Pending, while_pending);
task!(Active, while_active(skip));
task!(Again, while_active(run_again_once));
task!(Debounced, debounce(quiet = "90s", max_wait = "15m"));
task!(DebouncedForEver, debounce(quiet = "500ms"));
task!(Throttled, throttle(every = "1h"));
task!(LatestThrottled, latest_throttle(every = "1m"));

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "drop", version = 1)]
struct Plain {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

fn main() {
    let seconds = Duration::from_secs;
    assert_eq!(Replaced::of(9), Some(Coalescing::replace(9)));
    assert_eq!(Once::of(9), Some(Coalescing::once(9, seconds(7 * 86_400))));
    assert_eq!(Pending::of(9), Some(Coalescing::while_pending(9)));
    assert_eq!(Active::of(9), Some(Coalescing::while_active(9, WhenActive::Skip)));
    assert_eq!(Again::of(9), Some(Coalescing::while_active(9, WhenActive::RunAgainOnce)));
    assert_eq!(Debounced::of(9), Some(Coalescing::debounce(9, seconds(90), seconds(900))));
    assert_eq!(DebouncedForEver::of(9), Some(Coalescing::debounce(9, Duration::from_millis(500), None)));
    assert_eq!(Throttled::of(9), Some(Coalescing::throttle(9, seconds(3600))));
    assert_eq!(LatestThrottled::of(9), Some(Coalescing::latest_throttle(9, seconds(60))));
    let plain = Plain { organization_id: 1.into(), project_id: 2.into() };
    assert_eq!(plain.coalescing(), None);
}
