//! Logs a panic and its place. Withholds a panic message that was formatted at run time, because such a
//! message may quote a request.

use std::panic::PanicHookInfo;

/// From now on, panics go to the logs. The standard hook is not used, because it could wait for the reader of
/// standard error.
pub(super) fn tell() {
    std::panic::set_hook(Box::new(|info| {
        let thread = std::thread::current();
        tracing::error!(
            thread = thread.name().unwrap_or("unnamed"),
            place = %place(info),
            "a defect of the gateway: {}",
            text(info)
        );
    }));
}

fn place(info: &PanicHookInfo<'_>) -> String {
    info.location()
        .map_or_else(String::new, ToString::to_string)
}

/// Returns the panic message if it is a literal in the source. Otherwise returns a text that says that the
/// message is withheld.
fn text<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    info.payload()
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("a panic whose text is withheld, since it may quote a request")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn p8_a_panic_does_not_quote_what_it_was_about() {
        let (sender, told) = mpsc::channel();
        let sender = std::sync::Mutex::new(sender);
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let _ = sender.lock().unwrap().send(text(info).to_owned());
        }));
        let secret = "s3cret";
        let _ = std::panic::catch_unwind(|| panic!("token {secret}"));
        let _ = std::panic::catch_unwind(|| panic!("plain"));
        std::panic::set_hook(previous);
        let all: Vec<_> = told.try_iter().collect();
        assert!(all.iter().any(|text| text == "plain"), "{all:?}");
        assert!(all.iter().all(|text| !text.contains(secret)), "{all:?}");
    }
}
