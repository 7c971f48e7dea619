//! What understands the protocol of a connection.

use std::sync::Arc;

use super::Direction;
use super::rules::Rule;

/// Follows one connection.
pub(super) trait Interpreter: Send {
    /// Takes what one side has sent, and says what goes on of it and of what was kept before.
    fn take(&mut self, direction: Direction, bytes: &[u8]) -> Vec<Step>;

    /// Bytes were lost, so what follows cannot be understood.
    fn give_up(&mut self);
}

/// Makes one for each connection.
pub(super) type Protocol = Arc<dyn Fn() -> Box<dyn Interpreter> + Send + Sync>;

/// What to do with what has come.
#[derive(Debug)]
pub(super) enum Step {
    Send(Vec<u8>),
    /// Ask this rule whether to go on.
    Decide(Arc<Rule>),
    /// Cut, as this rule wants it, when the far end has read what was sent.
    CutAfterwards(Arc<Rule>),
}

/// Steps that are being put together.
#[derive(Debug, Default)]
pub(super) struct Steps(pub(super) Vec<Step>);

impl Steps {
    pub(super) fn send(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.0.last_mut() {
            // What comes at once goes on at once.
            Some(Step::Send(before)) => before.extend_from_slice(bytes),
            Some(Step::Decide(_) | Step::CutAfterwards(_)) | None => self.0.push(Step::Send(bytes.to_vec())),
        }
    }

    pub(super) fn decide(&mut self, rule: Option<Arc<Rule>>) {
        self.0.extend(rule.map(Step::Decide));
    }

    pub(super) fn cut_afterwards(&mut self, rule: Arc<Rule>) {
        self.0.push(Step::CutAfterwards(rule));
    }
}
