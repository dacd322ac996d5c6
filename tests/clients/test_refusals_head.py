"""Checks before authentication: path, query form, overrides, framing, and the rest of the head. No refused request reaches upstream."""

import socket
import unittest

from support import gateway, refusals, tokens, upstream, wire

PATH = wire.PATH
ONE = f"{PATH}/4711?v=4.0"


def setUpModule():
    global UP, GATE, TOKEN
    UP = upstream.Upstream()
    GATE = gateway.Gateway(UP, limits={"max_uri_bytes": "2KiB", "max_head_bytes": "4KiB"})
    TOKEN = tokens.token(accounts="*", scope="users.read users.write users.delete users.password users.delete.unconditional")


def tearDownModule():
    GATE.stop()
    UP.close()


def ask(method, target, *headers, token=True, if_match="17", body=None, host="gate.example"):
    head = [f"Authorization: Bearer {TOKEN}"] * token + [f"If-Match: {if_match}"] * (if_match is not None) + list(headers)
    return wire.send(GATE.address, wire.request(method, target, *head, body=body, host=host))


class Head(refusals.Refusals, unittest.TestCase):
    def setUp(self):
        UP.reset()

    def tearDown(self):
        self.assert_unseen(UP)

    def refuse(self, code, method, target, *headers, **more):
        """Asserts this refusal with and without a token, because the check precedes authentication."""
        answer = None
        for token in (True, False):
            with self.subTest(method=method, target=target, headers=headers, token=token):
                answer = self.assert_refused(ask(method, target, *headers, token=token, **more), code)
        return answer

    def test_an_ambiguous_path_is_path_malformed(self):
        users = ["..", ".", "%2e%2e", "%2E%2e", ".%2e", "%2e", "%2F", "%2f1", "%5C", "%5c1", "1%5c2", "\\1", "12%33", "%34", "1%2D", "1%7e", "1;x=1", "%",
                 "%4", "%zz", "1%", "1/", "1//", "", "/1", "1/../2", "1/./2", "1/%2e%2e/2"]
        for user in users:
            for method in ("DELETE", "GET", "PUT"):
                self.refuse("path-malformed", method, f"{PATH}/{user}?v=4.0")
        for path in (PATH + ";x/1", PATH.replace("/users", "//users"), "/" + PATH + "/1", PATH.replace("api", "%61pi") + "/1", PATH.replace("/api", "/../api"),
                     PATH.replace("12345678", "1234567%38"), PATH.replace("12345678", "..") + "/1", PATH.replace("12345678", "a%2Fb")):
            self.refuse("path-malformed", "DELETE", f"{path}?v=4.0")

    def test_paths_outside_the_contract_are_operation_unknown(self):
        for method in ("GET", "POST", "PUT", "DELETE"):
            for path in ("/", "/api", PATH[:-1], PATH + "x", f"{PATH}/query", f"{PATH}/batch", f"{PATH}/1/2", f"{PATH}/1/resetPasswords", PATH.upper(), f"{PATH}%20",
                         "/api/account/configuration/le-users/users/query", f"{PATH}/query/1"):
                self.refuse("operation-unknown", method, f"{path}?v=4.0")
        for path in ("resetPassword", "changePassword"):
            answer = self.refuse("operation-unknown", "PUT", f"{PATH}/1/{path}?v=4.0")
            self.assertIn("through this gateway", answer.json()["detail"])

    def test_an_unknown_method_gets_the_allowed_ones(self):
        for method, target, allowed in (("PATCH", PATH, "GET, POST, PUT, DELETE"), ("HEAD", f"{PATH}/1", None), ("POST", f"{PATH}/1", "GET, PUT, DELETE"),
                                        ("OPTIONS", PATH, "GET, POST, PUT, DELETE"), ("delete", f"{PATH}/1", "GET, PUT, DELETE"), ("TRACE", PATH, "GET, POST, PUT, DELETE")):
            with self.subTest(method=method):
                answer = ask(method, f"{target}?v=4.0")
                if allowed is None:  # An answer to HEAD has no body.
                    self.assertEqual((answer.status, answer.headers["lychgate-refusal"], answer.body), (405, "method-not-allowed", b""))
                    continue
                self.assert_refused(answer, "method-not-allowed")
                self.assertEqual(set(answer.headers["allow"].split(", ")), set(allowed.split(", ")))

    def test_an_unlisted_override_is_request_malformed(self):
        name = "X-HTTP-Method-Override"
        for method, target, *headers in (
            ("POST", ONE, f"{name}: delete"), ("POST", ONE, f"{name}: Delete"), ("POST", ONE, f"{name}: DELETE "[:-1] + ",DELETE"), ("GET", ONE, f"{name}: DELETE"),
            ("PUT", ONE, f"{name}: DELETE"), ("DELETE", ONE, f"{name}: GET"), ("DELETE", ONE, f"{name}: PUT"), ("POST", ONE, f"{name}:"),
            ("POST", ONE, f"{name}: PATCH"), ("POST", ONE, f"{name}: DELETE", f"{name}: DELETE"), ("POST", ONE, f"{name}: DELETE", f"{name}: PUT"),
            ("POST", f"{PATH}?v=4.0", f"{name}: POST"), ("GET", ONE, f"{name}: GET"), ("POST", ONE, f"{name}: D\xc9LETE"), ("PATCH", ONE, f"{name}: DELETE"),
        ):
            self.refuse("request-malformed", method, target, *headers)

    def test_look_alikes_of_the_override_are_request_malformed(self):
        for name in ("X-HTTP-Method", "X-Method-Override", "X_HTTP_METHOD_OVERRIDE", "X-HTTP-Method_Override", "X_HTTP_Method", "x_method_override"):
            for method in ("POST", "DELETE", "GET"):
                self.refuse("request-malformed", method, ONE, f"{name}: DELETE")
        for query in ("v=4.0&_method=DELETE", "_method=DELETE&v=4.0", "v=4.0&_method", "v=4.0&%5fmethod=DELETE", "v=4.0&%5Fm%65thod=DELETE", "v=4.0&a=b;_method=DELETE", "v=4.0&_method="):
            for method, target in (("POST", PATH), ("GET", PATH), ("DELETE", f"{PATH}/1"), ("PUT", f"{PATH}/1")):
                self.refuse("request-malformed", method, f"{target}?{query}")

    def test_an_unreadable_query_is_request_malformed(self):
        for query in ("v=4.0&%=1", "v=4.0&%4=1", "%zz&v=4.0", "v=4.0&a;%g=1"):
            self.refuse("request-malformed", "DELETE", f"{PATH}/1?{query}")

    def test_headers_spelled_with_an_underscore_are_request_malformed(self):
        for name in ("if_match", "X_Request_ID", "x_forwarded_for", "Content_Length", "Transfer_Encoding", "X_Real_IP", "proxy_authorization"):
            self.refuse("request-malformed", "DELETE", ONE, f"{name}: 1")
        self.refuse("request-malformed", "PUT", ONE, "content_length: 0", body=b"{}")

    def test_an_ambiguous_head_is_refused(self):
        token = f"Authorization: Bearer {TOKEN}"
        for headers in ((token, token), ("Authorization: Basic YTpi", token), ("Connection: If-Match",), ("Connection: close, if-match",), ("Connection: Authorization",),
                        ("Connection: x-anything, Host",), ("Connection: Content-Type",), ("Connection: X-HTTP-Method-Override",), ("Expect: 200-ok",), ("Expect: 100-continue, x",)):
            with self.subTest(headers=headers):
                self.assert_refused(ask("DELETE", ONE, *headers, token=headers[-1] != token), "request-malformed")
        for host in ("gate.example\r\nHost: gate.example", "a\r\nHost: b", "", "a b", "user@gate.example", "gate.example/x", "gate.example:port", "gate.example:99999"):
            self.refuse("request-malformed", "DELETE", ONE, host=host)
        self.refuse("request-malformed", "DELETE", ONE, host=None)
        self.refuse("request-malformed", "DELETE", f"http://user@gate.example{ONE}")
        self.assertIn(ask("DELETE", f"http://other.example{ONE}").headers["lychgate-refusal"], ("request-malformed", "path-malformed"))

    def test_a_request_that_is_too_long_has_its_own_refusal(self):
        self.refuse("uri-too-long", "DELETE", f"{ONE}&a={'x' * 2048}")
        self.refuse("uri-too-long", "GET", f"{PATH}/{'1' * 20_000}?v=4.0")
        self.refuse("headers-too-large", "DELETE", ONE, f"Cookie: {'x' * 4096}")
        self.refuse("headers-too-large", "DELETE", ONE, *[f"X-{n}: {'y' * 50}" for n in range(80)])
        self.refuse("headers-too-large", "GET", ONE, f"X: {'x' * 60_000}")

    def test_invalid_http_is_request_malformed(self):
        lines = f"Authorization: Bearer {TOKEN}\r\nIf-Match: 1\r\n"
        for data in (b"\x16\x03\x01\0\0", b"GET\r\n\r\n", f"DELETE {ONE} HTTP/1.1\nHost : a\r\n{lines}\r\n".encode(), f"DELETE {ONE} HTTP/1.1\r\nHost: a\r\n if-match: 1\r\n{lines}\r\n".encode(),
                     f"DELETE {ONE} HTTP/3.0\r\nHost: a\r\n{lines}\r\n".encode(), f"DELETE {ONE} x HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode(),
                     f"DELETE {PATH}/1\0?v=4.0 HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode(), f"DELETE {ONE} HTTP/1.1\r\nHost: a\r\n{lines}X: a\0b\r\n\r\n".encode()):
            with self.subTest(data=data[:60]), socket.create_connection(GATE.address, timeout=wire.PATIENCE) as connection:
                connection.sendall(data)
                answer = self.assert_refused(wire.read(connection), "request-malformed")
                self.assertEqual(answer.headers["connection"], "close")
                self.assertEqual(connection.recv(1), b"")

    def test_a_head_beyond_the_parser_has_its_own_refusal(self):
        self.refuse("uri-too-long", "DELETE", f"{ONE}&a={'x' * 66_000}")
        for method in ("GET", "PUT", "DELETE"):
            self.refuse("headers-too-large", method, ONE, *[f"X-{n}: 1" for n in range(100)])
        self.refuse("headers-too-large", "GET", ONE, f"X: {'x' * 600_000}")


class Smuggling(refusals.Refusals, unittest.TestCase):
    """`Content-Length` with `Transfer-Encoding`, and other framings that two servers could read differently."""

    def test_upstream_sees_only_the_request_that_was_checked(self):
        hidden = wire.request("DELETE", f"{PATH}/987654321987?v=4.0", "If-Match: 1", host="x")
        token = f"Authorization: Bearer {TOKEN}"
        for framing in (("Content-Length: 5", "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked", "Content-Length: %d" % (len(hidden) + 5)),
                        ("Transfer-Encoding: chunked, chunked",), ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), ("Transfer-Encoding: xchunked",),
                        ("Transfer-Encoding: gzip, chunked",), ("Content-Length: 5", "Content-Length: 6"), ("Content-Length: +5",), ("Content-Length: 5, 5",),
                        ("Transfer-Encoding:\tchunked",), ("Transfer-Encoding: Chunked", "Content-Length: 3"), ("Transfer-Encoding: \x0bchunked",), ("Content-Length: 0x5",)):
            for method in ("PUT", "DELETE", "GET"):
                with self.subTest(framing=framing, method=method):
                    UP.reset()
                    data = wire.request(method, f"{PATH}/4711?v=4.0", token, "If-Match: 1", *framing) + b"0\r\n\r\n" + hidden
                    with socket.create_connection(GATE.address, timeout=wire.PATIENCE) as connection:
                        connection.sendall(data)
                        connection.shutdown(socket.SHUT_WR)
                        try:
                            b"".join(iter(lambda: connection.recv(65536), b""))
                        except ConnectionResetError:
                            pass
                    for seen in UP.seen:
                        self.assertIn(b"/4711?", seen.line)
                        self.assertNotIn(b"987654321987", seen.raw)
                        self.assertLess(len(seen.values("content-length")) + len(seen.values("transfer-encoding")), 2)
                    self.assertLessEqual(len(UP.seen), 0 if method == "DELETE" else 1)


if __name__ == "__main__":
    unittest.main()
