//! Pruning leaves a journal of one batch. The next start writes that batch again, in a segment that continues from
//! a removed segment.

use super::*;

#[test]
fn p4_a_log_opens_again_wherever_pruning_left_its_journal() {
    let runtime = runtime();
    let _entered = runtime.enter();
    by_hand::want();
    let Place { settings, _folder } = place();
    let mut pruned = 0;
    // Batches of one block each fill the first segment: whichever is the first of the second one is
    // once the only one there.
    for batches in 120..=136 {
        let (disk, mut told) = (new_disk(), Told::default());
        let mut life = Life::begin(&disk, &settings, &mut told).unwrap();
        life.fill(&mut told, batches);
        drop(life);
        let journal = Disk::folder(&disk, "/audit".as_ref(), None).unwrap();
        let journal = journal.folder(JOURNAL, None).unwrap();
        pruned += usize::from(journal.look("0000000001").is_err());
        for _ in 0..2 {
            let life = Life::begin(&disk, &settings, &mut told);
            drop(life.unwrap_or_else(|| panic!("{batches}")));
        }
        judge::judge(&disk, &settings, &told);
    }
    assert!(pruned > 3, "{pruned}");
}
