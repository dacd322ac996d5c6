//! The `.case` files: each is one request, with the expected request at upstream, the expected
//! answer and the expected trail entry. README.md describes the format.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod always;
mod fill;
mod format;
mod judge;
mod overlay;
mod recipe;
mod run;

macro_rules! folders {
    ($($name:ident)*) => {
        const FOLDERS: &[&str] = &[$(stringify!($name)),*];

        $(#[test] fn $name() { run::folder(stringify!($name)); })*
    };
}

folders! {
    headers_down
    headers_up
    p11_body
    p11_head
    p11_if_match
    p11_operation
    p11_override
    p11_path
    p11_scope
    p11_token
    p11_user_id
    p11_version
    p1_trail
    p2_unknown
    p8_secrets
    p9_accounts
    pass_through
    query
}

#[test]
fn every_folder_of_cases_is_listed() {
    let entries = std::fs::read_dir(run::root()).unwrap().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut found: Vec<_> = folders
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    found.sort();
    let mut listed: Vec<_> = FOLDERS.iter().map(|&name| name.to_owned()).collect();
    listed.sort();
    assert_eq!(found, listed);
}
