"""How clients in the field call: python-requests as the PyPI package tap-liveperson uses it, and its `{}` body on a GET.

tap-liveperson 1.0.1 pins releases of requests and urllib3 that current Pythons cannot import, so its one call is made here as its
`client.py` makes it: `requests.request(method, url, headers={'Content-Type': …}, auth=…, params=…, json=body)`, with `params` and
`body` both `{}` for users, on `/users?include_deleted=true`."""

import unittest

import requests
import requests_oauthlib
from support import gateway, refusals, tokens, upstream, wire

PATH = wire.PATH


class Bearer(requests.auth.AuthBase):
    def __init__(self, token):
        self.token = token

    def __call__(self, request):
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def setUpModule():
    global UP, GATE
    UP = upstream.Upstream(upstream.answer(200, b'[{"id":4711,"loginName":"ada"}]'))
    GATE = gateway.Gateway(UP)


def tearDownModule():
    GATE.stop()
    UP.close()


def call(target, auth, method="GET", params=None, body=None, **more):
    session = requests.Session()
    session.trust_env = False
    with session:
        url = "http://%s:%d%s" % (*GATE.address, target)
        return session.request(method, url, headers={"Content-Type": "application/json", **more}, auth=auth, params=params, json=body, timeout=wire.PATIENCE)


class Tap(refusals.Refusals, unittest.TestCase):
    def setUp(self):
        UP.reset()
        self.auth = Bearer(tokens.token())

    def test_its_call_without_v_is_refused(self):
        self.assert_refused(call(f"{PATH}?include_deleted=true", self.auth, params={}, body={}), "version-missing")
        self.assert_unseen(UP)

    def test_its_oauth_1_header_is_not_a_bearer_token(self):
        auth = requests_oauthlib.OAuth1("key", "secret", "token", "token_secret")
        self.assert_refused(call(f"{PATH}?include_deleted=true", auth, params={}, body={}), "token-missing")
        self.assert_unseen(UP)

    def test_with_v_its_get_works_and_the_body_is_dropped(self):
        got = call(f"{PATH}?include_deleted=true&v=4.0", self.auth, params={}, body={})
        self.assert_passed(got)
        self.assertEqual(got.json(), [{"id": 4711, "loginName": "ada"}])
        self.assertEqual((UP.seen[0].target, UP.seen[0].body), (f"{PATH}?include_deleted=true&v=4.0".encode(), b""))

    def test_v_given_as_a_parameter_works(self):
        self.assert_passed(call(f"{PATH}?include_deleted=true", self.auth, params={"v": "4.0"}, body={}))
        self.assert_refused(call(PATH, self.auth, params={"v": 4}, body={}), "version-unsupported")
        self.assert_refused(call(f"{PATH}?v=4.0", self.auth, params={"v": "4.0"}, body={}), "version-ambiguous")

    def test_a_deletion_with_an_empty_object_is_refused(self):
        """The same helper sends `{}` with a deletion, which upstream's collection would take for a batch."""
        match = {"If-Match": "17"}
        self.assert_refused(call(f"{PATH}/4711?v=4.0", self.auth, "DELETE", body={}, **match), "body-unexpected")
        self.assert_refused(call(f"{PATH}/?v=4.0", self.auth, "DELETE", body={}, **match), "path-malformed")
        self.assert_refused(call(f"{PATH}?v=4.0", self.auth, "DELETE", body={}, **match), "body-invalid")
        self.assert_unseen(UP)

    def test_a_batch_from_requests_is_forwarded_unchanged(self):
        got = call(f"{PATH}?v=4.0", self.auth, "DELETE", body=["4711", 4712], **{"If-Match": "17"})
        self.assert_passed(got)
        self.assertEqual(UP.seen[0].body, b'["4711", 4712]')

    def test_reads_update_and_delete_by_revision(self):
        """The usual loop of a script: read, take `ac-revision`, send it back."""
        read = call(f"{PATH}/4711?v=4.0", self.auth)
        revision = read.headers["ac-revision"]
        for method, body in (("PUT", {"loginName": "x"}), ("DELETE", None)):
            self.assert_passed(call(f"{PATH}/4711?v=4.0", self.auth, method, body=body, **{"If-Match": revision}))
        self.assertEqual([seen.values("if-match") for seen in UP.seen], [[], [revision], [revision]])


if __name__ == "__main__":
    unittest.main()
