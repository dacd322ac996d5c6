"""Callers with valid tokens that send only refused requests with long and hostile texts, at full speed for at least a minute.

The trail grows within the bounds of docs/trail.md and counts every refusal; no text steers any terminal that shows it.
"""

import collections
import json
import signal
import socket
import threading
import time
import unittest

from support import gateway, refusals, terminal, tlog, tokens, upstream, wire

SECONDS, CALLERS, THREADS, REFUSALS = 60, 24, 4, 12_000
#: The bounds of docs/trail.md: entries a minute of all callers and of one, bytes of the longest entry of a refusal and of any entry,
#: bytes of all entries a minute, callers that a sum names, and the journal's size beside segments of 2 MiB.
ENTRIES_A_MINUTE, OF_A_CALLER, ENTRY_BYTES, LONGEST, BYTES_A_MINUTE, NAMED, JOURNAL = 600, 60, 6_000, 48_000, 4_000_000, 20, 3 << 21
IDS = list(range(9_000_000_000_000_000_000, 9_000_000_000_000_005_000))
UGLY = b'"\x80\x9b2J\xff' + b"\xe2\x80\xae" * 80 + b'"'


def setUpModule():
    global UP
    UP = upstream.Upstream()


def tearDownModule():
    UP.close()


def subject(number):
    """A text of several KiB. Every sixth exceeds 8 KiB, so the gateway does not read it; every sixth has an escape, which no subject has."""
    text = f"{number} \u202e\u2066=1+1|" + "\u202e\u00e9\"\\x" * 50
    return text + {0: "x" * 8_192, 1: "\x1b]0;x\x07"}.get(number % 6, "x" * 2_500)


def requests(token):
    """The requests that one caller repeats; none reaches upstream."""
    bearer = b"Authorization: Bearer " + token.encode()
    one, all_of = f"{wire.PATH}/4711?v=4.0", f"{wire.PATH}?v=4.0"
    twice = json.dumps([*IDS[:4999], IDS[0]]).encode()
    long = json.dumps([*IDS[:4998], *("\\u001b" * 40,) * 2]).encode().replace(b"\\\\", b"\\")
    return [
        wire.request("DELETE", all_of, bearer, "If-Match: 1", body=twice),
        wire.request("DELETE", all_of, bearer, "If-Match: 1", body=long),
        wire.request("DELETE", all_of, bearer, "If-Match: *", body=json.dumps(IDS[:4000]).encode()),
        wire.request("DELETE", one, bearer, b"If-Match: ," + UGLY),
        wire.request("DELETE", one, bearer, b"If-Match: W/" + UGLY * 30),
        wire.request("DELETE", f"{wire.PATH}/%1B%5B2J%C2%9B?v=4.0", bearer, "If-Match: 1"),
        wire.request("DELETE", one.replace("12345678", "%E2%80%AE" * 30), bearer, "If-Match: 1"),
        wire.request("DELETE", f"{wire.PATH}/{'9' * 4000}?v=4.0", bearer, "If-Match: 1"),
        wire.request("DELETE", f"{wire.PATH}/1?v=%1B", bearer, b"If-Match: \"\x85\""),
        wire.request("POST", one, bearer, "If-Match: 1", b"X-HTTP-Method-Override: DELETE", b"User-Agent: \xc2\x9b2J", body=b"x"),
    ]


class Hostile(refusals.Refusals, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gate = gateway.Gateway(UP, at_terminal=True, log={"format": "auto"})
        cls.addClassCleanup(cls.gate.stop)
        cls.sent = [requests(tokens.token(sub=subject(number), client_id=subject(number)[:300], jti="\"\\" * 128)) for number in range(CALLERS)]
        cls.following, cls.followed = cls.command("followed", "tail", "--follow", "--limit", 1)
        cls.addClassCleanup(cls.following.kill)
        cls.codes, cls.begun = collections.Counter(), time.monotonic()
        threads = [threading.Thread(target=cls.flood, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cls.gate.end()
        # The gateway counts minutes from its start, so one minute of load may fall into two of them.
        cls.minutes = int((time.monotonic() - cls.begun) // 60) + 1
        cls.entries = tlog.Log(cls.gate.folder / "audit", tlog.Key(cls.gate.verifier)).entries
        cls.said = [json.loads(entry) for entry in cls.entries]

    @classmethod
    def command(cls, name, *arguments):
        """Starts `lychgate audit …` at a new terminal."""
        audit = [gateway.binary(), "audit", *arguments, "--dir", cls.gate.folder / "audit"]
        return terminal.start(cls.gate.folder / f"{name}.screen", *audit)

    @classmethod
    def sizes(cls, below):
        """The size of each file in bytes."""
        folder = cls.gate.folder / "audit" / below
        return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}

    @classmethod
    def flood(cls, thread):
        connection, number, codes = None, thread, collections.Counter()
        while time.monotonic() < cls.begun + SECONDS or codes.total() * THREADS < REFUSALS:
            number += 1
            request = cls.sent[number % CALLERS][number // CALLERS % len(cls.sent[0])]
            try:
                connection = connection or socket.create_connection(cls.gate.address, timeout=wire.PATIENCE)
                connection.sendall(request)
                answer = wire.read(connection, "DELETE")
            except OSError:
                codes["broken off", 0] += 1
                connection = None
                continue
            codes[answer.headers.get("lychgate-refusal"), answer.status] += 1
            if answer.headers.get("connection") == "close":
                connection = connection.close()
        cls.codes.update(codes)

    def test_every_refusal_is_recorded_singly_or_in_a_sum(self):
        refused = collections.Counter()
        for (code, _), count in self.codes.items():
            refused[code] += count
        self.assertNotIn(None, refused, "nothing was to go upstream")
        self.assertNotIn("broken off", refused, "a connection that ends says so in its last answer")
        self.assertEqual(UP.seen, [])
        self.assertGreaterEqual(refused.total(), REFUSALS, "no flood")
        nobody = {code: refused.pop(code) for code in ("token-malformed", "token-claims")}
        self.assertGreater(min(nobody.values()), ENTRIES_A_MINUTE)
        singly, known, unknown = collections.Counter(), collections.Counter(), collections.Counter()
        for said in self.said:
            if said["kind"] == "refused":
                singly[said["code"]] += 1
            elif said["kind"] == "turned_away":
                known.update(said["known_callers"])
                unknown.update(said["unknown_callers"])
        self.assertEqual(singly + known, refused)
        self.assertEqual(unknown, nobody)

    def test_the_trail_grows_within_the_documented_bounds(self):
        of, callers = collections.Counter(), collections.Counter()
        for entry, said in zip(self.entries, self.said):
            of[said["kind"]] += 1
            if said["kind"] == "refused":
                callers[json.dumps(said["caller"])] += 1
            self.assertLessEqual(len(entry), ENTRY_BYTES if said["kind"] == "refused" else LONGEST)
            self.assertLessEqual(len(said.get("callers", [])), NAMED)
        self.assertEqual(set(of), {"config", "started", "refused", "turned_away", "stopped"})
        self.assertLessEqual(of["refused"], ENTRIES_A_MINUTE * self.minutes)
        self.assertGreaterEqual(of["refused"], ENTRIES_A_MINUTE, "the bound was met")
        self.assertLessEqual(max(callers.values()), OF_A_CALLER * self.minutes)
        self.assertLessEqual(of["turned_away"], self.minutes + 1)
        self.assertLess(sum(map(len, self.entries)), BYTES_A_MINUTE * self.minutes)

    def test_the_files_hold_no_more_than_the_entries(self):
        lengths = [len(entry) + 2 for entry in self.entries]
        files = self.sizes("tile")
        full = {name: size for name, size in files.items() if ".p/" not in name}
        count = len(lengths) // tlog.FULL * tlog.FULL
        bundles = sum(size for name, size in full.items() if name.startswith("entries/"))
        self.assertEqual(bundles, sum(lengths[:count]))
        self.assertEqual(sum(full.values()) - bundles, 32 * count)
        # Partial tiles: each is a prefix of a tile, one for each checkpoint of that time.
        partial = sum(size for name, size in files.items() if ".p/" in name)
        self.assertLessEqual(partial, (tlog.FULL - 1) * (sum(lengths[count:]) + 2 * 32 * tlog.FULL))
        self.assertLessEqual(sum(self.sizes("journal").values()), JOURNAL)

    def assert_harmless(self, lines, least, ending="\n"):
        """Asserts that the output has at least this length and does not steer the terminal."""
        count = 0
        for count, line in enumerate(lines, 1):
            self.assertIsNone(terminal.RAW.search(line.removesuffix(ending)), repr(line))
        self.assertGreaterEqual(count, least)

    def test_a_terminal_with_the_log_is_not_steered(self):
        screen = self.gate.terminal
        self.assert_harmless(screen.lines(), ENTRIES_A_MINUTE)
        self.assertIn(b"\x1b[", screen.path.read_bytes()[:200], "it has colours, so it knew its terminal")

    def test_a_terminal_that_follows_the_trail_is_not_steered(self):
        self.gate.wait_until(lambda: self.followed.path.read_bytes().count(b"\n") > ENTRIES_A_MINUTE, "all is shown")
        self.following.send_signal(signal.SIGINT)
        self.assertEqual(self.following.wait(10), 0)
        self.assert_harmless(self.followed.lines(), ENTRIES_A_MINUTE)

    def test_a_terminal_with_a_command_is_not_steered(self):
        one = {said["code"]: str(index) for index, said in enumerate(self.said) if said["kind"] == "refused"}
        self.assertGreater(len(one), 6)
        commands = [(("list",), ENTRIES_A_MINUTE), (("list", "--json"), ENTRIES_A_MINUTE), (("list", "--caller", "\x1b[2J"), 1), (("tail",), 10)]
        commands += [(("show", index), 10) for index in one.values()]
        commands += [(("show", "\x1b]0;x\x07"), 1), (("export", "--format", "csv"), ENTRIES_A_MINUTE), (("verify",), 1)]
        for arguments, least in commands:
            with self.subTest(arguments):
                process, screen = self.command("-".join(arguments).encode().hex(), *arguments)
                process.wait(30)
                # RFC 4180: a line of CSV ends like this.
                self.assert_harmless(screen.lines(), least, "\r\n" if "csv" in arguments else "\n")


if __name__ == "__main__":
    unittest.main()
