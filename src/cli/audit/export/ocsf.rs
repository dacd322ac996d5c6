//! Deletions as events of the Open Cybersecurity Schema Framework: User Management (class 3007),
//! Delete.
//!
//! An event of this class has one user, so a batch becomes one event per user. `metadata` names the
//! trail entry. Fields that the schema lacks go into `unmapped`.

use serde_json::{Map, Value, json};

use crate::clock::Time;

/// The first schema version with this class (ocsf-schema a5cfc68); 1.8.0 lacks it.
const VERSION: &str = "1.9.0-dev";
/// User Management.
const CLASS: u64 = 3007;
/// Delete, in this class.
const DELETE: u64 = 3;

/// The fields that have their own place in the event.
const MAPPED: [&str; 7] = [
    "time",
    "request_id",
    "account",
    "users",
    "caller",
    "token_id",
    "client_ip",
];

/// One event per user of the deletion, or a single event if no user is known.
pub(super) fn events(deletion: &Value, origin: Option<&str>) -> Vec<Value> {
    let users = deletion["users"].as_array().map(Vec::as_slice);
    match users.unwrap_or_default() {
        [] => vec![event(deletion, origin, None)],
        users => users
            .iter()
            .map(|user| event(deletion, origin, user.as_str()))
            .collect(),
    }
}

fn event(deletion: &Value, origin: Option<&str>, user: Option<&str>) -> Value {
    let (status_id, status) = status(deletion);
    let (severity_id, severity) = severity(deletion);
    let caller = &deletion["caller"];
    let answered = deletion["status"].as_u64();
    let status_code = match answered {
        Some(code) => code.to_string().into(),
        None => deletion["code"].clone(),
    };
    let mut event = json!({
        "activity_id": DELETE,
        "activity_name": "Delete",
        "actor": {
            "app_uid": caller["client"],
            "session": { "issuer": caller["issuer"], "uid": deletion["token_id"] },
            "user": { "uid": caller["subject"] },
        },
        "category_name": "Identity & Access Management",
        "category_uid": 3,
        "class_name": "User Management",
        "class_uid": CLASS,
        "http_request": { "uid": deletion["request_id"] },
        "http_response": answered.map(|code| json!({ "code": code })),
        "message": message(deletion, user),
        "metadata": metadata(deletion, origin, user),
        "severity": severity,
        "severity_id": severity_id,
        "src_endpoint": { "ip": deletion["client_ip"] },
        "status": status,
        "status_code": status_code,
        "status_detail": detail(deletion),
        "status_id": status_id,
        "time": milliseconds(deletion),
        "timezone_offset": 0,
        "type_name": "User Management: Delete",
        "type_uid": CLASS * 100 + DELETE,
        "unmapped": unmapped(deletion),
        "user": { "account": { "uid": deletion["account"] }, "uid": user },
    });
    remove_nulls(&mut event);
    event
}

/// The schema has no `null`: a field without a value is absent.
fn remove_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(remove_nulls);
    }
}

fn metadata(deletion: &Value, origin: Option<&str>, user: Option<&str>) -> Value {
    let index = &deletion["index"];
    let entry = match origin {
        Some(origin) => format!("{origin}/{index}"),
        None => index.to_string(),
    };
    json!({
        "correlation_uid": deletion["request_id"],
        "log_name": origin,
        "log_provider": "lychgate",
        "original_event_uid": entry,
        "original_time": deletion["time"],
        "product": {
            "name": "Lychgate",
            "vendor_name": "Lychgate",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "uid": user.map_or_else(|| entry.clone(), |user| format!("{entry}#{user}")),
        "version": VERSION,
    })
}

/// Success, failure or unknown. `unknown` and `open` must count as neither success nor failure.
fn status(deletion: &Value) -> (u64, &'static str) {
    match deletion["outcome"].as_str() {
        Some("deleted") => (1, "Success"),
        Some("open" | "unknown") => (0, "Unknown"),
        _ => (2, "Failure"),
    }
}

/// A deletion that may have happened needs attention.
fn severity(deletion: &Value) -> (u64, &'static str) {
    let sent = deletion["sent"] != "no";
    match deletion["outcome"].as_str() {
        Some("unknown") => (3, "Medium"),
        Some("failed") if sent => (3, "Medium"),
        _ => (1, "Informational"),
    }
}

fn detail(deletion: &Value) -> String {
    let field = |name: &str| deletion[name].as_str();
    match (field("outcome"), field("reason"), field("code")) {
        (Some(outcome), Some(reason), _) => format!("{outcome}: {reason}"),
        (Some(outcome), None, _) => outcome.to_owned(),
        (None, _, Some(code)) => format!("refused: {code}"),
        (None, _, None) => "refused".to_owned(),
    }
}

fn message(deletion: &Value, user: Option<&str>) -> String {
    let user = user.map_or_else(|| "Users".to_owned(), |user| format!("User {user}"));
    let account = deletion["account"].as_str().unwrap_or_default();
    format!("{user} of account {account}: {}", detail(deletion))
}

fn milliseconds(deletion: &Value) -> i64 {
    let time = deletion["time"].as_str().and_then(Time::parse);
    time.map_or(0, |time| time.micros().div_euclid(1_000))
}

fn unmapped(deletion: &Value) -> Map<String, Value> {
    let fields = deletion.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| !MAPPED.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deletion(change: Value) -> Value {
        let mut deletion = json!({
            "index": 7, "time": "2026-11-24T12:00:00.250000Z", "request_id": "r",
            "account": "12345678", "users": ["1"], "caller": {"issuer": "i", "subject": "alice", "client": null},
            "token_id": "t", "client_ip": "127.0.0.1", "outcome": "deleted", "sent": "yes", "status": 200,
            "reason": null, "code": null, "operation": "users.delete",
        });
        for (name, value) in change.as_object().unwrap() {
            deletion[name] = value.clone();
        }
        deletion
    }

    fn only(change: Value) -> Value {
        let mut events = events(&deletion(change), Some("a.example/1"));
        assert_eq!(events.len(), 1);
        events.remove(0)
    }

    #[test]
    fn an_event_names_the_caller_the_user_and_the_time() {
        let event = only(json!({}));
        assert_eq!(
            (&event["class_uid"], &event["activity_id"]),
            (&json!(3007), &json!(3))
        );
        assert_eq!(event["type_uid"], 300_703);
        assert_eq!(event["time"], 1_795_521_600_250_i64);
        assert_eq!(
            event["user"],
            json!({"uid": "1", "account": {"uid": "12345678"}})
        );
        assert_eq!(event["actor"]["user"]["uid"], "alice");
        assert_eq!(event["metadata"]["original_event_uid"], "a.example/1/7");
        assert_eq!(event["unmapped"]["operation"], "users.delete");
        assert!(event["unmapped"].get("reason").is_none());
    }

    #[test]
    fn a_batch_becomes_one_event_with_its_own_id_per_user() {
        let events = events(&deletion(json!({"users": ["1", "2"]})), None);
        let ids: Vec<_> = events
            .iter()
            .map(|e| e["metadata"]["uid"].clone())
            .collect();
        assert_eq!(ids, ["7#1", "7#2"]);
    }

    #[test]
    fn an_unknown_outcome_is_neither_success_nor_failure() {
        let said = |change| {
            let event = only(change);
            (
                event["status_id"].as_u64().unwrap(),
                event["severity_id"].as_u64().unwrap(),
            )
        };
        assert_eq!(said(json!({})), (1, 1));
        assert_eq!(
            said(json!({"outcome": "unknown", "reason": "timeout", "sent": "unknown"})),
            (0, 3)
        );
        assert_eq!(said(json!({"outcome": "open", "sent": null})), (0, 1));
        assert_eq!(said(json!({"outcome": "not_found", "status": 404})), (2, 1));
        assert_eq!(said(json!({"outcome": "failed", "status": 503})), (2, 3));
        assert_eq!(
            said(json!({"outcome": "failed", "sent": "no", "status": null})),
            (2, 1)
        );
    }

    #[test]
    fn a_refusal_has_its_code_and_a_user_without_an_id() {
        let event = only(
            json!({"outcome": null, "code": "body-invalid", "users": [], "status": null, "sent": "no"}),
        );
        assert_eq!(event["status_code"], "body-invalid");
        assert_eq!(event["status_detail"], "refused: body-invalid");
        assert_eq!(event["user"], json!({"account": {"uid": "12345678"}}));
        assert!(event.get("http_response").is_none());
    }
}
