//! The strict form of a compact token.

use super::*;

const CLAIMS: &str = r#"{"iss":"i"}"#;

fn part(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn judged(header: &str) -> Result<Header, Denial> {
    let token = format!("{}.{}.AAAA", part(header), part(CLAIMS));
    Compact::parse(&token).map(|compact| compact.header)
}

fn malformed(result: &Result<Header, Denial>) -> bool {
    matches!(result, Err(Denial::Malformed(_)))
}

fn of_another_type(result: &Result<Header, Denial>) -> bool {
    matches!(result, Err(Denial::Type(_)))
}

#[test]
fn a_token_is_taken_apart() {
    let token = format!(
        "{}.{}.AAAA",
        part(r#"{"alg":"ES256","kid":"k"}"#),
        part(CLAIMS)
    );
    let compact = Compact::parse(&token).unwrap();
    assert_eq!(compact.signing_input, &token[..token.len() - 5]);
    assert_eq!(compact.signature, "AAAA");
    assert_eq!(compact.header.algorithm, Algorithm::ES256);
    assert_eq!(compact.header.kid.as_deref(), Some("k"));
    assert_eq!(compact.claims["iss"].as_str(), Some("i"));
}

#[test]
fn header_of_1_mb_is_refused_by_its_size_alone() {
    let long = "a".repeat(1 << 20);
    let why = Compact::parse(&long).unwrap_err();
    assert_eq!(why, Denial::Malformed("the token is longer than 8 KiB"));
    let exact = "a".repeat(MAX_TOKEN_BYTES);
    assert_eq!(Compact::parse(&exact).unwrap_err(), NOT_THREE_PARTS);
}

#[test]
fn dots_before_behind_or_a_fourth_part() {
    let header = part(r#"{"alg":"ES256"}"#);
    let claims = part(CLAIMS);
    for token in [
        format!(".{header}.{claims}.AAAA"),
        format!("{header}.{claims}.AAAA."),
        format!("{header}.{claims}.AAAA.AAAA"),
        format!("{header}..{claims}.AAAA"),
        format!("{header}.{claims}"),
        format!("{header}.AAAA"),
        format!(".{claims}.AAAA"),
        format!("{header}..AAAA"),
        header,
        "..".to_owned(),
        ".".to_owned(),
        String::new(),
    ] {
        let why = Compact::parse(&token).unwrap_err();
        assert!(matches!(why, Denial::Malformed(_)), "{token}: {why:?}");
    }
}

#[test]
fn padding_stray_last_bits_other_alphabet_and_spaces() {
    let header = part(r#"{"alg":"ES256"}"#);
    let claims = part(CLAIMS);
    assert!(Compact::parse(&format!("{header}.{claims}.AA")).is_ok());
    for signature in [
        "AA==", "AA=", "AB", "A", "A+AA", "A/AA", "AA AA", " AAAA", "AAAA\n", "AÄAA",
    ] {
        let token = format!("{header}.{claims}.{signature}");
        assert!(Compact::parse(&token).is_err(), "{signature}");
    }
    for token in [
        format!("{header}=.{claims}.AAAA"),
        format!("{header}.{claims}=.AAAA"),
        format!(" {header}.{claims}.AAAA"),
    ] {
        assert!(Compact::parse(&token).is_err(), "{token}");
    }
}

#[test]
fn unknown_header_member_twice() {
    assert!(malformed(&judged(r#"{"alg":"ES256","x":1,"x":1}"#)));
    assert!(malformed(&judged(r#"{"alg":"ES256","alg":"ES256"}"#)));
    assert!(malformed(&judged(r#"{"alg":"ES256","\u0061lg":"none"}"#)));
}

#[test]
fn header_is_no_object() {
    for header in ["[]", r#"["ES256"]"#, "null", "1", "\"ES256\"", ""] {
        assert!(malformed(&judged(header)), "{header}");
    }
}

#[test]
fn crit_unknown_crit_empty_and_b64() {
    for member in [
        r#""crit":["x"]"#,
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""crit":["b64"],"b64":false"#,
    ] {
        let header = format!(r#"{{"alg":"ES256",{member}}}"#);
        assert!(malformed(&judged(&header)), "{member}");
    }
}

#[test]
fn typ_of_another_profile() {
    for kind in [
        r#""logout+jwt""#,
        r#""dpop+jwt""#,
        r#""JWS""#,
        r#""""#,
        r#""application/""#,
        r#""application/application/jwt""#,
        r#"" JWT""#,
        "null",
        "5",
        r#"["JWT"]"#,
    ] {
        let header = format!(r#"{{"alg":"ES256","typ":{kind}}}"#);
        assert!(of_another_type(&judged(&header)), "{kind}");
    }
}

#[test]
fn typ_may_be_absent_jwt_or_at_jwt_in_any_case() {
    assert!(judged(r#"{"alg":"ES256"}"#).is_ok());
    for kind in [
        "JWT",
        "jwt",
        "at+jwt",
        "AT+JWT",
        "application/jwt",
        "Application/At+Jwt",
    ] {
        let header = format!(r#"{{"alg":"ES256","typ":"{kind}"}}"#);
        assert!(judged(&header).is_ok(), "{kind}");
    }
}

#[test]
fn cty_enc_zip() {
    for member in [
        r#""cty":"JWT""#,
        r#""enc":"A128GCM""#,
        r#""zip":"DEF""#,
        r#""zip":null"#,
    ] {
        let header = format!(r#"{{"alg":"ES256",{member}}}"#);
        assert!(of_another_type(&judged(&header)), "{member}");
    }
}

#[test]
fn jwk_jku_x5u_x5c_are_never_used() {
    for member in [
        r#""jwk":5"#,
        r#""jku":"https://evil"#,
        r#""x5u":"https://evil"#,
    ] {
        let quote = if member.ends_with('5') { "" } else { "\"" };
        let header = format!(r#"{{"alg":"ES256",{member}{quote}}}"#);
        let expected = Header {
            algorithm: Algorithm::ES256,
            kid: None,
        };
        assert_eq!(judged(&header), Ok(expected), "{member}");
    }
}

#[test]
fn kid_is_bounded_text() {
    let with = |kid: &str| judged(&format!(r#"{{"alg":"ES256","kid":{kid}}}"#));
    assert!(with(&format!("\"{}\"", "k".repeat(256))).is_ok());
    assert!(malformed(&with(&format!("\"{}\"", "k".repeat(257)))));
    for kid in ["5", "null", "[]", "{}", "true"] {
        assert!(malformed(&with(kid)), "{kid}");
    }
}

#[test]
fn none_lower_case_es512_es256k_ed25519_and_hs256() {
    for name in [
        "none", "NONE", "es256", "ES512", "ES256K", "Ed25519", "HS256", "",
    ] {
        let result = judged(&format!(r#"{{"alg":"{name}"}}"#));
        assert_eq!(result, Err(Denial::Algorithm), "{name}");
    }
    for header in [
        "{}",
        r#"{"alg":5}"#,
        r#"{"alg":null}"#,
        r#"{"alg":["ES256"]}"#,
    ] {
        assert!(malformed(&judged(header)), "{header}");
    }
}

#[test]
fn none_with_an_empty_signature_is_told_as_an_algorithm() {
    let token = format!("{}.{}.", part(r#"{"alg":"none"}"#), part(CLAIMS));
    assert_eq!(Compact::parse(&token).unwrap_err(), Denial::Algorithm);
}
