//! A refusal tells its caller nothing about the inside of the gateway; the log tells the operator all.

use std::net::{SocketAddr, TcpListener};

use serde_json::{Map, Value};

use super::callers::{delete, get, read, refusal};
use super::program::{Home, Program, until};
use super::users::{Manner, Users};
use crate::support::refusals;
use crate::support::tokens::{self, Signer};
use crate::support::wire::{self, Answer};

/// Asserts the code of the refusal, that its body holds none of these texts, nor the text that every
/// refusal conceals, and that the log holds all of them under the request's id.
fn is_for_the_log(program: &Program, answer: &Answer, code: &str, inside: &[&str]) {
    assert_eq!(refusal(answer).0, code, "{}", answer.shown());
    let body = String::from_utf8_lossy(&answer.body);
    let detail = program.logged_detail(answer);
    for inside in inside {
        assert!(!body.contains(inside), "{body}");
        assert!(detail.contains(inside), "{inside} is not in: {detail}");
    }
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn p11_upstreams_address_is_for_the_log() {
    let users = Users::start();
    let keys = "head_timeout = \"400ms\"\nmax_connections = 1\nconnect_timeout = \"100ms\"";
    let home = Home::new(users.address(), &[("upstream", keys)]);
    let program = home.start_ready();
    let address = users.address().to_string();
    for (manner, code) in [
        (Manner::Raw(b""), "upstream-protocol"),
        (Manner::Reset, "upstream-protocol"),
        (
            Manner::Raw(b"220 mail.test ready\r\n\r\n"),
            "upstream-protocol",
        ),
        (Manner::Hang, "upstream-timeout"),
    ] {
        users.behave(manner);
        for (answer, is_read) in [
            (delete(program.address, 1), false),
            (get(program.address, 1), true),
        ] {
            is_for_the_log(&program, &answer, code, &[&address]);
            assert_eq!(answer.json()["sent"], "unknown");
            let faults = refusals::faults(&answer.json(), Some(is_read));
            assert!(faults.is_empty(), "{faults:#?}");
        }
    }
}

#[test]
fn p11_a_busy_upstreams_address_is_for_the_log() {
    let users = Users::start();
    let keys = "max_connections = 1\nconnect_timeout = \"10ms\"";
    let home = Home::new(users.address(), &[("upstream", keys)]);
    let program = home.start_ready();
    users.behave(Manner::Hang);
    let address = program.address;
    let first = std::thread::spawn(move || get(address, 1));
    until("the first request is at upstream", || {
        users.seen_count() == 1
    });
    let answer = get(program.address, 2);
    let inside = users.address().to_string();
    is_for_the_log(&program, &answer, "overloaded", &[&inside]);
    users.behave(Manner::Answer(std::time::Duration::ZERO));
    assert_eq!(first.join().unwrap().status, 200);
}

#[test]
fn p11_an_unreachable_address_is_for_the_log() {
    let (upstream, issuer) = (nobody(), nobody());
    let home = Home::new(upstream, &[]);
    let program = home.start_ready();
    let inside = upstream.to_string();
    for answer in [delete(program.address, 1), get(program.address, 1)] {
        is_for_the_log(&program, &answer, "upstream-unreachable", &[&inside]);
    }
    drop(program);
    let path = home.path("lychgate.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let url = format!("jwks_url = \"http://{issuer}/keys\"");
    std::fs::write(&path, config.replace("jwks_file = \"keys.json\"", &url)).unwrap();
    let program = home.start();
    let answer = get(program.address, 1);
    is_for_the_log(
        &program,
        &answer,
        "keys-unavailable",
        &[&issuer.to_string()],
    );
}

#[test]
fn p11_the_gateways_clock_and_keys_are_for_the_log() {
    let home = Home::new(nobody(), &[]);
    let program = home.start();
    let (header, claims) = (tokens::good_header(Signer::Main), tokens::good_claims());
    let with = |name: &str, value: Value, of: &Map<String, Value>| {
        let mut changed = of.clone();
        changed.insert(name.into(), value);
        changed
    };
    let past = with("exp", (tokens::now() - 9_000).into(), &claims);
    let future = with("nbf", (tokens::now() + 9_000).into(), &claims);
    let unknown = with("kid", "new".into(), &header);
    for (header, claims, code, inside) in [
        (
            &header,
            &past,
            "token-expired",
            "the gateway's clock shows 2",
        ),
        (
            &header,
            &future,
            "token-not-yet-valid",
            "the gateway's clock shows 2",
        ),
        (
            &unknown,
            &claims,
            "token-key-unknown",
            "each key set was read without trouble",
        ),
    ] {
        let token = tokens::sign(Signer::Main, header, claims);
        let answer = wire::exchange(program.address, &read(1, &token)).unwrap();
        is_for_the_log(&program, &answer, code, &[inside]);
    }
}

#[test]
fn p11_a_path_of_the_trail_is_for_the_log() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let first = home.start_ready();
    let program = home.start();
    program.wait_for_cause("locked");
    let key = home.path("audit.key");
    std::fs::remove_file(&key).unwrap();
    drop(first);
    program.wait_for_cause("key-unusable");
    let answer = delete(program.address, 1);
    let inside = key.display().to_string();
    is_for_the_log(&program, &answer, "audit-unavailable", &[&inside]);
}
