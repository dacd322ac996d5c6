//! docs/refusals.md and the code: each refusal, who must act, and whether the caller may repeat.

use lychgate::audit::entry::Sent;
use lychgate::refusal::{Actor, Code, Refusal, Repeat};
use serde_json::json;

use super::tree::{is_comment, sources};
use crate::support::refusals::{faults, page, rows};

/// The cell of the table's third column.
const fn actor(code: Code) -> &'static str {
    match code.actor() {
        Actor::Caller => "caller",
        Actor::Issuer => "issuer",
        Actor::Operator => "operator",
        Actor::Nobody => "nobody",
    }
}

/// The cell of the table's last column.
fn repeat(code: Code) -> String {
    let cell = match code.repeat() {
        Repeat::OnceFixed => "once fixed",
        Repeat::WithAnotherToken => "with another token",
        Repeat::AfterRetryAfter => "after `Retry-After`",
        Repeat::InAFewSeconds => "in a few seconds",
        Repeat::OnceMended => "once the operator has acted",
        Repeat::Never => return "no: read the user, then decide".to_owned(),
    };
    match code.may_be_sent() {
        true => format!("only if `sent` is `no`: {cell}"),
        false => cell.to_owned(),
    }
}

#[test]
fn p11_the_table_of_refusals_is_the_code() {
    let told = rows().iter().map(|row| {
        let facts = (row.wrong.as_str(), row.actor.as_str());
        (row.code.as_str(), row.planned, facts, row.repeat.clone())
    });
    let wanted = Code::ALL.iter().map(|&code| {
        let facts = (code.title(), actor(code));
        (code.as_str(), code.is_planned(), facts, repeat(code))
    });
    let (told, wanted): (Vec<_>, Vec<_>) = (told.collect(), wanted.collect());
    assert_eq!(told, wanted, "left: docs/refusals.md; right: Code::ALL");
}

#[test]
fn p11_every_refusal_has_a_section_in_order() {
    let page = page();
    let sections: Vec<_> = page.split("\n## ").skip(1).collect();
    let told: Vec<_> = sections
        .iter()
        .map(|section| section.lines().next().unwrap())
        .collect();
    let wanted: Vec<_> = Code::ALL
        .iter()
        .map(|code| format!("`{}` ({})", code.as_str(), code.status_u16()))
        .collect();
    assert_eq!(told, wanted, "left: docs/refusals.md; right: Code::ALL");
    for (code, section) in Code::ALL.iter().zip(sections) {
        let link = format!("(#{}-{})", code.as_str(), code.status_u16());
        assert!(page.contains(&link), "the table does not link to {link}");
        let flat = section.split_whitespace().collect::<Vec<_>>().join(" ");
        let planned = flat.contains("Planned: no request gets this code yet.");
        assert_eq!(
            planned,
            code.is_planned(),
            "the section says `Planned`: {section}"
        );
    }
}

#[test]
fn p11_every_text_says_as_the_table_when_to_repeat() {
    for &code in Code::ALL {
        for (sent, name) in [
            (Sent::No, "no"),
            (Sent::Yes, "yes"),
            (Sent::Unknown, "unknown"),
        ] {
            for read_back in [
                None,
                Some("the user"),
                Some("what the request would have changed"),
            ] {
                let impossible = match read_back {
                    None => code.repeat() == Repeat::Never,
                    Some(_) => !code.may_be_sent() && sent != Sent::No,
                } || (code.repeat() == Repeat::Never && sent == Sent::No);
                if impossible {
                    continue;
                }
                let refusal = Refusal::new(code, "Its issuer.").with_sent(sent);
                let detail = refusal.text(read_back);
                let problem = json!({"code": code.as_str(), "sent": name, "detail": detail});
                let found = faults(&problem, Some(read_back.is_none()));
                assert!(found.is_empty(), "{found:#?}");
            }
        }
    }
}

#[test]
fn p11_a_refusal_is_planned_until_the_code_raises_it() {
    let raised = |code: &Code| {
        let name = format!("Code::{code:?}");
        let is_name = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
        sources().iter().any(|file| {
            let raises = file.path.starts_with("src/layers/") || file.path == "src/refusal.rs";
            let code = file.text.split("#[cfg(test)]").next().unwrap_or_default();
            let mut lines = code.lines().filter(|line| !is_comment(line));
            raises && lines.any(|line| line.split(&name).skip(1).any(is_name))
        })
    };
    for code in Code::ALL {
        assert_ne!(
            raised(code),
            code.is_planned(),
            "{}: a layer raises it, or `Code::is_planned` names it, but not both",
            code.as_str()
        );
    }
}
