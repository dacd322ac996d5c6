"""The commands as an operator uses them: `check` reports the position of every fault, PyJWT verifies the tokens of `token mint`, exit codes, usage."""

import json
import re
import shutil
import socket
import stat
import time
import unittest

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from support import gateway, refusals, tokens, upstream, wire

EIGHT = """\
[listen]
address = "127.0.0.1"
max_conections = 5
head_timeout = "30 parsecs"

[[issuer]]
issuer = "https://login.example.com/"
audience = []
algorithms = ["HS256"]
jwks_file = "gone.json"

[domains.accounts]
"12-34" = "https://va.example.net"
"12345678" = "http://va.example.net"

[admin]
address = "127.0.0.1:0"

[audit]
directory = "audit"
origin = "lychgate.test/clients"
key_file = "audit.key"
"""
#: Line and column of each fault above: the beginning of its key or value.
PLACES = {(2, 11), (3, 1), (4, 16), (8, 12), (9, 15), (10, 13), (13, 1), (14, 14)}


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = gateway.temporary_folder()
        self.addCleanup(shutil.rmtree, self.folder)
        made = gateway.command("audit", "keygen", "--origin", gateway.ORIGIN, "--out", self.folder / "audit.key")
        self.assertEqual(made.returncode, 0)

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return self.folder / name


class Check(Folder):
    def test_eight_faults_are_reported_at_once_with_positions(self):
        path = self.write("lychgate.toml", EIGHT)
        for verb in ("check", "run"):
            done = gateway.command(verb, "--config", path)
            self.assertEqual((done.returncode, done.stdout), (78, ""), done.stderr)
            places = {(int(line), int(column)) for line, column in re.findall(re.escape(str(path)) + r":(\d+):(\d+)", done.stderr)}
            self.assertEqual(places, PLACES, done.stderr)
            self.assertEqual(len(re.findall(r"^ +\|.*\^", done.stderr, re.M)), 8, "a caret each")
            self.assertGreaterEqual(len(re.findall("= help:", done.stderr)), 8, "a hint each")
            self.assertIn("max_connections", done.stderr, "the key that was meant")
            self.assertNotIn("\x1b", done.stderr, "no colour where no terminal is")

    def test_what_is_strict_by_default(self):
        """No audience, no algorithm list, `none`, a symmetric algorithm, an unknown key, plain HTTP beyond loopback: each is an error."""
        self.write("keys.json", tokens.key_set())
        good = {"listen": {"address": "127.0.0.1:0"}, "admin": {"address": "127.0.0.1:0"}, "issuer": [gateway.issuer()], "domains.accounts": {"1": "https://va.example.net"},
                "audit": {"directory": "audit", "origin": gateway.ORIGIN, "key_file": "audit.key"}}
        bad = {
            "no audience": {"issuer": [gateway.issuer(audience=None)]}, "empty audience": {"issuer": [gateway.issuer(audience=[])]}, "no algorithms": {"issuer": [gateway.issuer(algorithms=None)]},
            "none": {"issuer": [gateway.issuer(algorithms=["none"])]}, "symmetric": {"issuer": [gateway.issuer(algorithms=["ES256", "HS512"])]}, "unknown key": {"listen": {"address": "127.0.0.1:0", "adress": ""}},
            "unknown section": {"listener": {}}, "no keys": {"issuer": [gateway.issuer(jwks_file=None)]}, "two sources": {"issuer": [gateway.issuer(jwks_url="https://x.example/keys")]},
            "plain upstream": {"domains.accounts": {"1": "http://va.example.net"}}, "plain keys": {"issuer": [gateway.issuer(jwks_file=None, jwks_url="http://login.example.com/keys")]},
            "no issuer": {"issuer": []}, "no key file": {"audit": {"directory": "audit", "origin": gateway.ORIGIN}}, "another origin": {"audit": {"directory": "audit", "origin": "other", "key_file": "audit.key"}},
            "origin with a plus": {"audit": {"directory": "audit", "origin": "a+b", "key_file": "audit.key"}}, "open admin": {"admin": {"address": "0.0.0.0:9080"}},
            "a part to come": {"deletions": {"per_caller": 1}}, "an origin with a path": {"domains.accounts": {"1": "https://va.example.net/x"}},
        }
        path = self.folder / "lychgate.toml"
        path.write_text(gateway.toml(good))
        fine = gateway.command("check", "--config", path)
        self.assertEqual((fine.returncode, fine.stderr), (0, ""))
        for name, change in bad.items():
            with self.subTest(name):
                path.write_text(gateway.toml({**good, **change}))
                done = gateway.command("check", "--config", path)
                self.assertEqual((done.returncode, done.stdout), (78, ""), done.stderr)
                self.assertRegex(done.stderr, re.escape(str(path)) + r":\d+:\d+")

    def test_a_world_readable_key_causes_a_warning(self):
        up = upstream.Upstream()
        self.addCleanup(up.close)
        gate = gateway.Gateway(up, ready=False)
        self.addCleanup(gate.stop)
        key = gate.folder / "audit.key"
        for mode, told in ((0o600, False), (0o440, False), (0o644, True)):
            with self.subTest(oct(mode)):
                gate.end()
                key.chmod(mode)
                check = gateway.command("check", "--config", gate.config)
                self.assertEqual((check.returncode, "every user of this machine" in check.stdout), (0, told), check.stdout)
                gate.start()
                self.assertEqual('"WARN"' in gate.logged().upper() and "every user of this machine" in gate.logged(), told)

    def test_the_reference_config_is_valid_with_its_files(self):
        # Any free port, since another program may listen on the reference's.
        text = (gateway.ROOT / "config" / "lychgate.toml").read_text()
        self.write("lychgate.toml", text.replace("127.0.0.1:8080", "127.0.0.1:0").replace("127.0.0.1:9080", "127.0.0.1:0"))
        (self.folder / "audit.key").unlink()
        gateway.command("audit", "keygen", "--origin", "lychgate.example.com/edge-1", "--out", self.folder / "audit.key")
        self.write("keys.json", tokens.key_set())
        done = gateway.command("check", "--config", "lychgate.toml", cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_relative_paths_are_relative_to_the_config_file(self):
        self.test_the_reference_config_is_valid_with_its_files()
        done = gateway.command("check", "--config", self.folder / "lychgate.toml", cwd="/")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_exit_codes(self):
        self.assertEqual(gateway.command("check", "--config", self.folder / "none.toml").returncode, 74)
        self.assertEqual(gateway.command("run", "--config", self.folder / "none.toml").returncode, 74)
        self.assertEqual(gateway.command("audit", "verify", "--dir", self.folder / "none").returncode, 1)
        self.assertEqual(gateway.command("audit", "list").returncode, 2)
        self.assertEqual(gateway.command("frobnicate").returncode, 2)
        self.assertEqual(gateway.command("--version").returncode, 0)
        for verb in ("run", "check", "audit list", "audit show", "audit tail", "audit export", "audit verify", "audit keygen", "token mint"):
            shown = gateway.command(*verb.split(), "--help")
            self.assertEqual((shown.returncode, shown.stderr), (0, ""))
            self.assertIn("Examples:", shown.stdout, verb)

    def test_a_port_in_use_exits_74(self):
        self.write("keys.json", tokens.key_set())
        with socket.create_server(("127.0.0.1", 0)) as taken:
            sections = {"listen": {"address": "127.0.0.1:%d" % taken.getsockname()[1]}, "admin": {"address": "127.0.0.1:0"}, "issuer": [gateway.issuer()],
                        "domains.accounts": {"1": "https://va.example.net"}, "audit": {"directory": "audit", "origin": gateway.ORIGIN, "key_file": "audit.key"}}
            done = gateway.command("run", "--config", self.write("lychgate.toml", gateway.toml(sections)))
            check = gateway.command("check", "--config", self.folder / "lychgate.toml")
            alone = gateway.command("check", "--config", self.folder / "lychgate.toml", "--static")
        self.assertEqual(done.returncode, 74)
        self.assertIn("address", done.stderr.lower())
        self.assertEqual((check.returncode, check.stdout), (78, ""))
        words = re.search("cannot listen on .* listens there", check.stderr)[0]
        self.assertIn(words, done.stderr, "the same words")
        self.assertEqual(alone.returncode, 0, alone.stderr)


class Mint(refusals.Refusals, Folder):
    def mint(self, key, *arguments):
        done = gateway.command("token", "mint", "--key", self.folder / key, "--issuer", tokens.ISSUER, "--audience", tokens.AUDIENCE, "--subject", "ada", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        tokens.MADE.add(done.stdout.strip())
        return done.stdout.strip()

    def jwks(self, key):
        done = gateway.command("token", "mint", "--key", self.folder / key, "--jwks")
        self.assertEqual(done.returncode, 0, done.stderr)
        return jwt.PyJWKSet.from_json(done.stdout), done.stdout

    def test_a_minted_token_verifies_with_pyjwt(self):
        token = self.mint("test.key", "--generate", "--accounts", "12345678,87654321", "--scope", "users.read users.delete", "--client", "cli", "--lifetime", "10m", "--claim", 'jti="one"')
        self.assertEqual(stat.S_IMODE((self.folder / "test.key").stat().st_mode), 0o600)
        keys, text = self.jwks("test.key")
        self.assertNotIn('"d"', text)
        head = jwt.get_unverified_header(token)
        claims = jwt.decode(token, keys[head["kid"]].key, algorithms=["ES256"], audience=tokens.AUDIENCE, issuer=tokens.ISSUER, options={"require": ["exp", "iat", "sub"]})
        now = time.time()
        self.assertEqual({name: claims[name] for name in ("sub", "accounts", "scope", "client_id", "jti")},
                         {"sub": "ada", "accounts": ["12345678", "87654321"], "scope": "users.read users.delete", "client_id": "cli", "jti": "one"})
        self.assertAlmostEqual(claims["iat"], now, delta=5)
        self.assertEqual(claims["exp"] - claims["iat"], 600)
        expired = self.mint("test.key", "--lifetime", "-1h")
        with self.assertRaises(jwt.ExpiredSignatureError):
            jwt.decode(expired, keys[head["kid"]].key, algorithms=["ES256"], audience=tokens.AUDIENCE)

    def test_keys_made_elsewhere_sign_as_well(self):
        """PKCS#8 PEM and private JWKs of every kind, made with cryptography and PyJWT."""
        for kind, algorithm in (("RSA", "RS256"), ("ES256", "ES256"), ("ES384", "ES384"), ("EdDSA", "EdDSA")):
            private = tokens.private_key(kind)
            (self.folder / f"{kind}.pem").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            self.write(f"{kind}.jwk", json.dumps({**jwt.get_algorithm_by_name(algorithm).to_jwk(private, as_dict=True), "kid": "mine", "alg": algorithm}))
            for name in (f"{kind}.pem", f"{kind}.jwk"):
                with self.subTest(name):
                    token = self.mint(name)
                    jwt.decode(token, private.public_key(), algorithms=[algorithm], audience=tokens.AUDIENCE, issuer=tokens.ISSUER)
                    keys, _ = self.jwks(name)
                    jwt.decode(token, keys[jwt.get_unverified_header(token)["kid"]].key, algorithms=[algorithm], audience=tokens.AUDIENCE)

    def test_the_gateway_accepts_minted_tokens_and_the_key_is_pem(self):
        up = upstream.Upstream()
        self.addCleanup(up.close)
        token = self.mint("test.key", "--generate", "--accounts", "*", "--scope", "users.read")
        load_pem_private_key((self.folder / "test.key").read_bytes(), None)
        gate = gateway.Gateway(up, files={"keys.json": self.jwks("test.key")[1]})
        self.addCleanup(gate.stop)
        request = lambda one: wire.send(gate.address, wire.request("GET", f"{wire.PATH}?v=4.0", f"Authorization: Bearer {one}"))
        self.assert_passed(request(token))
        self.assert_refused(request(self.mint("test.key", "--lifetime", "-1h")), "token-expired")
        self.assert_refused(request(self.mint("test.key", "--claim", "cnf={}")), "token-binding")
        self.assert_refused(request(self.mint("test.key", "--claim", "sub=null")), "token-claims")

    def test_faults_do_not_show_the_key(self):
        secret = "c2VjcmV0LWtleS1ieXRlcw"
        for text in (f'{{"kty":"EC","crv":"P-256","d":"{secret}"}}', f"-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n", secret):
            done = gateway.command("token", "mint", "--key", self.write("bad.key", text), "--jwks")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertNotIn(secret, done.stderr)


if __name__ == "__main__":
    unittest.main()
