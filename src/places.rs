//! The rules by which scarce places are divided, so that neither one origin nor the reads and writes can
//! keep deletions out.

/// The most deletion slots that one of several origins may hold: a quarter, and at least one.
pub(crate) const fn slots_of_one_origin(slots: usize) -> usize {
    match slots / 4 {
        0 => 1,
        quarter => quarter,
    }
}

/// The most connections to an origin that reads and writes may use: all but the last quarter, which is for
/// deletions. Of fewer than four connections, none is kept for deletions.
pub(crate) const fn connections_for_reads_and_writes(connections: usize) -> usize {
    connections - connections / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_kept_and_nobody_is_left_without_a_place() {
        let slots = [1, 3, 4, 7, 1_024].map(slots_of_one_origin);
        assert_eq!(slots, [1, 1, 1, 1, 256]);
        let connections = [1, 3, 4, 64, 2_048].map(connections_for_reads_and_writes);
        assert_eq!(connections, [1, 3, 3, 48, 1_536]);
    }
}
