"""Tokens made with PyJWT and cryptography: every algorithm from a key file and a key URL, and every token refusal."""

import base64
import hashlib
import hmac
import json
import os
import time
import unittest

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support import gateway, issuer, refusals, tokens, upstream, wire

PATH = wire.PATH
URL_ISSUER = "https://second.example.com"


def setUpModule():
    global UP, GATE, ISSUER
    UP, ISSUER = upstream.Upstream(), issuer.Issuer()
    second = gateway.issuer(issuer=URL_ISSUER, jwks_file=None, jwks_url=ISSUER.url, audience=["other", "second"], accounts_claim="sites", scopes_claim="scp", client_claim="app")
    only = gateway.issuer(issuer="https://only.example.com", algorithms=["ES256"])
    GATE = gateway.Gateway(UP, issuer=[gateway.issuer(), second, only])
    GATE.wait_for_line(f'key set.*{URL_ISSUER}|{URL_ISSUER}.*key set')


def tearDownModule():
    GATE.stop()
    UP.close()
    ISSUER.close()


def ask(token, target=f"{PATH}/1?v=4.0", method="GET", scheme="Bearer"):
    return wire.send(GATE.address, wire.request(method, target, f"Authorization: {scheme} {token}", "If-Match: 1"))


def part(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Tokens(refusals.Refusals, unittest.TestCase):
    def setUp(self):
        UP.reset()

    def refuse(self, code, token, **more):
        with self.subTest(token=token[:60]):
            UP.reset()
            self.assert_refused(ask(token, **more), code)
            self.assert_unseen(UP)

    def test_every_algorithm_from_a_key_file_and_from_a_key_url(self):
        theirs = dict(iss=URL_ISSUER, aud="second", accounts=None, scope=None, sites=tokens.ACCOUNT, scp=["users.read"], app="x")
        for algorithm in tokens.ALGORITHMS:
            with self.subTest(algorithm=algorithm):
                for changes in ({}, theirs):
                    for kid in (f"key-{tokens.kind_of(algorithm)}", None):
                        headers = {"kid": kid}
                        self.assert_passed(ask(tokens.token(algorithm, headers, **changes)))
                        head, body, signature = tokens.token(algorithm, headers, **changes).split(".")
                        flipped = signature[:10] + ("A" if signature[10] != "A" else "B") + signature[11:]
                        self.refuse("token-signature", f"{head}.{body}.{flipped}")
                        self.refuse("token-signature", f"{head}.{part({**tokens.claims(**changes), 'sub': 'eve'})}.{signature}")

    def test_a_valid_token_is_accepted_in_all_its_forms(self):
        now = int(time.time())
        for changes in ({"aud": ["x", "lychgate"]}, {"accounts": "12345678"}, {"accounts": "*"}, {"scope": ["users.read", "x"]}, {"jti": None}, {"client_id": None, "azp": "y"},
                        {"client_id": None}, {"nbf": now - 1}, {"iat": None}, {"exp": now + 600.5}, {"exp": now + 10**8}, {"iat": now + 2}, {"exp": now - 1}, {"other": {"a": [1]}}):
            with self.subTest(changes=changes):
                self.assert_passed(ask(tokens.token(**changes)))
        for typ in (None, "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT"):
            with self.subTest(typ=typ):
                self.assert_passed(ask(tokens.token(headers={"typ": typ})))
        for scheme in ("Bearer", "bearer", "BEARER"):
            self.assert_passed(ask(tokens.token(), scheme=scheme))

    def test_missing(self):
        token = tokens.token()
        for headers in ((), ("Authorization: Basic YTpi",), (f"Authorization: DPoP {token}",), (f"Authorization: {token}",), ("Authorization:",), (f"X-Authorization: Bearer {token}",),
                        (f"Cookie: access_token={token}",)):
            for method, target in (("GET", PATH), ("DELETE", f"{PATH}/1")):
                query = f"?v=4.0&access_token={token}" if not headers else "?v=4.0"
                self.assert_refused(wire.send(GATE.address, wire.request(method, target + query, "If-Match: 1", *headers)), "token-missing")
        form = wire.request("POST", f"{PATH}?v=4.0", "Content-Type: application/x-www-form-urlencoded", body=f"access_token={token}".encode())
        self.assert_refused(wire.send(GATE.address, form), "token-missing")
        self.assert_unseen(UP)

    def test_malformed(self):
        good = tokens.token()
        head, body, signature = good.split(".")
        twice = part(b'{"iss":"a","iss":"' + tokens.ISSUER.encode() + b'"}')
        for bad in ("x", "a.b", "...", "..", good + ".", "." + good, good + "=", good[:-1] + "!", good + " x", good.replace(".", ". ", 1), f"{head}.{body}", f"{head}.{body}.{signature}.x.y",
                    f"{head}.{twice}.{signature}", f"{part([])}.{body}.{signature}", f"{head}.{part([])}.{signature}", f"{head}.{part(b'nope')}.{signature}", f"\"{good}\"", "a" * 9000,
                    f"{part({'typ': 'JWT'})}.{body}.{signature}", f"{head}+.{body}.{signature}", "\xe4.b.c", f"{head}.{body}=.{signature}", tokens.token(padding="x" * 8192)):
            self.refuse("token-malformed", bad)

    def test_algorithm(self):
        unsigned = jwt.encode(tokens.claims(), None, algorithm="none")
        self.refuse("token-algorithm", unsigned)
        self.refuse("token-algorithm", f"{part({'alg': 'None'})}.{part(tokens.claims())}.AAAA")
        for algorithm in ("HS256", "HS512"):
            self.refuse("token-algorithm", tokens.token(algorithm, {"kid": "key-RSA"}, key=b"k" * 64))
        self.refuse("token-algorithm", f"{part({'alg': 'es256'})}.{part(tokens.claims())}.AAAA")
        for algorithm in ("RS256", "ES384", "EdDSA", "PS512"):
            self.refuse("token-algorithm", tokens.token(algorithm, iss="https://only.example.com"))
        self.assert_passed(ask(tokens.token("ES256", iss="https://only.example.com")))

    def test_a_symmetric_signature_with_the_public_key_is_refused(self):
        """The classic attack: the public key's PEM as an HMAC secret, built by hand because PyJWT refuses it."""
        pem = tokens.private_key("RSA").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for alg in ("HS256", "RS256"):
            signed = f"{part({'alg': alg, 'kid': 'key-RSA'})}.{part(tokens.claims())}"
            forged = f"{signed}.{part(hmac.digest(pem, signed.encode(), 'sha256'))}"
            self.refuse("token-algorithm" if alg == "HS256" else "token-signature", forged)

    def test_key_unknown_and_keys_brought_along(self):
        self.refuse("token-key-unknown", tokens.token(headers={"kid": "another"}))
        self.refuse("token-key-unknown", tokens.token("ES256", headers={"kid": "key-RSA"}))
        stranger = tokens.private_key("stranger")
        for brought in ({"jwk": tokens.jwk("ES256")}, {"jku": ISSUER.url}, {"x5u": ISSUER.url}, {"x5c": ["AAAA"]}):
            self.refuse("token-signature", tokens.token("ES256", brought, key=stranger))

    def test_times(self):
        now = int(time.time())
        for exp in (now - 10, now - 3600, 0, 1):
            self.refuse("token-expired", tokens.token(exp=exp))
        for changes in ({"nbf": now + 60}, {"iat": now + 60}, {"nbf": now + 3600, "iat": now}):
            self.refuse("token-not-yet-valid", tokens.token(**changes))

    def test_issuer_and_audience(self):
        for iss in (tokens.ISSUER[:-1], tokens.ISSUER.upper(), "https://evil.example.com/", None, tokens.ISSUER + " "):
            self.refuse("token-issuer", tokens.token(iss=iss))
        for aud in ("lychgat", "LYCHGATE", ["a", "b"], [], None, "lychgate second"):
            self.refuse("token-audience", tokens.token(aud=aud))
        self.refuse("token-audience", tokens.token(iss=URL_ISSUER, aud="lychgate"))

    def test_type_and_binding(self):
        for typ in ("logout+jwt", "dpop+jwt", "ID", "jwt+at", "application/secevent+jwt", "x/JWT"):
            head = {"alg": "ES256", "kid": "key-ES256", "typ": typ}
            self.refuse("token-type", tokens.token(headers=head))
        self.refuse("token-type", f"{part({'alg': 'ES256', 'typ': ''})}.{part(tokens.claims())}.AAAA")
        for cnf in ({"jkt": "x"}, {"x5t#S256": "x"}, {}):
            self.refuse("token-binding", tokens.token(cnf=cnf))

    def test_claims(self):
        made = lambda **odd: jwt.api_jws.encode(json.dumps({**tokens.claims(), **odd}).encode(), tokens.private_key("ES256"), "ES256", {"kid": "key-ES256", "typ": "JWT"})
        for odd in ({"sub": 7}, {"sub": ""}, {"sub": None}, {"exp": "1900000000"}, {"exp": None}, {"exp": -1}, {"nbf": "x"}, {"iat": []}, {"accounts": 12345678}, {"accounts": [1]},
                    {"accounts": {"a": 1}}, {"scope": 1}, {"scope": [["users.read"]]}, {"aud": 1}, {"jti": 7}, {"client_id": 5}, {"sub": "a\nb"}):
            token = made(**odd)
            tokens.MADE.add(token)
            self.refuse("token-claims", token)
        for gone in ("exp", "sub"):
            self.refuse("token-claims", tokens.token(**{gone: None}))

    def test_a_critical_extension_is_refused(self):
        for headers in ({"crit": ["exp"], "exp": 1}, {"crit": []}):
            self.refuse("token-malformed", jwt.api_jws.encode(json.dumps(tokens.claims()).encode(), tokens.private_key("ES256"), "ES256", {"kid": "key-ES256", **headers}))

    def test_the_trail_names_the_token_without_its_signature(self):
        """`jti`; without one, the SHA-256 of `header.payload`."""
        for jti in ("one", None):
            token = tokens.token(jti=jti, sub="named", client_id=None, azp="by-azp")
            self.assert_passed(ask(token, method="DELETE"))
            entry = [one for one in GATE.deletions() if one["decision"] == "forwarded"][-1]
            self.assertEqual(entry["token_id"], jti or hashlib.sha256(token.rsplit(".", 1)[0].encode()).hexdigest())
            self.assertEqual(entry["caller"], {"issuer": tokens.ISSUER, "subject": "named", "client": "by-azp"})


class Keys(refusals.Refusals, unittest.TestCase):
    def test_a_key_file_is_read_again_when_it_changes(self):
        """A removed key no longer counts, even for tokens verified before; a new key does."""
        gate = gateway.Gateway(UP, files={"keys.json": tokens.key_set("ES256")})
        self.addCleanup(gate.stop)
        old, new = tokens.token("ES256"), tokens.token("EdDSA")
        ask_here = lambda token: wire.send(gate.address, wire.request("GET", f"{PATH}?v=4.0", f"Authorization: Bearer {token}"))
        self.assert_passed(ask_here(old))
        self.assert_refused(ask_here(new), "token-key-unknown")
        (gate.folder / "new.json").write_text(tokens.key_set("EdDSA"))
        os.replace(gate.folder / "new.json", gate.folder / "keys.json")
        gate.wait_until(lambda: ask_here(new).status == 200, "the new key is in force")
        self.assert_refused(ask_here(old), "token-key-unknown")
        gate.write("keys.json", "{ broken")
        time.sleep(1.5)
        self.assert_passed(ask_here(new))

    def test_an_issuer_is_keys_unavailable_until_it_answers(self):
        theirs = issuer.Issuer(status=500)
        self.addCleanup(theirs.close)
        gate = gateway.Gateway(UP, issuer=[gateway.issuer(jwks_file=None, jwks_url=theirs.url)])
        self.addCleanup(gate.stop)
        ask_here = lambda: wire.send(gate.address, wire.request("GET", f"{PATH}?v=4.0", f"Authorization: Bearer {tokens.token()}"))
        self.assert_refused(ask_here(), "keys-unavailable")
        self.assertIn("keys", gate.get("/readyz?verbose").body.decode())
        theirs.status = 200
        gate.wait_until(lambda: ask_here().status == 200, "keys are fetched again")
        theirs.status = 500
        self.assert_passed(ask_here())


if __name__ == "__main__":
    unittest.main()
