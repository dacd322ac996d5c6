"""Checks after authentication: account, user id, version, If-Match, bodies. No refused request reaches upstream."""

import gzip
import json
import unittest

from support import gateway, refusals, tokens, upstream, wire

PATH = wire.PATH


def setUpModule():
    global UP, GATE, TOKEN
    UP = upstream.Upstream()
    GATE = gateway.Gateway(UP, limits={"max_body_bytes": "64KiB"})
    TOKEN = tokens.token(accounts=["*"])


def tearDownModule():
    GATE.stop()
    UP.close()


def ask(method, target, *headers, token=None, if_match="17", body=None):
    head = [f"Authorization: Bearer {token or TOKEN}"] + [f"If-Match: {if_match}"] * (if_match is not None) + list(headers)
    return wire.send(GATE.address, wire.request(method, target, *head, body=body))


class Contract(refusals.Refusals, unittest.TestCase):
    def setUp(self):
        UP.reset()

    def tearDown(self):
        self.assert_unseen(UP)

    def refuse(self, code, method, target, *headers, scope=None, **more):
        with self.subTest(method=method, target=target, headers=headers, more=str(more)[:80]):
            return self.assert_refused(ask(method, target, *headers, **more), code, scope=scope)

    def test_user_ids(self):
        for user in ("0", "-1", "01", "abc", "9223372036854775808", "+1", "1.0", "1e3", "0x1", "1_0", "%31"[:0] + "1%20", "1,2", "*", "99999999999999999999999", "%C2%B2", "1%3b", "00", "-0"):
            for method in ("DELETE", "GET", "PUT"):
                self.refuse("user-id-invalid", method, f"{PATH}/{user}?v=4.0")

    def test_accounts(self):
        for account in ("a" * 21, "a-b", "a.b", "1234%205", "12345678,1", "%C3%A4"):
            for method in ("DELETE", "GET"):
                self.refuse("account-id-invalid", method, f"{PATH.replace('12345678', account)}/1?v=4.0")
        self.refuse("account-unknown", "DELETE", f"{PATH.replace('12345678', '999')}/1?v=4.0")
        self.refuse("account-unknown", "GET", f"{PATH.replace('12345678', 'le_12345678')}?v=4.0")

    def test_versions(self):
        for code, queries in {
            "version-missing": ("", "?", "?a=b", "?v", "?V=4.0", "?a=b;v=4.0", "?a;v=4.0", "?=4.0", "?x=v=4.0", "?v&a=1", "?vv=4.0", "?include_deleted=true"),
            "version-unsupported": ("?v=4", "?v=4.00", "?v=", "?v=4%2E0", "?v=4.0;ids=1", "?v=%34.0", "?v=04.0", "?v=+4.0", "?v=4.0%20", "?v=5.0", "?v=4.0=", "?v=4.0;", "?%76=5.0", "?v=4.0;v=4.0"),
            "version-ambiguous": ("?v=4.0&%76=5.0", "?v=4.0&v=4.0", "?v=4.0&v", "?v&v=4.0", "?v=4.0&a=b;v=5.0", "?a;v=4.0&v=4.0", "?%76=4.0&%76=4.0", "?v=5.0&v=4.0"),
        }.items():
            for query in queries:
                for method, target in (("DELETE", f"{PATH}/1"), ("GET", PATH), ("PUT", f"{PATH}/1"), ("POST", PATH)):
                    self.refuse(code, method, target + query)

    def test_ids_in_a_query_are_refused_if_they_could_name_others(self):
        for query in ("v=4.0&ids=1", "ids=1&v=4.0", "v=4.0&ids", "v=4.0&%69ds=1", "v=4.0&a;ids=1", "v=4.0&i%64s="):
            self.refuse("request-malformed", "DELETE", f"{PATH}/1?{query}")
        for query in ("ids=1,2", "ids=2", "ids", "ids=", "ids=1&ids=1", "ids=01", "ids=%31"[:0] + "ids=1%2C2", "ids=1,1", "%69ds=2", "ids=1,"):
            self.refuse("body-invalid", "DELETE", f"{PATH}?v=4.0&{query}", body=b"[1]")
        self.refuse("request-malformed", "DELETE", f"{PATH}?v=4.0&a;ids=1", body=b"[1]")

    def test_if_match_is_required_once_and_well_formed(self):
        for method, target in (("DELETE", f"{PATH}/1?v=4.0"), ("PUT", f"{PATH}/1?v=4.0"), ("PUT", f"{PATH}?v=4.0"), ("DELETE", f"{PATH}?v=4.0")):
            self.refuse("if-match-missing", method, target, if_match=None)
            for value in ("", 'W/"1"', 'w/"1"', '"1", "2"', "1,2", "abc", "1 2", "-2", "+1", "1.5", '"', '"a', 'a"', '""a', "**", "1" * 20, '"' + "a" * 257 + '"', "0x1", '"a b"x', "1;", '"a"b"'):
                self.refuse("if-match-malformed", method, target, if_match=value)
            self.refuse("if-match-malformed", method, target, "If-Match: 17")
            self.refuse("if-match-malformed", method, target, "if-match: 18")

    def test_an_unconditional_deletion_needs_its_own_scope(self):
        for value in ("-1", "*", '"*"', '"-1"'):
            for target in (f"{PATH}/1?v=4.0", f"{PATH}?v=4.0"):
                self.refuse("if-match-unconditional", "DELETE", target, if_match=value, scope="users.delete.unconditional")
        self.refuse("if-match-unconditional", "POST", f"{PATH}/1?v=4.0", "X-HTTP-Method-Override: DELETE", if_match="*", scope="users.delete.unconditional")

    def test_a_single_deletion_has_no_content(self):
        for body in (b"{}", b"[]", b"[1]", b" "):
            self.refuse("body-unexpected", "DELETE", f"{PATH}/1?v=4.0", body=body)
        self.refuse("body-unexpected", "POST", f"{PATH}/1?v=4.0", "X-HTTP-Method-Override: DELETE", body=b"1")
        for chunks in (b"0\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\n"):
            head = wire.request("DELETE", f"{PATH}/1?v=4.0", f"Authorization: Bearer {TOKEN}", "If-Match: 1", "Transfer-Encoding: chunked")
            self.assert_refused(wire.send(GATE.address, head + chunks), "body-unexpected")

    def test_a_read_has_no_content_but_an_empty_object_or_list(self):
        for body in (b"{ }", b"[ ]", b"{}\n", b"null", b'{"a":1}', b"[1]", b"x" * 60_000, b"\xef\xbb\xbf{}"):
            for target in (PATH, f"{PATH}/1"):
                self.refuse("body-unexpected", "GET", f"{target}?v=4.0", body=body)

    def test_batch_bodies(self):
        bad = [b"", b"[]", b"{}", b"[0]", b'["x"]', b'["1",1]', b"[1.0]", b"[[1]]", b"[1,]", b"[1e3]", b"[-0]", b"[-1]", b"[01]", b'["01"]', b'[" 1"]', b"1", b'"1"', b"null",
               b"[null]", b"[true]", b"[1] 2", b"[1][2]", b"\xef\xbb\xbf[1]", b"[1", b"1]", b"[1,1]", b'["1","\\u0031"]', b"[9223372036854775808]", b'["9223372036854775808"]',
               b'[{"id":1}]', b'{"ids":[1]}', b"[1 2]", b"[,1]", b"[+1]", b'[""]', b'["\xff"]', b"[1]\0", b"\xa0[1]", b"['1']", b"[1]//", b"[1.5]", b"[NaN]", b"\xff\xfe[\x001\x00]\x00"]
        for body in bad:
            self.refuse("body-invalid", "DELETE", f"{PATH}?v=4.0", body=body)
        for coding in ("gzip", "identity", "br", ""):
            self.refuse("body-invalid", "DELETE", f"{PATH}?v=4.0", f"Content-Encoding: {coding}", body=gzip.compress(b"[1]") if coding == "gzip" else b"[1]")
        self.refuse("body-invalid", "DELETE", f"{PATH}?v=4.0")

    def test_a_batch_is_bounded(self):
        for body in (json.dumps(list(range(1, 5002))).encode(), b"[" + b" " * (256 * 1024) + b"1]"):
            self.refuse("body-too-large", "DELETE", f"{PATH}?v=4.0", body=body)
            head = wire.request("DELETE", f"{PATH}?v=4.0", f"Authorization: Bearer {TOKEN}", "If-Match: 1", "Transfer-Encoding: chunked")
            self.assert_refused(wire.send(GATE.address, head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)), "body-too-large")

    def test_a_write_beyond_the_configured_bound_is_too_large(self):
        self.refuse("body-too-large", "PUT", f"{PATH}/1?v=4.0", body=b"x" * 65_537)

    def test_accounts_and_scopes_are_the_tokens(self):
        elsewhere = tokens.token(accounts=["87654321"])
        none = tokens.token(accounts=None)
        text = tokens.token(accounts="12345678 87654321")
        for token in (elsewhere, none, text):
            for method, target in (("GET", PATH), ("DELETE", f"{PATH}/1"), ("PUT", PATH), ("POST", PATH)):
                self.refuse("account-forbidden", method, f"{target}?v=4.0", token=token)
        operations = {"users.read": (("GET", PATH), ("GET", f"{PATH}/1")), "users.write": (("POST", PATH), ("PUT", PATH), ("PUT", f"{PATH}/1")),
                      "users.delete": (("DELETE", PATH), ("DELETE", f"{PATH}/1"))}
        for scope, asked in operations.items():
            for held in (None, "", " ".join(set(operations) - {scope}), scope + "x", scope.upper(), scope + ".unconditional"):
                token = tokens.token(scope=held)
                for method, target in asked:
                    self.refuse("scope-missing", method, f"{target}?v=4.0", token=token, scope=scope)
        self.refuse("scope-missing", "POST", f"{PATH}/1?v=4.0", "X-HTTP-Method-Override: DELETE", token=tokens.token(scope="users.write"), scope="users.delete")

    def test_the_checks_run_in_order(self):
        """Each request has several faults; the refusal names the first in order."""
        bad = f"{PATH.replace('12345678', 'a-b')}/abc"
        stranger, reader = tokens.token(accounts=["1"]), tokens.token(scope="users.read", accounts=["*"])
        for code, method, target, more in (
            ("path-malformed", "DELETE", f"{PATH}/1/../x", {"token": "x"}), ("token-malformed", "DELETE", bad, {"token": "x"}),
            ("account-forbidden", "DELETE", bad, {"token": stranger}), ("scope-missing", "DELETE", bad, {"token": reader}),
            ("account-id-invalid", "DELETE", bad, {}), ("user-id-invalid", "DELETE", f"{PATH}/abc", {}),
            ("version-missing", "DELETE", f"{PATH}/1?ids=1", {"if_match": ""}), ("request-malformed", "DELETE", f"{PATH}/1?v=4.0&ids=1", {"if_match": ""}),
            ("if-match-malformed", "DELETE", f"{PATH}/1?v=4.0", {"if_match": "", "body": b"x"}), ("if-match-missing", "DELETE", f"{PATH}/1?v=4.0", {"if_match": None, "body": b"x"}),
            ("if-match-unconditional", "DELETE", f"{PATH}/1?v=4.0", {"if_match": "*", "body": b"x"}), ("body-unexpected", "DELETE", f"{PATH.replace('12345678', '999')}/1?v=4.0", {"body": b"x"}),
        ):
            scope = {"scope-missing": "users.delete", "if-match-unconditional": "users.delete.unconditional"}.get(code)
            self.refuse(code, method, target, scope=scope, **more)


if __name__ == "__main__":
    unittest.main()
