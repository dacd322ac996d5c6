//! A refused reload: why the config before it stays in force, and what the operator can do.

use std::path::Path;

use crate::config::{Level, Problems};

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
#[error("{reason}; {remedy} (docs/operations.md, \"Reload\")")]
pub struct ReloadRefused {
    cause: &'static str,
    reason: String,
    remedy: &'static str,
}

impl ReloadRefused {
    /// The file is no valid config.
    #[must_use]
    pub fn invalid(problems: &Problems) -> Self {
        let errors = problems.findings.iter();
        let errors = errors.filter(|finding| finding.level == Level::Error);
        let lines = errors.map(|finding| {
            let (file, line, column) = (&finding.file, finding.line, finding.column);
            format!("{file}:{line}:{column}: {}", finding.message)
        });
        Self {
            cause: "config-invalid",
            reason: lines.collect::<Vec<_>>().join("; "),
            remedy: "mend the file, run `lychgate check`, and send SIGHUP again",
        }
    }

    /// Reading the file ended in a panic.
    #[must_use]
    pub fn by_defect() -> Self {
        Self {
            cause: "defect",
            reason: "reading the config failed by a defect".into(),
            remedy: "put the file before it back, and report the defect",
        }
    }

    /// Keys changed that a running gateway cannot change.
    pub(super) fn needs_restart(reason: String) -> Self {
        Self {
            cause: "needs-restart",
            reason,
            remedy: "restart the gateway, or undo the change",
        }
    }

    /// The config is valid, but a part cannot be made from it.
    pub(super) fn not_applied(reason: String) -> Self {
        Self {
            cause: "not-applied",
            reason,
            remedy: "mend what the reason names, run `lychgate check`, and send SIGHUP again",
        }
    }

    /// Deletions and reads go on, but the next start would fail or differ: a warning.
    pub(super) fn log(&self, config: &Path) {
        let file = std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
        tracing::warn!(
            cause = self.cause,
            file = %file.display(),
            reason = self.reason,
            remedy = format!("{} (docs/operations.md, \"Reload\")", self.remedy),
            "reload refused: the config before it stays in force"
        );
    }
}
