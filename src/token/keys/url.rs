//! `jwks_url`: fetched at start, then in the background; no request ever waits for it.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::super::key_set::MAX_SET_BYTES;
use super::{Pace, Shared};
use crate::fetch::{Address, Fetch};

/// Fetches for ever.
pub(super) async fn follow(shared: Arc<Shared>, fetch: Fetch, address: Address, pace: Pace) {
    if let Some(read) = shared.last_read() {
        // Taken over from the configuration before: it is as old as it is there.
        wait(&shared, read, read + pace.refresh, pace).await;
    }
    let mut retry = pace.first_retry;
    loop {
        let began = Instant::now();
        let answer = fetch.get(&address, MAX_SET_BYTES, pace.timeout).await;
        let good = shared.take(answer.map_err(|error| error.to_string()));
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

/// Until `due`, or earlier where a key was not found, but not within `pace.asked` of the fetch before.
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
