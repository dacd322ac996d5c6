//! How a command that writes reaches the trail: through the gateway that holds it, or by opening
//! it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::audit::{Cause, Settings, Trail, Unavailable};
use crate::cli::exit::{Exit, Stop};
use crate::clock::Clock;
use crate::control::{Answer, Request, client};
use crate::metrics::Metrics;

/// How long to wait for a gateway that holds the lock without a socket, since it is starting or
/// stopping.
const PATIENCE: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// How the trail was reached.
#[derive(Debug)]
pub(super) enum Reached {
    /// A gateway answered.
    Gateway(Answer),
    /// No gateway holds the trail. This process opened it, or it is closed for a cause other than
    /// `locked`.
    Alone(Trail, Option<Unavailable>),
}

/// Asks the gateway; if no gateway holds the trail, opens it with `settings`.
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
        check_folder(&settings)?;
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

/// Runs a command's async part.
pub(super) fn block_on<T>(part: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Stop::with(Exit::Io, format!("cannot start: {error}")))?;
    runtime.block_on(part)
}

/// The error for a gateway's refusal.
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

/// Checks that there is a trail and that this user owns its folder, so that the gateway can read
/// what the command writes.
pub(super) fn check_folder(settings: &Settings) -> Result<(), Stop> {
    let shown = settings.directory.display();
    let metadata = match std::fs::metadata(&settings.directory) {
        Ok(metadata) => metadata,
        // The seen file proves that there was a trail; opening it reports that it was rolled back.
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
            Stop::Message(exit, _) => exit as u8,
            other => panic!("{other:?}"),
        };
        for exit in [1, 2, 70, 74, 78] {
            assert_eq!(of(exit), exit);
        }
        assert_eq!(of(0), 74, "a refusal is never exit code 0");
    }

    #[test]
    fn a_missing_folder_is_not_created() {
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
        assert!(check_folder(&settings).is_err());
        assert!(!settings.directory.exists());
        std::fs::write(&settings.seen_file, "").unwrap();
        assert!(check_folder(&settings).is_ok(), "there was a trail once");
        settings.directory = folder.path().to_owned();
        assert!(check_folder(&settings).is_ok());
    }
}
