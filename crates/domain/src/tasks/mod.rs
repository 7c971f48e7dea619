//! Tasks: the unit of background work, the queue that carries it, and what its attempts come to.

mod broker;
mod cancellation;
mod coalescing;
mod dead_letter;
mod dead_letter_operations;
mod explanation;
mod handler;
mod held;
mod history;
mod inbox;
mod inspection;
mod outcome;
mod patience;
mod pause;
mod queue;
mod retry;
mod schedule;
mod schedules;
mod task;
mod windows;

pub use aftercommit_domain_macros::Task;
pub use broker::{Broker, BrokerError, BrokerPart, BrokerPartKind};
pub use cancellation::{CANCEL_ORDERS_RETENTION, CancelOrder, Cancelled, LONGEST_ACTOR, TaskCancellations, Unseen};
pub use coalescing::{
    Coalescing, CoalescingCandidate, CoalescingDecision, CoalescingPlan, CoalescingPolicy, CoalescingState,
    InvalidCoalescing, KnownKey, KnownTask, NewWindow, OpenWindow, WhenActive, WindowKey, decide, next_part,
};
pub use dead_letter::{DEAD_LETTER_RETENTION, DeadLetter, DeadLetterFilter, DeadLetters, DeadLettersError};
pub use dead_letter_operations::{
    DEAD_LETTER_ACTIONS_RETENTION, DeadLetterAct, DeadLetterAction, DeadLetterBatch, DeadLetterGroup,
    DeadLetterOperations, Fate,
};
pub use explanation::{Surroundings, explain};
pub use handler::{
    CancellationSignal, Retryable, TaskContext, TaskContextParts, TaskHandler, TaskResult, completed, skipped,
};
pub use held::{HeldKeys, HeldTask, HeldTasks, HoldError};
pub use history::{EndedTask, HistoryError, TaskHistory};
pub use inbox::{Inbox, InboxClaim, InboxError, InboxMaintenance, InboxMessage, PayloadDigest};
pub use inspection::{
    InspectionError, TaskDetails, TaskFilter, TaskInspector, TaskPlace, TaskState, TaskSummary, TaskWindow, TopicDepth,
};
pub use outcome::{AttemptEnd, Outcome, Reason, Stop, Verdict, settle};
pub use patience::Patience;
pub use pause::{InvalidPauseTarget, MOST_PAUSES, NewPause, Pause, PauseTarget, TaskPauses};
pub use queue::{
    Coalesced, ConsumeError, ConsumeOptions, Deliveries, Delivery, FannedOut, PublishError, Published,
    QueueCapabilities, QueueConsumer, QueueMaintenance, QueuePublisher, QueuePublisherExt, SettleError,
};
pub use retry::RetryPolicy;
pub use schedule::{
    CronExpression, InvalidCron, InvalidSchedule, KeptSchedule, MISFIRE_GRACE, Misfire, Overlap, PlannedTick, Schedule,
    ScheduleDeclaration, ScheduleId, ScheduleOrigin, SchedulePause, ScheduledTask, Slots, Tick, TickOutcome, TickPlan,
    Timetable, Zone,
};
pub use schedules::{
    DECLARATION_GRACE, DueSchedules, PauseEnd, Reconciled, Reconciliation, ScheduleFilter, SchedulePauseOrder,
    ScheduleWriter, Schedules, SchedulesError, TICKS_RETENTION,
};
pub use task::{Coalesce, DelayOutOfRange, LONGEST_DELAY, Task, TaskDescriptor, TaskOptions};
pub use windows::{TaskKey, TaskWindows, WaitingTask};
