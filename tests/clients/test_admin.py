"""The admin listener: health, readiness, metrics parsed by prometheus_client, status, and the checks of `Host` and token."""

import json
import re
import unittest

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support import gateway, refusals, tokens, upstream, wire

PATH = wire.PATH
ADMIN_TOKEN = "an-admin-token-of-some-length-0123456789"


def setUpModule():
    global UP, OPEN, CLOSED
    UP = upstream.Upstream()
    OPEN = gateway.Gateway(UP)
    CLOSED = gateway.Gateway(UP, files={"admin.token": ADMIN_TOKEN + "\n"}, admin={"token_file": "admin.token", "hosts": ["gate.example.com:9080"]})
    tokens.MADE.add(ADMIN_TOKEN)


def tearDownModule():
    (CLOSED.folder / "admin.token").unlink()
    OPEN.stop()
    CLOSED.stop()
    UP.close()


def call(gate, method="GET", target=f"{PATH}?v=4.0", *headers):
    return wire.send(gate.address, wire.request(method, target, f"Authorization: Bearer {tokens.token()}", *headers))


def metrics(gate):
    """Every sample by name and labels, parsed with the Prometheus project's own parser."""
    families = list(text_string_to_metric_families(gate.get("/metrics").body.decode()))
    return families, {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in families for sample in family.samples}


class Health(unittest.TestCase):
    def test_live_and_ready(self):
        for target in ("/livez", "/readyz", "/readyz?for=deletions"):
            for gate in (OPEN, CLOSED):
                got = gate.get(target)
                self.assertEqual((got.status, got.body), (200, b"ok\n"), target)
                self.assertEqual(got.headers["cache-control"], "no-store")

    def test_readyz_verbose_names_each_part(self):
        for gate in (OPEN, CLOSED):
            got = gate.get("/readyz?verbose")
            lines = dict(line.rsplit(": ", 1) for line in got.body.decode().splitlines())
            self.assertEqual(got.status, 200)
            self.assertEqual((lines["reads"], lines["deletions"], lines["trail"]), ("ok", "ok", "ok"))
            self.assertTrue(any(name.startswith("keys ") and tokens.ISSUER in name for name in lines), lines)
        self.assertEqual(OPEN.get("/readyz?verbose&for=deletions").status, 200)

    def test_health_and_metrics_need_no_token_and_no_known_host(self):
        for target in ("/livez", "/readyz", "/readyz?verbose", "/metrics"):
            for headers in (("Host: evil.example",), ("Host: gate.example.com:9080",), ("Host: 10.0.0.1:1",)):
                self.assertEqual(CLOSED.get(target, *headers).status, 200)

    def test_a_listener_with_a_status_page_for_programs(self):
        status = OPEN.get("/status")
        self.assertEqual((status.status, status.headers["content-type"]), (200, "application/json"))
        said = status.json()
        self.assertEqual((said["ready"], said["trail"]["open"]), ({"reads": True, "deletions": True}, True))
        answer = call(OPEN, "DELETE", f"{PATH}/1?v=4.0", "If-Match: 1")
        entry = [one for one in OPEN.deletions() if one["request_id"] == answer.headers["x-request-id"]][0]
        self.assertEqual(entry["config"], said["config"])

    def test_an_unknown_host_is_refused(self):
        """DNS rebinding: the browser would send the attacker's name as `Host`."""
        port = OPEN.admin[1]
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
            self.assertEqual(OPEN.get("/status", f"Host: {host}").status, 200, host)
        for host in (f"evil.example:{port}", "127.0.0.1", "localhost:1", f"127.0.0.1.evil.example:{port}", f"localhost.evil.example:{port}", f"10.0.0.1:{port}", "", f"localhost:{port}, x"):
            got = OPEN.get("/status", f"Host: {host}")
            self.assertNotEqual(got.status, 200, host)
            self.assertNotIn(b"config", got.body)
        self.assertEqual(OPEN.get("/status", f"Host: localhost:{port}\r\nHost: localhost:{port}").status // 100, 4)

    def test_the_token_guards_all_but_health_and_metrics(self):
        for target in ("/status", "/", "/audit/checkpoint", "/no-such-page"):
            for headers, challenge in (((), "Bearer"), (("Authorization: Basic YTpi",), "Bearer"), (("Authorization: Bearer wrong",), 'Bearer error="invalid_token"'),
                                       ((f"Authorization: Bearer {ADMIN_TOKEN}x",), 'Bearer error="invalid_token"'), ((f"Authorization: Bearer {tokens.token()}",), 'Bearer error="invalid_token"')):
                got = CLOSED.get(target, *headers)
                self.assertEqual((got.status, got.headers["www-authenticate"]), (401, challenge), (target, headers))
        good = f"Authorization: Bearer {ADMIN_TOKEN}"
        self.assertEqual(CLOSED.get("/status", good).status, 200)
        self.assertEqual(CLOSED.get("/status", good, "Host: gate.example.com:9080").status, 200)
        self.assertEqual(CLOSED.get("/status", good, "Host: evil.example").status, 421)
        self.assertEqual(CLOSED.get("/no-such-page", good).status, 404)

    def test_methods_that_write_are_refused(self):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            host = "%s:%d" % OPEN.admin
            for target in ("/status", "/livez", "/metrics"):
                got = wire.send(OPEN.admin, wire.request(method, target, host=host))
                self.assertEqual((got.status, got.headers["allow"]), (405, "GET, HEAD"))
        head = wire.send(OPEN.admin, wire.request("HEAD", "/livez", host="x"))
        self.assertEqual((head.status, head.body), (200, b""))


class Metrics(refusals.Refusals, unittest.TestCase):
    def test_the_page_is_open_metrics(self):
        got = OPEN.get("/metrics")
        self.assertTrue(got.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0"))
        families, _ = metrics(OPEN)
        self.assertGreater(len(families), 10)
        for family in families:
            self.assertTrue(family.name.startswith("lychgate_"), family.name)
            self.assertTrue(family.documentation, family.name)
        kinds = {family.name: family.type for family in families}
        for name, kind in (("lychgate_requests", "counter"), ("lychgate_request_seconds", "histogram"), ("lychgate_upstream_seconds", "histogram"), ("lychgate_audit_sync_seconds", "histogram"),
                           ("lychgate_audit_open", "gauge")):
            self.assertEqual(kinds[name], kind)

    def test_requests_are_counted_by_operation_status_and_refusal(self):
        def count(operation, status, code):
            labels = tuple(sorted({"operation": operation, "status": str(status), "code": code}.items()))
            return metrics(OPEN)[1].get(("lychgate_requests_total", labels), 0)

        cases = [("users.list", 200, "", ("GET",)), ("users.list", 404, "", ("GET",)), ("users.list", 400, "version-missing", ("GET", PATH)), ("users.delete", 428, "if-match-missing", ("DELETE", f"{PATH}/1?v=4.0")),
                 ("users.delete", 200, "", ("DELETE", f"{PATH}/1?v=4.0", "If-Match: 1")), ("none", 404, "operation-unknown", ("GET", "/nowhere"))]
        for operation, status, code, request in cases:
            with self.subTest(operation=operation, status=status, code=code):
                before = count(operation, status, code)
                UP.then(*[upstream.answer(status, b"")] * (not code))
                answer = call(OPEN, *request)
                self.assertEqual(answer.status, status)
                OPEN.wait_until(lambda: count(operation, status, code) == before + 1, "it is counted")

    def test_times_are_measured(self):
        call(OPEN, "DELETE", f"{PATH}/1?v=4.0", "If-Match: 1")
        OPEN.wait_until(lambda: metrics(OPEN)[1]["lychgate_deletions_in_flight", ()] == 0, "nothing is in flight")
        _, samples = metrics(OPEN)
        for name in ("lychgate_request_seconds", "lychgate_upstream_seconds", "lychgate_audit_sync_seconds"):
            count = samples[name + "_count", ()]
            self.assertGreater(count, 0)
            self.assertEqual(samples[name + "_bucket", (("le", "+Inf"),)], count)
            self.assertGreater(samples[name + "_sum", ()], 0)
        self.assertEqual(samples["lychgate_audit_open", ()], 1)

    def test_labels_are_bounded_and_hold_nothing_of_a_caller(self):
        for number in range(30):
            call(OPEN, "GET", f"/nowhere-{number}?secret-{number}")
            call(OPEN, "GET", f"{PATH}/{number + 1000}?v=4.0", f"X-Secret: secret-{number}")
        page = OPEN.get("/metrics").body.decode()
        self.assertIsNone(re.search("nowhere-|secret-|/api/|ada", page))


class AccessLog(unittest.TestCase):
    def test_one_line_per_request_without_query_or_token(self):
        answer = call(OPEN, "DELETE", f"{PATH}/1?v=4.0&secret=hidden", "If-Match: 1")
        lines = lambda: [json.loads(line) for line in OPEN.logged().splitlines() if answer.headers["x-request-id"] in line]
        OPEN.wait_until(lines, "the line is there")
        self.assertEqual(len(lines()), 1)
        line = lines()[0]
        self.assertEqual((line["method"], line["operation"], line["status"], line["subject"]), ("DELETE", "users.delete", 200, "ada"))
        self.assertNotIn("hidden", OPEN.logged())


if __name__ == "__main__":
    unittest.main()
