//! Power lost in the middle of a write, at every boundary and in any subset of its blocks: it is
//! never taken for damage or forgery.

use super::forged::{Killed, bytes, killed, with};
use super::*;

/// The subsets of blocks that reach the disk: every prefix and suffix, each alone, all but each, and some others.
fn subsets(count: usize, random: &mut Random) -> Vec<Vec<bool>> {
    let all = |keep: &dyn Fn(usize) -> bool| (0..count).map(keep).collect::<Vec<bool>>();
    let mut subsets = Vec::new();
    for at in 0..count {
        subsets.push(all(&|block| block < at));
        subsets.push(all(&|block| block > at));
        subsets.push(all(&|block| block == at));
        subsets.push(all(&|block| block != at));
    }
    for _ in 0..40 {
        subsets.push((0..count).map(|_| random.coin()).collect());
    }
    subsets
}

/// The last write of the log torn in blocks of this size.
fn tear(killed: &Killed, block: usize, random: &mut Random) {
    let (last, before) = killed.batches.split_last().unwrap();
    let whole = bytes(&killed.disk);
    let begin = last.link.place.offset as usize;
    for subset in subsets(last.length / block, random) {
        let mut torn = whole.clone();
        for (at, is_written) in subset.iter().enumerate() {
            if !is_written {
                torn[begin + at * block..][..block].fill(0);
            }
        }
        let disk = with(&killed.disk, &torn);
        let mut told = Told::default();
        let life = Life::begin(&disk, &killed.place.settings, &mut told).unwrap();
        assert_eq!(life.closed(), None, "{subset:?}");
        // All answered entries remain. The torn write is there as a whole or not at all.
        let kept = before.last().unwrap().link.next_index as usize;
        let kinds = kinds(&entries(&disk, &killed.place.settings));
        assert!(kinds.len() > kept, "{subset:?}");
        assert_eq!(kinds[kept] == "intent", torn == whole, "{subset:?}");
    }
}

#[test]
fn p4_a_write_torn_in_any_subset_of_its_blocks_is_never_damage() {
    let runtime = runtime();
    let _entered = runtime.enter();
    by_hand::want();
    let mut random = Random::new(1);
    for (users, block) in [(1, 512), (300, 512), (3_000, 4_096)] {
        let killed = killed(&[(2, 1), (1, users)]);
        let (_, intents) = killed.batches.split_last().unwrap();
        let mut cut = Killed {
            batches: intents.to_vec(),
            ..killed
        };
        // The intent's batch is the last that was written.
        let end = cut.batches.last().unwrap();
        let end = end.link.place.offset as usize + end.length;
        let mut all = bytes(&cut.disk);
        all[end..].fill(0);
        cut.disk = with(&cut.disk, &all);
        tear(&cut, block, &mut random);
    }
}
