//! Follows `jwks_url`: fetches the key set at start and then in the background. No request ever
//! waits for a fetch.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::super::key_set::MAX_SET_BYTES;
use super::{Pace, Shared};
use crate::fetch::{Address, Fetch};

/// Fetches until the task is dropped.
pub(super) async fn follow(shared: Arc<Shared>, fetch: Fetch, address: Address, pace: Pace) {
    if let Some(read) = shared.last_read() {
        // The background task of the previous config fetched this key set. Fetch again only when
        // the set is due for a refresh, or when a token needs a newer key.
        wait(&shared, read, read + pace.refresh, pace).await;
    }
    let mut retry = pace.first_retry;
    loop {
        let began = Instant::now();
        let answer = fetch.get(&address, MAX_SET_BYTES, pace.timeout).await;
        let good = shared.take(answer);
        let pause = if good {
            retry = pace.first_retry;
            pace.refresh
        } else if shared.current.load().is_some() {
            pace.longest_retry.min(pace.refresh)
        } else {
            let pause = retry;
            retry = (retry * 2).min(pace.longest_retry);
            pause
        };
        wait(&shared, began, Instant::now() + pause, pace).await;
    }
}

/// Waits until `due`. If a token needs a newer key, the wait ends earlier, but not before
/// `before + pace.asked`.
async fn wait(shared: &Shared, before: Instant, due: Instant, pace: Pace) {
    let asked = async {
        shared.wish.notified().await;
        sleep_until(before + pace.asked).await;
    };
    tokio::select! {
        () = sleep_until(due) => {}
        () = asked => {}
    }
}
