//! Waiting for several things in one order, so that a run that is run again takes the same way.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// What was first of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first, which also wins when both are ready.
    First(A),
    /// The second.
    Second(B),
}

pub(super) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut branches: Vec<_> = futures.into_iter().map(|future| Some(Box::pin(future))).collect();
    let mut answers: Vec<_> = branches.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (branch, answer) in branches.iter_mut().zip(&mut answers) {
            if let Some(future) = branch
                && let Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *answer = Some(value);
                *branch = None;
            }
        }
        if branches.iter().all(Option::is_none) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    answers.into_iter().flatten().collect()
}

pub(super) async fn race<F: Future>(futures: impl IntoIterator<Item = F>) -> (usize, F::Output) {
    let mut branches: Vec<_> = futures.into_iter().map(Box::pin).collect();
    poll_fn(|cx| {
        for (position, branch) in branches.iter_mut().enumerate() {
            if let Poll::Ready(value) = branch.as_mut().poll(cx) {
                return Poll::Ready((position, value));
            }
        }
        Poll::Pending
    })
    .await
}

pub(super) async fn either<A: Future, B: Future>(first: A, second: B) -> Either<A::Output, B::Output> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|cx| {
        if let Poll::Ready(value) = first.as_mut().poll(cx) {
            return Poll::Ready(Either::First(value));
        }
        second.as_mut().poll(cx).map(Either::Second)
    })
    .await
}
