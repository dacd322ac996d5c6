//! How a command that writes reaches the trail: by the gateway that holds it, or else by itself.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::audit::{Cause, Settings, Trail, Unavailable};
use crate::cli::exit::{Exit, Stop};
use crate::clock::Clock;
use crate::control::{Answer, Request, client};
use crate::metrics::Metrics;

/// A gateway that is starting or stopping holds the lock, and has no socket yet or no more.
const PATIENCE: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// How the trail was reached.
#[derive(Debug)]
pub(super) enum Reached {
    /// The gateway answered.
    Gateway(Answer),
    /// No gateway holds it: it is open in this process, or closed for a cause other than `locked`.
    Alone(Trail, Option<Unavailable>),
}

/// Asks the gateway; where none holds the trail, opens it with what `settings` gives.
///
/// # Errors
/// Where neither is possible.
pub(super) async fn reach(
    directory: &Path,
    request: &Request,
    settings: impl Fn() -> Result<Settings, Stop>,
) -> Result<Reached, Stop> {
    let until = Instant::now() + PATIENCE;
    loop {
        match client::ask(directory, request) {
            Ok(Some(answer)) => return Ok(Reached::Gateway(answer)),
            Ok(None) => {}
            Err(error) => {
                let message = format!(
                    "cannot ask the gateway in {}: {error}; run the command as the gateway's user or as root",
                    directory.display()
                );
                return Err(Stop::with(Exit::Io, message));
            }
        }
        let settings = settings()?;
        ours(&settings)?;
        let trail = Trail::open(settings, Clock::system(), Metrics::new());
        trail.opened().await;
        let closed = trail.state().closed;
        if closed.as_ref().map(|closed| closed.cause) != Some(Cause::Locked) {
            return Ok(Reached::Alone(trail, closed));
        }
        trail.stop().await;
        if Instant::now() >= until {
            let message = "another process holds the trail's lock and answers on no control.sock: wait until it is gone, or start the gateway";
            return Err(Stop::with(Exit::Io, message));
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// Runs one command's async half.
///
/// # Errors
/// Where no runtime can be made, and what the half gives.
pub(super) fn block_on<T>(half: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Stop::with(Exit::Io, format!("cannot start: {error}")))?;
    runtime.block_on(half)
}

/// What the gateway said no to.
pub(super) fn stop(exit: u8, message: String) -> Stop {
    let exit = match exit {
        1 => Exit::No,
        2 => Exit::Usage,
        70 => Exit::Internal,
        78 => Exit::Config,
        _ => Exit::Io,
    };
    Stop::with(exit, message)
}

/// There is a trail, and what is written here can be read by whoever serves it.
///
/// # Errors
/// Where it is not so.
pub(super) fn ours(settings: &Settings) -> Result<(), Stop> {
    let shown = settings.directory.display();
    let metadata = match std::fs::metadata(&settings.directory) {
        Ok(metadata) => metadata,
        // The seen file knows that there was one: whatever opens it finds it rolled back.
        Err(_) if settings.seen_file.exists() => return Ok(()),
        Err(error) => {
            let message = format!("there is no trail here: {shown}: {error}");
            return Err(Stop::with(Exit::Io, message));
        }
    };
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own {
        let message = format!(
            "{shown} belongs to user {}, and this is user {own}: run the command as that user, so that the gateway can read what it writes",
            metadata.uid()
        );
        return Err(Stop::with(Exit::Io, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::test_folder;

    #[test]
    fn a_refusal_keeps_its_exit_code() {
        let of = |exit| match stop(exit, String::new()) {
            Stop::Told(exit, _) => exit as u8,
            other => panic!("{other:?}"),
        };
        for exit in [1, 2, 70, 74, 78] {
            assert_eq!(of(exit), exit);
        }
        assert_eq!(of(0), 74, "a refusal is never fine");
    }

    #[test]
    fn a_folder_that_is_not_there_is_not_made() {
        let folder = test_folder("reach");
        let mut settings = Settings {
            directory: folder.path().join("audit"),
            origin: "reach.test".into(),
            key_file: folder.path().join("audit.key"),
            sync_timeout: Duration::from_secs(1),
            segment_bytes: 2 << 20,
            space: crate::audit::status::space::Levels::default(),
            seen_file: folder.path().join("seen"),
            heartbeat: Duration::from_secs(1),
        };
        assert!(ours(&settings).is_err());
        assert!(!settings.directory.exists());
        std::fs::write(&settings.seen_file, "").unwrap();
        assert!(ours(&settings).is_ok(), "it was there once");
        settings.directory = folder.path().to_owned();
        assert!(ours(&settings).is_ok());
    }
}
