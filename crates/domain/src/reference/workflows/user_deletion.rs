//! `user-deletion`: after a grace in which somebody may say `keep`, a person leaves every organization and is forgotten.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::contract::{ActivityName, OrganizationId, SignalName};
use crate::reference::UserId;
use crate::reference::identity::use_cases::{
    Leaving, anonymise_user, close_organization, leave_organization, memberships_of_user, restore_membership,
};
use crate::reference::identity::{Membership, Role};
use crate::reference::workflows::WorkflowPorts;
use crate::reference::workflows::compensation::after_undoing;
use crate::time::{Timestamp, days};
use crate::workflows::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Either, Exit, StepError, Workflow, WorkflowContext,
    WorkflowInput, WorkflowSignal,
};

/// Deletes a person, whose id is the workflow's key, because somebody of this organization asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "user-deletion", version = 1)]
#[exempt(organization, "a person belongs to organizations, not to projects")]
pub struct UserDeletion {
    /// Who asked.
    pub organization_id: OrganizationId,
    /// Who is to be deleted.
    pub user_id: UserId,
    /// Whether only this organization may be left: who is in others by the end of the grace stays in them, and is not
    /// forgotten. So it is through an organization's key. Requests of an earlier release say nothing, and go on as they began.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_here_only: bool,
}

/// Says that the person is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepUser {}

impl WorkflowSignal for KeepUser {
    const NAME: SignalName = SignalName::constant("keep");
}

/// What became of a person's memberships.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedUser {
    /// How many organizations they left.
    pub left: usize,
    /// How many were closed because nobody else was there.
    pub closed: usize,
}

/// For how long a deletion can be taken back.
const GRACE: std::time::Duration = days(30);

/// The code of `user-deletion`.
///
/// What can be undone comes first: the organizations that others are in. Where only the asking organization may be left, a
/// person who is in others too stays in them, and is not forgotten. If one cannot be left, every membership is given
/// back. Closing the others cannot be undone, so from there on it only goes forward.
pub struct DeletingUser;

#[async_trait]
impl Workflow for DeletingUser {
    type Input = UserDeletion;
    type Output = DeletedUser;

    async fn run(&self, ctx: &WorkflowContext, input: UserDeletion) -> Result<DeletedUser, Exit> {
        match ctx.either(ctx.wait_signal::<KeepUser>(), ctx.sleep(GRACE)).await {
            Either::First(kept) => {
                kept?;
                return Err(Exit::Cancelled);
            }
            Either::Second(slept) => slept?,
        }
        let (mut left, mut alone_in) = (Vec::new(), Vec::new());
        if let Err(error) = leave(ctx, &input, &mut left, &mut alone_in).await {
            let (ctx, mut undone) = (ctx.detached(), Ok(()));
            // One that cannot be undone does not keep the others from it.
            while let Some(membership) = left.pop() {
                let restored = ctx.activity::<RestoreMembership>(&membership, again_and_again()).await;
                undone = undone.and(restored);
            }
            return Err(after_undoing(error, undone));
        }
        let ctx = ctx.detached();
        for membership in &alone_in {
            ctx.activity::<CloseOrganization>(membership, again_and_again()).await?;
        }
        ctx.activity::<AnonymiseUser>(&input, again_and_again()).await?;
        Ok(DeletedUser {
            left: left.len(),
            closed: alone_in.len(),
        })
    }
}

/// Leaves every organization that may be left and that others are in. Those that nobody else is in come to `alone_in`.
async fn leave(
    ctx: &WorkflowContext,
    input: &UserDeletion,
    left: &mut Vec<MembershipOfUser>,
    alone_in: &mut Vec<MembershipOfUser>,
) -> Result<(), StepError> {
    let mut after = None;
    loop {
        let page = MembershipsAfter {
            user_id: input.user_id,
            after,
        };
        let memberships = ctx
            .activity::<ListMemberships>(&page, ActivityOptions::attempts(10))
            .await?;
        let Some(last) = memberships.last() else {
            return Ok(());
        };
        after = Some(last.organization_id.clone());
        for membership in memberships {
            if input.is_here_only && membership.organization_id != input.organization_id {
                continue;
            }
            // Before it is asked for: an attempt that failed may have left all the same.
            left.push(membership.clone());
            let leaving = ctx.activity::<LeaveOrganization>(&membership, ActivityOptions::attempts(10));
            if leaving.await? == Leaving::IsAlone {
                left.pop();
                alone_in.push(membership);
            }
        }
    }
}

/// What was begun must not stay half done: people look after it sooner than it gives up.
fn again_and_again() -> ActivityOptions {
    ActivityOptions::attempts(1000)
}

/// A person's membership, as it was when it was looked up: enough to give it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MembershipOfUser {
    organization_id: OrganizationId,
    user_id: UserId,
    role: Role,
    joined_at: Timestamp,
}

/// The page of a person's memberships after this organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MembershipsAfter {
    user_id: UserId,
    after: Option<OrganizationId>,
}

/// Looks up a page of memberships; an empty one is the end.
pub(super) struct ListMemberships(pub(super) WorkflowPorts);

#[async_trait]
impl Activity for ListMemberships {
    const NAME: ActivityName = ActivityName::constant("list-memberships");
    type Input = MembershipsAfter;
    type Output = Vec<MembershipOfUser>;

    async fn run(&self, page: MembershipsAfter, ctx: &ActivityContext) -> Result<Self::Output, ActivityError> {
        let ports = &self.0.reference;
        let memberships = memberships_of_user(ports, ctx.cause(), page.user_id, page.after).await?;
        let of_user = |membership: Membership| MembershipOfUser {
            organization_id: membership.organization_id,
            user_id: membership.user_id,
            role: membership.role,
            joined_at: membership.joined_at,
        };
        Ok(memberships.into_iter().map(of_user).collect())
    }
}

/// Leaves an organization, unless nobody else is in it.
pub(super) struct LeaveOrganization(pub(super) WorkflowPorts);

#[async_trait]
impl Activity for LeaveOrganization {
    const NAME: ActivityName = ActivityName::constant("leave-organization");
    type Input = MembershipOfUser;
    type Output = Leaving;

    async fn run(&self, of: MembershipOfUser, ctx: &ActivityContext) -> Result<Leaving, ActivityError> {
        let ports = &self.0.reference;
        Ok(leave_organization(ports, ctx.cause(), &of.organization_id, of.user_id).await?)
    }
}

/// Gives a membership back.
pub(super) struct RestoreMembership(pub(super) WorkflowPorts);

#[async_trait]
impl Activity for RestoreMembership {
    const NAME: ActivityName = ActivityName::constant("restore-membership");
    type Input = MembershipOfUser;
    type Output = ();

    async fn run(&self, of: MembershipOfUser, ctx: &ActivityContext) -> Result<(), ActivityError> {
        let membership = Membership {
            organization_id: of.organization_id,
            user_id: of.user_id,
            role: of.role,
            joined_at: of.joined_at,
        };
        Ok(restore_membership(&self.0.reference, ctx.cause(), &membership).await?)
    }
}

/// Closes an organization that nobody else is in.
pub(super) struct CloseOrganization(pub(super) WorkflowPorts);

#[async_trait]
impl Activity for CloseOrganization {
    const NAME: ActivityName = ActivityName::constant("close-organization");
    type Input = MembershipOfUser;
    type Output = ();

    async fn run(&self, of: MembershipOfUser, ctx: &ActivityContext) -> Result<(), ActivityError> {
        let ports = &self.0.reference;
        Ok(close_organization(ports, ctx.cause(), &of.organization_id, of.user_id).await?)
    }
}

/// Forgets who the person was, and keeps that they were deleted; not while they are in an organization that they may not be
/// taken out of.
pub(super) struct AnonymiseUser(pub(super) WorkflowPorts);

#[async_trait]
impl Activity for AnonymiseUser {
    const NAME: ActivityName = ActivityName::constant("anonymise-user");
    type Input = UserDeletion;
    type Output = ();

    async fn run(&self, input: UserDeletion, ctx: &ActivityContext) -> Result<(), ActivityError> {
        let ports = &self.0.reference;
        if input.is_here_only {
            let memberships = memberships_of_user(ports, ctx.cause(), input.user_id, None).await?;
            if !memberships.is_empty() {
                return Ok(());
            }
        }
        Ok(anonymise_user(ports, ctx.cause(), &input.organization_id, input.user_id).await?)
    }
}
