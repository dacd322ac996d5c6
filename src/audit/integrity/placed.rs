//! Which files the publisher has just put at their places, so that whoever watches those does not
//! read them again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::audit::disk::Identity;

/// So many are kept in mind; others are read again.
const MOST: usize = 4_096;

/// By path; each is asked for once.
#[derive(Debug, Default)]
pub(crate) struct Placed(Mutex<HashMap<String, Identity>>);

impl Placed {
    /// This file is about to be moved to its place.
    pub(crate) fn note(&self, path: &str, is: Identity) {
        let mut placed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if placed.len() >= MOST {
            // Nobody asks: nothing is watched.
            placed.clear();
        }
        placed.insert(path.to_owned(), is);
    }

    /// Which file was put there since it was last asked.
    pub(crate) fn take(&self, path: &str) -> Option<Identity> {
        let mut placed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        placed.remove(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_known_once_and_they_are_bounded() {
        let is = Identity {
            device: 1,
            inode: 2,
            bytes: 3,
            changed: 4,
            writable: true,
        };
        let placed = Placed::default();
        placed.note("tile/0/000", is);
        assert_eq!(placed.take("tile/0/000"), Some(is));
        assert_eq!(placed.take("tile/0/000"), None);
        for number in 0..=MOST {
            placed.note(&format!("tile/0/{number}"), is);
        }
        assert_eq!(placed.take("tile/0/0"), None);
        assert_eq!(placed.take(&format!("tile/0/{MOST}")), Some(is));
    }
}
