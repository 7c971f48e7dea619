use aftercommit_domain::contract::{OrganizationId, ProjectId};
use aftercommit_domain::tasks::Task;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1)]
#[coalesce(debounce(quiet = "90 seconds"), key = record_id)]
struct BadTime {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1)]
#[coalesce(once(ttl = "0s"), key = record_id)]
struct NoTime {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1)]
#[coalesce(throttle(every = "40000d"), key = record_id)]
struct TooLong {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1)]
#[coalesce(debounce(max_wait = "15m"), key = record_id)]
struct MissingTime {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1)]
#[coalesce(throttle(quiet = "90s"), key = record_id)]
struct ForeignTime {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1)]
#[coalesce(debounce(quiet = "90s", max_wait = "1m"), key = record_id)]
struct NeverQuiet {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1)]
#[coalesce(sometimes, key = record_id)]
struct UnknownPolicy {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1)]
#[coalesce(replace, while_pending, key = record_id)]
struct TwoPolicies {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1)]
#[coalesce(while_active(skip, run_again_once), key = record_id)]
struct BothEnds {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1)]
#[coalesce(while_pending)]
struct NoKey {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1)]
#[coalesce(key = record_id)]
struct NoPolicy {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1)]
#[coalesce(while_pending, key = record)]
struct UnknownField {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1)]
#[coalesce]
struct Bare {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1, order_key = record_id)]
#[coalesce(while_active(run_again_once), key = record_id)]
struct TwoOrders {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
}

fn main() {}
