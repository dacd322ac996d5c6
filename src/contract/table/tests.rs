//! The operations of the built-in contract by their requests, then tables of several contracts.

use super::*;
use crate::contract::Effect;

const BASE: &str = "/api/account/12345678/configuration/le-users/users";

fn builtin() -> Contracts {
    Contracts::new(vec![Contract::builtin()]).unwrap()
}

/// Finds `method` or `method + override` for the base path and this `tail`.
fn find(request: &str, tail: &str) -> Result<String, Miss> {
    let (method, overriding) = match request.split_once(" + ") {
        Some((method, overriding)) => (method, Some(overriding)),
        None => (request, None),
    };
    let path = format!("{BASE}{tail}");
    let contracts = builtin();
    let found = contracts.find(method, overriding, &path)?;
    assert_eq!(found.account, "12345678");
    assert_eq!(found.user, tail.split('/').nth(1));
    Ok(found.operation.name.to_string())
}

fn finds(request: &str, tail: &str, name: &str) {
    assert_eq!(find(request, tail).as_deref(), Ok(name), "{request} {tail}");
}

fn allow(request: &str, tail: &str) -> String {
    match find(request, tail) {
        Err(Miss::Method { allow }) => allow,
        other => panic!("{request} {tail}: {other:?}"),
    }
}

fn unknown(request: &str, tail: &str) -> String {
    match find(request, tail) {
        Err(Miss::Unknown { reason }) => reason,
        other => panic!("{request} {tail}: {other:?}"),
    }
}

#[test]
fn every_operation_that_is_on_is_found_by_its_request() {
    finds("GET", "", "users.list");
    finds("GET", "/7", "users.get");
    finds("POST", "", "users.create");
    finds("PUT", "/7", "users.update");
    finds("PUT", "", "users.update_batch");
    finds("DELETE", "/7", "users.delete");
    finds("DELETE", "", "users.delete_batch");
}

#[test]
fn an_override_that_the_contract_lists_is_the_effective_method() {
    for wire in ["DELETE", "POST"] {
        finds(&format!("{wire} + DELETE"), "/7", "users.delete");
        finds(&format!("{wire} + DELETE"), "", "users.delete_batch");
    }
    for wire in ["PUT", "POST"] {
        finds(&format!("{wire} + PUT"), "/7", "users.update");
        finds(&format!("{wire} + PUT"), "", "users.update_batch");
    }
}

#[test]
fn any_other_override_is_refused() {
    for request in [
        "POST + delete",
        "POST + Delete",
        "POST + ",
        "POST +  DELETE",
        "POST + DELETE, PUT",
        "GET + DELETE",
        "GET + GET",
        "HEAD + DELETE",
        "PUT + DELETE",
        "DELETE + PUT",
        "DELETE + GET",
        "POST + POST",
        "POST + GET",
        "POST + PATCH",
        "PATCH + PATCH",
        "PATCH + PUT",
        "post + DELETE",
        "DELETE + POST",
    ] {
        for tail in ["", "/7"] {
            assert_eq!(find(request, tail), Err(Miss::Override), "{request} {tail}");
        }
    }
}

#[test]
fn another_method_gets_the_allowed_ones() {
    for method in [
        "HEAD", "PATCH", "OPTIONS", "TRACE", "get", "Delete", "PROPFIND",
    ] {
        assert_eq!(allow(method, ""), "DELETE, GET, POST, PUT", "{method}");
        assert_eq!(allow(method, "/7"), "DELETE, GET, PUT", "{method}");
    }
    assert_eq!(
        allow("POST", "/7"),
        "DELETE, GET, PUT",
        "POST carries only with an override"
    );
}

#[test]
fn query_and_batch_are_closed_for_any_method_with_a_reason() {
    for request in [
        "GET",
        "POST",
        "PUT",
        "DELETE",
        "HEAD",
        "POST + DELETE",
        "POST + delete",
    ] {
        assert!(
            unknown(request, "/query").contains("delta query"),
            "{request}"
        );
        assert!(
            unknown(request, "/batch").contains("field updates"),
            "{request}"
        );
    }
    let contracts = builtin();
    let miss = contracts.find(
        "POST",
        None,
        "/api/account/configuration/le-users/users/query",
    );
    assert!(matches!(miss, Err(Miss::Unknown { reason }) if reason.contains("without an account")));
}

#[test]
fn an_operation_that_is_off_is_unknown_with_its_reason() {
    for tail in ["/7/resetPassword", "/7/changePassword"] {
        for request in ["PUT", "PUT + PUT", "POST", "GET", "POST + PUT"] {
            assert!(
                unknown(request, tail).contains("Passwords are not"),
                "{request} {tail}"
            );
        }
    }
}

#[test]
fn a_path_outside_the_contract_is_unknown() {
    for tail in [
        "s",
        "/7/resetpassword",
        "/7/8",
        "/7/resetPassword/x",
        "/query/1",
    ] {
        assert!(unknown("GET", tail).contains("No operation"), "{tail}");
        assert!(
            unknown("POST + DELETE", tail).contains("No operation"),
            "{tail}"
        );
    }
    let contracts = builtin();
    for path in [
        "/",
        "/api",
        "/api/account/1/configuration/le-users/Users",
        "/API/account/1/configuration/le-users/users",
        "/api/account/1/configuration/le-users",
        "/x/api/account/1/configuration/le-users/users",
        "/api/account/1/2/configuration/le-users/users",
        "/api/account/1/configuration/ac-users/users/7",
    ] {
        assert!(
            matches!(
                contracts.find("DELETE", None, path),
                Err(Miss::Unknown { .. })
            ),
            "{path}"
        );
    }
}

#[test]
fn account_and_user_are_returned_unchecked() {
    let contracts = builtin();
    let path = "/api/account/a-b/configuration/le-users/users/01";
    let found = contracts.find("DELETE", None, path).unwrap();
    assert_eq!((found.account, found.user), ("a-b", Some("01")));
}

#[test]
fn the_built_in_contract_lists_all_requirements() {
    let contract = Contract::builtin();
    assert_eq!(contract.name, "liveperson-users-4.0");
    let file = include_str!("../../../config/contracts/liveperson-users-4.0.toml");
    assert_eq!(contract.source, file);
    let told: Vec<String> = contract
        .operations()
        .map(|(op, off)| {
            let if_match = if op.if_match_required {
                "required"
            } else {
                "optional"
            };
            let state = off.map_or("on", |_| "off");
            format!(
                "{} {} {if_match} {:?} {} {state}",
                op.name,
                op.effect.as_str(),
                op.body,
                op.scope
            )
        })
        .collect();
    let wanted = [
        "users.list read optional EmptyJson users.read on",
        "users.get read optional EmptyJson users.read on",
        "users.create write optional Pass users.write on",
        "users.update write required Pass users.write on",
        "users.update_batch write required Pass users.write on",
        "users.delete delete required None users.delete on",
        "users.delete_batch delete required Ids users.delete on",
        "users.reset_password write optional Pass users.password off",
        "users.change_password write optional Pass users.password off",
    ];
    assert_eq!(told, wanted);
    for (operation, _) in contract.operations() {
        assert_eq!(operation.version, "4.0");
        let wanted = (operation.effect == Effect::Delete).then_some("users.delete.unconditional");
        assert_eq!(operation.unconditional_scope.as_deref(), wanted);
    }
}

fn contract(name: &str, operation: &str, method: &str, path: &str, more: &str) -> Contract {
    let text = format!(
        "name='{name}'\nversion='1'\n[[operation]]\nname='{operation}'\nmethod='{method}'\npath='{path}'\n\
         effect='write'\nif_match='optional'\nbody='pass'\nscope='s'\n{more}"
    );
    Contract::parse(&text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

#[test]
fn two_contracts_may_share_a_path_and_then_allow_both_methods() {
    let one = contract("one", "a.put", "PUT", "/{account}/a", "");
    let two = contract("two", "a.post", "POST", "/{account}/a", "");
    let contracts = Contracts::new(vec![one, two]).unwrap();
    assert_eq!(contracts.all().len(), 2);
    assert_eq!(
        &*contracts.find("POST", None, "/1/a").unwrap().operation.name,
        "a.post"
    );
    assert_eq!(
        contracts.find("GET", None, "/1/a"),
        Err(Miss::Method {
            allow: "POST, PUT".to_owned()
        })
    );
}

#[test]
fn contracts_that_claim_the_same_are_refused() {
    let one = || contract("one", "a.put", "PUT", "/{account}/a", "");
    let closing = "[[closed]]\npath='/{account}/{user}'\nreason='no'";
    for (two, because) in [
        (
            contract("one", "b.put", "PUT", "/{account}/b", ""),
            "called `one`",
        ),
        (
            contract("two", "a.put", "PUT", "/{account}/b", ""),
            "operation of both",
        ),
        (
            contract("two", "b.put", "PUT", "/{account}/{user}", ""),
            "claim the same",
        ),
        (
            contract("two", "b.put", "PUT", "/{account}/b/c", closing),
            "never be reached",
        ),
    ] {
        for pair in [vec![one(), two.clone()], vec![two.clone(), one()]] {
            let fault = Contracts::new(pair).unwrap_err();
            assert!(fault.contains(because), "{fault}");
        }
    }
}

#[test]
fn no_contract_means_no_operation() {
    let contracts = Contracts::new(Vec::new()).unwrap();
    assert!(matches!(
        contracts.find("GET", None, BASE),
        Err(Miss::Unknown { .. })
    ));
}
