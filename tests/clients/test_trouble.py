"""Failures of upstream, caller or credentials: 408, 413, 502, 503, 504, each with the right `sent`; and invalid answers of upstream."""

import socket
import threading
import time
import unittest

from support import gateway, refusals, tokens, trail, upstream, wire

PATH = wire.PATH


def setUpModule():
    global UP, GATE, HASTY, DEAD
    UP = upstream.Upstream()
    closed = socket.create_server(("127.0.0.1", 0))
    DEAD = "http://127.0.0.1:%d" % closed.getsockname()[1]
    closed.close()
    GATE = gateway.Gateway(UP, limits={"max_body_bytes": "64KiB"}, domains__accounts={"99999999": DEAD})
    # For requests without an answer; those that get one use the other gateway, which has long timeouts.
    HASTY = gateway.Gateway(UP, limits={"body_timeout": "300ms"}, upstream={"head_timeout": "400ms", "total_timeout": "1s"})


def tearDownModule():
    GATE.stop()
    HASTY.stop()
    UP.close()


def head(method, target, *headers, **more):
    return wire.request(method, target, f"Authorization: Bearer {tokens.token(accounts='*')}", *headers, **more)


def ask(method, target, *headers, gate=None, body=None):
    return wire.send((gate or GATE).address, head(method, target, "If-Match: 17", *headers, body=body))


def entry_of(answer, gate=None):
    return [one for one in (gate or GATE).deletions() if one["request_id"] == answer.headers["x-request-id"]][0]


class Upstreams(refusals.Refusals, unittest.TestCase):
    def setUp(self):
        UP.reset()

    def test_nobody_listens(self):
        path = PATH.replace("12345678", "99999999")
        for method in ("GET", "PUT"):
            self.assert_refused(ask(method, f"{path}/1?v=4.0", body=b"{}"), "upstream-unreachable")
        answer = ask("DELETE", f"{path}/1?v=4.0")
        receipt = "lychgate-receipt" in answer.headers
        self.assert_refused(answer, "upstream-unreachable", receipt=receipt)
        entry = entry_of(answer)
        self.assertEqual([entry[name] for name in ("decision", "outcome", "sent", "status", "reason", "domain")], ["forwarded", "failed", "no", None, None, DEAD])
        self.assertIsNotNone(entry["closing_index"])

    def test_no_answer_in_time(self):
        for method, sent in (("PUT", "unknown"), ("POST", "unknown")):
            UP.then(upstream.HANG)
            self.assert_refused(ask(method, f"{PATH}{'/1' if method == 'PUT' else ''}?v=4.0", gate=HASTY, body=b"{}"), "upstream-timeout", sent=sent)
        UP.then(upstream.HANG)
        answer = self.assert_refused(ask("DELETE", f"{PATH}/1?v=4.0", gate=HASTY), "upstream-timeout", sent="unknown", receipt=True)
        entry = entry_of(answer, HASTY)
        self.assertEqual((entry["outcome"], entry["reason"], entry["sent"]), ("unknown", "timeout", "unknown"))
        self.assertEqual(trail.Verifier(HASTY.verifier).judge(answer.headers)[0], entry["index"])

    def test_an_invalid_answer_to_a_deletion_is_unknown_and_not_returned(self):
        for reply, reason in (
            (upstream.CLOSE, "connection_lost"), ((b"HTTP/1.1 200 OK\r\nContent-", upstream.CLOSE), None), (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "protocol"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "protocol"), (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "protocol"),
            (b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", "protocol"), (b"HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n", "protocol"), ((b"SSH-2.0-x\r\n\r\n", upstream.CLOSE), "protocol"),
            (upstream.answer(408, b"slow"), "protocol"), (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "protocol"),
        ):
            with self.subTest(reply=reply):
                UP.reset()
                UP.then(reply)
                answer = self.assert_refused(ask("DELETE", f"{PATH}/1?v=4.0"), "upstream-protocol", sent="unknown", receipt=True)
                entry = entry_of(answer)
                self.assertEqual((entry["outcome"], entry["sent"], entry["status"], entry["attempts"]), ("unknown", "unknown", None, 1))
                self.assertIn(entry["reason"], (reason,) if reason else ("connection_lost", "protocol"))
                self.assertEqual(len(UP.seen), 1, "a deletion is never sent twice")

    def test_the_status_decides_even_if_the_body_is_cut_short_or_too_long(self):
        for reply, outcome, status in (((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", upstream.CLOSE), "deleted", 200), ((b"HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\nab", upstream.CLOSE), "not_found", 404),
                                       (upstream.answer(200, b"x" * (1 << 20) + b"y"), "deleted", 200), ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", upstream.CLOSE), "deleted", 200)):
            with self.subTest(outcome=outcome, reply=reply[:1]):
                UP.then(reply)
                answer = self.assert_refused(ask("DELETE", f"{PATH}/1?v=4.0"), "upstream-protocol", sent="yes", receipt=True, upstream_status=status)
                entry = entry_of(answer)
                self.assertEqual((entry["outcome"], entry["sent"], entry["status"]), (outcome, "yes", status))
        body = b"x" * (1 << 20)
        UP.then(upstream.answer(200, body))
        self.assertEqual(ask("DELETE", f"{PATH}/1?v=4.0").body, body)

    def test_an_invalid_answer_to_a_read_is_upstream_protocol(self):
        for reply in (b"HTTP/1.1 101 Switching\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (b"nonsense\r\n\r\n", upstream.CLOSE)):
            with self.subTest(reply=reply):
                UP.then(reply, reply)
                self.assertEqual(ask("GET", f"{PATH}?v=4.0").headers["lychgate-refusal"], "upstream-protocol")

    def test_a_caller_that_hangs_up_cannot_lose_a_record(self):
        """A hang-up after the last byte, by FIN or reset: upstream has the deletion, and the trail has intent and outcome."""
        for reset in (False, True):
            UP.reset()
            before = len(GATE.deletions())
            with socket.create_connection(GATE.address) as connection:
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                connection.sendall(head("DELETE", f"{PATH}/5?v=4.0", "If-Match: 17"))
                UP.wait(1)
            GATE.wait_until(lambda: len(GATE.deletions()) == before + 1 and GATE.deletions()[-1]["outcome"] == "deleted", "the outcome is on record")


class Callers(refusals.Refusals, unittest.TestCase):
    def setUp(self):
        UP.reset()

    def test_a_body_that_arrives_too_late(self):
        for method, length in (("DELETE", 10), ("GET", 2)):
            data = head(method, f"{PATH}?v=4.0", "If-Match: 17", f"Content-Length: {length}") + b"["
            self.assert_refused(wire.send(HASTY.address, data), "request-timeout")
        self.assert_unseen(UP)
        streaming = wire.send(HASTY.address, head("PUT", f"{PATH}/1?v=4.0", "If-Match: 17", "Content-Length: 10") + b"[")
        self.assertIn(streaming.headers["lychgate-refusal"], ("request-timeout",))
        self.assertEqual(UP.seen, [], "upstream never had a whole request")

    def test_a_stream_that_grows_too_long(self):
        data = head("PUT", f"{PATH}/1?v=4.0", "If-Match: 17", "Transfer-Encoding: chunked") + b"10000\r\n" + b"x" * 65536 + b"\r\n1\r\ny\r\n0\r\n\r\n"
        answer = wire.send(GATE.address, data)
        sent = answer.json()["sent"]
        self.assertIn(sent, ("no", "unknown"))
        self.assert_refused(answer, "body-too-large", sent=sent)
        self.assertEqual(UP.seen, [])


class Gateways(refusals.Refusals, unittest.TestCase):
    def setUp(self):
        UP.reset()

    def test_beyond_the_limit_a_deletion_is_refused_and_reads_continue(self):
        gate = gateway.Gateway(UP, limits={"max_deletions": 2})
        self.addCleanup(gate.stop)
        answers = upstream.Held(threading.Event(), upstream.answer())
        UP.then(answers, answers)
        waiting = []
        for number in (1, 2):
            connection = socket.create_connection(gate.address, timeout=wire.PATIENCE)
            self.addCleanup(connection.close)
            connection.sendall(head("DELETE", f"{PATH}/{number}?v=4.0", "If-Match: 17"))
            waiting.append(connection)
        UP.wait(2)
        self.assert_refused(ask("DELETE", f"{PATH}/3?v=4.0", gate=gate), "overloaded")
        self.assert_passed(ask("GET", f"{PATH}/3?v=4.0", gate=gate))
        entry = gate.deletions()[-1]
        self.assertEqual((entry["code"], entry["sent"], entry["domain"]), ("overloaded", "no", UP.origin))
        answers.released.set()
        for connection in waiting:
            self.assert_passed(wire.read(connection))
        self.assert_passed(ask("DELETE", f"{PATH}/3?v=4.0", gate=gate))

    def test_credentials(self):
        """`bearer` sends the gateway's own token and reads a changed file again; `forward` sends the caller's."""
        gate = gateway.Gateway(UP, files={"up.token": "first-upstream-token\n"}, credentials={"mode": "bearer", "token_file": "up.token"})
        self.addCleanup(gate.stop)
        self.assert_passed(ask("DELETE", f"{PATH}/1?v=4.0", gate=gate))
        self.assertEqual(UP.seen[-1].values("authorization"), ["Bearer first-upstream-token"])
        gate.write("up.token", "second-upstream-token")

        def second():
            ask("GET", f"{PATH}?v=4.0", gate=gate)
            return UP.seen[-1].values("authorization") == ["Bearer second-upstream-token"]

        gate.wait_until(second, "the new token is sent")
        self.assertNotIn("upstream-token", gate.logged())

        forwarding = gateway.Gateway(UP, credentials={"mode": "forward"})
        self.addCleanup(forwarding.stop)
        token = tokens.token()
        self.assert_passed(wire.send(forwarding.address, wire.request("GET", f"{PATH}?v=4.0", f"Authorization: Bearer {token}")))
        self.assertEqual(UP.seen[-1].values("authorization"), [f"Bearer {token}"])

    def test_credentials_that_become_unreadable_stay_in_use(self):
        """A file without a token is a config error. If a file loses its token later, the known token stays in use."""
        gate = gateway.Gateway(UP, files={"up.token": "only-upstream-token"}, credentials={"mode": "bearer", "token_file": "up.token"})
        self.addCleanup(gate.stop)
        gate.write("up.token", "\n")
        checked = gateway.command("check", "--config", gate.config)
        self.assertEqual(checked.returncode, 78)
        self.assertIn("credentials.token_file", checked.stderr)
        time.sleep(1.1)
        for _ in range(2):
            self.assert_passed(ask("DELETE", f"{PATH}/1?v=4.0", gate=gate))
            self.assertEqual(UP.seen[-1].values("authorization"), ["Bearer only-upstream-token"])
        gate.wait_until(lambda: "the token read before stays in use" in gate.logged(), "it is told")

    def test_an_unwritable_folder_refuses_only_deletions(self):
        """A file is in the place of the audit folder: GET works, DELETE gets 503 with a cause."""
        gate = gateway.Gateway(UP, ready=False, files={"audit": "in the way"})
        self.addCleanup(gate.stop)
        self.assert_passed(ask("GET", f"{PATH}/1?v=4.0", gate=gate))
        UP.reset()
        answer = ask("DELETE", f"{PATH}/1?v=4.0", gate=gate)
        self.assert_refused(answer, "audit-unavailable", cause=answer.json()["cause"])
        self.assertIn(answer.json()["cause"], ("read-only", "folder-moved", "replaced", "disk-full", "sync-failed"))
        self.assert_unseen(UP)


if __name__ == "__main__":
    unittest.main()
