"""Signals: SIGHUP reloads a valid or invalid config under load; SIGTERM and SIGINT drain, and the gateway exits with 0."""

import json
import signal
import socket
import threading
import unittest

import httpx
from support import gateway, issuer, refusals, tokens, trail, upstream, wire

PATH = wire.PATH


def setUpModule():
    global UP
    UP = upstream.Upstream()


def tearDownModule():
    UP.close()


def ask(gate, method="GET", target=f"{PATH}/1?v=4.0", **changes):
    return wire.send(gate.address, wire.request(method, target, f"Authorization: Bearer {tokens.token(**changes)}", "If-Match: 17"))


class Reload(refusals.Refusals, unittest.TestCase):
    def setUp(self):
        UP.reset()
        self.gate = gateway.Gateway(UP, domains__accounts={"11111111": UP.origin})
        self.addCleanup(self.gate.stop)

    def reload(self, pattern, **sections):
        """Writes the config, sends SIGHUP, and waits until the log shows the result."""
        before = len([line for line in self.gate.logged().splitlines() if '"reload' in line])
        self.gate.configure(**sections)
        self.gate.signal(signal.SIGHUP)
        told = lambda: [line for line in self.gate.logged().splitlines() if '"reload' in line][before:]
        self.gate.wait_until(told, "the reload is told")
        self.assertRegex(told()[0], pattern)
        return json.loads(told()[0])

    def test_a_valid_reload_applies_to_the_next_request(self):
        everybody = {"accounts": "*"}
        path = PATH.replace("12345678", "22222222")
        self.assert_refused(ask(self.gate, target=f"{path}?v=4.0", **everybody), "account-unknown")
        old = ask(self.gate, "DELETE")
        said = self.reload('"reloaded"', domains__accounts={"22222222": UP.origin}, issuer=[gateway.issuer(audience=["new"])])
        self.assert_passed(ask(self.gate, target=f"{path}?v=4.0", aud="new", **everybody))
        self.assert_refused(ask(self.gate), "token-audience")
        new = ask(self.gate, "DELETE", aud="new")
        first, second = self.gate.deletions()
        self.assertNotEqual(first["config"], second["config"])
        self.assertEqual(second["config"], said["config"])
        entries = [json.loads(entry) for entry in trail.journal(self.gate.folder / "audit").values()]
        configs = [entry["config"] for entry in entries if entry["kind"] == "config"]
        self.assertEqual(configs, [first["config"], second["config"]], "each config is on record before a deletion under it")
        self.assertTrue(old.headers["lychgate-receipt"] and new.headers["lychgate-receipt"])
        self.assertIn("in force", self.gate.get("/readyz?verbose").body.decode())

    def test_an_invalid_reload_changes_nothing_and_logs_why(self):
        kept = self.gate.get("/status").json()["config"]
        bad = [{"issuer": [gateway.issuer(algorithms=["HS256"])]}, {"issuer": [gateway.issuer(audience=[])]}, {"nonsense": {"key": 1}},
               {"listen": {"address": "127.0.0.1:1"}}, {"admin": {"address": "127.0.0.1:1"}}, {"audit": {"sync_timeout": "3s"}}, {"issuer": [gateway.issuer(jwks_file="gone.json")]}]
        for sections in bad:
            with self.subTest(sections=sections):
                before = {name: dict(section) if isinstance(section, dict) else section for name, section in self.gate.sections.items()}
                said = self.reload("reload refused", **sections)
                text = self.gate.get("/readyz?verbose").body.decode()
                self.assertIn("refused at", text)
                if set(sections) & {"listen", "admin", "audit"}:
                    self.assertIn("needs a restart", text)
                    self.assertEqual(said["cause"], "needs-restart")
                else:
                    self.assertRegex(text, r"lychgate\.toml:\d+:\d+")
                self.assertEqual(self.gate.get("/readyz").status, 200)
                self.assert_passed(ask(self.gate, "DELETE"))
                self.assertEqual(self.gate.get("/status").json()["config"], kept)
                self.gate.sections = before
        self.gate.write("lychgate.toml", "[listen\naddress = ")
        self.gate.signal(signal.SIGHUP)
        self.gate.wait_until(lambda: self.gate.logged().count("reload refused") == len(bad) + 1, "it is told")
        self.assert_passed(ask(self.gate))
        self.assertIn("reloaded", str(self.reload('"reloaded"')))

    def test_reloads_under_load_fail_no_request_and_lose_no_record(self):
        stop, failed, done = threading.Event(), [], []

        def load(number):
            headers = {"Authorization": f"Bearer {tokens.token(sub=f'load-{number}')}", "If-Match": "1"}
            with httpx.Client(base_url="http://%s:%d" % self.gate.address, headers=headers, trust_env=False, timeout=wire.PATIENCE) as client:
                while not stop.is_set():
                    for method in ("GET", "DELETE", "PUT"):
                        got = client.request(method, f"{PATH}/{number}?v=4.0", content=b"{}" if method == "PUT" else None)
                        (done if got.status_code == 200 else failed).append((method, got.headers["x-request-id"], got.text))

        threads = [threading.Thread(target=load, args=(number,)) for number in range(1, 5)]
        for thread in threads:
            thread.start()
        for number in range(12):
            refused = number % 3 == 2
            accounts = {"12345678": "nonsense" if refused else UP.origin, f"3{number}": UP.origin}
            self.reload("reload refused" if refused else '"reloaded"', domains__accounts=accounts)
        deletions = lambda: {identity for method, identity, _ in list(done) if method == "DELETE"}
        self.gate.wait_until(lambda: failed or len(deletions()) > 10, "there was load")
        stop.set()
        for thread in threads:
            thread.join(wire.PATIENCE)
        self.assertEqual(failed, [])
        self.assertEqual({one["request_id"] for one in self.gate.deletions() if one["outcome"] == "deleted"}, deletions())
        self.assertEqual(self.gate.audit("verify").returncode, 0)

    def test_a_key_set_from_a_url_is_kept_across_a_reload(self):
        """The issuer is down during the reload. The gateway keeps its keys, so it refuses nobody."""
        theirs = issuer.Issuer()
        one = gateway.issuer(jwks_file=None, jwks_url=theirs.url)
        self.reload('"reloaded"', issuer=[one])
        self.gate.wait_until(lambda: ask(self.gate).status == 200, "its keys are fetched")
        theirs.close()
        self.reload('"reloaded"', domains__accounts={"44": UP.origin})
        self.assert_passed(ask(self.gate))


class Stop(refusals.Refusals, unittest.TestCase):
    def setUp(self):
        UP.reset()

    def test_both_signals_end_it_with_0_and_the_trail_says_stopped(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            gate = gateway.Gateway(UP)
            self.addCleanup(gate.stop)
            ask(gate, "DELETE")
            gate.signal(number)
            self.assertEqual(gate.process.wait(wire.PATIENCE), 0)
            last = json.loads(trail.journal(gate.folder / "audit").popitem()[1])
            self.assertEqual(last["kind"], "stopped")
            self.assertEqual(gate.audit("verify", "--key-file", gate.folder / "audit.key").returncode, 0)

    def test_a_drain_refuses_new_deletions_and_lets_those_in_flight_end(self):
        gate = gateway.Gateway(UP, listen={"drain_timeout": "10m"})
        self.addCleanup(gate.stop)
        release = threading.Event()
        UP.default, kept = upstream.Held(release, UP.default), UP.default
        self.addCleanup(setattr, UP, "default", kept)
        idle = socket.create_connection(gate.address, timeout=wire.PATIENCE)
        self.addCleanup(idle.close)
        idle.sendall(wire.request("GET", f"{PATH}", f"Authorization: Bearer {tokens.token()}"))
        self.assert_refused(wire.read(idle), "version-missing")
        flying = socket.create_connection(gate.address, timeout=wire.PATIENCE)
        self.addCleanup(flying.close)
        flying.sendall(wire.request("DELETE", f"{PATH}/8?v=4.0", f"Authorization: Bearer {tokens.token()}", "If-Match: 1"))
        started = socket.create_connection(gate.address, timeout=wire.PATIENCE)
        self.addCleanup(started.close)
        late = wire.request("DELETE", f"{PATH}/9?v=4.0", f"Authorization: Bearer {tokens.token()}", "If-Match: 1")
        started.sendall(late[:30])
        UP.wait(1)
        gate.signal(signal.SIGTERM)
        gate.wait_until(lambda: "draining" in gate.logged(), "it drains")
        gate.signal(signal.SIGTERM)
        self.assertEqual(gate.get("/readyz").status, 503)
        self.assertEqual(gate.get("/livez").status, 200)
        started.sendall(late[30:])
        self.assert_refused(wire.read(started), "draining")
        release.set()
        self.assert_passed(wire.read(flying))
        self.assertEqual(gate.process.wait(wire.PATIENCE), 0)
        ended = {one["users"][0]: (one["decision"], one["outcome"], one["code"]) for one in gate.deletions()}
        self.assertEqual(ended, {"8": ("forwarded", "deleted", None), "9": ("refused", None, "draining")})

    def test_past_the_drain_timeout_a_deletion_closes_as_unknown_drain(self):
        gate = gateway.Gateway(UP, listen={"drain_timeout": "300ms"})
        self.addCleanup(gate.stop)
        UP.then(upstream.HANG)
        with socket.create_connection(gate.address, timeout=wire.PATIENCE) as flying:
            flying.sendall(wire.request("DELETE", f"{PATH}/8?v=4.0", f"Authorization: Bearer {tokens.token()}", "If-Match: 1"))
            UP.wait(1)
            gate.signal(signal.SIGTERM)
            self.assertEqual(gate.process.wait(wire.PATIENCE), 0)
        entry = gate.deletions()[-1]
        self.assertEqual((entry["outcome"], entry["reason"], entry["sent"]), ("unknown", "drain", "unknown"))
        self.assertEqual(gate.audit("verify").returncode, 0)


if __name__ == "__main__":
    unittest.main()
