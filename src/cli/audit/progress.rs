//! A progress bar on standard error while a command reads for more than a second; nothing if
//! standard error is not a terminal.
//!
//! Readers only count. A thread of its own reads the counts and draws.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::audit::log::checkpoint::MAX_NOTE_BYTES;
use crate::audit::read::{CHECKPOINT, Files, Location, WIDTH};
use crate::cli::output;

/// The width of the bar in characters.
const CELLS: u64 = 30;
/// Shorter work shows no bar.
const DELAY: Duration = Duration::from_secs(1);
/// The time between two updates.
const PAUSE: Duration = Duration::from_millis(200);

/// How far one pass over a log has come.
#[derive(Debug, Default)]
struct Pass {
    done: AtomicU64,
    total: AtomicU64,
}

impl Pass {
    fn line(&self) -> String {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        line(count(&self.done), count(&self.total))
    }
}

#[derive(Debug)]
struct Passes {
    /// A search may begin a second pass within the first. The bar shows the newest.
    running: Vec<Weak<Pass>>,
    /// Whether the thread that draws runs.
    is_drawn: bool,
}

static PASSES: Mutex<Passes> = Mutex::new(Passes {
    running: Vec::new(),
    is_drawn: false,
});

/// The bar of a pass that counts its entries itself; the drop erases it.
#[derive(Debug)]
pub(super) struct Bar(Option<Arc<Pass>>);

impl Bar {
    /// A bar for verifying the trail at `location`.
    pub(super) fn of(location: &Location) -> Self {
        let pass = io::stderr().is_terminal().then(begin);
        if let Some(pass) = &pass {
            let total = covered(location).unwrap_or(0);
            pass.total.store(total, Ordering::Relaxed);
        }
        Self(pass)
    }

    /// Shows that `done` entries are verified.
    pub(super) fn step(&mut self, done: u64) {
        if let Some(pass) = &self.0 {
            pass.done.store(done, Ordering::Relaxed);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        output::clear_status();
    }
}

/// The same place, but each log that is opened there shows how far it is read.
pub(super) fn watched(location: Location) -> Location {
    match io::stderr().is_terminal() {
        true => Location::Through(Box::new(location), counted),
        false => location,
    }
}

fn counted(files: Arc<dyn Files>) -> Arc<dyn Files> {
    let pass = begin();
    Arc::new(Counted { files, pass })
}

/// Counts the entries in the bundles that a reader reads.
#[derive(Debug)]
struct Counted {
    files: Arc<dyn Files>,
    pass: Arc<Pass>,
}

impl Files for Counted {
    fn file(&self, path: &str, max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
        let bytes = self.files.file(path, max_bytes)?;
        if let Some(bytes) = &bytes {
            let Pass { done, total } = &*self.pass;
            if path == CHECKPOINT {
                total.store(size_in(bytes).unwrap_or(0), Ordering::Relaxed);
            } else if path.starts_with("tile/entries/") {
                done.fetch_add(width_of(path), Ordering::Relaxed);
            }
        }
        Ok(bytes)
    }
}

/// How many entries a bundle has: `tile/entries/000.p/7` has 7.
fn width_of(path: &str) -> u64 {
    let partial = path.rsplit_once(".p/");
    partial
        .and_then(|(_, width)| width.parse().ok())
        .unwrap_or(WIDTH)
}

/// Begins a pass, and the thread that draws unless it runs.
fn begin() -> Arc<Pass> {
    let pass = Arc::new(Pass::default());
    let mut passes = passes();
    passes.running.retain(|pass| pass.strong_count() > 0);
    passes.running.push(Arc::downgrade(&pass));
    if !passes.is_drawn {
        let thread = std::thread::Builder::new().name("progress".into());
        // The work does not depend on the bar.
        passes.is_drawn = thread.spawn(draw).is_ok();
    }
    pass
}

/// Draws until no pass runs.
fn draw() {
    std::thread::sleep(DELAY);
    while let Some(line) = newest() {
        output::show_status(&line);
        std::thread::sleep(PAUSE);
    }
}

/// The line of the newest pass.
fn newest() -> Option<String> {
    let mut passes = passes();
    let newest = passes.running.iter().rev().find_map(Weak::upgrade);
    passes.is_drawn = newest.is_some();
    newest.map(|pass| pass.line())
}

fn passes() -> MutexGuard<'static, Passes> {
    PASSES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The size that the checkpoint claims. It is not verified yet, which is good enough for a bar.
fn covered(location: &Location) -> Option<u64> {
    let note = location.files().ok()?.file(CHECKPOINT, MAX_NOTE_BYTES);
    size_in(&note.ok()??)
}

fn size_in(note: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(note).ok()?;
    text.lines().nth(1)?.parse().ok()
}

fn line(done: u64, total: u64) -> String {
    let total = total.max(done).max(1);
    let filled = done.saturating_mul(CELLS) / total;
    let bar: String = (0..CELLS)
        .map(|cell| if cell < filled { '#' } else { '.' })
        .collect();
    let percent = done.saturating_mul(100) / total;
    format!("[{bar}] {percent:3} %  {done} of {total} entries")
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    #[test]
    fn the_bar_fills_from_the_left() {
        assert_eq!(
            line(500, 1_000),
            "[###############...............]  50 %  500 of 1000 entries"
        );
        assert!(line(0, 0).contains("  0 %"));
    }

    #[test]
    fn more_entries_than_expected_fill_the_bar_without_overflow() {
        assert!(line(7, 5).contains("100 %  7 of 7"));
        assert!(line(u64::MAX, 1).contains("of 18446744073709551615"));
    }

    #[test]
    fn a_bundle_counts_as_many_entries_as_its_path_says() {
        assert_eq!(width_of("tile/entries/000.p/7"), 7);
        assert_eq!(width_of("tile/entries/x001/234"), WIDTH);
    }

    static PASS: LazyLock<Arc<Pass>> = LazyLock::new(Arc::default);

    #[test]
    fn a_reader_counts_the_entries_of_the_bundles_that_it_reads() {
        let folder = crate::audit::test_folder("progress");
        let entries: Vec<_> = (0..300)
            .map(|i| format!("entry {i}").into_bytes())
            .collect();
        crate::audit::read::testing::publish(folder.path(), &entries);
        let plain = Location::Folder(folder.path().to_owned());
        let place = Location::Through(Box::new(plain), |files| {
            let pass = Arc::clone(&PASS);
            Arc::new(Counted { files, pass })
        });
        let log = place.open(None).unwrap();
        assert!(PASS.line().ends_with("  0 of 300 entries"));
        for (bundle, done) in [(1, "44 of 300"), (0, "300 of 300")] {
            log.reader.bundle(bundle, |_| ()).unwrap();
            assert!(PASS.line().contains(done), "{}", PASS.line());
        }
    }
}
