//! `show`: one thing, or everything that belongs together.

use aftercommit::domain::contract::CorrelationId;
use aftercommit::domain::ids::MessageId;
use clap::Args;

use crate::cli::Output;

/// One thing.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Its id, as a list prints it.
    pub(crate) id: MessageId,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// One thing, or the tree it is part of.
#[derive(Debug, Args)]
pub(crate) struct ShowInTree {
    /// Its id, as a list prints it.
    pub(crate) id: String,
    /// The whole tree of causes and consequences: request, events, tasks, and what they led to.
    #[arg(long)]
    pub(crate) tree: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A task, the tree it is part of, or why it is where it is.
#[derive(Debug, Args)]
pub(crate) struct ShowTask {
    #[command(flatten)]
    pub(crate) show: ShowInTree,
    /// One sentence that says why it does not run, or what became of it.
    #[arg(long, conflicts_with = "tree")]
    pub(crate) explain: bool,
}

/// What is to be shown.
pub(crate) enum TreeId {
    /// This one thing.
    One(MessageId),
    /// Everything that belongs to it.
    Tree(CorrelationId),
}

impl ShowInTree {
    /// `Err` says what is wrong with the id.
    pub(crate) fn message_id(&self) -> Result<TreeId, String> {
        if self.tree {
            CorrelationId::new(&self.id)
                .map(TreeId::Tree)
                .map_err(|error| error.to_string())
        } else {
            let id = self.id.parse().map(TreeId::One);
            id.map_err(|error| format!("invalid value '{}' for '<ID>': {error}", self.id.escape_default()))
        }
    }
}
