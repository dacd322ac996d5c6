//! Runs a folder of cases: one gateway for all cases with the same config, one case after another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::fill::{Values, fill_message};
use super::format::{Behaviour, Case, Message, parse};
use super::judge::{Played, complaints};
use super::{always, overlay, recipe};
use crate::support::gateway::{TestGateway, base_config};
use crate::support::upstream::{Script, Upstream};
use crate::support::{tokens, trail, wire};

/// The token for upstream with `[credentials] mode = "bearer"`.
const UPSTREAM_TOKEN: &str = "upstream-token-0123456789";

/// A case and its file.
type Named = (PathBuf, Case);

/// The folder of the cases.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// Runs every case of a folder and fails with all complaints at once.
pub(super) fn folder(name: &str) {
    let (cases, mut failures) = read(&root().join(name));
    let mut lanes: BTreeMap<Vec<String>, Vec<Named>> = BTreeMap::new();
    for (path, case) in cases {
        lanes
            .entry(case.config.clone())
            .or_default()
            .push((path, case));
    }
    std::thread::scope(|scope| {
        let lanes = lanes.iter();
        let running: Vec<_> = lanes
            .map(|(config, cases)| scope.spawn(move || lane(config, cases)))
            .collect();
        for lane in running {
            failures.extend(lane.join().expect("a lane ends in order"));
        }
    });
    let count = failures.len();
    assert!(
        failures.is_empty(),
        "{count} cases fail:\n\n{}",
        failures.join("\n")
    );
}

/// The selected cases of a folder, and the errors of unreadable ones.
fn read(folder: &Path) -> (Vec<Named>, Vec<String>) {
    let asked = std::env::var_os("LYCHGATE_CASE");
    let asked = asked.map(|asked| asked.to_string_lossy().into_owned());
    let (mut cases, mut failures) = (Vec::new(), Vec::new());
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        if asked
            .as_ref()
            .is_some_and(|asked| !path.to_string_lossy().contains(asked))
        {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a case is text");
        match parse(&text) {
            Ok(case) => cases.push((path, case)),
            Err(fault) => failures.push(format!("{}: {fault}", path.display())),
        }
    }
    (cases, failures)
}

/// Runs all cases with one config in order, and returns the complaints.
fn lane(config: &[String], cases: &[Named]) -> Vec<String> {
    let upstream = Upstream::start();
    // The socket is bound but does not listen: connections are refused, and no other process gets
    // the port.
    let dead = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
        .and_then(|socket| {
            let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
            socket.bind(&address.into()).map(|()| socket)
        })
        .expect("a port");
    let dead_address = dead
        .local_addr()
        .ok()
        .and_then(|address| address.as_socket());
    let base = base_config(upstream.address(), dead_address.expect("an address"));
    let text = match overlay::overlay(&base, config) {
        Ok(text) => text,
        Err(fault) => return vec![format!("{}: {fault}", cases[0].0.display())],
    };
    let mut gateway = TestGateway::start(&text, |folder| {
        folder.write("upstream.token", UPSTREAM_TOKEN);
    });
    let mut played: Vec<_> = cases
        .iter()
        .map(|(_, case)| play(case, &gateway, &upstream))
        .collect();
    let metrics = gateway.metrics();
    gateway.stop();
    let mut faults = settle(&mut played, &gateway, &upstream, &metrics);
    let keeps_token = text.contains("mode = \"forward\"");
    for ((path, case), played) in cases.iter().zip(played) {
        let fails = match played {
            Err(fault) => vec![fault],
            Ok(played) => {
                let mut fails = complaints(case, &played);
                fails.extend(always::complaints(&played, gateway.verifier(), keeps_token));
                if !fails.is_empty() {
                    fails.push(shown(&played));
                }
                fails
            }
        };
        if !fails.is_empty() {
            let place = path.strip_prefix(root()).unwrap_or(path).display();
            faults.push(format!(
                "{place}\n  {}\n    {}\n",
                case.says,
                fails.join("\n    ")
            ));
        }
    }
    faults
}

/// Sends the request of one case and records the results.
fn play(case: &Case, gateway: &TestGateway, upstream: &Upstream) -> Result<Played, String> {
    let values = values(case, gateway, upstream)?;
    let bytes = |message: &Message| {
        let mut message = message.clone();
        complete(&mut message);
        fill_message(&message, &values)
    };
    upstream.follow(match &case.upstream {
        None => {
            Script::AnswerAndClose(b"HTTP/1.1 299 Unasked\r\ncontent-length: 0\r\n\r\n".to_vec())
        }
        Some(Behaviour::Answer(answer)) if answer.raw => Script::AnswerAndClose(bytes(answer)?),
        Some(Behaviour::Answer(answer)) => Script::Answer(bytes(answer)?),
        Some(Behaviour::Early(answer)) => Script::Early(bytes(answer)?),
        Some(Behaviour::Hang) => Script::Hang,
        Some(Behaviour::Close) => Script::Close,
        Some(Behaviour::Reset) => Script::Reset,
    });
    let request = fill_message(&case.request, &values)?;
    let answer = wire::exchange(gateway.address(), &request);
    Ok(Played {
        answer,
        seen: upstream.take_seen(),
        values,
        entry: None,
    })
}

/// Completes upstream's answer: a bare `200` becomes a status line, and the length is added.
fn complete(answer: &mut Message) {
    if answer.raw {
        return;
    }
    let reason = if answer.lines[0].contains(' ') {
        ""
    } else {
        " Scripted"
    };
    answer.lines[0] = format!("HTTP/1.1 {}{reason}", answer.lines[0]);
    let framed = |line: &String| {
        let line = line.to_ascii_lowercase();
        line.starts_with("content-length:") || line.starts_with("transfer-encoding:")
    };
    let bodiless = ["204", "304"]
        .iter()
        .any(|one| answer.lines[0].contains(one));
    if !answer.lines.iter().any(framed) && !bodiless {
        answer.lines.push("content-length: {length}".to_owned());
    }
}

fn values(case: &Case, gateway: &TestGateway, upstream: &Upstream) -> Result<Values, String> {
    let mut values = Values::default();
    let mut set = |name: &str, value: String| {
        values.named.insert(name.to_owned(), value);
    };
    let base = |account: &str| format!("/api/account/{account}/configuration/le-users/users");
    set("users", base(tokens::ACCOUNT));
    set("host", gateway.address().to_string());
    set("upstream", upstream.address().to_string());
    set("issuer", tokens::ISSUER.to_owned());
    set("upstream-token", UPSTREAM_TOKEN.to_owned());
    set("token", tokens::good_token());
    for (name, recipe) in &case.tokens {
        let token = recipe::token(recipe).map_err(|fault| format!("token {name}: {fault}"))?;
        set(format!("token {name}").trim_end(), token);
    }
    Ok(values)
}

/// Joins each case with its trail entry after the gateway has stopped. Returns the faults of the
/// lane as a whole.
fn settle(
    played: &mut [Result<Played, String>],
    gateway: &TestGateway,
    upstream: &Upstream,
    metrics: &str,
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut entries = trail::list(&gateway.audit_directory());
    for played in played.iter_mut().flatten() {
        let id = played
            .answer
            .as_ref()
            .and_then(|answer| answer.header("x-request-id"));
        let place = entries
            .iter()
            .position(|entry| id == entry["request_id"].as_str());
        played.entry = place.map(|place| entries.remove(place));
    }
    for entry in entries {
        faults.push(format!(
            "the trail holds an entry of no answered case:\n{entry:#}\n"
        ));
    }
    for request in upstream.take_seen() {
        faults.push(format!(
            "upstream saw a request late:\n{}\n",
            request.escape_ascii()
        ));
    }
    let (verified, said) = trail::verify(&gateway.audit_directory());
    if !verified {
        faults.push(format!("the trail does not verify:\n{said}"));
    }
    for secret in played.iter().flatten().flat_map(always::signatures) {
        let holds = |bytes: &[u8]| wire::find(bytes, secret.as_bytes()).is_some();
        let files = gateway.folder().files();
        let read = |path: &PathBuf| std::fs::read(path).unwrap_or_default();
        if let Some(file) = files.iter().find(|path| holds(&read(path))) {
            faults.push(format!("a token is in {}", file.display()));
        }
        if holds(metrics.as_bytes()) {
            faults.push("a token is in the metrics".to_owned());
        }
    }
    faults
}

/// All results of a failed case.
fn shown(played: &Played) -> String {
    let mut text = String::from("--- received\n");
    match &played.answer {
        Some(answer) => text += &answer.shown(),
        None => text += "closed",
    }
    for request in &played.seen {
        let request: String = String::from_utf8_lossy(request)
            .chars()
            .take(2_000)
            .collect();
        text += &format!("\n--- upstream saw\n{request}");
    }
    if let Some(entry) = &played.entry {
        text += &format!("\n--- trail\n{entry:#}");
    }
    text.replace('\n', "\n      ")
}
