//! Reads while deletions are refused: as quick as in the quiet time before.

use super::super::program::full;
use super::*;

/// Between the begins of two reads: none of them waits for another.
const PACE: Duration = Duration::from_millis(10);
/// So many reads, and then a deletion is tried.
const READS_A_DELETION: u32 = 50;
/// What else runs on the machine may slow one comparison down, not each of so many.
const ROUNDS: usize = 3;

/// The median of the reads of this time; with each deletion that is tried meanwhile.
fn median_for(span: Duration, scene: &Scene, mut delete: impl FnMut(&Scene)) -> Duration {
    let (begin, mut took) = (Instant::now(), Vec::new());
    for number in 1.. {
        let due = begin + PACE * number;
        if due >= begin + span {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if number % READS_A_DELETION == 0 {
            delete(scene);
        }
        let begun = Instant::now();
        let answer = get(scene.program.address, u64::from(number));
        took.push(begun.elapsed());
        assert_eq!(answer.status, 200, "no read fails");
    }
    scene.users.take_seen();
    took.sort_unstable();
    took[took.len() / 2]
}

#[test]
fn p3_reads_of_a_closed_minute_are_at_most_twice_as_slow_as_those_of_the_quiet_one_before() {
    let span = Duration::from_secs(if full() { 60 } else { 2 });
    let scene = Scene::new();
    let (path, held) = (scene.file("lock"), scene.home.path("held"));
    let (mut compared, mut causes) = (Vec::new(), Vec::new());
    let holds = |(quiet, closed): &(Duration, Duration)| *closed <= *quiet * 2;
    while compared.len() < ROUNDS && !compared.last().is_some_and(holds) {
        let quiet = median_for(span, &scene, |_| {});
        std::fs::rename(&path, &held).unwrap();
        let closed = median_for(span, &scene, |scene| {
            scene.users.take_seen();
            scene.refuses_once("unlinked");
        });
        std::fs::rename(&held, &path).unwrap();
        scene.comes_back();
        compared.push((quiet, closed));
        causes.push("unlinked");
    }
    eprintln!("medians of {span:?}, quiet and closed: {compared:?}");
    assert!(compared.last().is_some_and(holds), "{compared:?}");
    scene.ends_with(&causes);
}
