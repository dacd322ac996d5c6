//! Reads many bundles, two at a time, and gives what was made of each in the order asked for.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::Hole;
use super::log::{Log, Reader};

/// Threads that read, check and sift.
const WORKERS: usize = 2;
/// What a worker may have ready beyond what is being taken.
const AHEAD: usize = 2;

impl Log {
    /// Makes something of each of these bundles, whose entries are all found right first, and gives it to
    /// `take` in order until that breaks off. `sift` gets the first entry's index and the entries.
    ///
    /// # Errors
    /// The first hole, after what stands before it in that order.
    pub fn scan<T: Send>(
        &self,
        bundles: &[u64],
        sift: impl Fn(u64, &[&[u8]]) -> T + Sync,
        mut take: impl FnMut(T) -> ControlFlow<()>,
    ) -> Result<(), Hole> {
        let sift = &sift;
        std::thread::scope(|scope| {
            let lanes: Vec<Receiver<_>> = (0..WORKERS.min(bundles.len()))
                .map(|lane| {
                    let (ready, taken) = sync_channel(AHEAD);
                    let reader = self.reader();
                    let mine = bundles.iter().skip(lane).step_by(WORKERS);
                    scope.spawn(move || work(reader, mine.copied(), sift, &ready));
                    taken
                })
                .collect();
            for place in 0..bundles.len() {
                // A worker that ends early has sent its hole before.
                let Some(Ok(made)) = lanes.get(place % WORKERS).map(Receiver::recv) else {
                    return Ok(());
                };
                if take(made?).is_break() {
                    return Ok(());
                }
            }
            Ok(())
        })
    }
}

fn work<T>(
    mut reader: Reader,
    bundles: impl Iterator<Item = u64>,
    sift: impl Fn(u64, &[&[u8]]) -> T,
    ready: &SyncSender<Result<T, Hole>>,
) {
    for index in bundles {
        let made = reader.bundle(index, |entries, _| {
            sift(index * super::log::BUNDLE, entries)
        });
        let is_hole = made.is_err();
        // Nobody takes any more once what was asked for is found.
        if ready.send(made).is_err() || is_hole {
            return;
        }
    }
}
