//! The Users API without sockets.

use super::*;

const BASE: &str = "/api/account/12345678/configuration/le-users/users";

fn store() -> Store {
    Store::new(&[("12345678", 3)])
}

fn ask(
    store: &Store,
    method: &str,
    rest: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, Value, u64) {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{BASE}{rest}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Bytes::copy_from_slice(body.as_bytes());
    let response = answer(store, &request.body(body).unwrap());
    let revision = response.headers().get("ac-revision");
    let revision = revision.map_or(0, |value| value.to_str().unwrap().parse().unwrap());
    let body = serde_json::from_slice(response.body()).unwrap();
    (response.status().as_u16(), body, revision)
}

fn one(number: u64) -> String {
    format!("/{}?v=4.0", FIRST_ID + number)
}

#[test]
fn a_deletion_removes_the_user_and_increments_the_revision() {
    let store = store();
    let (status, user, revision) = ask(&store, "DELETE", &one(0), &[("if-match", "41")], "");
    assert_eq!((status, revision), (200, FIRST_REVISION + 1));
    assert_eq!(
        (&user["id"], &user["deleted"]),
        (&FIRST_ID.into(), &true.into())
    );
    assert_eq!(store.ids("12345678"), [FIRST_ID + 1, FIRST_ID + 2]);
}

#[test]
fn a_missing_user_is_a_404_with_the_platform_error_body() {
    let store = store();
    let (status, body, revision) = ask(&store, "DELETE", "/5?v=4.0", &[("if-match", "41")], "");
    assert_eq!((status, revision), (404, FIRST_REVISION));
    assert_eq!(
        body,
        serde_json::json!({"type": "users", "internalCode": 12, "message": "No data found"})
    );
}

#[test]
fn a_stale_revision_is_a_conflict_and_changes_nothing() {
    let store = store();
    let (status, _, revision) = ask(&store, "DELETE", &one(0), &[("if-match", "40")], "");
    assert_eq!((status, revision), (409, FIRST_REVISION));
    assert_eq!(store.ids("12345678").len(), 3);
    let (status, ..) = ask(&store, "PUT", &one(0), &[("if-match", "1")], "{}");
    assert_eq!(status, 409);
}

#[test]
fn minus_one_and_star_disable_the_check() {
    let store = store();
    for (number, value) in [(0, "-1"), (1, "*"), (2, "\"43\"")] {
        let (status, ..) = ask(&store, "DELETE", &one(number), &[("if-match", value)], "");
        assert_eq!(status, 200, "{value}");
    }
}

#[test]
fn a_method_override_header_decides_the_operation() {
    let store = store();
    let headers = [("x-http-method-override", "DELETE"), ("if-match", "41")];
    let (status, ..) = ask(&store, "POST", &one(0), &headers, "");
    assert_eq!((status, store.ids("12345678").len()), (200, 2));
}

#[test]
fn a_batch_deletes_all_or_none() {
    let store = store();
    let some_missing = format!("[\"{FIRST_ID}\",5]");
    let (status, ..) = ask(&store, "DELETE", "?v=4.0", &[], &some_missing);
    assert_eq!((status, store.ids("12345678").len()), (404, 3));
    let all_there = format!("[\"{FIRST_ID}\",{}]", FIRST_ID + 2);
    let (status, gone, revision) = ask(&store, "DELETE", "?v=4.0", &[], &all_there);
    assert_eq!((status, revision), (200, FIRST_REVISION + 1));
    assert_eq!(gone.as_array().unwrap().len(), 2);
    assert_eq!(store.ids("12345678"), [FIRST_ID + 1]);
    for body in ["", "{}", "[\"x\"]", "[1.5]", "[-1]"] {
        assert_eq!(ask(&store, "DELETE", "", &[], body).0, 400, "{body}");
    }
}

#[test]
fn users_are_listed_read_created_and_replaced() {
    let store = store();
    assert_eq!(
        ask(&store, "GET", "?v=4.0", &[], "")
            .1
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(ask(&store, "GET", &one(1), &[], "").1["id"], FIRST_ID + 1);
    let (status, user, revision) = ask(&store, "POST", "", &[], r#"{"loginName":"a"}"#);
    assert_eq!((status, revision), (201, FIRST_REVISION + 1));
    assert_eq!(user["id"], FIRST_ID + 3);
    let (status, user, _) = ask(&store, "PUT", &one(0), &[], r#"{"nickname":"b"}"#);
    assert_eq!((status, user["nickname"].as_str()), (200, Some("b")));
    assert!(user.get("loginName").is_none(), "a PUT replaces all of it");
    let many = format!(r#"[{{"id":{FIRST_ID},"nickname":"c"}}]"#);
    let (status, users, revision) = ask(&store, "PUT", "", &[], &many);
    assert_eq!((status, revision), (200, FIRST_REVISION + 3));
    assert_eq!(users[0]["nickname"], "c");
}

#[test]
fn a_missing_or_malformed_user_is_refused() {
    let store = store();
    for (method, rest, status) in [
        ("GET", "/5", 404),
        ("GET", "/abc", 400),
        ("GET", "/", 404),
        ("PATCH", "", 405),
        ("PUT", "/5", 400),
        ("POST", "", 400),
    ] {
        assert_eq!(
            ask(&store, method, rest, &[], "").0,
            status,
            "{method} {rest}"
        );
    }
    assert_eq!(ask(&store, "PUT", "", &[], r#"[{"id":5}]"#).0, 404);
    assert_eq!(ask(&store, "POST", "", &[], "[1]").0, 400);
}

#[test]
fn an_account_starts_with_its_users_and_revision() {
    let store = Store::new(&[("1", 2), ("2", 0)]);
    assert_eq!(store.ids("1"), [FIRST_ID, FIRST_ID + 1]);
    assert_eq!(store.revision("2"), Some(FIRST_REVISION));
    assert_eq!(store.revision("3"), None);
    assert!(store.ids("3").is_empty());
}

#[test]
fn an_id_is_never_given_twice() {
    let mut collection = Collection::with(1);
    collection.users.clear();
    let user = collection.insert(json!({})).unwrap();
    assert_eq!(user["id"], FIRST_ID + 1);
    assert_eq!(collection.insert(json!([])), None);
}
