"""Readers of the trail: filters, exports read by csv and checked by jsonschema, tail --follow, /audit/ of the admin listener, a large log, and texts that attack terminals and spreadsheets."""

import base64
import csv
import datetime
import hashlib
import http.server
import io
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import jsonschema
import test_tlog
from support import gateway, refusals, terminal, tokens, upstream, wire

PATH = wire.PATH
ADMIN_TOKEN = "an-admin-token-of-some-length-9876543210"
#: The texts of a token must not contain control characters; upstream's texts may.
HOSTILE = "=cmd|' /C calc'!A0 \u202eresu;=1,\"line\""
REVISION = b"=1+1\x9b2J\tx"
#: Every control character except the line feed, and marks that change the direction of writing.
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
SCHEMA = json.loads((pathlib.Path(__file__).parent / "ocsf_user_management.schema.json").read_text())


def setUpModule():
    global UP, GATE
    UP = upstream.Upstream()
    GATE = gateway.Gateway(UP)


def tearDownModule():
    GATE.stop()
    UP.close()


def delete(gate=None, user=4711, if_match="17", **changes):
    gate = gate or GATE
    return wire.send(gate.address, wire.request("DELETE", f"{PATH}/{user}?v=4.0", f"Authorization: Bearer {tokens.token(**changes)}", f"If-Match: {if_match}"))


def batch(*users):
    body = json.dumps(users).encode()
    return wire.send(GATE.address, wire.request("DELETE", f"{PATH}?v=4.0", f"Authorization: Bearer {tokens.token()}", "If-Match: 17", body=body))


def listed(*arguments):
    done = GATE.audit("list", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


class Reading(refusals.Refusals, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        UP.reset()
        delete(user=1)
        UP.then(upstream.answer(404, b""))
        delete(user=2, sub="bob")
        UP.then(upstream.answer(503, b""))
        delete(user=3)
        delete(user=4, if_match="*")
        # The gateway answers a refused request before it writes the entry.
        GATE.wait_until(lambda: len(listed()) == 4, "the refusal is on record")
        batch("5", "6", "7")
        UP.then(b"HTTP/1.1 200 OK\r\nac-revision: " + REVISION + b"\r\ncontent-length: 0\r\n\r\n")
        hostile = delete(user=8, sub=HOSTILE, if_match='"-1+1"')
        assert hostile.status == 200, (hostile.status, hostile.body)
        cls.all = listed()

    def users(self, *arguments):
        return [one["users"] for one in listed(*arguments)]

    def test_filters(self):
        cases = [(("--user", "6"), [["5", "6", "7"]]), (("--caller", "bob"), [["2"]]), (("--outcome", "not_found"), [["2"]]), (("--outcome", "failed"), [["3"]]),
                 (("--outcome", "refused"), [["4"]]), (("--code", "if-match-unconditional"), [["4"]]), (("--operation", "users.delete_batch"), [["5", "6", "7"]]), (("--account", "87654321"), []),
                 (("--limit", "2"), [["5", "6", "7"], ["8"]]), (("--since", "1h"), [one["users"] for one in self.all]), (("--until", "1h"), []),
                 (("--since", self.all[4]["time"]), [["5", "6", "7"], ["8"]]), (("--until", self.all[1]["time"]), [["1"]]), (("--caller", tokens.ISSUER, "--limit", "1"), [["8"]])]
        for arguments, users in cases:
            with self.subTest(arguments):
                self.assertEqual(self.users(*arguments), users)

    def test_an_answer_says_what_it_searched(self):
        done = GATE.audit("list", "--json", "--user", "none")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        # The gateway may publish another checkpoint, which the second line names, between the two.
        searched = [text.splitlines()[0] for text in (done.stderr, GATE.audit("unresolved").stderr)]
        self.assertRegex(searched[0], r"searched \d+ entries: 0 to \d+$")
        self.assertEqual(searched[1], searched[0])

    def test_an_unreadable_trail_shows_no_empty_table(self):
        for verb in ("list", "tail"):
            done = gateway.command("audit", verb, "--dir", GATE.folder / "nothing")
            self.assertEqual((done.returncode, done.stdout), (74, ""), done.stderr)

    def test_json_lines_are_those_of_list(self):
        done = GATE.audit("export")
        self.assertEqual([json.loads(line) for line in done.stdout.splitlines()], self.all)

    def test_csv_is_read_back_by_another_reader_and_holds_no_formula(self):
        done = subprocess.run([gateway.binary(), "audit", "export", "--format", "csv", "--dir", GATE.folder / "audit"], capture_output=True, timeout=wire.PATIENCE)
        text = done.stdout.decode()
        self.assertEqual((text.count("\r\n"), text.count("\n")), (len(self.all) + 1, len(self.all) + 1))
        records = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        self.assertEqual([record["users"].split() for record in records], [one["users"] for one in self.all])
        self.assertEqual([record["request_id"] for record in records], [one["request_id"] for one in self.all])
        self.assertEqual({record["origin"] for record in records}, {gateway.ORIGIN})
        for record in records:
            self.assertIsNone(record.get(None))
            for cell in record.values():
                self.assertNotRegex(cell, r"^\s*[=+\-@]")
                self.assertIsNone(RAW.search(cell), cell)
        self.assertTrue(records[5]["caller.subject"].startswith("'=cmd"))

    def test_ocsf_events_pass_a_schema_made_from_the_public_definition(self):
        done = GATE.audit("export", "--format", "ocsf")
        events = [json.loads(line) for line in done.stdout.splitlines()]
        check = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
        for event in events:
            self.assertEqual([error.message for error in check.iter_errors(event)], [])
        self.assertEqual([event["user"]["uid"] for event in events], ["1", "2", "3", "4", "5", "6", "7", "8"])
        self.assertEqual([event["status_id"] for event in events], [1, 2, 2, 2, 1, 1, 1, 1])
        self.assertEqual(len({event["metadata"]["uid"] for event in events}), 8)
        self.assertEqual(events[7]["actor"]["user"]["uid"], self.all[5]["caller"]["subject"])
        broken = {**events[0], "class_uid": 3001}
        self.assertTrue(list(check.iter_errors(broken)))

    def test_no_verb_writes_a_control_character(self):
        for verb in (("list",), ("list", "--json"), ("tail",), ("tail", "--json"), ("export",), ("export", "--format", "ocsf"), ("show", self.all[5]["request_id"]), ("show", str(self.all[5]["index"]), "--json")):
            done = GATE.audit(*verb)
            self.assertEqual(done.returncode, 0, done.stderr)
            for text in (done.stdout, done.stderr):
                self.assertIsNone(RAW.search(text), (verb, text))


class Published(refusals.Refusals, unittest.TestCase):
    """The published part of the trail, read through the admin listener."""

    @classmethod
    def setUpClass(cls):
        UP.reset()
        tokens.MADE.add(ADMIN_TOKEN)
        cls.gate = gateway.Gateway(UP, files={"admin.token": ADMIN_TOKEN + "\n"}, admin={"token_file": "admin.token"})
        cls.answer = delete(cls.gate, user=11)
        closing = cls.gate.deletions()[-1]["closing_index"]
        cls.gate.wait_until(lambda: cls.covered() > closing, "a checkpoint covers the deletion")

    @classmethod
    def tearDownClass(cls):
        (cls.gate.folder / "admin.token").unlink()
        cls.gate.stop()

    @classmethod
    def fetch(cls, path, *headers):
        return cls.gate.get(f"/audit/{path}", f"Authorization: Bearer {ADMIN_TOKEN}", *headers)

    @classmethod
    def covered(cls):
        got = cls.fetch("checkpoint")
        return int(got.body.split(b"\n")[1]) if got.status == 200 else 0

    def remote(self, verb, *arguments, token=True):
        place = ("--dir", "http://%s:%d" % self.gate.admin)
        return gateway.command("audit", verb, *arguments, *place, *(("--token-file", self.gate.folder / "admin.token") if token else ()))

    def test_the_files_are_those_of_the_folder(self):
        size = self.covered()
        got = self.fetch("checkpoint")
        self.assertEqual((got.headers["content-type"], got.headers["cache-control"]), ("text/plain; charset=utf-8", "max-age=1"))
        width = f"000.p/{size}" if size < 256 else "000"
        for path in (f"tile/0/{width}", f"tile/entries/{width}"):
            got = self.fetch(path)
            self.assertEqual((got.status, got.headers["content-type"]), (200, "application/octet-stream"), path)
            self.assertIn("immutable", got.headers["cache-control"])
            self.assertEqual(got.body, (self.gate.folder / "audit" / path).read_bytes())
            self.assertEqual(int(got.headers["content-length"]), len(got.body))
            head = wire.send(self.gate.admin, wire.request("HEAD", f"/audit/{path}", f"Authorization: Bearer {ADMIN_TOKEN}", host="%s:%d" % self.gate.admin))
            self.assertEqual((head.status, head.headers["content-length"], head.body), (200, got.headers["content-length"], b""))
        self.assertEqual(self.gate.get("/audit/checkpoint").status, 401)
        for path in ("lock", "verifier", "journal/0000000001", "tile/0/../../lock", "tile/0/000.p/0", "tile/0/0", ""):
            self.assertEqual(self.fetch(path).status, 404, path)

    def test_an_address_gives_the_same_as_the_folder(self):
        for verb in (("list", "--json", "--user", "11"), ("export", "--format", "csv", "--user", "11"), ("tail", "--json", "--limit", "1", "--user", "11")):
            done = self.remote(*verb, "--key", self.gate.verifier)
            self.assertEqual((done.returncode, done.stdout), (0, self.gate.audit(*verb).stdout), done.stderr)
            self.assertRegex(done.stderr, r"searched \d+ published entries: 0 to \d+\n")
        shown = self.remote("show", self.answer.headers["lychgate-receipt"], "--json", "--key", self.gate.verifier)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        one = json.loads(shown.stdout.splitlines()[-1])
        self.assertEqual(one["leaf"], self.answer.headers["lychgate-receipt-leaf"])
        self.assertGreater(one["checkpoint"], one["index"])

    def test_a_log_at_an_address_is_verified_whole(self):
        kept = self.gate.folder / "kept.checkpoint"
        kept.write_bytes(self.fetch("checkpoint").body)
        receipt = [part for name in ("receipt", "leaf", "signature") for part in (f"--{name}", self.answer.headers["lychgate-receipt" + (f"-{name}" if name != "receipt" else "")])]
        for more in ((), ("--against", kept), receipt):
            done = self.remote("verify", "--json", "--key", self.gate.verifier, *more)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(self.remote("verify", "--json", "--key", another_key(self.gate.folder)).returncode, 1)
        self.assertEqual(self.remote("verify").returncode, 2)
        self.assertEqual(list(pathlib.Path(tempfile.gettempdir()).glob("lychgate-verify-*")), [])

    def test_an_address_needs_the_token_and_the_right_key(self):
        denied = self.remote("list", "--json", "--key", self.gate.verifier, token=False)
        self.assertEqual((denied.returncode, denied.stdout), (74, ""))
        self.assertIn("--token-file", denied.stderr)
        other = another_key(self.gate.folder)
        self.assertEqual(self.remote("list", "--json", "--key", other).returncode, 1)
        unreachable = gateway.command("audit", "list", "--dir", "http://127.0.0.1:1", "--key", self.gate.verifier)
        self.assertEqual(unreachable.returncode, 74)

    def test_an_address_needs_a_key(self):
        for verb in (("list",), ("tail",), ("show", "1"), ("export",), ("unresolved",), ("prove", "1"), ("verify",)):
            done = self.remote(*verb)
            self.assertEqual((done.returncode, done.stdout), (2, ""), verb)
            self.assertIn("--key", done.stderr)

    def test_a_key_is_its_text_or_a_file(self):
        file = self.gate.folder / "verifier.txt"
        file.write_text(self.gate.verifier + "\n")
        wrong = self.gate.folder / "wrong.txt"
        wrong.write_text("no key\n")
        for verb in (("list",), ("tail",), ("show", "1"), ("export",), ("unresolved",), ("verify",)):
            self.assertEqual(self.remote(*verb, "--key", file).returncode, 0, verb)
            self.assertEqual(self.remote(*verb, "--key", self.gate.folder / "no such file").returncode, 74, verb)
            self.assertEqual(self.remote(*verb, "--key", wrong).returncode, 2, verb)
            self.assertEqual(self.remote(*verb, "--key", "no+key").returncode, 2, verb)


def another_key(folder):
    """A verifier key of the same origin, but not the gateway's."""
    path = folder / "other.key"
    if path.exists():
        path.unlink()
    return gateway.command("audit", "keygen", "--origin", gateway.ORIGIN, "--out", path).stdout.strip()


class Large(unittest.TestCase):
    """A log from the independent writer: a million entries with LYCHGATE_FULL, otherwise fewer."""

    @classmethod
    def setUpClass(cls):
        cls.count = 1_000_000 if os.environ.get("LYCHGATE_FULL") else 20_000
        cls.folder = gateway.temporary_folder()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        chosen = random.Random(9)
        cls.wanted = sorted(chosen.sample(range(0, cls.count, 2), 100))
        users = dict.fromkeys(cls.wanted, "4711")
        entries = []
        for index in range(0, cls.count, 2):
            entries += cls.deletion(index, users.get(index) or str(chosen.randrange(100_000, 999_999)))
        test_tlog.write(cls.folder, entries, cls.count)

    @staticmethod
    def deletion(index, user):
        """An intent and the entry that closes it."""
        at = (datetime.datetime(2026, 11, 24) + datetime.timedelta(milliseconds=20 * index)).isoformat(timespec="microseconds")
        request = f"01938f3e-5a1b-7c3d-8e9f-{index:012x}"
        intent = {"time": at + "Z", "kind": "intent", "request_id": request, "operation": "users.delete", "account": "12345678", "users": [user],
                  "caller": {"issuer": tokens.ISSUER, "subject": "ada@example.com", "client": "console"}, "token_id": "9" * 64, "if_match": "17", "domain": "https://va.ac.example.net",
                  "client_ip": "127.0.0.1", "config": "c" * 64}
        made = json.dumps(intent, separators=(",", ":")).encode()
        leaf = base64.b64encode(hashlib.sha256(b"\0" + made).digest()).decode()
        closing = {"time": at + "Z", "kind": "outcome", "intent": index, "leaves": [leaf], "request_id": request, "outcome": "deleted", "reason": None, "sent": "yes", "status": 200, "revision": "18", "attempts": 1}
        return made, json.dumps(closing, separators=(",", ":")).encode()

    def list(self, *arguments):
        began = time.monotonic()
        done = gateway.command("audit", "list", "--json", "--dir", self.folder, "--key", test_tlog.KEY, *arguments)
        return done, [json.loads(line) for line in done.stdout.splitlines()], time.monotonic() - began

    def test_the_last_deletions_of_one_user_are_found(self):
        done, found, seconds = self.list("--user", "4711", "--limit", "100")
        self.assertEqual((done.returncode, [one["index"] for one in found]), (0, self.wanted), done.stderr)
        self.assertTrue(all(one["closing_index"] == one["index"] + 1 for one in found))
        print(f"found in {seconds:.1f} s", end=" ", flush=True)
        self.assertLess(sum(1 for path in self.folder.rglob("*") if path.is_file()), 10_000)

    def test_a_missing_bundle_is_reported_as_missing(self):
        gone = self.folder / "tile/entries/010"
        kept = gone.read_bytes()
        gone.unlink()
        self.addCleanup(gone.write_bytes, kept)
        for limit in ((), ("--limit", "200")):
            done, found, _ = self.list("--user", "4711", *limit)
            self.assertEqual(done.returncode, 1)
            self.assertIn("tile/entries/010", done.stderr)
            left = [index for index in self.wanted if index // 256 != 10]
            self.assertEqual([one["index"] for one in found], left)
        self.assertEqual([one["index"] for one in self.list("--user", "4711", "--limit", "3")[1]], self.wanted[-3:])


class Progress(unittest.TestCase):
    """A server that holds an answer back until the terminal shows how far the reader is."""

    @classmethod
    def setUpClass(cls):
        cls.folder = gateway.temporary_folder()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        entries = [one for index in range(0, 600, 2) for one in Large.deletion(index, "4711")]
        test_tlog.write(cls.folder, entries, 600)

    def serve(self, wait):
        """Starts a server of the log that calls `wait` before it sends the last bundle."""
        folder = self.folder

        class Log(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path = folder / self.path.removeprefix("/log/")
                body = path.read_bytes() if path.is_file() else b""
                if self.path.startswith("/log/tile/entries/002"):
                    wait()
                self.send_response(200 if body else 404)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Log)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return "http://127.0.0.1:%d/log" % server.server_address[1]

    def screen(self, *verb):
        path = self.folder / f"{verb[0]}.screen"
        path.touch()

        def wait():
            until = time.monotonic() + wire.PATIENCE
            while not re.search(terminal.PROGRESS, path.read_bytes().decode(errors="replace")) and time.monotonic() < until:
                time.sleep(0.01)

        terminal.run(path, gateway.binary(), "audit", *verb, "--dir", self.serve(wait), "--key", test_tlog.KEY)
        return path.read_bytes().decode()

    def test_long_work_shows_progress_and_erases_it(self):
        last = "01938f3e-5a1b-7c3d-8e9f-%012x" % 598
        for verb in (("list",), ("unresolved",), ("export",), ("show", last), ("prove", last), ("verify",)):
            with self.subTest(verb):
                screen = self.screen(*verb)
                bars = list(re.finditer(terminal.PROGRESS, screen))
                self.assertTrue(bars and "of 600 entries" in bars[-1][0], screen)
                rest = screen[bars[-1].end() :]
                self.assertRegex(rest, f"^{terminal.ERASED}[^\r]+$")

    def test_a_pipe_gets_no_progress(self):
        place = self.serve(lambda: time.sleep(1.5))
        done = gateway.command("audit", "list", "--limit", "1", "--dir", place, "--key", test_tlog.KEY)
        self.assertEqual((done.returncode, RAW.search(done.stdout + done.stderr)), (0, None))


class Follow(refusals.Refusals, unittest.TestCase):
    def setUp(self):
        UP.reset()
        self.gate = gateway.Gateway(UP)
        self.addCleanup(self.gate.stop)

    def follow(self, *arguments):
        """A follower, and a function that waits for its next line."""
        log = self.gate.folder / "tail.jsonl"
        with open(log, "wb") as out, open(self.gate.folder / "tail.err", "wb") as err:
            line = [gateway.binary(), "audit", "tail", "--follow", "--json", *arguments]
            process = subprocess.Popen(line, stdout=out, stderr=err)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        lines = lambda: [json.loads(line) for line in log.read_text().splitlines()]

        def users(count):
            self.gate.wait_until(lambda: len(lines()) >= count or process.poll() is not None, f"{count} lines")
            return [one["users"][0] for one in lines()]

        return process, users

    def test_it_follows_through_a_restart_and_ends_on_interrupt(self):
        delete(self.gate, user=1)
        process, users = self.follow("--dir", str(self.gate.folder / "audit"))
        self.assertEqual(users(1), ["1"])
        delete(self.gate, user=2)
        self.assertEqual(users(2), ["1", "2"])
        os.kill(self.gate.process.pid, signal.SIGKILL)
        self.gate.process.wait()
        self.gate.start()
        delete(self.gate, user=3)
        self.assertEqual(users(3), ["1", "2", "3"])
        os.kill(process.pid, signal.SIGINT)
        self.assertEqual(process.wait(5), 0)

    def test_it_follows_an_address_with_filters(self):
        process, users = self.follow("--dir", "http://%s:%d" % self.gate.admin, "--key", self.gate.verifier, "--outcome", "refused")
        delete(self.gate, user=1)
        delete(self.gate, user=2, if_match="*")
        self.assertEqual(users(1), ["2"])
        os.kill(process.pid, signal.SIGTERM)
        self.assertEqual(process.wait(10), 0)

    def test_it_ends_when_nobody_reads_any_more(self):
        line = [gateway.binary(), "audit", "tail", "--follow", "--json", "--dir", str(self.gate.folder / "audit")]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        process.stdout.close()
        self.assertEqual(process.wait(10), 0)


if __name__ == "__main__":
    unittest.main()
