//! The request line.

use http::{Method, Version};

use super::{exchange, target};

#[test]
fn absolute_forms_reach_the_service_with_an_authority() {
    for form in ["http://b/x", "https://b/x", "ftp://b/x", "http://u:p@b/x"] {
        let seen = target(form).one();
        assert_eq!(seen.uri.host(), Some("b"), "{form}");
        assert_eq!(seen.uri.path(), "/x");
    }
}

#[test]
fn authority_form_reaches_the_service_without_a_path() {
    let seen = target("b:80").one();
    assert_eq!(seen.uri.authority().unwrap(), "b:80");
    assert_eq!(seen.uri.path(), "");
}

#[test]
fn a_star_reaches_the_service_as_the_path() {
    assert_eq!(target("*").one().uri.path(), "*");
}

#[test]
fn connect_reaches_the_service() {
    let outcome = exchange("CONNECT b:80 HTTP/1.1\r\nHost: b\r\n\r\n");
    assert_eq!(outcome.seen[0].method, Method::CONNECT);
    assert_eq!(outcome.seen[0].uri.authority().unwrap(), "b:80");
}

#[test]
fn a_fragment_is_dropped_with_the_query_after_it() {
    assert_eq!(target("/x#y?z").one().uri, "/x");
    assert_eq!(target("/x?q#y").one().uri, "/x?q");
}

#[test]
fn the_targets_bytes_are_kept() {
    for text in [
        "/%2e%2e", "/..", "//x", "/x;p", "/%zz", "/%1", "/x?", "/x??",
    ] {
        assert_eq!(target(text).one().uri.to_string(), text);
    }
    assert_eq!(target("//x/y").one().uri.path(), "//x/y");
}

#[test]
fn path_bytes_that_are_refused() {
    for byte in [b"\x01", b"\x7f", b" ", b"<", b">", b"`", b"\xff"] {
        let line: [&[u8]; 3] = [b"GET /a", byte, b"b HTTP/1.1\r\nHost: a\r\n\r\n"];
        exchange(line.concat()).refused("400");
    }
}

#[test]
fn path_bytes_that_are_accepted() {
    for text in ["\"", "{", "}", "\\", "^", "[", "]", "|", "é"] {
        let seen = target(&format!("/a{text}b")).one();
        assert_eq!(seen.uri.path(), format!("/a{text}b"));
    }
}

#[test]
fn query_bytes_that_are_refused() {
    for text in ["\"", "<", ">", " ", "\x01"] {
        target(&format!("/a?{text}")).refused("400");
    }
}

#[test]
fn query_takes_the_backtick() {
    assert_eq!(target("/a?`").one().uri.query(), Some("`"));
}

#[test]
fn a_target_of_65535_bytes_is_hypers_own_414() {
    let long = format!("/{}", "a".repeat(65_533));
    assert_eq!(target(&long).one().uri.path().len(), 65_534);
    target(&format!("{long}a")).refused("414");
}

#[test]
fn methods_keep_their_bytes() {
    for method in ["delete", "DE!LETE"] {
        let seen = exchange(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).one();
        assert_eq!(seen.method.as_str(), method);
    }
}

#[test]
fn http_1_0_is_served_and_answered_as_1_0() {
    let outcome = exchange("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert!(outcome.answer.starts_with("HTTP/1.0 200 OK\r\n"));
    assert_eq!(outcome.one().version, Version::HTTP_10);
}

#[test]
fn other_versions_are_hypers_own_400() {
    for version in ["1.2", "2.0"] {
        exchange(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n")).refused("400");
    }
}

#[test]
fn the_h2_preface_is_closed_without_an_answer() {
    let outcome = exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(outcome.answer, "");
    assert!(outcome.seen.is_empty());
}
