"""The requirements for every refusal: RFC 9457, RFC 6750 and the documented names."""

import re

from . import wire

STATUS = {
    400: "version-missing version-unsupported version-ambiguous if-match-malformed user-id-invalid account-id-invalid"
    " path-malformed body-unexpected body-invalid request-malformed",
    401: "token-missing token-malformed token-signature token-algorithm token-key-unknown token-expired token-not-yet-valid"
    " token-issuer token-audience token-type token-claims token-binding",
    403: "account-forbidden scope-missing if-match-unconditional",
    404: "operation-unknown account-unknown",
    405: "method-not-allowed",
    408: "request-timeout",
    413: "body-too-large",
    414: "uri-too-long",
    428: "if-match-missing",
    431: "headers-too-large",
    502: "upstream-unreachable upstream-protocol",
    503: "audit-unavailable keys-unavailable overloaded draining",
    504: "upstream-timeout",
}
#: Code to status, of all that a client can bring about from outside; defects, failing disks and parts to come are left out.
CODES = {code: status for status, codes in STATUS.items() for code in codes.split()}
#: Codes that a test of this run has seen.
SHOWN = set()
RECEIPT = ("lychgate-receipt", "lychgate-receipt-leaf", "lychgate-receipt-signature")


class Refusals:
    """A mixin for unittest.TestCase."""

    def assert_refused(self, answer, code, sent="no", scope=None, receipt=False, **members):
        """Asserts that the answer is exactly this refusal: status, headers, challenge, body; `members` are further members of the body."""
        if not isinstance(answer, wire.Answer):
            answer = wire.Answer(answer.status_code, answer.headers, answer.content)
        headers = answer.headers
        shown = f"{answer!r}"
        self.assertEqual(headers.get("lychgate-refusal"), code, shown)
        self.assertEqual(answer.status, CODES[code], shown)
        self.assertEqual(headers["content-type"], "application/problem+json")
        problem = answer.json()
        wanted = {"type", "title", "status", "detail", "instance", "code", "request_id", "message", "sent"}
        self.assertEqual(set(problem), wanted | set(members), shown)
        self.assertEqual((problem["status"], problem["code"], problem["sent"]), (CODES[code], code, sent))
        self.assertEqual(problem["message"], problem["detail"])
        self.assertEqual(problem["request_id"], headers["x-request-id"])
        for name in ("type", "title", "detail", "instance"):
            self.assertTrue(isinstance(problem[name], str) and problem[name], name)
        for name, value in members.items():
            self.assertEqual(problem[name], value, shown)
        self.assertEqual(headers.get("www-authenticate"), _challenge(code, scope))
        self.assertEqual("allow" in headers, code == "method-not-allowed")
        self.assertEqual("retry-after" in headers, answer.status in (429, 503), shown)
        if "retry-after" in headers:
            self.assertTrue(re.fullmatch("[1-9][0-9]*", headers["retry-after"]), shown)
        self.assertEqual([name in headers for name in RECEIPT], [receipt] * 3, shown)
        SHOWN.add(code)
        return answer

    def assert_unseen(self, upstream):
        """Asserts that no byte has reached upstream."""
        self.assertEqual((upstream.total, upstream.seen), (0, []))

    def assert_passed(self, answer, status=200):
        """Asserts that the answer is upstream's."""
        code = answer.status if isinstance(answer, wire.Answer) else answer.status_code
        self.assertIsNone(answer.headers.get("lychgate-refusal"), f"{answer!r}")
        self.assertEqual(code, status, f"{answer!r}")
        self.assertTrue(answer.headers["x-request-id"])


def _challenge(code, scope):
    """RFC 6750, section 3: no `error` if the caller sent no token."""
    if code == "token-missing":
        return "Bearer"
    if code.startswith("token-"):
        return 'Bearer error="invalid_token"'
    if scope:
        return f'Bearer error="insufficient_scope", scope="{scope}"'
    return None
