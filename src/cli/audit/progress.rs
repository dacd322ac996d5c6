//! A progress bar on standard error during long work; nothing if standard error is not a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::audit::log::checkpoint::MAX_NOTE_BYTES;
use crate::audit::read::{CHECKPOINT, Location};

/// The width of the bar in characters.
const CELLS: u64 = 30;
/// The clock is read once per this many steps.
const STEPS: u64 = 4_096;
/// The shortest time between two updates.
const PAUSE: Duration = Duration::from_millis(100);

/// The bar; the drop erases it.
#[derive(Debug)]
pub(super) struct Bar {
    total: u64,
    drawn: Option<Instant>,
    is_shown: bool,
}

impl Bar {
    /// A bar for verifying the trail at `location`.
    pub(super) fn of(location: &Location) -> Self {
        let is_shown = std::io::stderr().is_terminal();
        let total = is_shown.then(|| covered(location)).flatten();
        Self {
            total: total.unwrap_or(0),
            drawn: None,
            is_shown,
        }
    }

    /// Shows that `done` entries are verified.
    pub(super) fn step(&mut self, done: u64) {
        if !self.is_shown || !done.is_multiple_of(STEPS) {
            return;
        }
        if self.drawn.is_none_or(|drawn| drawn.elapsed() >= PAUSE) {
            self.drawn = Some(Instant::now());
            // The work does not depend on the bar.
            let _ = write!(std::io::stderr(), "\r{}", line(done, self.total));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}

/// The size that the checkpoint claims. It is not verified yet, which is good enough for a bar.
fn covered(location: &Location) -> Option<u64> {
    let note = location.files().ok()?.file(CHECKPOINT, MAX_NOTE_BYTES);
    let note = note.ok()??;
    let text = std::str::from_utf8(&note).ok()?;
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
}
