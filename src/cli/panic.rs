//! A panic is a defect: exit code 70, and a message that cannot hold a secret.

use std::any::Any;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::process::ExitCode;

use super::exit::Exit;
use super::output::tell;

/// Runs the program. If the program panics, the exit code is 70.
pub(super) fn contain(program: impl FnOnce() -> ExitCode) -> ExitCode {
    set_hook(Box::new(report));
    // The closure's state is not used again after a panic.
    catch_unwind(AssertUnwindSafe(program)).unwrap_or(Exit::Internal.into())
}

fn report(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string);
    tell(format!(
        "this is a defect, please report it: panic at {}: {}",
        place.as_deref().unwrap_or("an unknown place"),
        said(info.payload())
    ));
}

/// The text of a panic if it is a fixed part of the program. A formatted text could hold a secret,
/// so the report withholds it.
fn said(payload: &(dyn Any + Send)) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("(its text is withheld)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p8_a_fixed_text_is_shown_and_a_formatted_one_withheld() {
        assert_eq!(said(&"index out of order"), "index out of order");
        let formatted = format!("unexpected token {}", "eyJhbGciOi");
        assert!(!said(&formatted).contains("eyJ"));
    }
}
