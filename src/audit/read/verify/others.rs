//! Lists other programs' files in the audit folder; they are not a part of the log and not a fault.

use std::path::Path;

use serde::Serialize;

use crate::audit::disk::names::{PASSING, is_own, is_own_in_journal, is_own_in_passing};

/// How many files the list names.
const MOST_NAMED: usize = 10;

/// Other programs' files; a folder counts as one, with all its contents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Others {
    /// How many there are.
    pub count: u64,
    /// The first ten paths in order, relative to the audit folder.
    pub first: Vec<String>,
}

impl Others {
    pub(super) fn note(&mut self, path: String) {
        self.count += 1;
        let at = self.first.partition_point(|other| *other < path);
        self.first.insert(at, path);
        self.first.truncate(MOST_NAMED);
    }

    /// Notes the files outside the folder of tiles. Skips a folder that it cannot list: the readers
    /// of that folder report the error.
    pub(super) fn look(&mut self, directory: &Path) {
        type IsOwn = fn(&str) -> bool;
        let folders: [(&str, IsOwn); 3] = [
            ("", is_own),
            (crate::audit::disk::names::JOURNAL, is_own_in_journal),
            (PASSING, is_own_in_passing),
        ];
        for (folder, is_own) in folders {
            let Ok(items) = std::fs::read_dir(directory.join(folder)) else {
                continue;
            };
            for item in items.flatten() {
                let name = item.file_name().to_string_lossy().into_owned();
                if !is_own(&name) {
                    let path = Path::new(folder).join(name);
                    self.note(path.to_string_lossy().into_owned());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ten_are_named_in_order_and_all_are_counted() {
        let mut others = Others::default();
        for number in (10..40).rev() {
            others.note(format!("tile/.{number}.swp"));
        }
        assert_eq!((others.count, others.first.len()), (30, MOST_NAMED));
        let ends = (others.first.first(), others.first.last());
        assert_eq!(ends.0.unwrap(), "tile/.10.swp");
        assert_eq!(ends.1.unwrap(), "tile/.19.swp");
    }
}
