//! What becomes of a taken task: settled under its lease, or let go.

use aftercommit_domain::failure::Failure;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::Timestamp;

use super::tasks::{Ended, Lease, Row, RowState, Tasks};

impl Tasks {
    /// The delivery was dropped unsettled: its lease runs out from here.
    pub(super) fn let_go(&mut self, lease: Lease, now: Timestamp) {
        self.renew(now);
        if let Some(Row {
            state: RowState::Running(run),
            ..
        }) = self.rows.get_mut(&lease.place)
            && run.token == lease.token
        {
            run.held = false;
        }
    }

    /// The row, if the lease is still its own.
    fn leased(&mut self, lease: Lease) -> Option<(&mut Row, Option<Timestamp>)> {
        let row = self.rows.get_mut(&lease.place)?;
        match &row.state {
            RowState::Running(run) if run.token == lease.token => {
                let due = run.due;
                Some((row, due))
            }
            RowState::Running(_) | RowState::Waiting { .. } => None,
        }
    }

    /// Takes the row out, if the lease is still its own.
    pub(super) fn finish(&mut self, lease: Lease) -> Option<Row> {
        self.leased(lease)?;
        self.running.remove(&lease.place);
        self.remove(lease.place)
    }

    /// Keeps how a task ended.
    pub(super) fn record(&mut self, ended: Ended) {
        // One that ended twice, because it came twice, ended as it did last.
        self.forget(ended.summary.id);
        let number = self.number();
        self.ended_places.insert(ended.summary.id, number);
        self.ended.insert(number, ended);
    }

    /// How a task ended, if it did and is still known.
    pub(super) fn ended(&self, id: MessageId) -> Option<&Ended> {
        self.ended.get(self.ended_places.get(&id)?)
    }

    /// Forgets how a task ended.
    pub(super) fn forget(&mut self, id: MessageId) {
        if let Some(number) = self.ended_places.remove(&id) {
            self.ended.remove(&number);
        }
    }

    /// Lets the row wait until `due`, if the lease is still its own.
    pub(super) fn retry(
        &mut self,
        lease: Lease,
        due: Timestamp,
        counted: bool,
        failure: Option<&Failure>,
    ) -> Option<()> {
        let (row, _) = self.leased(lease)?;
        row.attempts = row.attempts.saturating_add(u32::from(counted));
        row.failure = failure.cloned();
        row.redelivered = false;
        row.state = RowState::Waiting { due: Some(due) };
        self.running.remove(&lease.place);
        Some(())
    }

    /// Puts the row back as it was before it was taken, if the lease is still its own.
    pub(super) fn give_back(&mut self, lease: Lease) -> Option<()> {
        let (row, due) = self.leased(lease)?;
        row.state = RowState::Waiting { due };
        self.running.remove(&lease.place);
        Some(())
    }

    /// Sets the row aside as it was before it was taken, if the lease is still its own.
    pub(super) fn set_aside(&mut self, lease: Lease) -> Option<()> {
        let (row, due) = self.leased(lease)?;
        row.state = RowState::Waiting { due };
        row.is_aside = true;
        self.running.remove(&lease.place);
        Some(())
    }
}
