"""Forwarding, with httpx and raw bytes: path, query, If-Match and bodies reach upstream unchanged, and answers come back unchanged."""

import json
import unittest

import httpx
from support import gateway, refusals, tokens, upstream, wire

PATH = wire.PATH


def setUpModule():
    global UP, GATE, TOKEN
    UP = upstream.Upstream()
    GATE = gateway.Gateway(UP)
    TOKEN = tokens.token(scope=tokens.SCOPES + " users.delete.unconditional")


def tearDownModule():
    GATE.stop()
    UP.close()


class Forwarding(refusals.Refusals, unittest.TestCase):
    def setUp(self):
        UP.reset()
        base = "http://%s:%d" % GATE.address
        self.client = httpx.Client(base_url=base, trust_env=False, timeout=wire.PATIENCE, headers={"Authorization": f"Bearer {TOKEN}"})
        self.addCleanup(self.client.close)

    def raw(self, method, target, *headers, body=None):
        return wire.send(GATE.address, wire.request(method, target, f"Authorization: Bearer {TOKEN}", *headers, body=body))

    def test_every_status_body_and_revision_comes_back_unchanged(self):
        """200, 404, 409, 412, 500 and others, for a read, a write and a deletion."""
        bodies = {200: b'{"id":4711,"name":"\xc3\xa4"}', 404: b'{"message":"no such user"}', 409: b'{"type":"conflict"}',
                  412: b"", 500: b"<html>\0\xff", 201: b"{}", 204: b"", 304: b"", 400: b"a" * 70_000, 401: b"?", 429: b"slow", 503: b"-"}
        for status, body in bodies.items():
            for method in ("GET", "PUT", "DELETE"):
                with self.subTest(status=status, method=method):
                    headers = [("ac-revision", f'{status}77'), ("ETag", f'"{status}"'), ("X-Theirs", "a, b"), ("Content-Type", "x/y")]
                    UP.then(upstream.answer(status, body, headers))
                    content = b"{}" if method == "PUT" else None
                    got = self.client.request(method, f"{PATH}/4711?v=4.0", headers={"If-Match": "17"}, content=content)
                    self.assert_passed(got, status)
                    self.assertEqual(got.content, b"" if status in (204, 304) else body)
                    for name, value in headers:
                        self.assertEqual(got.headers.get_list(name), [value])
                    self.assertEqual("lychgate-receipt" in got.headers, method == "DELETE")

    def test_an_answer_without_a_length_and_one_in_chunks_come_back_whole(self):
        for method in ("GET", "DELETE"):
            head = b"HTTP/1.1 200 OK\r\nac-revision: 5\r\n"
            for raw in (head + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nx-sum: 1\r\n\r\n",
                        (head + b"\r\nabcdefg", upstream.CLOSE)):
                UP.then(raw)
                got = self.client.request(method, f"{PATH}/4711?v=4.0", headers={"If-Match": "17"})
                self.assertEqual((got.status_code, got.content, got.headers["ac-revision"]), (200, b"abcdefg", "5"))
                self.assertNotIn("x-sum", got.headers)

    def test_path_and_query_reach_upstream_byte_for_byte(self):
        for target in (f"{PATH}?v=4.0", f"{PATH}/9223372036854775807?v=4.0", f"{PATH}/1?select=$all&v=4.0&&x",
                       f"{PATH}/1?a=%41%2f%2F+b&v=4.0&A=%c3%a4&q=a/b?c:d@e!$'()*,~", f"{PATH}?%76=4.0&vv=5&v%5B%5D=1", f"{PATH}?V=3&v=4.0&x=;y"):
            with self.subTest(target=target):
                UP.reset()
                self.assert_passed(self.raw("GET", target))
                self.assertEqual(UP.seen[0].line, f"GET {target} HTTP/1.1".encode())

    def test_an_absolute_target_is_sent_as_path_and_query(self):
        target = f"{PATH}/1?v=4.0&x=%2e"
        self.assert_passed(self.raw("GET", f"http://gate.example{target}"))
        self.assertEqual(UP.seen[0].line, f"GET {target} HTTP/1.1".encode())
        self.assertEqual(UP.seen[0].values("host"), ["127.0.0.1:%d" % UP.address[1]])

    def test_if_match_reaches_upstream_byte_for_byte(self):
        values = ["1", "0", "9999999999999999999", "007", '"abc"', '"' + "e" * 254 + '"', '"a,b"', '"\xe4"', "-1", "*", '"*"', '"-1"']
        for value in values:
            for method, body in (("DELETE", None), ("PUT", b"{}")):
                with self.subTest(value=value, method=method):
                    UP.reset()
                    self.assert_passed(self.raw(method, f"{PATH}/1?v=4.0", f"If-Match: {value}", body=body))
                    self.assertEqual(UP.seen[0].values("if-match"), [value])

    def test_the_callers_token_cookies_and_identity_headers_are_removed(self):
        kept = ["X-Custom: b", "X-Custom: a  c", "Accept: */*", "User-Agent: me", "Content-Type: application/json", "LP-Thing: 1"]
        for method in ("GET", "DELETE"):
            UP.reset()
            self.assert_passed(self.raw(method, f"{PATH}/1?v=4.0", "If-Match: 1", "Cookie: a=b", "Forwarded: for=1.2.3.4", "X-Forwarded-For: 1.2.3.4",
                                        "X-Forwarded-Host: evil", "X-Real-IP: 1.2.3.4", "Via: 1.0 x", "X-Request-ID: theirs", "Keep-Alive: 5",
                                        "TE: trailers", "Proxy-Authorization: Basic eA==", "Connection: keep-alive, te", *kept))
            seen = UP.seen[0]
            self.assertNotIn(TOKEN.encode(), seen.raw)
            for name in ("authorization", "cookie", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "keep-alive", "te", "proxy-authorization"):
                self.assertEqual(seen.values(name), [], name)
            self.assertEqual(seen.values("x-custom"), ["b", "a  c"])
            self.assertEqual(seen.values("via"), ["1.1 lychgate"])
            self.assertEqual(seen.values("forwarded"), ["for=127.0.0.1;proto=http;host=gate.example"])
            self.assertNotIn(b"theirs", seen.raw)
            for line in kept:
                name, value = line.split(": ", 1)
                self.assertIn(value, seen.values(name))

    def test_request_id_and_trace_go_upstream_and_the_id_comes_back(self):
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        got = self.client.get(f"{PATH}?v=4.0", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        seen = UP.seen[0]
        self.assertEqual(seen.values("x-request-id"), [got.headers["x-request-id"]])
        self.assertRegex(seen.values("traceparent")[0], f"^00-{trace}-[0-9a-f]{{16}}-01$")
        self.client.get(f"{PATH}?v=4.0")
        self.assertRegex(UP.seen[1].values("traceparent")[0], "^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$")

    def test_upstream_cannot_set_the_gateways_headers(self):
        theirs = [("lychgate-refusal", "token-missing"), ("lychgate-receipt", "a/1"), ("Lychgate-Anything", "x"), ("X-Request-Id", "theirs"),
                  ("Connection", "close, x-hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"), ("ac-revision", "3")]
        UP.then(upstream.answer(200, b"{}", theirs))
        got = self.client.get(f"{PATH}?v=4.0")
        self.assert_passed(got)
        self.assertEqual([name for name in got.headers if name.startswith("lychgate") or name in ("x-hop", "keep-alive")], [])
        self.assertNotEqual(got.headers["x-request-id"], "theirs")
        self.assertEqual(got.headers["ac-revision"], "3")

    def test_redirects_are_returned_and_not_followed(self):
        for status in (301, 302, 303, 307, 308):
            UP.reset()
            UP.then(upstream.answer(status, b"", [("Location", UP.origin + "/elsewhere")]))
            got = self.client.delete(f"{PATH}/1?v=4.0", headers={"If-Match": "1"})
            self.assert_passed(got, status)
            self.assertEqual((got.headers["location"], len(UP.seen)), (UP.origin + "/elsewhere", 1))

    def test_bodies_of_writes_pass_unread_whole_and_in_chunks(self):
        for content in (b"", b"not json \xff\0", json.dumps([{"id": 1}]).encode(), b"x" * 3_000_000):
            for method, target in (("POST", PATH), ("PUT", PATH), ("PUT", f"{PATH}/1")):
                UP.reset()
                self.assert_passed(self.client.request(method, f"{target}?v=4.0", headers={"If-Match": "1"}, content=content))
                self.assertEqual((UP.seen[0].method, UP.seen[0].body), (method, content))
        UP.reset()
        parts = [b"a" * 10, b"b" * 100_000, b"c"]
        self.assert_passed(self.client.post(f"{PATH}?v=4.0", content=iter(parts)))
        self.assertEqual(UP.seen[0].body, b"".join(parts))

    def test_reads_may_carry_an_empty_object_or_list_which_is_dropped(self):
        for body in (b"{}", b"[]"):
            UP.reset()
            self.assert_passed(self.raw("GET", f"{PATH}/1?v=4.0", "Content-Type: application/json", body=body))
            self.assertEqual((UP.seen[0].body, UP.seen[0].values("content-length"), UP.seen[0].values("transfer-encoding")), (b"", [], []))

    def test_the_checked_batch_is_the_sent_batch(self):
        for body in (b'["1"]', b' [ 1 , "2",\n3\t]\r\n', b'["\\u0031\\u0032"]', b"[9223372036854775807]"):
            UP.reset()
            self.assert_passed(self.raw("DELETE", f"{PATH}?v=4.0", "If-Match: 1", body=body))
            self.assertEqual(UP.seen[0].body, body)
            UP.reset()
            chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            head = wire.request("DELETE", f"{PATH}?v=4.0", f"Authorization: Bearer {TOKEN}", "If-Match: 1", "Transfer-Encoding: chunked")
            self.assert_passed(wire.send(GATE.address, head + chunked))
            self.assertEqual(UP.seen[0].body, body)
        self.assert_passed(self.raw("DELETE", f"{PATH}?v=4.0&ids=2,1", "If-Match: 1", body=b"[1,2]"))

    def test_a_listed_override_is_sent_unchanged(self):
        for method, override, target in (("POST", "DELETE", f"{PATH}/1"), ("DELETE", "DELETE", f"{PATH}/1"), ("POST", "PUT", f"{PATH}/1"), ("PUT", "PUT", PATH)):
            UP.reset()
            body = b"{}" if override == "PUT" else None
            got = self.raw(method, f"{target}?v=4.0", "If-Match: 1", f"X-HTTP-Method-Override: {override}", body=body)
            self.assert_passed(got)
            self.assertEqual((UP.seen[0].method, UP.seen[0].values("x-http-method-override")), (method, [override]))
            self.assertEqual("lychgate-receipt" in got.headers, override == "DELETE")

    def test_one_connection_carries_many_requests_and_refusals(self):
        """On a kept connection, an httpx client gets each answer in its turn."""
        for number in range(1, 30):
            UP.then(upstream.answer(200, str(number).encode()))
            self.assertEqual(self.client.get(f"{PATH}/{number}?v=4.0").content, str(number).encode())
            self.assert_refused(self.client.get(f"{PATH}/{number}"), "version-missing")
        self.assertEqual(len(UP.seen), 29)


if __name__ == "__main__":
    unittest.main()
