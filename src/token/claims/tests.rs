//! Each claim, missing, malformed and at its bounds.

use super::super::{Algorithm, KeySource, json};
use super::*;
use std::time::Duration;

fn settings() -> IssuerSettings {
    IssuerSettings {
        issuer: "https://issuer.example/".into(),
        audience: vec!["lychgate".into(), "other".into()],
        algorithms: vec![Algorithm::ES256],
        keys: KeySource::File("keys.json".into()),
        accounts_claim: "accounts".into(),
        scopes_claim: "scope".into(),
        client_claim: "client_id".into(),
        leeway: Duration::ZERO,
    }
}

/// The claims with these members put over ones that are fine; "(absent)" takes one away.
fn judged(over: &str) -> Result<Identity, Denial> {
    let mut claims = json::object(
        br#"{"iss":"https://issuer.example/","sub":"s","aud":"lychgate","exp":1900000000}"#,
    )
    .unwrap();
    for (name, value) in json::object(over.as_bytes()).unwrap() {
        if value == Value::String("(absent)".into()) {
            claims.remove(&name);
        } else {
            claims.insert(name, value);
        }
    }
    judge(&claims, &settings(), "header.payload").map(|judged| judged.identity)
}

fn bad(over: &str) -> bool {
    matches!(judged(over), Err(Denial::Claims(_)))
}

#[test]
fn a_caller_with_the_required_claims_only_has_no_rights() {
    let caller = judged("{}").unwrap();
    assert_eq!(caller.issuer, "https://issuer.example/");
    assert_eq!(caller.subject, "s");
    assert_eq!(caller.client, None);
    assert_eq!(caller.accounts, Accounts::Missing("accounts".into()));
    assert_eq!(caller.scopes, Scopes::Missing("scope".into()));
    assert!(!caller.covers("1") && !caller.covers(""));
}

#[test]
fn aud_absent_is_not_for_us() {
    assert_eq!(judged(r#"{"aud":"(absent)"}"#), Err(Denial::Audience));
}

#[test]
fn aud_number_object_null_or_a_mixed_list() {
    for aud in [
        "5",
        "{}",
        "null",
        "true",
        r#"["lychgate",5]"#,
        r#"[["lychgate"]]"#,
    ] {
        assert!(bad(&format!(r#"{{"aud":{aud}}}"#)), "{aud}");
    }
}

#[test]
fn aud_is_one_of_ours_byte_for_byte() {
    for aud in [r#""other""#, r#"["x","lychgate"]"#] {
        assert!(judged(&format!(r#"{{"aud":{aud}}}"#)).is_ok(), "{aud}");
    }
    for aud in [
        r#""Lychgate""#,
        r#""lychgate ""#,
        "[]",
        r#""""#,
        r#"["lych","gate"]"#,
    ] {
        let why = judged(&format!(r#"{{"aud":{aud}}}"#));
        assert_eq!(why, Err(Denial::Audience), "{aud}");
    }
}

#[test]
fn iss_a_number_an_object_or_a_list() {
    for iss in ["5", "{}", "null", r#"["evil","good"]"#] {
        let claims = json::object(format!(r#"{{"iss":{iss}}}"#).as_bytes()).unwrap();
        assert_eq!(issuer(&claims), None, "{iss}");
    }
    assert_eq!(issuer(&Object::new()), None);
}

#[test]
fn sub_a_number() {
    for sub in ["5", "null", "[]", "true", r#""""#, r#""(absent)""#] {
        assert!(bad(&format!(r#"{{"sub":{sub}}}"#)), "{sub}");
    }
}

#[test]
fn nul_and_other_control_characters_in_a_string() {
    for text in ["a\\u0000b", "a\\nb", "a\\u001b[31m", "\\u007f", "\\u0085"] {
        for name in ["sub", "aud", "accounts", "scope", "client_id", "azp", "jti"] {
            assert!(bad(&format!(r#"{{"{name}":"{text}"}}"#)), "{name} {text}");
        }
        assert!(bad(&format!(r#"{{"accounts":["1","{text}"]}}"#)), "{text}");
    }
}

#[test]
fn cnf_of_any_kind_is_a_bound_token_and_told_first() {
    for cnf in ["{}", "null", r#"{"jkt":"x"}"#] {
        let why = judged(&format!(r#"{{"cnf":{cnf},"sub":5,"aud":5}}"#));
        assert_eq!(why, Err(Denial::Binding), "{cnf}");
    }
}

#[test]
fn p9_accounts_are_a_string_or_a_list_compared_whole() {
    let one = judged(r#"{"accounts":"12345678"}"#).unwrap();
    assert!(one.covers("12345678"));
    assert!(!one.covers("1234567") && !one.covers("123456789"));
    let list = judged(r#"{"accounts":["2","1","2"]}"#).unwrap();
    assert_eq!(list.accounts, Accounts::These(vec!["1".into(), "2".into()]));
    let spaced = judged(r#"{"accounts":"1 2"}"#).unwrap();
    assert!(!spaced.covers("1") && !spaced.covers("2"));
}

#[test]
fn p9_a_star_is_every_account_and_only_alone() {
    assert_eq!(
        judged(r#"{"accounts":"*"}"#).unwrap().accounts,
        Accounts::All
    );
    let listed = judged(r#"{"accounts":["1","*"]}"#).unwrap();
    assert_eq!(listed.accounts, Accounts::All);
    assert!(!judged(r#"{"accounts":"1*"}"#).unwrap().covers("12"));
}

#[test]
fn p9_accounts_of_another_type_are_refused_not_guessed() {
    for accounts in ["12345678", "null", "{}", "true", "[12345678]", r#"[["1"]]"#] {
        assert!(bad(&format!(r#"{{"accounts":{accounts}}}"#)), "{accounts}");
    }
}

fn these(scopes: &[&str]) -> Scopes {
    Scopes::These(scopes.iter().map(|&scope| scope.to_owned()).collect())
}

#[test]
fn p11_a_claim_of_another_form_is_told_by_its_configured_name() {
    let mut settings = settings();
    settings.accounts_claim = "sites".into();
    settings.scopes_claim = "scp".into();
    settings.client_claim = "app".into();
    for name in ["sites", "scp", "app", "azp", "aud"] {
        let claims = format!(r#"{{"sub":"s","exp":1900000000,"{name}":5}}"#);
        let claims = json::object(claims.as_bytes()).unwrap();
        match judge(&claims, &settings, "").unwrap_err() {
            Denial::Claims(why) => assert!(why.contains(&format!("`{name}`")), "{why}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn scopes_are_a_spaced_string_or_a_list() {
    let spaced = judged(r#"{"scope":"users.write  users.read users.read "}"#).unwrap();
    assert_eq!(spaced.scopes, these(&["users.read", "users.write"]));
    let listed = judged(r#"{"scope":["b","a"]}"#).unwrap();
    assert_eq!(listed.scopes, these(&["a", "b"]));
    let inner = judged(r#"{"scope":["users.read users.delete"]}"#).unwrap();
    assert!(
        !inner.holds("users.delete"),
        "an item of a list is one scope"
    );
    for scope in ["5", "null", "{}", r#"["a",5]"#] {
        assert!(bad(&format!(r#"{{"scope":{scope}}}"#)), "{scope}");
    }
}

#[test]
fn the_client_is_its_claim_or_else_azp() {
    let client = |over: &str| judged(over).unwrap().client;
    assert_eq!(
        client(r#"{"client_id":"c","azp":"z"}"#).as_deref(),
        Some("c")
    );
    assert_eq!(client(r#"{"azp":"z"}"#).as_deref(), Some("z"));
    assert!(bad(r#"{"client_id":5,"azp":"z"}"#));
    assert!(bad(r#"{"azp":null}"#));
}

#[test]
fn jti_is_bounded_text() {
    assert_eq!(judged(r#"{"jti":"j"}"#).unwrap().token_id, "j");
    assert!(judged(&format!(r#"{{"jti":"{}"}}"#, "j".repeat(256))).is_ok());
    assert!(bad(&format!(r#"{{"jti":"{}"}}"#, "j".repeat(257))));
    for jti in ["5", "null", r#""""#, "[]"] {
        assert!(bad(&format!(r#"{{"jti":{jti}}}"#)), "{jti}");
    }
}

#[test]
fn the_token_id_without_jti_is_the_digest_of_what_was_signed() {
    let id = judged("{}").unwrap().token_id;
    assert_eq!(id, sha256_hex(b"header.payload"));
    assert_eq!(
        sha256_hex(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn every_form_is_judged_before_the_audience() {
    assert!(bad(r#"{"aud":"else","sub":5}"#));
    assert!(bad(r#"{"aud":"else","exp":"x"}"#));
}
