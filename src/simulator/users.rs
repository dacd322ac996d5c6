//! The Users API: answers each operation as the API's public documentation describes it.
//!
//! It may be stricter than the real API in one point: a stale `If-Match` is always a conflict.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::server::{Seen, error, json};
use super::store::{Collection, Store};

const MISSING: &str = "No data found";

/// Answers one request; `conflict` is the status for a stale `If-Match`.
pub(super) fn answer(store: &Store, conflict: u16, seen: &Seen) -> Response<Bytes> {
    let Some((account, id)) = parse_path(seen.path()) else {
        return error(StatusCode::NOT_FOUND, 10, "No such resource");
    };
    let id = match id.map(str::parse::<u64>) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return error(StatusCode::BAD_REQUEST, 11, "Bad user id"),
    };
    let method = seen
        .header("x-http-method-override")
        .unwrap_or(&seen.method);
    let answered = store.on(account, |collection| {
        let mut response = if is_stale(method, seen, collection) {
            let status = StatusCode::from_u16(conflict).unwrap_or(StatusCode::CONFLICT);
            error(status, 20, "The revision is stale")
        } else {
            operate(method, id, &seen.body, collection)
        };
        let revision = HeaderValue::from(collection.revision);
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("ac-revision"), revision);
        response
    });
    answered.unwrap_or_else(|| error(StatusCode::NOT_FOUND, 12, MISSING))
}

/// The account and the user id in a path of the Users API.
fn parse_path(path: &str) -> Option<(&str, Option<&str>)> {
    let (account, rest) = path.strip_prefix("/api/account/")?.split_once('/')?;
    let rest = rest.strip_prefix("configuration/le-users/users")?;
    match rest.strip_prefix('/') {
        None if rest.is_empty() => Some((account, None)),
        Some(id) if !id.is_empty() => Some((account, Some(id))),
        _ => None,
    }
}

/// Only PUT and DELETE are checked; `-1` and `*` disable the check.
fn is_stale(method: &str, seen: &Seen, collection: &Collection) -> bool {
    let Some(revision) = seen.header("if-match") else {
        return false;
    };
    let revision = revision.trim_matches('"');
    matches!(method, "PUT" | "DELETE")
        && !matches!(revision, "-1" | "*")
        && revision != collection.revision.to_string()
}

fn operate(method: &str, id: Option<u64>, body: &[u8], users: &mut Collection) -> Response<Bytes> {
    match (method, id) {
        ("GET", None) => json(
            StatusCode::OK,
            &users.users.values().cloned().collect::<Value>(),
        ),
        ("GET", Some(id)) => match users.users.get(&id) {
            Some(user) => json(StatusCode::OK, user),
            None => error(StatusCode::NOT_FOUND, 12, MISSING),
        },
        ("POST", None) => create(body, users),
        ("PUT", id) => update(id, body, users),
        ("DELETE", Some(id)) => delete(&[id], false, users),
        ("DELETE", None) => match ids(body) {
            Some(ids) => delete(&ids, true, users),
            None => error(StatusCode::BAD_REQUEST, 13, "An array of ids is needed"),
        },
        _ => error(
            StatusCode::METHOD_NOT_ALLOWED,
            14,
            "This method is not allowed",
        ),
    }
}

fn create(body: &[u8], users: &mut Collection) -> Response<Bytes> {
    let Ok(wanted) = serde_json::from_slice::<Value>(body) else {
        return error(StatusCode::BAD_REQUEST, 13, "The body is not JSON");
    };
    let created = match wanted {
        Value::Array(many) => many
            .into_iter()
            .map(|one| users.insert(one))
            .collect::<Option<Vec<_>>>()
            .map(Value::Array),
        one => users.insert(one),
    };
    match created {
        Some(created) => {
            users.revision += 1;
            json(StatusCode::CREATED, &created)
        }
        None => error(StatusCode::BAD_REQUEST, 13, "A user is an object"),
    }
}

/// Replaces one user, or all users of an array. If one is missing, nothing changes.
fn update(id: Option<u64>, body: &[u8], users: &mut Collection) -> Response<Bytes> {
    let Ok(wanted) = serde_json::from_slice::<Value>(body) else {
        return error(StatusCode::BAD_REQUEST, 13, "The body is not JSON");
    };
    let changes: Vec<(Option<u64>, Value)> = match (id, wanted) {
        (Some(id), mut user @ Value::Object(_)) => {
            user["id"] = id.into();
            vec![(Some(id), user)]
        }
        (None, Value::Array(many)) => many
            .into_iter()
            .map(|user| (user["id"].as_u64(), user))
            .collect(),
        _ => {
            return error(
                StatusCode::BAD_REQUEST,
                13,
                "The body does not fit the path",
            );
        }
    };
    let known = |id: &Option<u64>| id.is_some_and(|id| users.users.contains_key(&id));
    if changes.is_empty() || !changes.iter().all(|(id, _)| known(id)) {
        return error(StatusCode::NOT_FOUND, 12, MISSING);
    }
    let answer: Value = changes.iter().map(|(_, user)| user.clone()).collect();
    for (id, user) in changes {
        users.users.insert(id.unwrap_or_default(), user);
    }
    users.revision += 1;
    json(
        StatusCode::OK,
        if id.is_some() { &answer[0] } else { &answer },
    )
}

/// If one user is missing, nothing is deleted.
fn delete(ids: &[u64], batch: bool, users: &mut Collection) -> Response<Bytes> {
    if ids.is_empty() || !ids.iter().all(|id| users.users.contains_key(id)) {
        return error(StatusCode::NOT_FOUND, 12, MISSING);
    }
    let mut gone: Vec<Value> = Vec::new();
    for id in ids {
        if let Some(mut user) = users.users.remove(id) {
            user["deleted"] = true.into();
            gone.push(user);
        }
    }
    users.revision += 1;
    let answer = Value::Array(gone);
    json(StatusCode::OK, if batch { &answer } else { &answer[0] })
}

/// The ids of a batch body, as strings or numbers.
fn ids(body: &[u8]) -> Option<Vec<u64>> {
    let ids: Vec<Value> = serde_json::from_slice(body).ok()?;
    ids.iter()
        .map(|id| match id {
            Value::String(id) => id.parse().ok(),
            id => id.as_u64(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
