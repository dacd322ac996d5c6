//! Opens the trail. [`open`] takes the lock, checks the folder's key, follows the journal's chain to its
//! last whole batch, and writes that batch again into a new segment, synced. `ReplayCheck` compares the
//! journal with the checkpoint and the seen file. Then the publisher gets the entries that no checkpoint
//! covers. Afterwards the caller of [`open`] closes the open intents and lets the commit loop write.
//!
//! After an outage the writer opens the log at the path in the same way. But the log must hold all
//! batches that the writer has answered for, and the writer continues after the last of them.

mod expected;

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::composer::Composer;
use super::shared::Shared;
use super::store::{SMALL_SEGMENT, Store};
use super::{Writer, accept_loss};
use crate::audit::disk::names::{FILE_MODE, FOLDER_MODE, JOURNAL, LOCK, LOCK_MODE, VERIFIER};
use crate::audit::disk::{Access, Disk, File, Folder, read_log_file};
use crate::audit::entry::{Kind, LossAccepted};
use crate::audit::integrity::{Ends, Integrity, PinnedFile};
use crate::audit::journal::append::{Appender, PendingEntries};
use crate::audit::journal::batch::{Batch, Link, padded};
use crate::audit::journal::chain::Chain;
use crate::audit::journal::segment::Segment;
use crate::audit::journal::spare::{Reserve, Spares};
use crate::audit::journal::{Fault, ReadError, Synced, segment};
use crate::audit::log::key::{Key, VerifierKey};
use crate::audit::publish::replay_check::ReplayCheck;
use crate::audit::publish::{Publisher, Publishing};
use crate::audit::status::{Cause, Unavailable, cause_at_opening, closed, trouble};
use crate::audit::writer::Settings;
pub(crate) use expected::Expected;

/// The approximate maximum of the entries, in bytes, that an opening keeps in memory for the publisher.
const CATCH_UP_BYTES: usize = 16 << 20;
/// The minimum length of a segment, in bytes. A smaller segment could not hold the largest batch
/// deletion.
const MIN_SEGMENT: u64 = 256 << 10;

/// Opens the trail. While another process holds the lock, this writes nothing in the folder. If the log
/// lacks a byte that `expected` requires, the log stays closed, and the error names the place.
pub(crate) fn open(
    writer: &Writer,
    mut expected: Option<Expected<'_>>,
) -> Result<(Store, Composer), Unavailable> {
    let Writer { disk, settings, .. } = writer;
    let Shared {
        clock,
        availability,
        ..
    } = &*writer.shared;
    let key = match &expected {
        Some(expected) => Arc::clone(&expected.held.key),
        None => own_key(settings)?,
    };
    let (mut integrity, loss) = enter(disk, settings, &key, expected.as_ref())?;
    let mut composer = Composer::new(clock.clone());
    let verifier = key.verifier();
    let mut replay_check =
        ReplayCheck::open(&**disk, &integrity.root, &settings.seen_file, verifier)?;
    let (last, before, ends) = follow(
        &integrity,
        &key,
        &mut composer,
        &mut replay_check,
        expected.as_ref(),
    )?;
    let spares = match &mut expected {
        None => spares(&integrity.journal, settings.segment_bytes, 0)?,
        Some(expected) => {
            let failed = &expected.held.failed_copies;
            integrity.failed_copies.clone_from(failed);
            match expected.spares.take() {
                Some(spares) => spares,
                None => {
                    expected.held.sync_copy(&integrity)?;
                    let bytes = settings.segment_bytes;
                    spares(&integrity.journal, bytes, expected.highest)?
                }
            }
        }
    };
    let spare = spares.ready.as_ref().map(|spare| spare.number);
    let journal = &*integrity.journal;
    integrity.segments.keep_all(journal, ends, spare)?;
    let mut store = Store {
        appender: Appender::new(Arc::clone(&key), before),
        spares,
        reserve: Reserve::new(Arc::clone(&integrity.root)),
        integrity,
        key,
        scrub: None,
        publishing: None,
        availability: Arc::clone(availability),
        metrics: writer.metrics.clone(),
    };
    if expected.is_none() {
        write_again(&mut store, last)?;
    }
    if let Some(loss) = loss {
        begin_after(&mut store, &mut composer, loss)?;
    }
    let publisher = catch_up(&store, replay_check)?;
    store.publishing = Some(Publishing::new(publisher));
    Ok((store, composer))
}

pub(super) fn own_key(settings: &Settings) -> Result<Arc<Key>, Unavailable> {
    let unusable = |what| closed(Cause::KeyUnusable, what);
    let key = Key::read(&settings.key_file).map_err(|e| unusable(e.to_string()))?;
    if key.origin() != settings.origin {
        return Err(unusable(format!(
            "the key in {} is for `{}`, the config says `{}`",
            settings.key_file.display(),
            key.origin(),
            settings.origin
        )));
    }
    Ok(Arc::new(key))
}

/// Writes the accepted loss as the new log's first entry, unless an earlier process has already done so.
fn begin_after(
    store: &mut Store,
    composer: &mut Composer,
    loss: LossAccepted,
) -> Result<(), Unavailable> {
    if composer.next_index() == 0 {
        composer.note(&Kind::LossAccepted(loss));
        store.flush(&mut composer.pending)?;
    }
    accept_loss::begun(&*store.integrity.root)
}

/// Takes the lock, finishes an accepted loss, and checks that the folder belongs to this key.
fn enter(
    disk: &Arc<dyn Disk>,
    settings: &Settings,
    key: &Arc<Key>,
    expected: Option<&Expected<'_>>,
) -> Result<(Integrity, Option<LossAccepted>), Unavailable> {
    // If a log is expected, this creates neither the folder nor the journal.
    let create = expected.is_none().then_some(FOLDER_MODE);
    let path = settings.directory.clone();
    let at = |doing| move |e: io::Error| trouble(&e, doing);
    let root = disk
        .folder(&path, create)
        .map_err(|e| cannot_open(&path, &e))?;
    let (lock, is_held) = lock(&*root, expected)?;
    let loss = accept_loss::resume(&**disk, &root, settings, key.origin())?;
    let (verifier, line) = own_verifier(&*root, key, &settings.key_file, expected.is_some())?;
    let name = match expected {
        Some(expected) => expected.held.lock.content.clone(),
        // The UUID makes the line unique: a process in another container may have the same id.
        None => format!("{} {}\n", std::process::id(), uuid::Uuid::now_v7()),
    };
    if !is_held {
        lock.clear()
            .and_then(|()| lock.write_at(name.as_bytes(), 0))
            .map_err(at("cannot write to the lock"))?;
    }
    let journal = root
        .folder(JOURNAL, create)
        .map_err(at("cannot open the journal"))?;
    let text = |name, file, content: String| {
        PinnedFile::new(name, file, content)
            .map_err(|e| trouble(&e, &format!("cannot look at `{name}`")))
    };
    let integrity = Integrity::new(
        Arc::clone(disk),
        path,
        root,
        journal,
        text(LOCK, lock, name)?,
        text(VERIFIER, verifier, line)?,
        Arc::clone(key),
    )?;
    Ok((integrity, loss))
}

/// Takes the lock, or keeps it if this process already holds it. Returns the lock, and whether this
/// process already held it.
fn lock(
    root: &dyn Folder,
    expected: Option<&Expected<'_>>,
) -> Result<(Arc<dyn File>, bool), Unavailable> {
    let at = |doing| move |e: io::Error| trouble(&e, doing);
    if let Some(expected) = expected
        && let Some(held) = expected
            .held
            .lock
            .file_in(root)
            .map_err(at("cannot look at the lock"))?
    {
        return Ok((held, true));
    }
    let access = match expected {
        Some(_) => Access::Write,
        None => Access::Create(LOCK_MODE),
    };
    let lock = root
        .open(LOCK, access)
        .map_err(at("cannot open the lock"))?;
    match lock.lock().map_err(at("cannot take the lock"))? {
        true => Ok((lock, false)),
        false => Err(accept_loss::locked(root)),
    }
}

/// Checks that the folder's `verifier` is this key's public key. In a new folder, writes that public key
/// into `verifier`.
fn own_verifier(
    root: &dyn Folder,
    key: &Key,
    key_file: &Path,
    is_expected: bool,
) -> Result<(Arc<dyn File>, String), Unavailable> {
    let at = |e: io::Error| trouble(&e, "cannot read or write `verifier`");
    let access = match is_expected {
        true => Access::Write,
        false => Access::Create(FILE_MODE),
    };
    let file = root.open(VERIFIER, access).map_err(at)?;
    let line = format!("{}\n", key.verifier());
    let mut found = vec![0; line.len() + 1];
    let length = file.read_at(&mut found, 0).map_err(at)?;
    let found = &found[..length];
    if !is_own_verifier(found, &line, is_expected) {
        return Err(other_key(root, key, key_file));
    }
    if found != line.as_bytes() {
        file.write_at(line.as_bytes(), 0).map_err(at)?;
        file.sync_all().map_err(at)?;
        root.sync().map_err(at)?;
    }
    Ok((file, line))
}

/// Whether the folder may belong to our key. `found` is the content of its `verifier`, and `line` is the
/// right content. If no log is expected, `found` may also be empty, all zeros or the beginning of
/// `line`, because a crash can leave such a file.
pub(super) fn is_own_verifier(found: &[u8], line: &str, is_expected: bool) -> bool {
    let is_begun = line.as_bytes().starts_with(found) || found.iter().all(|byte| *byte == 0);
    found == line.as_bytes() || !is_expected && is_begun
}

/// The refusal if the folder's `verifier` is not that of our key.
pub(super) fn other_key(root: &dyn Folder, own: &Key, key_file: &Path) -> Unavailable {
    let found = read_log_file(root, VERIFIER).ok().flatten();
    let text = found.and_then(|found| String::from_utf8(found).ok());
    let of_folder = text.and_then(|text| VerifierKey::parse(&text).ok());
    let of_folder = of_folder.map_or_else(|| "no key".to_owned(), |key| key.to_string());
    let (own, key_file) = (own.verifier(), key_file.display());
    let what = format!(
        "the folder belongs to another key: its `verifier` is {of_folder}, and that of {key_file} is {own}"
    );
    closed(Cause::KeyUnusable, what)
}

/// The refusal if the trail's folder cannot be opened or made.
pub(super) fn cannot_open(path: &Path, error: &io::Error) -> Unavailable {
    let doing = "cannot open the trail's folder";
    let in_the_way = path.ancestors().find(|above| above.exists());
    match in_the_way.filter(|_| error.kind() == io::ErrorKind::NotADirectory) {
        Some(file) => {
            let what = format!("{doing}: {} is not a folder", file.display());
            closed(Cause::SyncFailed, what)
        }
        None => trouble(error, doing),
    }
}

/// Follows the chain to its end. Returns the last whole batch, the link before that batch, and the last
/// valid batch of each segment. If a log is expected, no batch needs to be written again: then returns
/// no batch, and the link of the expected last batch.
fn follow(
    integrity: &Integrity,
    key: &Key,
    composer: &mut Composer,
    replay_check: &mut ReplayCheck,
    expected: Option<&Expected<'_>>,
) -> Result<(Option<Batch>, Link, Ends), Unavailable> {
    let journal = Arc::clone(&integrity.journal);
    // If the files are our own, the chain ends at the last accepted batch: a later batch may not be
    // synced.
    let until = expected.filter(|expected| expected.spares.is_some());
    let until = until.map(|expected| expected.last);
    let mut chain = Chain::new(journal, Some(key), until).map_err(|e| unreadable(&e))?;
    let (mut last, mut before) = (None, chain.last);
    let (mut link, mut ends) = (chain.last, Ends::new());
    composer.begin(link.next_index);
    replay_check.begin(link.next_index)?;
    while let Some(batch) = chain.next_batch().map_err(|e| unreadable(&e))? {
        if let Some(expected) = expected.filter(|expected| expected.last == link) {
            expected.is_kept(&batch)?;
            continue;
        }
        for entry in &batch.entries {
            composer
                .replay(entry)
                .map_err(|what| closed(Cause::Damaged, what))?;
            replay_check.push(entry)?;
        }
        // Leaves out the last batch: a start writes it again into a new segment, and it counts there.
        ends.insert(link.place.segment, link);
        before = std::mem::replace(&mut link, batch.link);
        last = Some(batch);
    }
    if let Some(expected) = expected {
        expected.is_reached(&link)?;
        ends.insert(link.place.segment, link);
        (last, before) = (None, link);
    }
    replay_check.finish()?;
    Ok((last, before, ends))
}

/// Hands the entries that no checkpoint covers to a new publisher, and restores missing published files.
/// Publishes only if these entries would take too much memory.
fn catch_up(store: &Store, replayed: ReplayCheck) -> Result<Publisher, Unavailable> {
    let last = store.appender.last;
    let journal = Arc::clone(&store.integrity.journal);
    let chain = Chain::new(journal, Some(&store.key), Some(last));
    let mut chain = chain.map_err(|e| unreadable(&e))?;
    // Comes after the checks, because it removes unpublished files: a folder whose log cannot be opened
    // must stay as it is.
    let mut publisher = Publisher::new(
        replayed,
        &store.key,
        &store.integrity,
        chain.last,
        &store.availability,
        &store.metrics,
    )?;
    let mut next = publisher.size();
    let mut bytes = 0;
    while let Some(batch) = chain.next_batch().map_err(|e| unreadable(&e))? {
        let mut part = Vec::new();
        for (index, entry) in (batch.before.next_index..).zip(batch.entries) {
            if index == next {
                bytes += entry.len();
                part.push(entry);
                next += 1;
            }
            if next == publisher.covered && !part.is_empty() {
                publisher.take([Synced::of(batch.link, std::mem::take(&mut part))]);
                publisher.make_again()?;
            }
        }
        publisher.take([Synced::of(batch.link, part)]);
        if bytes > CATCH_UP_BYTES {
            publisher.make_again()?;
            bytes = 0;
        }
    }
    Ok(publisher)
}

/// Creates the spares. Their numbers follow the highest segment number in the folder and of this process
/// (`ours`). Adopts an unused spare of an earlier process.
fn spares(journal: &Arc<dyn Folder>, bytes: u64, ours: u64) -> Result<Spares, Unavailable> {
    let at = |e: io::Error| trouble(&e, "cannot list the journal");
    let highest = segment::numbers(&**journal).map_err(at)?.pop().unwrap_or(0);
    let highest = highest.max(ours);
    let bytes = bytes.max(MIN_SEGMENT).next_multiple_of(4_096);
    let mut spares = Spares::new(Arc::clone(journal), highest, bytes);
    let newest = Segment::open(&**journal, highest).map_err(|e| unreadable(&e))?;
    if let Some(newest) = newest.filter(|s| s.bytes == bytes)
        && newest
            .first_nonzero(0)
            .map_err(|e| unreadable(&e))?
            .is_none()
    {
        spares.adopt(highest);
    }
    Ok(spares)
}

/// Writes the last batch again into a new segment and syncs it, because the batch may be in the page
/// cache only. The new segment continues from the batch before the last one.
fn write_again(store: &mut Store, last: Option<Batch>) -> Result<(), Unavailable> {
    let entries = last.map(|batch| batch.entries).unwrap_or_default();
    let mut entries = PendingEntries::of_batch(entries);
    let room = padded(&entries) as u64 + SMALL_SEGMENT;
    let prepared = store
        .spares
        .make_now(room)
        .map_err(|e| trouble(&e, "cannot make a segment"))?;
    store.appender.take(prepared);
    store.flush(&mut entries)?;
    Ok(())
}

pub(super) fn unreadable(error: &ReadError) -> Unavailable {
    let cause = match error.fault {
        Fault::Io(kind) => cause_at_opening(kind),
        Fault::Missing | Fault::Damaged | Fault::Foreign | Fault::Newer => Cause::Damaged,
    };
    closed(cause, error.to_string())
}
