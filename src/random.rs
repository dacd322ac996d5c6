//! Random bytes for ids, never for secrets.
//!
//! Each thread draws bytes for many ids at once. A call of the library's generator for each id would cost
//! 4,700 more instructions per request, which is 9 % of the instructions of a read request.

use std::cell::RefCell;

/// The number of bytes that a thread draws at once.
const DRAWN_BYTES: usize = 1024;

thread_local! {
    static DRAWN: RefCell<Drawn> = const {
        RefCell::new(Drawn { bytes: [0; DRAWN_BYTES], used: DRAWN_BYTES })
    };
}

struct Drawn {
    bytes: [u8; DRAWN_BYTES],
    used: usize,
}

/// Returns `N` random bytes (at most 1,024), or `None` if the system has no randomness.
pub(crate) fn bytes<const N: usize>() -> Option<[u8; N]> {
    const { assert!(N <= DRAWN_BYTES) };
    DRAWN.with_borrow_mut(|drawn| {
        if drawn.used + N > DRAWN_BYTES {
            aws_lc_rs::rand::fill(&mut drawn.bytes).ok()?;
            drawn.used = 0;
        }
        let given = drawn.bytes.get(drawn.used..drawn.used + N)?;
        drawn.used += N;
        given.try_into().ok()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_bytes_are_given_twice() {
        let given: HashSet<[u8; 10]> = (0..1_000).filter_map(|_| bytes()).collect();
        assert_eq!(given.len(), 1_000);
    }

    #[test]
    fn threads_do_not_share_what_was_drawn() {
        let here: [u8; 16] = bytes().unwrap();
        let there = std::thread::spawn(|| bytes().unwrap()).join().unwrap();
        assert_ne!(here, there);
    }
}
