//! Tasks: the unit of background work, the queue that carries it, and what its attempts come to.

mod broker;
mod coalescing;
mod dead_letter;
mod dead_letter_operations;
mod handler;
mod held;
mod history;
mod inbox;
mod inspection;
mod outcome;
mod patience;
mod queue;
mod retry;
mod schedule;
mod schedules;
mod task;

pub use aftercommit_domain_macros::Task;
pub use broker::{Broker, BrokerError, BrokerPart, BrokerPartKind};
pub use coalescing::{
    Coalescing, CoalescingCandidate, CoalescingDecision, CoalescingPlan, CoalescingPolicy, CoalescingState,
    InvalidCoalescing, KnownKey, KnownTask, NewWindow, OpenWindow, WhenActive, WindowKey, decide,
};
pub use dead_letter::{DEAD_LETTER_RETENTION, DeadLetter, DeadLetterFilter, DeadLetters, DeadLettersError};
pub use dead_letter_operations::{
    DEAD_LETTER_ACTIONS_RETENTION, DeadLetterAct, DeadLetterAction, DeadLetterBatch, DeadLetterGroup,
    DeadLetterOperations, Fate,
};
pub use handler::{
    CancellationSignal, Retryable, TaskContext, TaskContextParts, TaskHandler, TaskResult, completed, skipped,
};
pub use held::{HeldKeys, HeldTask, HeldTasks, HoldError};
pub use history::{EndedTask, HistoryError, TaskHistory};
pub use inbox::{Inbox, InboxClaim, InboxError, InboxMaintenance, InboxMessage, PayloadDigest};
pub use inspection::{InspectionError, TaskDetails, TaskFilter, TaskInspector, TaskState, TaskSummary, TopicDepth};
pub use outcome::{AttemptEnd, Outcome, Reason, Stop, Verdict, settle};
pub use patience::Patience;
pub use queue::{
    Coalesced, ConsumeError, ConsumeOptions, Deliveries, Delivery, PublishError, Published, QueueCapabilities,
    QueueConsumer, QueueMaintenance, QueuePublisher, QueuePublisherExt, SettleError,
};
pub use retry::RetryPolicy;
pub use schedule::{
    CronExpression, InvalidCron, InvalidSchedule, KeptSchedule, MISFIRE_GRACE, Misfire, Overlap, Pause, PlannedTick,
    Schedule, ScheduleDeclaration, ScheduleId, ScheduleOrigin, ScheduledTask, Slots, Tick, TickOutcome, TickPlan,
    Timetable, Zone,
};
pub use schedules::{
    DECLARATION_GRACE, DueSchedules, PauseEnd, PauseOrder, Reconciled, Reconciliation, ScheduleFilter, ScheduleWriter,
    Schedules, SchedulesError, TICKS_RETENTION,
};
pub use task::{Coalesce, DelayOutOfRange, LONGEST_DELAY, Task, TaskDescriptor, TaskOptions};
