"""Requests with curl: refusals have their documented form, and curl's bytes reach upstream unchanged."""

import http.client
import subprocess
import unittest

from support import gateway, refusals, tokens, upstream, wire

PATH = wire.PATH


def setUpModule():
    global UP, GATE, TOKEN
    UP = upstream.Upstream()
    GATE = gateway.Gateway(UP)
    TOKEN = tokens.token()


def tearDownModule():
    GATE.stop()
    UP.close()


def curl(target, *arguments, token=True):
    """Runs curl with the token on standard input, because other users can see a command line."""
    url = "http://%s:%d%s" % (*GATE.address, target)
    secret = f'header = "Authorization: Bearer {TOKEN}"\n' if token else ""
    command = ["curl", "--disable", "--config", "-", "--silent", "--show-error", "--include", "--globoff", "--noproxy", "*", "--max-time", "10", "--path-as-is", *arguments, url]
    done = subprocess.run(command, input=secret.encode(), capture_output=True, timeout=wire.PATIENCE)
    if done.returncode:
        raise AssertionError(f"curl ended with {done.returncode}: {done.stderr.decode()}")
    return parse(done.stdout)


def parse(output):
    """The last answer in curl's --include output."""
    head, _, body = output.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _, body = body.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    headers = http.client.HTTPMessage()
    for field in fields:
        name, value = field.decode("latin-1").split(":", 1)
        headers[name] = value.strip()
    return wire.Answer(int(line.split()[1]), headers, body)


class Curl(refusals.Refusals, unittest.TestCase):
    def setUp(self):
        UP.reset()

    def test_a_deletion_is_forwarded_and_answered_with_a_receipt(self):
        UP.then(upstream.answer(200, b'{"deleted":4711}', [("ac-revision", "19")]))
        got = curl(f"{PATH}/4711?v=4.0&x=%2F", "-X", "DELETE", "-H", "If-Match: 18")
        self.assert_passed(got)
        self.assertEqual((got.body, got.headers["ac-revision"]), (b'{"deleted":4711}', "19"))
        self.assertTrue(all(name in got.headers for name in refusals.RECEIPT))
        seen = UP.seen[0]
        self.assertEqual((seen.line, seen.values("if-match")), (f"DELETE {PATH}/4711?v=4.0&x=%2F HTTP/1.1".encode(), ["18"]))
        self.assertNotIn(TOKEN.encode(), seen.raw)
        self.assertTrue(seen.values("user-agent")[0].startswith("curl/"))

    def test_answers_come_back_unchanged(self):
        for status in (200, 404, 409, 412, 500):
            for method in ("GET", "PUT", "DELETE"):
                with self.subTest(status=status, method=method):
                    body = f'{{"status":{status}}}'.encode()
                    UP.then(upstream.answer(status, body, [("ac-revision", str(status))]))
                    data = ("--data-binary", "{}") if method == "PUT" else ()
                    got = curl(f"{PATH}/1?v=4.0", "-X", method, "-H", 'If-Match: "r1"', *data)
                    self.assert_passed(got, status)
                    self.assertEqual((got.body, got.headers["ac-revision"]), (body, str(status)))

    def test_refusals(self):
        match = ("-H", "If-Match: 17")
        for code, target, arguments, scope in (
            ("version-missing", f"{PATH}/1", ("-X", "DELETE", *match), None), ("version-unsupported", f"{PATH}/1?v=4", ("-X", "DELETE", *match), None),
            ("version-unsupported", f"{PATH}/1?v=4.0;ids=1", ("-X", "DELETE", *match), None), ("version-ambiguous", f"{PATH}/1?v=4.0&%76=5.0", ("-X", "DELETE", *match), None),
            ("version-ambiguous", f"{PATH}/1?v=4.0&a=b;v=5.0", ("-X", "DELETE", *match), None), ("if-match-missing", f"{PATH}/1?v=4.0", ("-X", "DELETE"), None),
            ("if-match-malformed", f"{PATH}/1?v=4.0", ("-X", "DELETE", "-H", "If-Match;"), None), ("if-match-malformed", f"{PATH}/1?v=4.0", ("-X", "DELETE", "-H", 'If-Match: W/"1"'), None),
            ("if-match-malformed", f"{PATH}/1?v=4.0", ("-X", "DELETE", *match, *match), None), ("if-match-unconditional", f"{PATH}/1?v=4.0", ("-X", "DELETE", "-H", 'If-Match: "-1"'), "users.delete.unconditional"),
            ("user-id-invalid", f"{PATH}/0?v=4.0", ("-X", "DELETE", *match), None), ("path-malformed", f"{PATH}/..?v=4.0", ("-X", "DELETE", *match), None),
            ("path-malformed", f"{PATH}/%2e%2e?v=4.0", ("-X", "DELETE", *match), None), ("path-malformed", f"{PATH}//1?v=4.0", ("-X", "DELETE", *match), None),
            ("path-malformed", f"{PATH}/?v=4.0", ("-X", "DELETE", *match), None), ("path-malformed", f"{PATH};x/1?v=4.0", ("-X", "DELETE", *match), None),
            ("request-malformed", f"{PATH}/1?v=4.0&_method=DELETE", ("-X", "POST", *match), None), ("request-malformed", f"{PATH}/1?v=4.0", ("-X", "POST", "-H", "X-HTTP-Method: DELETE", *match), None),
            ("request-malformed", f"{PATH}/1?v=4.0", ("-X", "POST", "-H", "X_HTTP_METHOD_OVERRIDE: DELETE", *match), None),
            ("request-malformed", f"{PATH}/1?v=4.0", ("-X", "POST", "-H", "X-HTTP-Method-Override: delete", *match), None),
            ("request-malformed", f"{PATH}/1?v=4.0", ("-X", "DELETE", "-H", "Connection: If-Match", *match), None),
            ("request-malformed", f"{PATH}/1?v=4.0", ("-X", "DELETE", "-H", f"Authorization: Bearer {TOKEN}", *match), None),
            ("body-unexpected", f"{PATH}/1?v=4.0", ("-X", "DELETE", "-H", "Transfer-Encoding: chunked", "--data-binary", "x", *match), None),
            ("body-unexpected", f"{PATH}/1?v=4.0", ("-X", "DELETE", "--data-binary", "{}", *match), None), ("body-invalid", f"{PATH}?v=4.0", ("-X", "DELETE", "--json", "[]", *match), None),
            ("body-invalid", f"{PATH}?v=4.0", ("-X", "DELETE", "--json", '["1",1]', *match), None), ("account-forbidden", f"{PATH.replace('123', '321')}/1?v=4.0", ("-X", "DELETE", *match), None),
            ("operation-unknown", f"{PATH}/query?v=4.0", ("--json", "{}"), None), ("method-not-allowed", f"{PATH}?v=4.0", ("-X", "PATCH"), None),
        ):
            with self.subTest(code=code, target=target, arguments=arguments):
                self.assert_refused(curl(target, *arguments), code, scope=scope)
        self.assert_refused(curl(f"{PATH}/1?v=4.0", "-X", "DELETE", *match, token=False), "token-missing")
        self.assert_refused(curl(f"{PATH}/1?v=4.0", "-X", "DELETE", *match, "-u", "a:b", token=False), "token-missing")
        self.assert_refused(curl(f"{PATH}/1?v=4.0", "-X", "DELETE", *match, "--oauth2-bearer", "not.a.token", token=False), "token-malformed")
        self.assert_unseen(UP)

    def test_a_post_that_overrides_is_a_deletion(self):
        got = curl(f"{PATH}/77?v=4.0", "-X", "POST", "-H", "X-HTTP-Method-Override: DELETE", "-H", "If-Match: 3")
        self.assert_passed(got)
        self.assertEqual(UP.seen[0].line.split()[0], b"POST")
        entry = GATE.deletions()[-1]
        self.assertEqual((entry["operation"], entry["users"], entry["outcome"], entry["request_id"]), ("users.delete", ["77"], "deleted", got.headers["x-request-id"]))

    def test_a_body_that_waits_for_100_continue_arrives(self):
        """curl sends `Expect: 100-continue`: the gateway answers it itself, and refuses without waiting for the body."""
        got = curl(f"{PATH}?v=4.0", "-X", "DELETE", "-H", "If-Match: 3", "-H", "Expect: 100-continue", "--data-binary", "[1, 2]")
        self.assert_passed(got)
        self.assertEqual((UP.seen[0].body, UP.seen[0].values("expect")), (b"[1, 2]", []))
        self.assert_refused(curl(f"{PATH}?v=4.0", "-X", "DELETE", "-H", "Expect: 100-continue", "--data-binary", "[1, 2]"), "if-match-missing")
        self.assertEqual(len(UP.seen), 1)

    def test_http2_is_unsupported_and_an_upgrade_is_ignored(self):
        got = curl(f"{PATH}?v=4.0", "-H", "Connection: Upgrade", "-H", "Upgrade: h2c")
        self.assert_passed(got)
        self.assertEqual((UP.seen[0].values("upgrade"), UP.seen[0].values("connection")), ([], []))


if __name__ == "__main__":
    unittest.main()
