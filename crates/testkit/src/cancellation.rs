//! Dropping a call at any of its awaits.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Polls a future so many times at most, and drops it there, in the middle of what it is doing. `None`: it was dropped.
///
/// With 0, 1, 2 … polls, one call after the other, it is dropped at each of its awaits.
pub async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::dropped_after;

    #[tokio::test]
    async fn a_future_gets_as_many_polls_as_it_is_given_and_no_more() {
        let twice = || async {
            tokio::task::yield_now().await;
            "done"
        };
        for polls in [0, 1] {
            assert_eq!(dropped_after(polls, twice()).await, None);
        }
        assert_eq!(dropped_after(2, twice()).await, Some("done"));
    }
}
