//! Content-Length and Transfer-Encoding.

use super::{exchange, request};

#[test]
fn content_length_beside_chunked_is_removed_in_either_order() {
    for lines in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    ] {
        let behind = "2\r\nab\r\n0\r\n\r\nGET /behind HTTP/1.1\r\nHost: a\r\n\r\n";
        let outcome = request(lines, behind);
        assert!(outcome.answer.contains("connection: close\r\n"), "{lines}");
        let seen = outcome.one();
        assert!(seen.all("content-length").is_empty(), "{lines}");
        assert_eq!(seen.body.unwrap(), "ab");
    }
}

#[test]
fn two_equal_lengths_reach_the_service_as_the_first_alone() {
    let seen = request("Content-Length: 2\r\nContent-Length: 02\r\n", "ab").one();
    assert_eq!(seen.all("content-length"), [b"2"]);
    assert_eq!(seen.body.unwrap(), "ab");
}

#[test]
fn a_length_with_leading_zeros_keeps_its_text() {
    let seen = request("Content-Length: 003\r\n", "abc").one();
    assert_eq!(seen.all("content-length"), [b"003"]);
    assert_eq!(seen.body.unwrap(), "abc");
}

#[test]
fn a_malformed_length_is_hypers_own_400() {
    for value in ["2, 2", "+3", "", "18446744073709551616", "-1", "0x3"] {
        request(&format!("Content-Length: {value}\r\n"), "").refused("400");
    }
}

#[test]
fn unequal_lengths_are_hypers_own_400() {
    request("Content-Length: 2\r\nContent-Length: 3\r\n", "abc").refused("400");
}

#[test]
fn the_largest_length_is_hypers_own_431() {
    request("Content-Length: 18446744073709551615\r\n", "").refused("431");
}

#[test]
fn a_coding_that_does_not_end_in_chunked_is_hypers_own_400() {
    for value in ["gzip", "chunked, gzip", "", "chunked;q=1", "identity"] {
        request(&format!("Transfer-Encoding: {value}\r\n"), "").refused("400");
    }
}

#[test]
fn a_coding_on_http_1_0_is_hypers_own_400() {
    exchange("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").refused("400");
}

#[test]
fn odd_codings_that_end_in_chunked_reach_the_service() {
    for value in ["gzip, chunked", "chunked, chunked", "CHUNKED"] {
        let lines = format!("Transfer-Encoding: {value}\r\n");
        let seen = request(&lines, "2\r\nab\r\n0\r\n\r\n").one();
        assert_eq!(seen.all("transfer-encoding"), [value.as_bytes()]);
        assert_eq!(seen.body.unwrap(), "ab");
    }
}

#[test]
fn two_lines_of_chunked_reach_the_service() {
    let lines = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    let seen = request(lines, "0\r\n\r\n").one();
    assert_eq!(seen.all("transfer-encoding").len(), 2);
}
