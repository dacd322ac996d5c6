//! The Users API, which answers each operation as its public documentation describes. Each account
//! has one revision, and every change to a user increments the revision.
//!
//! The simulator may be stricter than the real API in one point: a stale `If-Match` is always a
//! conflict.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::server::{Fault, NO_METHOD, NO_RESOURCE, error, json as answer_json};

const MISSING: Fault = (StatusCode::NOT_FOUND, 12, "No data found");
const STALE: Fault = (StatusCode::CONFLICT, 20, "The revision is stale");
const BAD_ID: Fault = (StatusCode::BAD_REQUEST, 11, "Bad user id");

const fn bad_body(message: &'static str) -> Fault {
    (StatusCode::BAD_REQUEST, 13, message)
}

/// The id of the first user of an account. Later users have the next higher ids.
pub(crate) const FIRST_ID: u64 = 700_100_001;
/// The first revision of an account.
const FIRST_REVISION: u64 = 41;
/// The maximum number of users of an account.
const MAX_USERS: usize = 100_000;

#[derive(Debug)]
pub(crate) struct Store {
    accounts: Mutex<BTreeMap<String, Collection>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Collection {
    /// The account's revision. Each change increments this number.
    revision: u64,
    /// The users as JSON objects, by id.
    users: BTreeMap<u64, Value>,
    next_id: u64,
}

impl Store {
    /// Creates these accounts, each with this number of users.
    pub(super) fn new(accounts: &[(&str, u64)]) -> Self {
        let accounts = accounts.iter();
        let filled = accounts.map(|(name, count)| (name.to_string(), Collection::with(*count)));
        Self {
            accounts: Mutex::new(filled.collect()),
        }
    }

    /// The account's revision; `None` for an unknown account.
    pub(crate) fn revision(&self, account: &str) -> Option<u64> {
        self.on(account, |users| users.revision)
    }

    /// The ids of the account's users in ascending order; empty for an unknown account.
    #[cfg(test)]
    fn ids(&self, account: &str) -> Vec<u64> {
        self.on(account, |one| one.users.keys().copied().collect())
            .unwrap_or_default()
    }

    /// Locks the store and runs `action` on one account's users. Returns `None` for an unknown
    /// account. A panic cannot leave the users half-changed, so this function ignores a poisoned
    /// lock.
    fn on<T>(&self, account: &str, action: impl FnOnce(&mut Collection) -> T) -> Option<T> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.get_mut(account).map(action)
    }
}

impl Collection {
    fn with(count: u64) -> Self {
        let mut collection = Self {
            revision: FIRST_REVISION,
            users: BTreeMap::new(),
            next_id: FIRST_ID,
        };
        for number in 0..count.min(MAX_USERS as u64) {
            let user = json!({
                "loginName": format!("river{number}@example.test"),
                "fullName": format!("River Example {number}"),
                "isEnabled": true,
                "deleted": false,
            });
            collection.insert(user);
        }
        collection
    }

    /// Gives a user a new id, adds the user, and returns the user with the id. Returns `None` if
    /// the account is full or `user` is not a JSON object. The caller increments the revision.
    fn insert(&mut self, mut user: Value) -> Option<Value> {
        if self.users.len() >= MAX_USERS {
            return None;
        }
        let id = self.next_id;
        user.as_object_mut()?.insert("id".to_owned(), id.into());
        self.next_id += 1;
        self.users.insert(id, user.clone());
        Some(user)
    }
}

pub(super) fn answer(store: &Store, request: &Request<Bytes>) -> Response<Bytes> {
    let Some((account, id)) = parse_path(request.uri().path()) else {
        return error(NO_RESOURCE);
    };
    let Ok(id) = id.map(str::parse::<u64>).transpose() else {
        return error(BAD_ID);
    };
    let method = header(request, "x-http-method-override");
    let method = method.unwrap_or(request.method().as_str());
    let answered = store.on(account, |users| {
        let done = match is_stale(method, request, users) {
            true => Err(STALE),
            false => operate(method, id, request.body(), users),
        };
        let mut response = done.unwrap_or_else(error);
        let revision = HeaderValue::from(users.revision);
        response.headers_mut().insert("ac-revision", revision);
        response
    });
    answered.unwrap_or_else(|| error(MISSING))
}

/// A header's first value, if it is visible ASCII.
fn header<'r>(request: &'r Request<Bytes>, name: &str) -> Option<&'r str> {
    request.headers().get(name)?.to_str().ok()
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

/// Whether the `If-Match` of a PUT or DELETE is stale. `-1` and `*` are never stale.
fn is_stale(method: &str, request: &Request<Bytes>, users: &Collection) -> bool {
    let Some(revision) = header(request, "if-match") else {
        return false;
    };
    let revision = revision.trim_matches('"');
    matches!(method, "PUT" | "DELETE")
        && !matches!(revision, "-1" | "*")
        && revision != users.revision.to_string()
}

fn operate(
    method: &str,
    id: Option<u64>,
    body: &[u8],
    users: &mut Collection,
) -> Result<Response<Bytes>, Fault> {
    let answer = match (method, id) {
        ("GET", None) => users.users.values().cloned().collect(),
        ("GET", Some(id)) => users.users.get(&id).ok_or(MISSING)?.clone(),
        ("POST", None) => return Ok(answer_json(StatusCode::CREATED, &create(body, users)?)),
        ("PUT", id) => update(id, body, users)?,
        ("DELETE", Some(id)) => delete(&[id], users)?[0].take(),
        ("DELETE", None) => {
            let ids = ids(body).ok_or(bad_body("An array of ids is needed"))?;
            delete(&ids, users)?
        }
        _ => return Err(NO_METHOD),
    };
    Ok(answer_json(StatusCode::OK, &answer))
}

fn parse(body: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(body).map_err(|_| bad_body("The body is not JSON"))
}

fn create(body: &[u8], users: &mut Collection) -> Result<Value, Fault> {
    let created = match parse(body)? {
        Value::Array(many) => many.into_iter().map(|one| users.insert(one)).collect(),
        one => users.insert(one),
    };
    let created = created.ok_or(bad_body("A user is an object"))?;
    users.revision += 1;
    Ok(created)
}

/// Replaces one user, or all users of an array. If one of the users does not exist, nothing
/// changes.
fn update(id: Option<u64>, body: &[u8], users: &mut Collection) -> Result<Value, Fault> {
    let changes: Vec<(Option<u64>, Value)> = match (id, parse(body)?) {
        (Some(id), mut user @ Value::Object(_)) => {
            user["id"] = id.into();
            vec![(Some(id), user)]
        }
        (None, Value::Array(many)) => many
            .into_iter()
            .map(|user| (user["id"].as_u64(), user))
            .collect(),
        _ => return Err(bad_body("The body does not fit the path")),
    };
    let known = |id: &Option<u64>| id.is_some_and(|id| users.users.contains_key(&id));
    if changes.is_empty() || !changes.iter().all(|(id, _)| known(id)) {
        return Err(MISSING);
    }
    let mut answer: Value = changes.iter().map(|(_, user)| user.clone()).collect();
    for (id, user) in changes {
        users.users.insert(id.unwrap_or_default(), user);
    }
    users.revision += 1;
    Ok(match id {
        Some(_) => answer[0].take(),
        None => answer,
    })
}

/// Deletes these users and returns them. If one of the users does not exist, nothing changes.
fn delete(ids: &[u64], users: &mut Collection) -> Result<Value, Fault> {
    if ids.is_empty() || !ids.iter().all(|id| users.users.contains_key(id)) {
        return Err(MISSING);
    }
    let gone = ids.iter().filter_map(|id| users.users.remove(id));
    let gone = gone.map(|mut user| {
        user["deleted"] = true.into();
        user
    });
    let gone = gone.collect();
    users.revision += 1;
    Ok(gone)
}

/// Parses the body of a batch: an array of ids, each a string or a number.
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
