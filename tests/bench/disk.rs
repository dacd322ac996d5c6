//! The speed of the disk for one stream: append 300 bytes, `fdatasync`, repeat.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Rate and median latency.
pub(crate) struct Rate {
    /// Synced appends per second.
    pub(crate) per_second: f64,
    /// The median time of one append with its sync.
    pub(crate) median: Duration,
}

/// Measures the disk with a new file in `folder`.
pub(crate) fn append_and_sync(folder: &Path, duration: Duration) -> Rate {
    let path = folder.join("append");
    let mut file = File::create(&path).expect("a file");
    let record = [b'r'; 300];
    let mut latencies = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < duration {
        let one = Instant::now();
        file.write_all(&record).expect("an append");
        file.sync_data().expect("a sync");
        latencies.push(one.elapsed());
    }
    let per_second = latencies.len() as f64 / begun.elapsed().as_secs_f64();
    std::fs::remove_file(path).expect("the file is there");
    latencies.sort_unstable();
    Rate {
        per_second,
        median: latencies[latencies.len() / 2],
    }
}
