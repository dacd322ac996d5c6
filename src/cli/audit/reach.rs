//! How a command that writes reaches the trail: through the gateway that holds it, or by opening
//! it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::audit::{Cause, Settings, Trail};
use crate::cli::exit::{Exit, Stop};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{Answer, Request, client};
use crate::metrics::Metrics;

/// How long to wait for a gateway that holds the lock without a socket, since it is starting or
/// stopping.
const PATIENCE: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Asks the gateway; if no gateway holds the trail, opens the trail and answers with `alone`.
pub(super) async fn reach(
    directory: &Path,
    request: &Request,
    config: impl Fn() -> Result<Config, Stop>,
    alone: impl AsyncFnOnce(&Config, &Trail) -> Result<Answer, Stop>,
) -> Result<Answer, Stop> {
    let until = Instant::now() + PATIENCE;
    loop {
        let asked = client::ask(directory, request).map_err(|error| {
            Stop::io(format!(
                "cannot ask the gateway in {}: {error}; run the command as the gateway's user or as root",
                directory.display()
            ))
        })?;
        if let Some(answer) = asked {
            return Ok(answer);
        }
        let config = config()?;
        check_folder(&config.audit)?;
        let trail = Trail::open(config.audit.clone(), Clock::system(), Metrics::new());
        trail.opened().await;
        let Some(closed) = trail.state().closed else {
            let answer = alone(&config, &trail).await;
            trail.stop().await;
            return answer;
        };
        trail.stop().await;
        if closed.cause != Cause::Locked {
            let (cause, detail) = (closed.cause.as_str(), closed.detail);
            let message = format!("the trail cannot be opened: {cause}: {detail}");
            return Err(Stop::no(message));
        }
        if Instant::now() >= until {
            let message = "another process holds the trail's lock and answers on no control.sock: wait until it is gone, or start the gateway";
            return Err(Stop::io(message));
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// Runs a command's async part.
pub(super) fn block_on<T>(part: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Stop::io(format!("cannot start: {error}")))?;
    runtime.block_on(part)
}

/// The error for a gateway's refusal.
pub(super) fn stop(exit: u8, message: String) -> Stop {
    let known = [Exit::No, Exit::Usage, Exit::Internal, Exit::Config];
    let known = known.into_iter().find(|known| *known as u8 == exit);
    Stop::Message(known.unwrap_or(Exit::Io), message)
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
            return Err(Stop::io(message));
        }
    };
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own {
        let message = format!(
            "{shown} belongs to user {}, and this is user {own}: run the command as that user, so that the gateway can read what it writes",
            metadata.uid()
        );
        return Err(Stop::io(message));
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
